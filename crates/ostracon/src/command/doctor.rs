//! `doctor`: holds map, fences, rows, leftovers and moves against each other; repairs only when asked.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use ostracon_proto::rest::admin::{Doctor as Report, Finding, Repair};

use crate::{output, progress::Progress, reach::Reach};

/// Whether to repair.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Do what is named under "repair"; without it nothing is changed
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    reach: Reach,
}

impl Doctor {
    pub(crate) fn run(self, json: bool) -> Result<ExitCode> {
        let report: Report = super::small_runtime()?.block_on(async {
            let target = self.reach.target().await?;
            let progress = Progress::new("doctor");
            let body = Repair { repair: self.repair };
            target.work("/api/v1/admin/doctor", &body, &progress).await
        })?;
        if json {
            output::json(&report)?;
        } else {
            tell(&report)?;
        }
        let cured = |finding: &Finding| finding.outcome.as_deref() == Some("done");
        let well = report.findings.iter().all(cured);
        Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn tell(report: &Report) -> Result<()> {
    output::line(format!(
        "Looked at {} units, {} fences and {} conversations and users; map version {}.",
        output::number(report.units),
        output::number(report.fences),
        output::number(report.subjects),
        report.map_version
    ))?;
    if report.findings.is_empty() {
        return output::line("Everything agrees.");
    }
    for (place, finding) in report.findings.iter().enumerate() {
        output::line(format!("{}. {}", place + 1, finding.text))?;
        match (&finding.repair, &finding.outcome) {
            (Some(repair), Some(outcome)) => output::line(format!("   {repair}: {outcome}"))?,
            (Some(repair), None) => output::line(format!("   repair: {repair}"))?,
            (None, _) => output::line("   there is no safe repair: a person must decide")?,
        }
        if let Some(effect) = &finding.effect {
            output::line(format!("   effect: {effect}"))?;
        }
    }
    let open = report
        .findings
        .iter()
        .filter(|finding| finding.repair.is_some() && finding.outcome.is_none())
        .count();
    if open > 0 {
        output::line(format!("`ostracon doctor --repair` does {open} repairs."))?;
    }
    Ok(())
}
