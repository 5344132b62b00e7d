//! The list changes of one batch, each conversation once: with its last state instead of one for every message.
//!
//! The first command of a conversation in a batch brings the lists to where the batch leaves it, so that every answer
//! comes after the list of who asked has moved. Only small conversations that stay so; others go one by one.

use std::sync::Arc;

use ostracon_domain::{Conversation, ConversationId, Outcome, Row};
use rustc_hash::FxHashMap;

use crate::committer::{Asker, Decided};

/// What the batch leaves of one conversation.
struct Last {
    conversation: Arc<Conversation>,
    /// The last row of each member that changed.
    members: Vec<Row>,
    /// Whether every state in the batch may be left out for the last one.
    plain: bool,
    taken: bool,
}

#[derive(Default)]
pub(crate) struct BatchLists(FxHashMap<ConversationId, Last>);

/// What a command must do about lists.
pub(crate) enum ListChange {
    /// Bring them to the end of the batch.
    Last(Arc<Conversation>, Vec<Row>),
    /// Nothing: an earlier command of this batch did.
    Done,
    /// Its own change.
    Own,
}

impl BatchLists {
    pub(crate) fn of(items: &[(Asker, Decided)]) -> Self {
        let mut lists = Self::default();
        for (_, decided) in items {
            if let Decided::Done { outcome, rows } = decided {
                lists.take_in(outcome, rows);
            }
        }
        lists
    }

    fn take_in(&mut self, outcome: &Outcome, rows: &[Row]) {
        let newest = rows.iter().rev().find_map(|row| match row {
            Row::Conversation(row) => Some(row),
            _ => None,
        });
        let Some(conversation) = newest else { return };
        let plain = matches!(
            outcome,
            Outcome::Sent { .. }
                | Outcome::Changed { .. }
                | Outcome::Deleted { .. }
                | Outcome::Marked { .. }
                | Outcome::Hidden { .. }
                | Outcome::Swept { .. }
                | Outcome::Invite { .. }
        ) && !conversation.large
            && conversation.deleted_at.is_none();
        let last = self.0.entry(conversation.id).or_insert_with(|| Last {
            conversation: Arc::clone(conversation),
            members: Vec::new(),
            plain,
            taken: false,
        });
        last.plain &= plain;
        last.conversation = Arc::clone(conversation);
        for row in rows {
            let Row::Member(member) = row else { continue };
            let known = last
                .members
                .iter_mut()
                .find(|known| matches!(known, Row::Member(known) if known.user == member.user));
            match known {
                Some(known) => *known = row.clone(),
                None => last.members.push(row.clone()),
            }
        }
    }

    /// What the next command of a conversation must do.
    pub(crate) fn next(&mut self, id: ConversationId) -> ListChange {
        match self.0.get_mut(&id) {
            Some(last) if last.plain && last.taken => ListChange::Done,
            Some(last) if last.plain => {
                last.taken = true;
                ListChange::Last(Arc::clone(&last.conversation), std::mem::take(&mut last.members))
            }
            _ => ListChange::Own,
        }
    }
}
