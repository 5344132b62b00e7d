//! `repair`: cuts a damaged journal. Without `--yes` it only says what that would lose.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;
use ostracon_server::{
    config::{Config, Flags},
    offline::{self, Loss},
};
use serde_json::json;

use crate::output;

/// What to repair.
#[derive(Debug, Args)]
pub(crate) struct Repair {
    /// Data directory of a stopped server [default: that of the configuration, `data`]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Really cut it
    #[arg(long)]
    yes: bool,
}

impl Repair {
    pub(crate) fn run(self, json: bool) -> Result<ExitCode> {
        let flags = Flags { data_dir: self.data_dir, ..Flags::default() };
        let config = Config::load(self.config.as_deref(), std::env::vars(), flags)?;
        let dir = config.data_dir.display().to_string();
        let yes = self.yes;
        let loss = super::full_runtime()?.block_on(Box::pin(async move {
            if yes { offline::repair(config).await } else { offline::look(&config.data_dir).await }
        }))?;
        if json {
            output::json(&json!({ "loss": loss, "repaired": yes && loss.is_some() }))?;
        } else {
            match &loss {
                None => {
                    output::line(format!("The journal of {dir} is not damaged; nothing was done."))?
                }
                Some(loss) => tell(loss, &dir, yes)?,
            }
        }
        // Damage that is still there is no success.
        Ok(if yes || loss.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn tell(loss: &Loss, dir: &str, done: bool) -> Result<()> {
    for damage in &loss.damage {
        output::line(format!("Damaged: {damage}."))?;
    }
    let by_shard: Vec<_> = loss
        .lost_by_shard
        .iter()
        .map(|(shard, batches)| format!("{batches} of shard {shard}"))
        .collect();
    let by_shard =
        if by_shard.is_empty() { String::new() } else { format!(" ({})", by_shard.join(", ")) };
    output::line(format!(
        "{} behind position {}: {} of changes, at least {} batches{by_shard}, {} whole files.",
        if done { "Lost" } else { "A cut would lose everything" },
        loss.cut_at,
        output::bytes(loss.lost_bytes),
        output::number(loss.lost_batches),
        loss.dropped_segments,
    ))?;
    if done {
        return output::line(
            "The journal is whole again and every conversation has a new history: devices load them again.",
        );
    }
    output::line("What had reached the tables already stays. Nothing was changed.")?;
    output::line(format!(
        "Restore a back-up if you have a newer one than that; else `ostracon repair --yes --data-dir {dir}`."
    ))
}
