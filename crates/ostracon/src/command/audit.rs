//! `audit`: what operators did, newest first.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use http::Method;
use ostracon_proto::rest::admin::Audit as Log;

use crate::{output, reach::Reach};

/// How much of it.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// How many entries
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: u32,
    /// Only entries before this one
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
    #[command(flatten)]
    reach: Reach,
}

impl Audit {
    pub(crate) fn run(self, json: bool) -> Result<ExitCode> {
        let log: Log = super::small_runtime()?.block_on(async {
            let api = self.reach.api().await?;
            let after = self.after.map(|after| format!("&after={after}")).unwrap_or_default();
            let path = format!("/api/v1/admin/audit?limit={}{after}", self.limit);
            anyhow::Ok(api.call(Method::GET, &path, None::<&()>).await?.read()?)
        })?;
        if json {
            output::json(&log)?;
            return Ok(ExitCode::SUCCESS);
        }
        let rows = log.entries.into_iter().map(|entry| {
            vec![
                entry.audit_id.to_string(),
                output::time(entry.at),
                entry.who,
                entry.from,
                entry.action,
                entry.target,
                entry.detail,
            ]
        });
        let head = ["number", "time (UTC)", "who", "from", "did", "to", "more"];
        output::line(output::table(&head, &[0], rows))?;
        Ok(ExitCode::SUCCESS)
    }
}
