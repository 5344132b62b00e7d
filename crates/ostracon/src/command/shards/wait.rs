//! How a command that began a job ends: at once with what it began, or with the job.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use http::Method;
use ostracon_client::Api;
use ostracon_proto::rest::admin::{Job, JobReport, JobState};

use super::{SHARDS, view};
use crate::{output, progress::Progress};

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// Whether a command waits, and how it speaks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ending {
    pub(super) wait: bool,
    pub(super) json: bool,
}

impl Ending {
    /// Ends the command; its code is 1 when the job did not do what was asked.
    pub(super) async fn of(self, api: &Api, begun: JobReport) -> Result<ExitCode> {
        let mut report = begun;
        let mut error = None;
        if self.wait && !report.state.is_over() {
            let bar = Progress::new("moving");
            loop {
                let path = format!("{SHARDS}/jobs/{}", report.job_id);
                let job: Job = api.call(Method::GET, &path, None::<&()>).await?.read()?;
                let (done, total) = progress_of(&job);
                bar.at(done, total, view::progress_line(&job));
                if job.report.state.is_over() {
                    (report, error) = (job.report, job.error);
                    break;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        if self.json {
            output::json(&report)?;
        } else {
            output::line(view::report(&report))?;
            if let Some(error) = error {
                output::line(format!("It said: {error}"))?;
            }
            if !report.state.is_over() {
                let job = report.job_id;
                output::line(format!(
                    "`ostracon shards show {job}` says how far it is, `ostracon shards abort {job}` gives it up."
                ))?;
            }
        }
        let failed = matches!(report.state, JobState::Failed | JobState::Aborted);
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// What is done of what there is to do: rows where they are known, otherwise moves, in thousandths.
pub(super) fn progress_of(job: &Job) -> (u64, u64) {
    let over = job.report.moves * 1_000;
    let moves = over / job.moves_total.max(1);
    let rows = job.report.rows.min(job.rows_estimated) * 1_000 / job.rows_estimated.max(1);
    (if job.rows_estimated > 0 { rows.max(moves) } else { moves }, 1_000)
}
