//! Checks what is stored against what must hold: every row where the map says, numbers without gaps, lists that follow.
//!
//! It reads through the seams of `store` only and changes nothing. A server may run meanwhile: what moves while it is
//! read is read again, and a problem counts only when it is still there. It repairs nothing.

mod conversation;
mod journal;
pub(crate) mod lines;
mod lists;
mod report;
mod route;
#[cfg(test)]
mod tests;
mod unit;
mod user;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::future::BoxFuture;
use ostracon_domain::{PlacementMap, ShardId, UnitId};
use ostracon_store::{Cluster, DirectoryError, ShardError, ShardStats, Shards, UnitPhase};

pub use journal::JournalRows;
pub use report::{Counts, Problem, ProblemKind, Report};
pub(crate) use route::run;

use report::Problems;

/// How long lists may take to follow their conversations after everything was read.
const LISTS_FOLLOW_WITHIN: Duration = Duration::from_secs(20);

/// Why a check could not be done.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The directory did not answer.
    #[error("the directory did not answer: {0}")]
    Directory(#[from] DirectoryError),
    /// A shard did not answer.
    #[error("a shard did not answer: {0}")]
    Shard(#[from] ShardError),
    /// The journal could not be read.
    #[error("the journal could not be read: {0}")]
    Journal(String),
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Units read, of [`units`](Self::units).
    pub done: u64,
    /// Units there are.
    pub units: u64,
    /// Rows read.
    pub rows: u64,
}

/// Told now and then how far a check is; called often, so it must be quick.
pub type OnProgress<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// What every part of one check shares.
struct Check<'a> {
    map: &'a PlacementMap,
    shards: &'a Shards,
    journal: &'a JournalRows,
    done: AtomicU64,
    rows: AtomicU64,
    units: u64,
    on_progress: OnProgress<'a>,
}

impl Check<'_> {
    fn unit_done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
        self.tell();
    }

    fn rows_read(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.tell();
    }

    fn tell(&self) {
        (self.on_progress)(Progress {
            done: self.done.load(Ordering::Relaxed),
            units: self.units,
            rows: self.rows.load(Ordering::Relaxed),
        });
    }
}

/// Checks everything that a directory's map names. `journal` holds the newest states that the journal knows;
/// an empty one leaves that part out.
///
/// # Errors
/// When the directory or a shard does not answer; what is wrong with the data is in the report.
pub async fn verify(
    cluster: &dyn Cluster,
    shards: &Shards,
    journal: &JournalRows,
    on_progress: OnProgress<'_>,
) -> Result<Report, VerifyError> {
    let map = cluster.map().await?;
    let check = Check {
        map: &map,
        shards,
        journal,
        done: AtomicU64::new(0),
        rows: AtomicU64::new(0),
        units: map.units().count() as u64,
        on_progress,
    };
    let mut problems = Problems::default();
    for (unit, home) in map.units() {
        if !shards.contains_key(&home.shard) {
            let text = format!("the map names shard {}, which is not there", home.shard);
            problems.add(ProblemKind::Placement, home.shard, format!("unit {unit}"), text);
        }
    }
    let mut parts: Vec<BoxFuture<'_, Result<Part, VerifyError>>> = Vec::new();
    for id in shards.keys() {
        parts.push(Box::pin(shard(&check, *id)));
    }
    let mut counts = Counts { shards: shards.len() as u64, ..Counts::default() };
    let mut behind = Vec::new();
    for part in futures_util::future::try_join_all(parts).await? {
        counts.add(&part.counts);
        problems.append(part.problems);
        behind.extend(part.behind);
    }
    for (shard, subject, text) in journal.unseen() {
        problems.add(ProblemKind::Journal, shard, subject, text);
    }
    lists::wait(&check, behind, LISTS_FOLLOW_WITHIN, &mut problems).await?;
    counts.journal_rows = journal.len() as u64;
    Ok(Report::new(counts, problems))
}

