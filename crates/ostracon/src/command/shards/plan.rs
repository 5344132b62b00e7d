//! Plans and moves: what is asked of the server, and what it says that this amounts to.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use http::{Method, StatusCode};
use ostracon_proto::rest::admin::{JobReport, MoveRequest, PlanRequest, Planned};

use super::{SHARDS, view, wait::Ending};
use crate::{output, reach::Reach};

/// How units are to be spread.
#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = false, args = ["add", "drain", "shards", "balance"])]
pub(crate) struct Plan {
    /// Evenly over the shards in use and N that hold nothing yet
    #[arg(long, value_name = "N")]
    add: Option<u32>,
    /// Everything away from this shard
    #[arg(long, value_name = "ID")]
    drain: Option<u32>,
    /// Evenly over N shards, those with the smallest numbers
    #[arg(long, value_name = "N")]
    shards: Option<u32>,
    /// Even out messages, with as few moves as that takes
    #[arg(long)]
    balance: bool,
    /// Only say what would be done; shards that are not there yet may be counted in
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    reach: Reach,
}

/// What is to be moved, and where to.
#[derive(Debug, Args)]
#[group(id = "which", required = true, multiple = false, args = ["slot", "pair", "conversation", "user"])]
pub(crate) struct Move {
    /// Slots A to B-1, or one slot
    #[arg(long, value_name = "A..B")]
    slot: Option<String>,
    /// The direct conversation of two users: numbers, names or ext:ID
    #[arg(long, value_name = "U:V")]
    pair: Option<String>,
    /// A conversation by its id
    #[arg(long, value_name = "ID")]
    conversation: Option<String>,
    /// A user with all direct conversations: number, name or ext:ID
    #[arg(long)]
    user: Option<String>,
    /// Shards; several only for a user, whose slots are dealt out in turn
    #[arg(long, value_name = "ID[,ID...]", required = true, value_delimiter = ',')]
    to: Vec<u32>,
    /// Wait for the end, with a progress bar
    #[arg(long)]
    wait: bool,
    /// Only say what would be done
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    #[command(flatten)]
    reach: Reach,
}

/// A shard to empty.
#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// Its number
    shard: u32,
    /// Wait for the end, with a progress bar
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Plan {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let api = self.reach.api().await?;
        let body = PlanRequest {
            add: self.add,
            drain: self.drain,
            shards: self.shards,
            balance: self.balance,
            dry_run: self.dry_run,
        };
        let planned: Planned =
            api.call(Method::POST, &format!("{SHARDS}/plan"), Some(&body)).await?.read()?;
        show(&planned, json)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn show(planned: &Planned, json: bool) -> Result<()> {
    if json {
        return output::json(planned);
    }
    output::line(view::plan(planned))?;
    if planned.moves == 0 {
        return output::line("There is nothing to do.");
    }
    output::line(format!(
        "{}: {} moves of {} units, about {} rows and {}, about {} while people talk.",
        planned.title,
        output::number(planned.moves),
        output::number(planned.units),
        output::number(planned.rows),
        output::bytes(planned.bytes),
        view::duration(planned.seconds)
    ))?;
    match planned.job_id {
        Some(job) => output::line(format!(
            "Job {job} is planned. `ostracon shards apply {job} --wait` does it, `ostracon shards abort {job}` forgets it."
        )),
        None => output::line("This was a dry run: nothing is stored."),
    }
}

impl Move {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let api = self.reach.api().await?;
        let body = MoveRequest {
            slot: self.slot,
            pair: self.pair,
            conversation: self.conversation,
            user: self.user,
            to: self.to,
            dry_run: self.dry_run,
        };
        let answer = api.call(Method::POST, &format!("{SHARDS}/move"), Some(&body)).await?;
        if answer.status == StatusCode::OK {
            show(&answer.read()?, json)?;
            return Ok(ExitCode::SUCCESS);
        }
        let report: JobReport = answer.read()?;
        Ending { wait: self.wait, json }.of(&api, report).await
    }
}

impl Drain {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let api = self.reach.api().await?;
        let path = format!("{SHARDS}/{}/drain", self.shard);
        let report: JobReport = api.call(Method::POST, &path, None::<&()>).await?.read()?;
        Ending { wait: self.wait, json }.of(&api, report).await
    }
}
