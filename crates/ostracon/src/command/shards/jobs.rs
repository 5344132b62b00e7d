//! Jobs: begun, watched, paused, given up, taken back.

use std::{io::IsTerminal, process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use clap::Args;
use http::Method;
use ostracon_client::Api;
use ostracon_proto::rest::admin::{Job, JobReport, JobState, Jobs};

use super::{
    SHARDS, view,
    wait::{Ending, progress_of},
};
use crate::{output, progress::Progress, reach::Reach};

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(500);

/// A job to begin.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// Its number
    job: u64,
    /// Wait for the end, with a progress bar
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    reach: Reach,
}

/// A job to take back.
#[derive(Debug, Args)]
pub(crate) struct Undo {
    /// Its number
    job: u64,
    /// Wait for the end, with a progress bar
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    reach: Reach,
}

/// What moves.
#[derive(Debug, Args)]
pub(crate) struct Moves {
    /// Go on until no job runs any more
    #[arg(long)]
    watch: bool,
    /// How many jobs
    #[arg(long, default_value_t = 10)]
    limit: u32,
    #[command(flatten)]
    reach: Reach,
}

/// A job to show.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Its number
    job: u64,
    #[command(flatten)]
    reach: Reach,
}

/// A job to pause.
#[derive(Debug, Args)]
pub(crate) struct Pause {
    /// Its number; without it the one that runs
    job: Option<u64>,
    #[command(flatten)]
    reach: Reach,
}

/// A job to go on with.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// Its number; without it the one that is paused
    job: Option<u64>,
    #[command(flatten)]
    reach: Reach,
}

/// A job to give up.
#[derive(Debug, Args)]
pub(crate) struct Abort {
    /// Its number; without it the one that runs or is paused
    job: Option<u64>,
    #[command(flatten)]
    reach: Reach,
}

impl Apply {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let api = self.reach.api().await?;
        let report = act(&api, self.job, "apply").await?;
        Ending { wait: self.wait, json }.of(&api, report).await
    }
}

impl Undo {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let api = self.reach.api().await?;
        let report = act(&api, self.job, "undo").await?;
        Ending { wait: self.wait, json }.of(&api, report).await
    }
}

impl Pause {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let api = self.reach.api().await?;
        let job = chosen(&api, self.job, &[JobState::Running]).await?;
        told(&act(&api, job, "pause").await?, json)
    }
}

impl Resume {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let api = self.reach.api().await?;
        let job = chosen(&api, self.job, &[JobState::Paused]).await?;
        told(&act(&api, job, "resume").await?, json)
    }
}

impl Abort {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let api = self.reach.api().await?;
        let job = chosen(&api, self.job, &[JobState::Running, JobState::Paused]).await?;
        told(&act(&api, job, "abort").await?, json)
    }
}

async fn act(api: &Api, job: u64, what: &str) -> Result<JobReport> {
    let path = format!("{SHARDS}/jobs/{job}/{what}");
    Ok(api.call(Method::POST, &path, None::<&()>).await?.read()?)
}

fn told(report: &JobReport, json: bool) -> Result<ExitCode> {
    if json {
        output::json(report)?;
    } else {
        output::line(view::report(report))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(api: &Api, limit: u32) -> Result<Jobs> {
    let path = format!("{SHARDS}/jobs?limit={}", limit.clamp(1, 100));
    Ok(api.call(Method::GET, &path, None::<&()>).await?.read()?)
}

/// The job that is named, or the only one in one of these states.
async fn chosen(api: &Api, job: Option<u64>, states: &[JobState]) -> Result<u64> {
    if let Some(job) = job {
        return Ok(job);
    }
    let jobs = list(api, 100).await?.jobs;
    let fitting: Vec<u64> = jobs
        .iter()
        .filter(|job| states.contains(&job.report.state))
        .map(|job| job.report.job_id)
        .collect();
    match fitting.as_slice() {
        [one] => Ok(*one),
        [] => bail!("there is no such job: `ostracon shards moves` lists them"),
        many => bail!("there are {} such jobs, {many:?}: name one", many.len()),
    }
}

impl Show {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let api = self.reach.api().await?;
        let path = format!("{SHARDS}/jobs/{}", self.job);
        let job: Job = api.call(Method::GET, &path, None::<&()>).await?.read()?;
        if json {
            output::json(&job)?;
            return Ok(ExitCode::SUCCESS);
        }
        output::line(view::job_lines(&job))?;
        if !job.list.is_empty() {
            output::line(view::moves(&job.list))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Moves {
    pub(super) async fn run(self, json: bool) -> Result<ExitCode> {
        let api = self.reach.api().await?;
        if self.watch {
            return watch(&api, self.limit, json).await;
        }
        let jobs = list(&api, self.limit).await?;
        if json {
            output::json(&jobs)?;
            return Ok(ExitCode::SUCCESS);
        }
        if jobs.jobs.is_empty() {
            output::line("Nothing was ever moved.")?;
            return Ok(ExitCode::SUCCESS);
        }
        output::line(view::jobs(&jobs.jobs))?;
        let moves: Vec<_> = jobs.jobs.into_iter().flat_map(|job| job.list).collect();
        if !moves.is_empty() {
            output::line(view::moves(&moves))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Lines for programs and files, a bar on a terminal; ends with the last job that runs.
async fn watch(api: &Api, limit: u32, json: bool) -> Result<ExitCode> {
    let bar = Progress::at_once("moves");
    let lines = json || !std::io::stderr().is_terminal();
    loop {
        let jobs = list(api, limit).await?.jobs;
        let running: Vec<_> =
            jobs.into_iter().filter(|job| job.report.state == JobState::Running).collect();
        for job in &running {
            if json {
                output::json(job)?;
            } else if lines {
                output::line(view::progress_line(job))?;
            } else {
                let (done, total) = progress_of(job);
                bar.at(done, total, view::progress_line(job));
            }
        }
        if running.is_empty() {
            drop(bar);
            if !json {
                output::line("No job runs.")?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(LOOK).await;
    }
}