/// What one shard's part found.
struct Part {
    counts: Counts,
    problems: Problems,
    behind: Vec<lists::Behind>,
}

async fn shard(check: &Check<'_>, id: ShardId) -> Result<Part, VerifyError> {
    let mut part =
        Part { counts: Counts::default(), problems: Problems::default(), behind: Vec::new() };
    let Some(shard) = check.shards.get(&id) else { return Ok(part) };
    let before = shard.stats().await?;
    fences(check, id, &mut part.problems).await?;
    for (unit, _) in check.map.units().filter(|(_, home)| home.shard == id) {
        let read = unit::read(check, id, unit).await?;
        let read = if read.problems.is_empty() {
            read
        } else {
            // Something may have moved while it was read; what is wrong stays wrong.
            let again = unit::read(check, id, unit).await?;
            unit::UnitRead { problems: again.problems.also_in(&read.problems), ..again }
        };
        part.counts.add(&read.counts);
        part.problems.append(read.problems);
        part.behind.extend(read.behind);
        part.counts.units += 1;
        check.unit_done();
    }
    if holds_more(&before, &part.counts) {
        misplaced(check, id, &before, &mut part).await?;
    }
    Ok(part)
}

/// Every unit is served by its home at the map's epoch, and by nobody else.
async fn fences(
    check: &Check<'_>,
    id: ShardId,
    problems: &mut Problems,
) -> Result<(), VerifyError> {
    let Some(shard) = check.shards.get(&id) else { return Ok(()) };
    let states: BTreeMap<UnitId, _> =
        shard.unit_states().await?.into_iter().map(|state| (state.unit, state)).collect();
    for (unit, home) in check.map.units() {
        let state = states.get(&unit);
        let serves = state
            .is_some_and(|state| matches!(state.phase, UnitPhase::Open | UnitPhase::Capturing));
        let here = home.shard == id;
        let right = match state {
            Some(state) if here => serves && state.epoch == home.epoch,
            None => !here,
            Some(_) => !serves,
        };
        if !right {
            let text = format!(
                "the map says shard {} at epoch {}, the shard says {:?}",
                home.shard, home.epoch.0, state
            );
            problems.add(ProblemKind::Placement, id, format!("unit {unit}"), text);
        }
    }
    for unit in states.keys().filter(|unit| check.map.home(**unit).is_none()) {
        let text = "the map does not know it".to_owned();
        problems.add(ProblemKind::Placement, id, format!("unit {unit}"), text);
    }
    Ok(())
}

fn holds_more(stats: &ShardStats, counts: &Counts) -> bool {
    stats.conversations > counts.conversations
        || stats.messages > counts.messages
        || stats.users > counts.users
}

/// The shard holds rows that no unit of its own led to: looks for them in all others and names them.
async fn misplaced(
    check: &Check<'_>,
    id: ShardId,
    stats: &ShardStats,
    part: &mut Part,
) -> Result<(), VerifyError> {
    let Some(shard) = check.shards.get(&id) else { return Ok(()) };
    let mut found = Counts::default();
    for (unit, home) in check.map.units().filter(|(_, home)| home.shard != id) {
        let mut from = None;
        loop {
            let page = shard.scan_unit(unit, from, unit::PAGE_ROWS).await?;
            for row in &page.rows {
                let Some(subject) = found.count_misplaced(row) else { continue };
                let text = format!("its unit {unit} belongs to shard {}", home.shard);
                part.problems.add(ProblemKind::Placement, id, subject, text);
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    part.counts.add(&found);
    if holds_more(stats, &part.counts) {
        let text = format!(
            "it holds {} conversations, {} messages and {} users; {}, {} and {} can be reached",
            stats.conversations,
            stats.messages,
            stats.users,
            part.counts.conversations,
            part.counts.messages,
            part.counts.users,
        );
        part.problems.add(ProblemKind::Unreachable, id, format!("shard {id}"), text);
    }
    Ok(())
}
