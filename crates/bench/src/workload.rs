//! The workloads: who connects, what they do, what is counted.

mod biggroup;
mod group;
mod history;
mod hub;
mod idle;
mod media;
mod mixed;
mod pairs;
mod presence;
mod rest;
mod search;
mod sync;

use std::{future::Future, rc::Rc, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{
    admin::{Admin, Status, User},
    check::Seen,
    fsync,
    options::{Options, Workload},
    pace::Pace,
    report::{Latency, Report},
    swarm::{Course, Role, drive, open},
    wire::http::Http,
};

/// Runs a workload.
///
/// # Errors
/// When the scale or what is in flight is 0, the server is not there, refuses to set the run up, or closes a connection.
pub fn run(options: &Options) -> Result<Report> {
    ensure!(options.scale != Some(0), "the scale must be 1 or more");
    ensure!(options.in_flight != Some(0), "one message or more must be in flight");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let mut bench = Bench::prepare(options).await?;
        match options.workload {
            Workload::Ping => pairs::run(&mut bench, 1, 1, true).await,
            Workload::Pairs => pairs::run(&mut bench, 50, 32, false).await,
            Workload::Group => group::one(&mut bench).await,
            Workload::BigGroup => biggroup::run(&mut bench).await,
            Workload::Groups => group::many(&mut bench).await,
            Workload::Hot => group::hot(&mut bench).await,
            Workload::Hub => hub::run(&mut bench).await,
            Workload::Rest => rest::run(&mut bench).await,
            Workload::History => history::run(&mut bench).await,
            Workload::Mixed => mixed::run(&mut bench).await,
            Workload::Sync => sync::run(&mut bench).await,
            Workload::Idle => idle::run(&mut bench).await,
            Workload::Presence => presence::run(&mut bench).await,
            Workload::Search => search::run(&mut bench).await,
            Workload::Media => media::run(&mut bench).await,
        }
    })
}

/// A run in progress.
struct Bench<'a> {
    options: &'a Options,
    /// `host:port`.
    address: String,
    admin: Admin,
    fsync_us_p50: f64,
}

/// The server's and our own cost at one moment.
struct Cost {
    server: Status,
    own_cpu_s: f64,
}

impl<'a> Bench<'a> {
    async fn prepare(options: &'a Options) -> Result<Self> {
        let address = options
            .url
            .strip_prefix("http://")
            .context("the url must begin with http://")?
            .trim_end_matches('/')
            .to_owned();
        let fsync_us_p50 = fsync::median_us(&options.data_dir)?;
        let admin = Admin::connect(&options.data_dir).await?;
        Ok(Self { options, address, admin, fsync_us_p50 })
    }

    fn say(&self, text: &str) {
        (self.options.progress)(text);
    }

    async fn users(&mut self, count: usize) -> Result<Vec<User>> {
        self.say(&format!("creating {count} users"));
        self.admin.users(count).await
    }

    async fn cost(&mut self) -> Result<Cost> {
        Ok(Cost { server: self.admin.status().await?, own_cpu_s: own_cpu_s()? })
    }

    /// Makes a group and gives its id.
    async fn group(&self, http: &mut Http, owner: &User, members: &[User]) -> Result<String> {
        let ids: Vec<u64> = members.iter().map(|user| user.user_id).collect();
        let body = serde_json::json!({ "type": "group", "name": "bench", "member_ids": ids,
            "settings": { "system_messages": false } });
        let body = serde_json::to_vec(&body)?;
        let answer = http.ask("POST", "/api/v1/conversations", &owner.token, &body).await?;
        let id = crate::wire::field::conversation(answer.body);
        let id = id.with_context(|| String::from_utf8_lossy(answer.body).into_owned())?;
        Ok(String::from_utf8(id.to_vec())?)
    }

    /// Opens every connection, lets them talk, and counts.
    async fn talk(&mut self, roles: Vec<Role>) -> Result<(Report, Vec<Seen>)> {
        self.talk_at(roles, None).await
    }

