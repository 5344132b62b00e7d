//! Answers to the questions of the seam: each with its fence check, from one snapshot. Blocking; never the committer's way.

mod changes;
mod digest;
mod inbox;
mod messages;
mod overview;
mod scan;
mod subjects;

pub(crate) use changes::changes;
pub(crate) use digest::digests;
pub(crate) use inbox::{inbox, inbox_changes, inbox_entry, inbox_large};
pub(crate) use messages::{annexes, members, members_here, messages};
pub(crate) use overview::{overviews, unread};
pub(crate) use scan::scan;
pub(crate) use subjects::{heads, subjects_since};

use ostracon_domain::{ConversationId, UnitAt};
use ostracon_store::Read;
use rusqlite::Connection;

use crate::{
    error::TableError,
    overlay::Overlay,
    snapshot::{Noted, Snapshot},
};

type Result<T> = std::result::Result<T, TableError>;

/// Evictions that may overtake a reader before it holds them up.
const TRIES: u32 = 3;

/// Runs a question until no eviction overtakes it.
pub(crate) fn whole<T>(
    overlay: &Overlay,
    conn: &Connection,
    work: impl Fn(&Snapshot<'_>) -> Result<T>,
) -> Result<T> {
    for _ in 0..TRIES {
        let snapshot = Snapshot::begin(overlay, conn)?;
        let answer = work(&snapshot)?;
        if snapshot.is_whole() {
            return Ok(answer);
        }
    }
    let _gate = overlay.hold();
    work(&Snapshot::begin(overlay, conn)?)
}

/// Asks something about a conversation behind its fence, which is looked at before and after.
fn of_conversation<T>(
    overlay: &Overlay,
    snapshot: &Snapshot<'_>,
    at: UnitAt,
    id: ConversationId,
    work: impl FnOnce(&Noted) -> Result<T>,
) -> Result<Read<T>> {
    let state = overlay.unit(at.unit);
    if !state.is_some_and(|state| state.serves(at)) {
        return Ok(Read::Fenced(state));
    }
    let answer = match snapshot.note(id)? {
        None => Read::Absent,
        Some(noted) if noted.row.unit != at.unit => return Ok(Read::Fenced(state)),
        Some(noted) => Read::Rows(work(&noted)?),
    };
    Ok(still(overlay, at, answer))
}

/// The answer, unless the unit has stopped serving since.
fn still<T>(overlay: &Overlay, at: UnitAt, answer: Read<T>) -> Read<T> {
    let state = overlay.unit(at.unit);
    if state.is_some_and(|state| state.serves(at)) { answer } else { Read::Fenced(state) }
}
