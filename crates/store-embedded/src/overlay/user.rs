//! The waiting rows of one user's own view. Each knows the journal position of its last change.

use std::{mem::size_of, sync::Arc};

use ostracon_domain::{ConversationId, InboxEntry, Row, UnitId, UserRev, UserState};
use rustc_hash::FxHashMap;

use crate::journal::Position;

/// Bytes that a row costs besides itself.
const ENTRY_BYTES: usize = 96;

/// Rows of one user.
#[derive(Default)]
pub(super) struct UserRows {
    state: Option<(Arc<UserState>, Position)>,
    entries: FxHashMap<ConversationId, (Arc<InboxEntry>, Position)>,
}

impl UserRows {
    pub(super) fn is_empty(&self) -> bool {
        self.state.is_none() && self.entries.is_empty()
    }

    /// Takes a row; answers by how many bytes this grew.
    pub(super) fn put(&mut self, at: Position, row: &Row) -> isize {
        let (new, cost) = match row {
            Row::User(row) => {
                (self.state.replace((Arc::clone(row), at)).is_none(), size_of::<UserState>())
            }
            Row::Inbox(row) => (
                self.entries.insert(row.conversation, (Arc::clone(row), at)).is_none(),
                size_of::<InboxEntry>(),
            ),
            _ => return 0,
        };
        if new { (cost + ENTRY_BYTES).cast_signed() } else { 0 }
    }

    /// Drops what has not changed since `up_to`; answers by how many bytes this changed.
    pub(super) fn evict(&mut self, up_to: Position) -> isize {
        let mut change = 0;
        if self.state.as_ref().is_some_and(|(_, at)| *at <= up_to) {
            self.state = None;
            change -= (size_of::<UserState>() + ENTRY_BYTES).cast_signed();
        }
        self.entries.retain(|_, (_, at)| {
            let stays = *at > up_to;
            if !stays {
                change -= (size_of::<InboxEntry>() + ENTRY_BYTES).cast_signed();
            }
            stays
        });
        change
    }

    pub(super) fn state(&self) -> Option<Arc<UserState>> {
        self.state.as_ref().map(|(row, _)| Arc::clone(row))
    }

    /// The unit that the own row carries, if that waits.
    pub(super) fn unit(&self) -> Option<UnitId> {
        self.state.as_ref().map(|(row, _)| row.unit)
    }

    pub(super) fn entry(&self, id: ConversationId) -> Option<Arc<InboxEntry>> {
        self.entries.get(&id).map(|(row, _)| Arc::clone(row))
    }

    pub(super) fn since(&self, since: UserRev) -> Vec<Arc<InboxEntry>> {
        self.entries
            .values()
            .filter(|(row, _)| row.user_rev > since)
            .map(|(row, _)| Arc::clone(row))
            .collect()
    }
}
