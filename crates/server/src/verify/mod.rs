//! Checks what is stored against what must hold: every row where the map says, numbers without gaps, lists that follow.
//!
//! It reads through the seams of `store` only and changes nothing. A server may run meanwhile: what moves while it is
//! read is read again, and a problem counts only when it is still there. It repairs nothing.

mod conversation;
mod journal;
pub(crate) mod lines;
mod lists;
mod place;
mod report;
mod route;
#[cfg(test)]
mod tests;
mod unit;
mod user;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use ostracon_domain::{PlacementMap, ShardId, UnitId};
use ostracon_store::{Directory, DirectoryError, ShardError, ShardStats, Shards, UnitPhase};
use tokio::time::Instant;

pub use journal::JournalRows;
pub use report::{Counts, Problem, ProblemKind, Report};
pub(crate) use route::run;

use place::Place;
use report::Problems;

/// How long lists may take to follow their conversations after everything was read.
const LISTS_FOLLOW_WITHIN: Duration = Duration::from_secs(20);

/// Pause before something is read again that moves.
const MOVE_PAUSE: Duration = Duration::from_millis(50);
/// How long something that moves is read again. What is wrong then is wrong.
const MOVES_WITHIN: Duration = Duration::from_secs(10);

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
    directory: &'a dyn Directory,
    /// Where things lived when the check began.
    start: Arc<Place>,
    /// Where they live now, about.
    newest: parking_lot::Mutex<Arc<Place>>,
    shards: &'a Shards,
    journal: &'a JournalRows,
    done: AtomicU64,
    rows: AtomicU64,
    units: u64,
    on_progress: OnProgress<'a>,
}

