//! `search`: what the indexes of a running server hold, and making them again.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use http::Method;
use ostracon_proto::rest::admin::{Reindex, SearchIndexes};

use crate::{output, reach::Reach};

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Search {
    /// What each index holds
    Status(Where),
    /// Bring the indexes level with their shards; messages are found meanwhile as far as they are known
    Rebuild(Rebuild),
}

/// Which server.
#[derive(Debug, Args)]
pub(crate) struct Where {
    #[command(flatten)]
    reach: Reach,
}

/// How.
#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    /// Only compare and make up for what is missing, instead of forgetting everything first
    #[arg(long)]
    compare: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Search {
    pub(crate) fn run(self, json: bool) -> Result<ExitCode> {
        let indexes: SearchIndexes = super::small_runtime()?.block_on(async {
            const PATH: &str = "/api/v1/admin/search";
            let answer = match self {
                Self::Status(Where { reach }) => {
                    reach.api().await?.call(Method::GET, PATH, None::<&()>).await?
                }
                Self::Rebuild(Rebuild { compare, reach }) => {
                    let body = Reindex { anew: !compare };
                    reach.api().await?.call(Method::POST, PATH, Some(&body)).await?
                }
            };
            anyhow::Ok(answer.read()?)
        })?;
        if json {
            output::json(&indexes)?;
            return Ok(ExitCode::SUCCESS);
        }
        let rows = indexes.shards.into_iter().map(|index| {
            let state = match (index.answers, index.complete) {
                (false, _) => "does not answer",
                (true, false) => "being made",
                (true, true) => "complete",
            };
            vec![
                index.shard.to_string(),
                output::number(index.conversations),
                output::number(index.messages),
                output::bytes(index.bytes),
                state.to_owned(),
            ]
        });
        let head = ["shard", "conversations", "messages", "size", "state"];
        output::line(output::table(&head, &[0, 1, 2, 3], rows))?;
        Ok(ExitCode::SUCCESS)
    }
}
