//! Shards themselves: listed, added, removed; what lives apart, what is left behind.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use http::Method;
use ostracon_proto::rest::admin::{self, AddShard, Garbage, Shard};
use serde_json::json;

use super::{SHARDS, view};
use crate::{output, reach::Reach};

/// All shards.
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    reach: Reach,
}

/// A new shard.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// `embedded`, or postgres://user:password@host:port/database?schema=name; without this option the address is read
    /// from the variable OSTRACON_SHARD_URL, so that its password stands in no list of processes
    #[arg(
        id = "shard_url",
        long = "url",
        value_name = "URL",
        env = "OSTRACON_SHARD_URL",
        hide_env_values = true
    )]
    shard_url: String,
    #[command(flatten)]
    reach: Local,
}

/// Where the server is, for a command whose `--url` means something else.
#[derive(Debug, Args)]
pub(crate) struct Local {
    /// Data directory of the server on this machine [default: that of the configuration, `data`]
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    data_dir: Option<std::path::PathBuf>,
    /// Configuration file that names the data directory
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    config: Option<std::path::PathBuf>,
    /// A server elsewhere, such as http://127.0.0.1:8080; needs the token of an admin
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// File with the admin's token; without it the variable OSTRACON_TOKEN
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<std::path::PathBuf>,
}

/// One shard by number.
#[derive(Debug, Args)]
pub(crate) struct Accept {
    /// Its number
    shard: u32,
    #[command(flatten)]
    reach: Reach,
}

/// One shard by number.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Its number
    shard: u32,
    #[command(flatten)]
    reach: Reach,
}

/// What lives apart.
#[derive(Debug, Args)]
pub(crate) struct Overrides {
    #[command(flatten)]
    reach: Reach,
}

/// What is busy.
#[derive(Debug, Args)]
pub(crate) struct Hot {
    /// How many of each kind
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    top: u32,
    #[command(flatten)]
    reach: Reach,
}

/// What is left behind.
#[derive(Debug, Args)]
pub(crate) struct Gc {
    #[command(flatten)]
    reach: Reach,
}

impl Status {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let api = self.reach.api().await?;
        let answer = api.call(Method::GET, SHARDS, None::<&()>).await?;
        let shards: admin::Shards = answer.read()?;
        if json {
            output::json(&shards)?;
            return Ok(ExitCode::SUCCESS);
        }
        output::line(view::shards(&shards.shards))?;
        for shard in &shards.shards {
            if let Some(error) = &shard.error {
                output::line(format!("shard {} does not answer: {error}", shard.shard))?;
            }
        }
        output::line(format!(
            "map version {}; {} moves under way; {} units of leftovers",
            shards.map_version,
            output::number(shards.moves),
            output::number(shards.garbage)
        ))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Add {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let Local { data_dir, config, server, token_file } = self.reach;
        let api = Reach::new(data_dir, config, server, token_file).api().await?;
        let body = AddShard { url: self.shard_url };
        let shard: Shard = api.call(Method::POST, SHARDS, Some(&body)).await?.read()?;
        if json {
            output::json(&shard)?;
        } else {
            output::line(format!(
                "Shard {} is there ({}), and holds nothing yet. `ostracon shards plan --add 1` plans its share.",
                shard.shard, shard.url
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Accept {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let api = self.reach.api().await?;
        let path = format!("{SHARDS}/{}/accept", self.shard);
        let shard: Shard = api.call(Method::POST, &path, None::<&()>).await?.read()?;
        if json {
            output::json(&shard)?;
        } else {
            output::line(format!("Shard {} takes units.", shard.shard))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Remove {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let api = self.reach.api().await?;
        api.call(Method::DELETE, &format!("{SHARDS}/{}", self.shard), None::<&()>).await?;
        if json {
            output::json(&json!({"removed": self.shard}))?;
        } else {
            output::line(format!("Shard {} is forgotten.", self.shard))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Overrides {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let api = self.reach.api().await?;
        let path = format!("{SHARDS}/overrides");
        let overrides: admin::Overrides =
            api.call(Method::GET, &path, None::<&()>).await?.read()?;
        if json {
            output::json(&overrides)?;
            return Ok(ExitCode::SUCCESS);
        }
        if overrides.conversations.is_empty() && overrides.users.is_empty() {
            output::line("Everything lives in its slot.")?;
            return Ok(ExitCode::SUCCESS);
        }
        if !overrides.users.is_empty() {
            output::line(view::hot_users(&overrides.users))?;
        }
        if !overrides.conversations.is_empty() {
            let rows = overrides
                .conversations
                .into_iter()
                .map(|one| vec![one.conversation_id, one.unit.to_string(), one.shard.to_string()]);
            output::line(output::table(&["conversation", "unit", "shard"], &[1, 2], rows))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Hot {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let api = self.reach.api().await?;
        let path = format!("{SHARDS}/hot?limit={}", self.top);
        let hot: admin::Hot = api.call(Method::GET, &path, None::<&()>).await?.read()?;
        if json {
            output::json(&hot)?;
            return Ok(ExitCode::SUCCESS);
        }
        let all = [("unit", hot.units), ("conversation", hot.conversations), ("user", hot.users)];
        let rows = all.into_iter().flat_map(|(kind, things)| {
            things.into_iter().map(move |thing| {
                vec![
                    kind.to_owned(),
                    thing.what,
                    thing.shard.to_string(),
                    format!("{:.1}", thing.cost),
                    thing.suggestion.unwrap_or_default(),
                ]
            })
        });
        let head = ["", "what", "shard", "cost/s", "a command that would bring it elsewhere"];
        output::line(output::table(&head, &[2, 3], rows))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Gc {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let api = self.reach.api().await?;
        let path = format!("{SHARDS}/garbage");
        let garbage: Garbage = api.call(Method::POST, &path, None::<&()>).await?.read()?;
        if json {
            output::json(&garbage)?;
            return Ok(ExitCode::SUCCESS);
        }
        if garbage.garbage.is_empty() {
            output::line("Nothing is left behind.")?;
            return Ok(ExitCode::SUCCESS);
        }
        let count = garbage.garbage.len() as u64;
        let rows = garbage.garbage.into_iter().map(|left| {
            vec![
                left.garbage_id.to_string(),
                left.shard.to_string(),
                left.unit.to_string(),
                left.epoch.to_string(),
                output::time(left.since),
            ]
        });
        let head = ["garbage", "shard", "unit", "epoch", "since (UTC)"];
        output::line(output::table(&head, &[0, 1, 2, 3], rows))?;
        output::line(format!("{} units are being removed.", output::number(count)))?;
        Ok(ExitCode::SUCCESS)
    }
}