impl Check<'_> {
    /// Where things live, as far as was last heard.
    fn place(&self) -> Arc<Place> {
        Arc::clone(&self.newest.lock())
    }

    fn map(&self) -> Arc<PlacementMap> {
        Arc::clone(&self.place().map)
    }

    /// Where things live now.
    async fn look(&self) -> Result<Arc<Place>, VerifyError> {
        let place = Arc::new(Place::read(self.directory).await?);
        *self.newest.lock() = Arc::clone(&place);
        Ok(place)
    }

    /// The same, unless it was asked for a moment ago.
    async fn look_now_and_then(&self) -> Result<Arc<Place>, VerifyError> {
        let known = self.place();
        if known.is_fresh() { Ok(known) } else { self.look().await }
    }

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
    directory: &dyn Directory,
    shards: &Shards,
    journal: &JournalRows,
    on_progress: OnProgress<'_>,
) -> Result<Report, VerifyError> {
    let start = Arc::new(Place::read(directory).await?);
    let check = Check {
        directory,
        newest: parking_lot::Mutex::new(Arc::clone(&start)),
        shards,
        journal,
        done: AtomicU64::new(0),
        rows: AtomicU64::new(0),
        units: start.map.units().count() as u64,
        start,
        on_progress,
    };
    let mut problems = Problems::default();
    for (unit, home) in check.start.map.units() {
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
    let now = check.look().await?;
    for (shard, subject, text) in journal.unseen() {
        // The journal of a former home knows rows that are elsewhere, and that of a new one rows that were read elsewhere.
        let unit = now.unit_of(subject);
        let stays = |place: &Place| {
            !place.moves(unit) && place.map.home(unit).is_some_and(|home| home.shard == shard)
        };
        if stays(&now) && stays(&check.start) {
            problems.add(ProblemKind::Journal, shard, place::name(subject), text);
        }
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
    let mut wrong = fences(check, id).await?;
    if !wrong.is_empty() {
        wrong = fences(check, id).await?.also_in(&wrong);
    }
    part.problems.append(wrong);
    for (unit, _) in check.start.map.units().filter(|(_, home)| home.shard == id) {
        let read = unit_where_it_lives(check, id, unit).await?;
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

/// Reads a unit at its home. Something may change while it is read: what is wrong stays wrong.
async fn unit_where_it_lives(
    check: &Check<'_>,
    at_start: ShardId,
    unit: UnitId,
) -> Result<unit::UnitRead, VerifyError> {
    let deadline = Instant::now() + MOVES_WITHIN;
    let mut place = check.look_now_and_then().await?;
    let mut wrong: Option<Problems> = None;
    loop {
        let home = place.map.home(unit).map_or(at_start, |home| home.shard);
        let mut read = unit::read(check, home, unit).await?;
        if read.problems.is_empty() {
            return Ok(read);
        }
        let now = check.look().await?;
        let moves =
            place.moves(unit) || now.moves(unit) || place.map.home(unit) != now.map.home(unit);
        place = now;
        let is_last = Instant::now() >= deadline;
        if moves && !is_last {
            tokio::time::sleep(MOVE_PAUSE).await;
            continue;
        }
        match wrong.take() {
            Some(before) => {
                read.problems = read.problems.also_in(&before);
                return Ok(read);
            }
            None => wrong = Some(read.problems),
        }
    }
}

/// Every unit is served by its home at the map's epoch, and by nobody else. Units on the move are left out.
async fn fences(check: &Check<'_>, id: ShardId) -> Result<Problems, VerifyError> {
    let mut problems = Problems::default();
    let Some(shard) = check.shards.get(&id) else { return Ok(problems) };
    let before = check.look().await?;
    let states: BTreeMap<UnitId, _> =
        shard.unit_states().await?.into_iter().map(|state| (state.unit, state)).collect();
    let after = check.look().await?;
    let stays = |unit: UnitId| {
        !before.moves(unit) && !after.moves(unit) && before.map.home(unit) == after.map.home(unit)
    };
    for (unit, home) in before.map.units().filter(|(unit, _)| stays(*unit)) {
        let state = states.get(&unit);
        let here = home.shard == id;
        let right = match state {
            Some(state) if here => {
                matches!(state.phase, UnitPhase::Open | UnitPhase::Capturing)
                    && state.epoch == home.epoch
            }
            None => !here,
            Some(state) => state.phase == UnitPhase::Moved,
        };
        if !right {
            let text = format!(
                "the map says shard {} at epoch {}, the shard says {:?}",
                home.shard, home.epoch.0, state
            );
            problems.add(ProblemKind::Placement, id, format!("unit {unit}"), text);
        }
    }
    for (unit, state) in &states {
        let unknown = before.map.home(*unit).is_none() && stays(*unit);
        if unknown && state.phase != UnitPhase::Moved {
            let text = "the map does not know it".to_owned();
            problems.add(ProblemKind::Placement, id, format!("unit {unit}"), text);
        }
    }
    Ok(problems)
}

fn holds_more(stats: &ShardStats, counts: &Counts) -> bool {
    stats.conversations > counts.conversations
        || stats.messages > counts.messages
        || stats.users > counts.users
}

/// The shard holds rows that no unit of its own led to: looks for them in all others and names them, but for leftovers
/// that are known and for what moves.
async fn misplaced(
    check: &Check<'_>,
    id: ShardId,
    stats: &ShardStats,
    part: &mut Part,
) -> Result<(), VerifyError> {
    let Some(shard) = check.shards.get(&id) else { return Ok(()) };
    let mut found = Counts::default();
    for (unit, _) in check.start.map.units().filter(|(_, home)| home.shard != id) {
        let before = check.look_now_and_then().await?;
        let mut strays = Vec::new();
        let mut from = None;
        loop {
            let page = shard.scan_unit(unit, from, unit::PAGE_ROWS).await?;
            strays.extend(page.rows.iter().filter_map(|row| found.count_misplaced(row)));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        if strays.is_empty() {
            continue;
        }
        let after = check.look().await?;
        let known = |place: &Place| {
            place.moves(unit)
                || place.is_garbage(id, unit)
                || place.map.home(unit).is_none_or(|home| home.shard == id)
        };
        if known(&before) || known(&after) {
            continue;
        }
        for subject in strays {
            let home = after.map.home(unit).map_or(id, |home| home.shard);
            let text = format!("its unit {unit} belongs to shard {home}");
            part.problems.add(ProblemKind::Placement, id, subject, text);
        }
    }
    part.counts.add(&found);
    // While units come and go, sums of different moments do not fit.
    let now = check.look().await?;
    let is_quiet =
        now.map.version == check.start.map.version && !now.is_busy(id) && !check.start.is_busy(id);
    if is_quiet && holds_more(stats, &part.counts) {
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
