//! `verify`: checks everything stored, on a running server or on a data directory that nobody uses.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Args;
use ostracon_server::{Server, offline, verify::Report};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{output, progress::Progress, reach::Reach, work::Target};

/// What to check.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    reach: Reach,
}

impl Verify {
    pub(crate) fn run(self, json: bool) -> Result<ExitCode> {
        let report = super::full_runtime()?.block_on(self.check())?;
        if json {
            output::json(&report)?;
        } else {
            tell(&report)?;
        }
        Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn check(&self) -> Result<Report> {
        if let Some(target) = self.reach.running().await? {
            return ask(&target).await;
        }
        // Nobody uses it: it is opened as a start would open it, and asked the same way.
        let mut config = self.reach.config()?;
        let dir = config.data_dir.clone();
        ensure!(dir.exists(), "there is no data directory {}", dir.display());
        offline::check_finished(&dir)?;
        config.admin.listen.clear();
        let server = Box::pin(Server::open(config)).await?;
        let target = Target::of_data_dir(&dir);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.serve(listener, stop.clone()));
        let report = ask(&target).await;
        stop.cancel();
        serving.await?;
        report
    }
}

async fn ask(target: &Target) -> Result<Report> {
    let progress = Progress::new("verify");
    target.work("/api/v1/admin/verify", &json!({}), &progress).await
}

fn tell(report: &Report) -> Result<()> {
    let counts = &report.counts;
    output::line(format!(
        "Read {} conversations, {} messages, {} members, {} reactions, {} users and {} list entries on {} shards; {} rows of the journal.",
        output::number(counts.conversations),
        output::number(counts.messages),
        output::number(counts.members),
        output::number(counts.reactions),
        output::number(counts.users),
        output::number(counts.entries),
        counts.shards,
        output::number(counts.journal_rows),
    ))?;
    if report.is_clean() {
        return output::line("Nothing is wrong.");
    }
    let rows = report.problems.iter().map(|problem| {
        // The name that the JSON has.
        let kind = serde_json::to_value(problem.kind).unwrap_or_default();
        vec![
            kind.as_str().unwrap_or_default().to_owned(),
            problem.shard.to_string(),
            problem.subject.clone(),
            problem.text.clone(),
        ]
    });
    output::line(output::table(&["kind", "shard", "where", "what"], &[1], rows))?;
    output::line(format!("{} problems.", output::number(report.problem_count)))
}
