//! One user's own rows: the line of numbers and the entries of the list. No I/O.

use std::sync::Arc;

use ostracon_domain::{InboxEntry, Row, UnitId, UserId, UserState};

use super::report::ProblemKind;

/// A user whose rows are being read.
pub(super) struct UserCheck {
    state: Arc<UserState>,
    entries: Vec<Arc<InboxEntry>>,
    found: Vec<(ProblemKind, String)>,
}

impl UserCheck {
    pub(super) fn new(row: &Arc<UserState>, unit: UnitId, placed: bool) -> Self {
        let mut found = Vec::new();
        if row.unit != unit || !placed || row.slot != row.user.slot() {
            let text = format!(
                "the row says unit {} and slot {}, the map says otherwise",
                row.unit,
                row.slot.get()
            );
            found.push((ProblemKind::Placement, text));
        }
        Self { state: Arc::clone(row), entries: Vec::new(), found }
    }

    pub(super) fn user(&self) -> UserId {
        self.state.user
    }

    pub(super) fn entries(&self) -> &[Arc<InboxEntry>] {
        &self.entries
    }

    /// Takes the next row; `false` if it is of something else.
    pub(super) fn row(&mut self, row: &Row) -> bool {
        match row {
            Row::Inbox(row) if row.user == self.state.user => {
                self.entries.push(Arc::clone(row));
                true
            }
            _ => false,
        }
    }

    /// All rows were read.
    pub(super) fn end(mut self) -> Vec<(ProblemKind, String)> {
        let mut revs: Vec<_> = self.entries.iter().map(|entry| entry.user_rev).collect();
        revs.sort_unstable();
        if let Some(pair) = revs.windows(2).find(|pair| pair[0] == pair[1]) {
            self.found.push((
                ProblemKind::UserRev,
                format!("user_rev {} was given to two entries", pair[0]),
            ));
        }
        let newest = revs.last().copied().unwrap_or(0);
        if newest != self.state.user_rev {
            let text =
                format!("user_rev is {}, the newest entry has {newest}", self.state.user_rev);
            self.found.push((ProblemKind::UserRev, text));
        }
        self.found
    }
}
