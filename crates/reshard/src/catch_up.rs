//! Catching up: what was noted as changed is brought over, and its note is dropped if it has not changed again.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::try_join_all;
use ostracon_domain::{Subject, UnitAt};
use ostracon_store::{Note, SubjectVersion};

use crate::{
    call::{Side, Trouble, trouble},
    copy::Written,
    mover::Attempt,
};

/// Notes that are read at once.
const NOTES: u32 = 1_000;

/// What the destination got: versions of subjects, and how much was written.
#[derive(Default)]
struct Brought {
    versions: Vec<(Subject, SubjectVersion)>,
    written: Written,
}

impl Attempt {
    /// Brings changed subjects over until few are left, or it has tried often enough.
    pub(crate) async fn catch_up(&mut self) -> Result<(), Trouble> {
        for _ in 0..self.around.options.rounds_max {
            let mut left = 0;
            for at in self.moved_units() {
                self.go_on()?;
                let notes = self.notes(at).await?;
                left = left.max(notes.len());
                let brought = self.bring(at, &notes).await?;
                self.keep(brought);
                self.drop_notes(at, notes).await?;
            }
            self.progress.backlog = left as u64;
            if left <= self.around.options.backlog_small {
                break;
            }
        }
        Ok(())
    }

    /// Brings over everything that is noted. The units are frozen: nothing more will be.
    pub(crate) async fn drain(&mut self) -> Result<(), Trouble> {
        let units = self.moved_units();
        let drained = try_join_all(units.iter().map(|at| self.drain_unit(*at))).await?;
        for brought in drained.into_iter().flatten() {
            self.keep(brought);
        }
        Ok(())
    }

    async fn drain_unit(&self, at: UnitAt) -> Result<Vec<Brought>, Trouble> {
        let mut drained = Vec::new();
        loop {
            let notes = self.notes(at).await?;
            let all = notes.len() < NOTES as usize;
            drained.push(self.bring(at, &notes).await?);
            if all {
                return Ok(drained);
            }
            self.drop_notes(at, notes).await?;
        }
    }

    async fn notes(&self, at: UnitAt) -> Result<Vec<Note>, Trouble> {
        let ask = || self.source.notes(at, NOTES);
        let notes = self.patience.answer(ask).await?;
        notes.map_err(|error| trouble(error, ostracon_store::Pair::default(), Side::Source))
    }

    async fn drop_notes(&self, at: UnitAt, notes: Vec<Note>) -> Result<(), Trouble> {
        if notes.is_empty() {
            return Ok(());
        }
        let pair = self.steps.next();
        let ask = || self.source.drop_notes(at, &notes, pair);
        let dropped = self.patience.answer(ask).await?;
        dropped.map_err(|error| trouble(error, pair, Side::Source))
    }

    /// Remembers what the destination holds now.
    fn keep(&mut self, brought: Brought) {
        self.known.extend(brought.versions);
        self.count(brought.written);
    }

    /// Brings subjects to the destination as they are now.
    async fn bring(&self, at: UnitAt, notes: &[Note]) -> Result<Brought, Trouble> {
        let mut brought = Brought::default();
        let source = Arc::clone(&self.source);
        for notes in notes.chunks(self.around.options.subjects_at_once) {
            let since: BTreeMap<Subject, _> = notes
                .iter()
                .map(|note| {
                    (note.subject, self.known.get(&note.subject).copied().unwrap_or_default())
                })
                .collect();
            let since: Vec<_> = since.into_iter().collect();
            let ask = || source.subjects_since(at.unit, &since);
            let found = self.patience.answer(ask).await?;
            let found = found.map_err(|e| Trouble::Hopeless(format!("the source refuses: {e}")))?;
            let mut rows = Vec::new();
            for ((subject, _), found) in since.iter().zip(found) {
                let Some(found) = found else { continue };
                rows.extend(found.rows);
                brought.versions.push((*subject, found.version));
            }
            brought.written += self.apply(at, rows).await?;
        }
        Ok(brought)
    }
}
