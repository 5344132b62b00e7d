//! Which subjects of captured units changed, and since when. In memory only: a restart forgets them, and every answer is
//! given to who knows this start of the shard.

use std::collections::BTreeMap;

use ostracon_domain::{Row, Subject, UnitId};
use ostracon_store::{
    Incarnation, Note, SubjectVersion, UnitPhase, UnitState, transfer::changed_subjects,
};
use rustc_hash::FxHashMap;

use crate::journal::Position;

/// Notes by unit. The committer writes them in the order of its records.
#[derive(Default)]
pub(crate) struct Notes(FxHashMap<UnitId, Captured>);

/// The notes of a unit.
struct Captured {
    /// Where its capture began: what stands before it is not noted, all behind it is.
    since: Position,
    changed: BTreeMap<Subject, SubjectVersion>,
}

impl Notes {
    /// Notes what the rows of a batch changed.
    pub(crate) fn note(&mut self, rows: &[Row]) {
        if self.0.is_empty() {
            return;
        }
        for (unit, note) in changed_subjects(rows) {
            if let Some(captured) = self.0.get_mut(&unit) {
                captured.changed.insert(note.subject, note.version);
            }
        }
    }

    /// Follows a unit into its new state, whose record stands at a position.
    pub(crate) fn follow(
        &mut self,
        before: Option<UnitPhase>,
        now: &UnitState,
        at: Position,
        incarnation: Incarnation,
    ) {
        match (before, now.phase) {
            (Some(UnitPhase::Open), UnitPhase::Capturing) if now.incarnation == incarnation => {
                self.0.insert(now.unit, Captured { since: at, changed: BTreeMap::new() });
            }
            (_, UnitPhase::Open | UnitPhase::Importing | UnitPhase::Moved) => {
                self.0.remove(&now.unit);
            }
            _ => {}
        }
    }

    /// Where the capture of a unit began, if it was in this start of the shard.
    pub(crate) fn since(&self, unit: UnitId) -> Option<Position> {
        self.0.get(&unit).map(|captured| captured.since)
    }

    /// The first notes of a unit, by subject.
    pub(crate) fn first(&self, unit: UnitId, limit: usize) -> Vec<Note> {
        let changed = self.0.get(&unit).into_iter().flat_map(|captured| &captured.changed);
        let note = |(subject, version): (&Subject, &SubjectVersion)| Note {
            subject: *subject,
            version: *version,
        };
        changed.take(limit).map(note).collect()
    }

    /// Drops notes that are still in their version.
    pub(crate) fn drop_those(&mut self, unit: UnitId, notes: &[Note]) {
        if let Some(captured) = self.0.get_mut(&unit) {
            for note in notes {
                if captured.changed.get(&note.subject) == Some(&note.version) {
                    captured.changed.remove(&note.subject);
                }
            }
        }
    }
}
