//! One conversation's rows: numbers without gaps, heads, members, tombstones, client ids. No I/O.
//!
//! The conversation's row is read first. What is newer than it (a higher seq or rev) came while the rest was read
//! and is left to the next check.

use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use ostracon_domain::{
    Annex, AnnexKey, Conversation, ConversationKind, Member, Message, MessageId, MessageKind,
    Millis, Party, Rev, Role, Row, Seq, UnitId, UserId,
};

use super::report::ProblemKind;

/// Revs and client ids remembered of one conversation, 8 bytes each; of more, only order is checked.
const REMEMBERED_MAX: usize = 8_000_000;

type Found = (ProblemKind, String);

/// A conversation that is being read.
pub(super) struct ConversationCheck {
    conversation: Arc<Conversation>,
    members: Vec<Arc<Member>>,
    /// Mark revs of small rows that belong to no member.
    own_marks: Vec<u64>,
    last: Option<Last>,
    next_seq: Seq,
    last_reaction: Option<(Seq, UserId, String)>,
    newest_rev: Rev,
    revs: Vec<Rev>,
    client_ids: HashSet<u64>,
    hasher: RandomState,
    found: Vec<Found>,
}

/// What the next message is compared with.
struct Last {
    id: MessageId,
    created_at: Millis,
    created_rev: Rev,
    seq: Seq,
    deleted: bool,
}

impl ConversationCheck {
    pub(super) fn new(row: &Arc<Conversation>, unit: UnitId, placed: bool) -> Self {
        let mut found = Vec::new();
        if row.unit != unit || !placed || row.slot != row.id.slot() {
            let text = format!(
                "its row says unit {} and slot {}, the map says otherwise",
                row.unit,
                row.slot.get()
            );
            found.push((ProblemKind::Placement, text));
        }
        if row.info_rev > row.rev || row.rev == 0 {
            found.push((
                ProblemKind::Rev,
                format!("info_rev {} does not fit rev {}", row.info_rev, row.rev),
            ));
        }
        Self {
            next_seq: row.retained_from.max(1),
            conversation: Arc::clone(row),
            members: Vec::new(),
            own_marks: Vec::new(),
            last: None,
            last_reaction: None,
            newest_rev: row.info_rev,
            revs: vec![row.info_rev],
            client_ids: HashSet::new(),
            hasher: RandomState::new(),
            found,
        }
    }

    pub(super) fn conversation(&self) -> &Arc<Conversation> {
        &self.conversation
    }

    pub(super) fn members(&self) -> &[Arc<Member>] {
        &self.members
    }

    /// Takes the next row; `false` if it is of something else.
    pub(super) fn row(&mut self, row: &Row) -> bool {
        let id = self.conversation.id;
        match row {
            Row::Member(row) if row.conversation == id => self.member(row),
            Row::Message(row) if row.conversation == id => self.message(row),
            Row::Reaction(row) if row.conversation == id => {
                let key = (row.seq, row.user, row.emoji.clone());
                let can_have =
                    self.last.as_ref().is_some_and(|last| last.seq == row.seq && !last.deleted);
                if !can_have || self.last_reaction.as_ref() == Some(&key) {
                    let text = format!(
                        "user {}'s reaction to {} has no message or is there twice",
                        row.user, row.seq
                    );
                    self.found.push((ProblemKind::Reaction, text));
                }
                self.last_reaction = Some(key);
            }
            Row::Annex(row) if row.conversation == id => self.annex(row),
            _ => return false,
        }
        true
    }

    fn member(&mut self, row: &Arc<Member>) {
        let head = self.conversation.head_seq;
        let fits = row.read_seq <= row.delivered_seq
            && row.delivered_seq <= head
            && row.hidden_to <= head
            && row.joined_seq <= head + 1
            && row.left_seq.is_none_or(|left| left <= head && left + 1 >= row.joined_seq);
        if !fits {
            let text = format!("user {}'s marks or span do not fit the head {head}", row.user);
            self.found.push((ProblemKind::Members, text));
        }
        self.note_rev(row.rev);
        self.members.push(Arc::clone(row));
    }