    /// The same with so many messages a second of all senders together; none: as fast as answers come.
    async fn talk_at(
        &mut self,
        roles: Vec<Role>,
        rate: Option<f64>,
    ) -> Result<(Report, Vec<Seen>)> {
        self.say(&format!("opening {} connections", roles.len()));
        let mut sockets = Vec::with_capacity(roles.len());
        for role in &roles {
            sockets.push(open(&self.address, &role.user).await?);
        }
        self.say(&format!("talking for {} s", self.options.span.as_secs()));
        let before = self.cost().await?;
        let course = Course::begin(self.options.span);
        let senders = roles.iter().filter(|role| !role.targets.is_empty()).count();
        let mut tasks = Vec::with_capacity(roles.len());
        let mut index = 0;
        for (socket, role) in sockets.into_iter().zip(roles) {
            let pace = Pace::of(rate, senders, index);
            index += usize::from(!role.targets.is_empty());
            tasks.push(tokio::task::spawn_local(drive(socket, role, pace, Rc::clone(&course))));
        }
        tokio::time::sleep_until(course.end.into()).await;
        let after = self.cost().await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let pending = self.admin.status().await?.pending_bytes;
        let mut seen = Vec::with_capacity(tasks.len());
        for task in tasks {
            seen.push(task.await??);
        }
        let tally = course.tally.borrow();
        let first: u64 = tally.tenths[..3].iter().sum();
        let last: u64 = tally.tenths[7..].iter().sum();
        let mut report = Report {
            acked: tally.acked,
            delivered_per_s: tally.delivered as f64 / self.options.span.as_secs_f64(),
            ack_ms: Latency::of(&tally.ack_us),
            delivery_ms: Latency::of(&tally.delivery_us),
            last_third_ratio: last as f64 / first.max(1) as f64,
            duplicated: seen.iter().map(|seen| seen.duplicated).sum(),
            reordered: seen.iter().map(|seen| seen.reordered).sum(),
            lost: seen.iter().map(|seen| seen.lost).sum(),
            refused: tally.refused,
            pending_bytes_after_2_s: pending,
            ..Report::default()
        };
        self.costs(&mut report, &before, &after, tally.delivered);
        for refusal in &tally.refusals {
            self.say(&format!("refused: {refusal}"));
        }
        drop(tally);
        self.finish(&mut report);
        Ok((report, seen))
    }

    fn costs(&self, report: &mut Report, before: &Cost, after: &Cost, delivered: u64) {
        let cpu_us = (after.server.cpu_seconds - before.server.cpu_seconds) * 1e6;
        report.server_cpu_us_per_message = cpu_us / report.acked.max(1) as f64;
        report.server_cpu_us_per_delivery = cpu_us / delivered.max(1) as f64;
        let own_us = (after.own_cpu_s - before.own_cpu_s) * 1e6;
        report.client_cpu_us_per_message = own_us / report.acked.max(1) as f64;
        report.server_rss_mib = after.server.rss_bytes as f64 / f64::from(1 << 20);
    }

    fn finish(&self, report: &mut Report) {
        report.workload = self.options.workload.name().to_owned();
        report.seconds = self.options.span.as_secs_f64();
        report.acked_per_s = report.acked as f64 / report.seconds.max(0.001);
        report.fsync_us_p50 = self.fsync_us_p50;
    }
}

/// CPU time that this process has used, seconds.
fn own_cpu_s() -> Result<f64> {
    const TICKS_PER_S: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = |field: usize| {
        after_name.split_whitespace().nth(field).and_then(|text| text.parse::<f64>().ok())
    };
    Ok((ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / TICKS_PER_S)
}

/// Runs futures together and collects what they give.
async fn together<T: 'static>(
    parts: impl IntoIterator<Item = impl Future<Output = Result<T>> + 'static>,
) -> Result<Vec<T>> {
    let tasks: Vec<_> = parts.into_iter().map(tokio::task::spawn_local).collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await??);
    }
    Ok(results)
}
