//! Gives subjects from one unit of this shard to another: their own rows and both units' states in one record.

use std::sync::Arc;

use ostracon_domain::{Conversation, Row, Subject, UnitId, UserState};
use ostracon_store::{Relabel, UnitPhase, relabelled};
use rusqlite::Connection;
use rustc_hash::FxHashSet;

use super::{Committer, Record, Result};
use crate::{error::TableError, overlay::Overlay, payload, read::whole};

impl Committer {
    /// Runs a step of a carve or merge.
    pub(crate) async fn relabel(&mut self, relabel: Relabel) -> Result<()> {
        let Relabel { frozen, other, away, subjects, pair } = relabel;
        let state = self.admit(frozen, &[UnitPhase::Frozen], pair, false).await?;
        let (from, to) = if away { (frozen.unit, other) } else { (other, frozen.unit) };
        let core = Arc::clone(&self.core);
        let rows =
            self.loader.run(move |conn| own_rows(&core.overlay, conn, &subjects, from, to)).await?;
        let moved: FxHashSet<Subject> = rows.iter().filter_map(subject_of).collect();
        let known = self.core.overlay.unit(other);
        let mut born_or_closed = relabelled(known, other, away, pair, self.core.incarnation);
        if born_or_closed.is_some() && !away {
            // It is closed only when it has given all back.
            let left = self.subjects_of(other).await?;
            if left.iter().any(|subject| !moved.contains(subject)) {
                born_or_closed = None;
            }
        }
        if rows.is_empty() && born_or_closed.is_none() {
            return Ok(());
        }
        moved.into_iter().for_each(|subject| self.forget(subject));
        let states: Vec<_> = [Some(state), born_or_closed].into_iter().flatten().collect();
        let payload = payload::relabelled(&rows, &states);
        self.append(payload, Record::Units(rows, states), None);
        self.finish().await?;
        Ok(())
    }
}

fn subject_of(row: &Row) -> Option<Subject> {
    match row {
        Row::Conversation(row) => Some(Subject::Conversation(row.id)),
        Row::User(row) => Some(Subject::User(row.user)),
        _ => None,
    }
}

/// The own rows of those subjects that carry `from`, as they are when they carry `to`.
fn own_rows(
    overlay: &Overlay,
    conn: &Connection,
    subjects: &[Subject],
    from: UnitId,
    to: UnitId,
) -> std::result::Result<Vec<Row>, TableError> {
    whole(overlay, conn, |snapshot| {
        let mut rows = Vec::new();
        for subject in subjects {
            match subject {
                Subject::Conversation(id) => {
                    if let Some(noted) = snapshot.note(*id)?
                        && noted.row.unit == from
                    {
                        let row = Conversation { unit: to, ..Conversation::clone(&noted.row) };
                        rows.push(Row::Conversation(Arc::new(row)));
                    }
                }
                Subject::User(user) => {
                    if let Some(state) = snapshot.user(*user)?
                        && state.unit == from
                    {
                        let row = UserState { unit: to, ..UserState::clone(&state) };
                        rows.push(Row::User(Arc::new(row)));
                    }
                }
            }
        }
        Ok(rows)
    })
}
