//! What waits of whole subjects, as one moment knows it: for copies and comparisons of a unit. Not for clients.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{
    Conversation, InboxEntry, Member, Message, Seq, Subject, UnitId, UserId, UserState,
};
use ostracon_store::{SubjectHead, SubjectVersion};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{Overlay, Rows, WaitingAnnexes};
use crate::journal::Position;

/// Subjects by the unit that their waiting own row carries.
#[derive(Default)]
pub(super) struct ByUnit(FxHashMap<UnitId, FxHashSet<Subject>>);

impl ByUnit {
    /// A subject's own row came, went or carries another unit now.
    pub(super) fn follow(&mut self, subject: Subject, before: Option<UnitId>, now: Option<UnitId>) {
        if before == now {
            return;
        }
        if let Some(unit) = before
            && let Some(known) = self.0.get_mut(&unit)
        {
            known.remove(&subject);
            if known.is_empty() {
                self.0.remove(&unit);
            }
        }
        if let Some(unit) = now {
            self.0.entry(unit).or_default().insert(subject);
        }
    }

    fn of(&self, unit: UnitId) -> impl Iterator<Item = Subject> + '_ {
        self.0.get(&unit).into_iter().flatten().copied()
    }
}

/// What waits of a conversation above a version.
#[derive(Default)]
pub(crate) struct WaitingConversation {
    pub(crate) row: Option<Arc<Conversation>>,
    pub(crate) members: Vec<Arc<Member>>,
    pub(crate) messages: BTreeMap<Seq, Arc<Message>>,
    /// Changed reactions of these messages, and whether they are there.
    pub(crate) reactions: Vec<(Seq, UserId, String, bool)>,
    /// All small rows that wait: what is newer is told by their numbers, or by their messages.
    pub(crate) annexes: WaitingAnnexes,
    /// Messages below this one are removed, whatever the tables have.
    pub(crate) gone_below: Seq,
}

/// What waits of a user's own rows above a user rev.
#[derive(Default)]
pub(crate) struct WaitingUser {
    pub(crate) state: Option<Arc<UserState>>,
    pub(crate) entries: Vec<Arc<InboxEntry>>,
}

/// What waits of a subject.
pub(crate) enum Waiting {
    Conversation(WaitingConversation),
    User(WaitingUser),
}

impl Rows {
    fn unit_of(&self, subject: Subject) -> Option<UnitId> {
        match subject {
            Subject::Conversation(id) => self.conversations.get(&id)?.unit(),
            Subject::User(user) => self.users.get(&user)?.unit(),
        }
    }

    fn head(&self, subject: Subject) -> Option<SubjectHead> {
        Some(match subject {
            Subject::Conversation(id) => {
                let row = self.conversations.get(&id)?.row()?;
                SubjectHead { subject, version: (&*row).into(), head_seq: row.head_seq }
            }
            Subject::User(user) => {
                let row = self.users.get(&user)?.state()?;
                SubjectHead { subject, version: (&*row).into(), head_seq: 0 }
            }
        })
    }

    fn waiting(&self, subject: Subject, since: SubjectVersion) -> Waiting {
        match subject {
            Subject::Conversation(id) => {
                let known = self.conversations.get(&id);
                Waiting::Conversation(known.map(|known| known.above(since)).unwrap_or_default())
            }
            Subject::User(user) => {
                let known = self.users.get(&user);
                let waiting = |known: &super::UserRows| WaitingUser {
                    state: known.state(),
                    entries: known.since(since.rev),
                };
                Waiting::User(known.map(waiting).unwrap_or_default())
            }
        }
    }
}

impl Overlay {
    /// What waits of subjects above these versions, and how far was evicted at that moment.
    pub(crate) fn waiting(&self, since: &[(Subject, SubjectVersion)]) -> (Position, Vec<Waiting>) {
        let rows = self.rows.read();
        let waiting = since.iter().map(|(subject, since)| rows.waiting(*subject, *since));
        (self.evicted(), waiting.collect())
    }

    /// Brings heads from the tables up to date: those that carry another unit by now go, those that wait come.
    /// `complete` tells that the tables have none behind the last of them. And how far was evicted at that moment.
    pub(crate) fn heads(
        &self,
        unit: UnitId,
        after: Option<Subject>,
        mut stored: Vec<SubjectHead>,
        complete: bool,
    ) -> (Position, Vec<SubjectHead>) {
        let last = stored.last().map(|head| head.subject).filter(|_| !complete);
        let rows = self.rows.read();
        stored.retain(|head| rows.unit_of(head.subject).is_none());
        let waiting = rows.by_unit.of(unit).filter(|subject| {
            after.is_none_or(|after| *subject > after) && last.is_none_or(|last| *subject <= last)
        });
        stored.extend(waiting.filter_map(|subject| rows.head(subject)));
        stored.sort_unstable_by_key(|head| head.subject);
        (self.evicted(), stored)
    }
}
