//! States of units, each change behind every batch before it, and the pairs of a move's commands.

use std::sync::Arc;

use ostracon_domain::{Subject, UnitAt, UnitId};
use ostracon_store::{
    Note, Pair, ShardError, UnitChange, UnitPhase, UnitState, UnitVerdict, admit,
};
use rusqlite::Connection;

use super::{Committer, Result};
use crate::{applier::Page, core::PageUnderWay, error::TableError, overlay::Overlay, read};

/// Subjects that are read at a time.
const SUBJECTS: u32 = 10_000;

impl Committer {
    /// Changes a unit's state.
    pub(crate) async fn set_unit_state(&mut self, change: UnitChange) -> Result<UnitState> {
        self.ready().await?;
        // A page that was admitted under the old state must not come behind the new one.
        self.core.pages_written(change.unit).await?;
        let current = self.core.overlay.unit(change.unit);
        let verdict = change.apply(current, self.core.incarnation);
        if let UnitVerdict::Set(state) = &verdict {
            let before = current.map(|state| state.phase);
            let comes_or_goes = match state.phase {
                UnitPhase::Importing | UnitPhase::Moved => true,
                // Somebody may have asked for its rows in vain meanwhile.
                UnitPhase::Open => before == Some(UnitPhase::Importing),
                UnitPhase::Capturing | UnitPhase::Frozen => false,
            };
            if comes_or_goes {
                // Before the record: whoever gives up behind it leaves nothing undone.
                self.forget_unit(state.unit).await?;
            }
        }
        if let Some(state) = verdict.to_store() {
            self.put_units(vec![state]).await?;
        }
        verdict.answer()
    }

    /// Runs a command that leaves its unit in its state: it is not stale, and its pair is remembered.
    pub(crate) async fn admit(
        &mut self,
        at: UnitAt,
        phases: &[UnitPhase],
        pair: Pair,
        tagged: bool,
    ) -> Result<UnitState> {
        self.ready().await?;
        let incarnation = tagged.then_some(self.core.incarnation);
        let current = self.core.overlay.unit(at.unit);
        match admit(current, at, phases, pair, incarnation) {
            Ok(row) => {
                self.core.overlay.set_unit(row);
                Ok(row)
            }
            Err((error, row)) => {
                row.into_iter().for_each(|row| self.core.overlay.set_unit(row));
                Err(error)
            }
        }
    }

    /// Drops notes that are still in their version.
    pub(crate) async fn drop_notes(
        &mut self,
        at: UnitAt,
        notes: &[Note],
        pair: Pair,
    ) -> Result<()> {
        self.admit(at, &[UnitPhase::Capturing, UnitPhase::Frozen], pair, true).await?;
        self.core.notes.lock().drop_those(at.unit, notes);
        Ok(())
    }

    /// Removes rows of a unit that lives elsewhere.
    pub(crate) async fn purge(&mut self, at: UnitAt, limit: u32) -> Result<PageUnderWay> {
        self.ready().await?;
        let current = self.core.overlay.unit(at.unit);
        if current.map(|state| (state.phase, state.epoch)) != Some((UnitPhase::Moved, at.epoch)) {
            return Err(ShardError::Unexpected(current));
        }
        // Its last rows may still wait.
        Ok(self.core.write_page(at.unit, Page::Purge(limit), self.before_pages(at.unit)))
    }

    /// Forgets what is cached of a unit's subjects.
    async fn forget_unit(&mut self, unit: UnitId) -> Result<()> {
        if self.set.is_empty() {
            return Ok(());
        }
        for subject in self.subjects_of(unit).await? {
            self.forget(subject);
        }
        Ok(())
    }

    /// Every subject that carries a unit.
    pub(super) async fn subjects_of(&self, unit: UnitId) -> Result<Vec<Subject>> {
        let core = Arc::clone(&self.core);
        self.loader.run(move |conn| subjects(&core.overlay, conn, unit)).await
    }

    pub(super) fn forget(&mut self, subject: Subject) {
        match subject {
            Subject::Conversation(id) => {
                self.set.forget_conversation(id);
                self.filters.forget(id);
            }
            Subject::User(user) => self.set.forget_user(user),
        }
    }
}

fn subjects(
    overlay: &Overlay,
    conn: &Connection,
    unit: UnitId,
) -> std::result::Result<Vec<Subject>, TableError> {
    let mut subjects: Vec<Subject> = Vec::new();
    loop {
        let page = read::heads(overlay, conn, unit, subjects.last().copied(), SUBJECTS)?;
        let more = page.len() == SUBJECTS as usize;
        subjects.extend(page.into_iter().map(|head| head.subject));
        if !more {
            return Ok(subjects);
        }
    }
}
