//! One's line of the chat list: what it shows besides the conversation itself. Events, the list and
//! `inbox_updated` bring it forward in any order.

use super::window::Row;
use ostracon_domain::{MessageKind, Rev, Seq, UserId, UserRev};
use ostracon_proto::{Inbox, Member, Membership, frame::InboxUpdated};
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) membership: Membership,
    pub(super) inbox: Inbox,
    pub(super) last_message: Option<Row>,
    pub(super) unread: u64,
    /// The rev that `unread` counts up to.
    unread_rev: Rev,
    /// Where one's own view stood when `inbox` was read.
    user_rev: UserRev,
}

impl Line {
    /// An entry of the list, which names the conversation's rev and that of one's own view.
    pub(super) fn new(
        old: Option<Self>,
        membership: Membership,
        inbox: Inbox,
        last_message: Option<Row>,
        unread: u64,
        (rev, user_rev): (Rev, UserRev),
    ) -> Self {
        // An event may have carried one past the entry already.
        let counted = old.as_ref().filter(|line| line.unread_rev > rev);
        Self {
            unread: counted.map_or(unread, |line| line.unread),
            unread_rev: counted.map_or(rev, |line| line.unread_rev),
            membership,
            inbox,
            last_message: newest(old.and_then(|line| line.last_message), last_message),
            user_rev,
        }
    }

    /// Another history: what it showed is no more.
    pub(super) fn drop_history(&mut self) {
        self.last_message = None;
        self.unread_rev = 0;
    }

    pub(super) fn inbox_updated(&mut self, frame: &InboxUpdated) {
        if let Some(inbox) = &frame.inbox
            && frame.user_rev >= self.user_rev
        {
            self.inbox = inbox.clone();
            self.user_rev = frame.user_rev;
        }
        if frame.rev >= self.unread_rev {
            self.unread = frame.unread;
            self.unread_rev = frame.rev;
        }
    }

    /// A state of a message was learnt.
    pub(super) fn learn(&mut self, row: Row) {
        self.last_message = newest(self.last_message.take(), Some(row));
    }

    /// A new message came as an event or an own answer: it counts.
    pub(super) fn count(&mut self, row: &Row, me: UserId) {
        if row.kind != MessageKind::System && row.rev > self.unread_rev {
            self.unread_rev = row.rev;
            self.unread = if row.sender_id == me { 0 } else { self.unread + 1 };
        }
    }

    /// A message was deleted for oneself.
    pub(super) fn hide(&mut self, seq: Seq) {
        if let Some(last) = self.last_message.as_mut().filter(|last| last.seq == seq) {
            super::window::hide(last);
        }
    }

    /// Messages below a seq were removed.
    pub(super) fn retain(&mut self, from: Seq) {
        self.last_message.take_if(|last| last.seq < from);
    }

    /// A message was deleted.
    pub(super) fn deleted(&mut self, seq: Seq, rev: Rev) {
        if let Some(last) = &mut self.last_message
            && last.seq == seq
            && last.rev < rev
        {
            let last = Arc::make_mut(last);
            last.rev = rev;
            last.content = None;
            last.deleted_at.get_or_insert(last.timestamp);
        }
    }

    /// One's own read mark moved; `newest` is the seq of the newest message heard of.
    pub(super) fn read_up_to(&mut self, seq: Seq, newest: Seq) {
        self.membership.read_seq = self.membership.read_seq.max(seq);
        self.membership.delivered_seq = self.membership.delivered_seq.max(seq);
        if seq >= newest {
            self.unread = 0;
        }
    }

    /// One's own row among the members changed.
    pub(super) fn own_member(&mut self, row: &Member) {
        self.membership.role = row.role;
        self.membership.joined_seq = row.joined_seq;
        self.membership.left_seq = row.left_seq;
        if row.left_seq.is_some() {
            self.unread = 0;
        }
    }
}

/// The later message of two, the newer state of one.
fn newest(a: Option<Row>, b: Option<Row>) -> Option<Row> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if (a.seq, a.rev) > (b.seq, b.rev) { a } else { b }),
        (a, b) => a.or(b),
    }
}