    /// Small rows follow their message, or belong to a member who knows of them; a tombstone has none.
    fn annex(&mut self, row: &Annex) {
        let AnnexKey { kind, first, second } = row.key;
        let conversation = Arc::clone(&self.conversation);
        let seq = row.key.seq();
        let fits = if kind.is_of_message() {
            self.last.as_ref().is_some_and(|last| last.seq == seq && !last.deleted)
        } else if kind.is_of_conversation() {
            // One that was written while this was read has a number above the row's.
            self.own_marks.push(row.number);
            conversation.kind == ConversationKind::Group
        } else {
            let hides = |row: &&Arc<Member>| row.extra.as_ref().is_some_and(|extra| extra.hides);
            let mut members = self.members.iter().filter(|row| row.user.get() == first);
            // One that was hidden while this was read has a number above the row's.
            row.number > conversation.mark_rev
                || (members.any(|row| hides(&row))
                    && (conversation.retained_from..=conversation.head_seq).contains(&seq))
        };
        if !fits {
            let text = format!("{kind:?} {first}, {second} belongs to nothing");
            self.found.push((ProblemKind::Annex, text));
        }
    }

    fn message(&mut self, row: &Message) {
        let conversation = Arc::clone(&self.conversation);
        if row.seq > conversation.head_seq && row.created_rev > conversation.rev {
            // Came while this was read.
            self.note_last(row);
            return;
        }
        if row.seq != self.next_seq {
            let text =
                format!("after message {} comes {}", self.next_seq.saturating_sub(1), row.seq);
            self.found.push((ProblemKind::Seq, text));
        }
        self.next_seq = row.seq + 1;
        if row.seq > conversation.head_seq {
            let text = format!("message {} is above the head {}", row.seq, conversation.head_seq);
            self.found.push((ProblemKind::Head, text));
        }
        if let Some(last) = &self.last
            && (row.message_id <= last.id
                || row.created_at < last.created_at
                || row.created_rev <= last.created_rev)
        {
            let text = format!(
                "id, time or rev of message {} is not later than that of {}",
                row.seq, last.seq
            );
            self.found.push((ProblemKind::Order, text));
        }
        if row.rev < row.content_rev || row.content_rev < row.created_rev {
            let text = format!(
                "revs of message {}: {} made, {} written, {} changed",
                row.seq, row.created_rev, row.content_rev, row.rev
            );
            self.found.push((ProblemKind::Rev, text));
        }
        self.state(row);
        self.note_rev(row.rev);
        if row.created_rev > conversation.rev {
            let text = format!(
                "message {} was made at rev {}, above {}",
                row.seq, row.created_rev, conversation.rev
            );
            self.found.push((ProblemKind::Rev, text));
        }
        if let Some(client_id) = &row.client_id
            && self.client_ids.len() < REMEMBERED_MAX
        {
            let key = self.hasher.hash_one((row.sender, client_id));
            if !self.client_ids.insert(key) {
                let text = format!(
                    "message {} has a client id of its sender that was used before",
                    row.seq
                );
                self.found.push((ProblemKind::ClientId, text));
            }
        }
        if row.seq == conversation.head_seq
            && (conversation.last_message_id != Some(row.message_id)
                || conversation.last_activity_at != row.created_at)
        {
            let text = format!("the head names another id or time than message {} has", row.seq);
            self.found.push((ProblemKind::Head, text));
        }
        self.note_last(row);
    }

    /// A tombstone holds nothing, and what does not count says so.
    fn state(&mut self, row: &Message) {
        let empty = row.content.is_empty() && row.mentions.is_empty() && row.payload_hash.is_none();
        let counted = row.deleted.is_none() && row.kind != MessageKind::System;
        let right = (row.deleted.is_none() || empty)
            && row.uncounted != counted
            && row.slot == self.conversation.slot
            && row.reply_to.is_none_or(|seq| seq < row.seq)
            && (row.payload_hash.is_none() || row.client_id.is_some());
        if !right {
            let text = format!("message {} is not what its state demands", row.seq);
            self.found.push((ProblemKind::Message, text));
        }
        // Members stand in order of their users.
        if self.members.binary_search_by_key(&row.sender, |member| member.user).is_err() {
            let text = format!(
                "the sender of message {}, user {}, never was a member",
                row.seq, row.sender
            );
            self.found.push((ProblemKind::Members, text));
        }
    }

    fn note_last(&mut self, row: &Message) {
        self.last = Some(Last {
            id: row.message_id,
            created_at: row.created_at,
            created_rev: row.created_rev,
            seq: row.seq,
            deleted: row.deleted.is_some(),
        });
    }

    fn note_rev(&mut self, rev: Rev) {
        self.newest_rev = self.newest_rev.max(rev);
        if self.revs.len() < REMEMBERED_MAX {
            self.revs.push(rev);
        }
    }

    /// All rows were read.
    pub(super) fn end(mut self) -> Vec<Found> {
        let conversation = Arc::clone(&self.conversation);
        if self.next_seq != conversation.head_seq + 1 {
            let text = format!(
                "the head is {}, the messages end at {}",
                conversation.head_seq,
                self.next_seq.saturating_sub(1)
            );
            self.found.push((ProblemKind::Seq, text));
        }
        // The newest change is in some row; a row changed meanwhile has a higher one. A deleted group's messages are gone.
        if self.newest_rev < conversation.rev {
            let text = format!(
                "rev is {}, no row has a later one than {}",
                conversation.rev, self.newest_rev
            );
            self.found.push((ProblemKind::Rev, text));
        }
        self.revs.sort_unstable();
        if let Some(pair) = self.revs.windows(2).find(|pair| pair[0] == pair[1]) {
            self.found.push((ProblemKind::Rev, format!("rev {} was given to two rows", pair[0])));
        }
        self.marks();
        self.membership();
        self.found
    }

    fn marks(&mut self) {
        let mut marks: Vec<_> =
            self.members.iter().map(|row| row.mark_rev).filter(|rev| *rev > 0).collect();
        // What was written while this was read has a higher one.
        let read = self.own_marks.iter().filter(|number| **number <= self.conversation.mark_rev);
        marks.extend(read);
        marks.sort_unstable();
        let newest = marks.last().copied().unwrap_or(0);
        if newest != self.conversation.mark_rev {
            let text =
                format!("mark_rev is {}, the newest mark has {newest}", self.conversation.mark_rev);
            self.found.push((ProblemKind::MarkRev, text));
        }
        if marks.windows(2).any(|pair| pair[0] == pair[1]) {
            self.found.push((ProblemKind::MarkRev, "a mark_rev was given to two rows".to_owned()));
        }
    }

    fn membership(&mut self) {
        let conversation = &self.conversation;
        let present = self.members.iter().filter(|row| row.is_present()).count();
        if present != conversation.member_count as usize {
            let text = format!("it says {} members and has {present}", conversation.member_count);
            self.found.push((ProblemKind::Members, text));
        }
        let right = match (conversation.kind, conversation.id.party()) {
            (ConversationKind::Direct, Party::Direct { lo, hi }) => {
                let users: Vec<_> = self.members.iter().map(|row| row.user).collect();
                users == if lo == hi { vec![lo] } else { vec![lo, hi] }
            }
            (ConversationKind::Group, Party::Group) => {
                let owners = self
                    .members
                    .iter()
                    .filter(|row| row.is_present() && row.role == Role::Owner)
                    .count();
                owners == 1 || conversation.deleted_at.is_some()
            }
            _ => false,
        };
        if !right {
            let text = "its members are not those that a conversation of its kind has".to_owned();
            self.found.push((ProblemKind::Members, text));
        }
    }
}
