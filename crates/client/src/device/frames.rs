//! What each frame of the server means to a device.

use super::{
    Device, TOKEN_OVER,
    faults::Fault,
    members::Marks,
    outbox::{Done, MarkKind, Outgoing, Refused},
    output::{Event, Output},
    touch,
    window::{Change, stored},
};
use ostracon_domain::{ConversationId, History, MessageKind, Millis, Rev, Seq, UserId};
use ostracon_proto::{
    ErrorObject, Message, Receipt,
    frame::{Done as DoneFrame, ReceiptUpdated, Received, ServerFrame},
};
use std::sync::Arc;

impl Device {
    pub(super) fn read(&mut self, received: Received<'_>) {
        let reference = received.id.and_then(|id| id.as_number());
        match received.frame {
            ServerFrame::Hello(hello) => self.connected(hello.max_in_flight),
            ServerFrame::MessageSent(sent) => {
                self.through(reference, sent.seq);
                let history = sent.history;
                self.message(sent.message.into_owned(), Some(history), true);
            }
            ServerFrame::NewMessage(new) => self.message(new.0.into_owned(), None, true),
            ServerFrame::MessageUpdated(new) => self.message(new.0.into_owned(), None, false),
            ServerFrame::MessageDeleted(deleted) => self.deleted(
                deleted.conversation_id,
                deleted.history,
                deleted.seq,
                (deleted.rev, deleted.deleted_at, deleted.deleted_by),
            ),
            ServerFrame::MessageHidden(hidden) => {
                let conversation = self.conversation_mut(hidden.conversation_id);
                if conversation.history == Some(hidden.history) {
                    conversation.line.iter_mut().for_each(|line| line.hide(hidden.seq));
                    conversation.window.iter_mut().for_each(|window| window.hide(hidden.seq));
                }
                self.desk.changed(hidden.conversation_id);
            }
            ServerFrame::Done(done) => self.done(reference, done),
            ServerFrame::ConversationUpdated(updated) => {
                let info = updated.0.into_owned();
                let (id, history, rev) = (info.conversation_id, info.history, info.rev);
                self.shared(id, history, rev, Change::Other);
                let conversation = self.conversation_mut(id);
                if conversation.history == Some(history) {
                    conversation.info(info);
                }
            }
            ServerFrame::MemberUpdated(updated) => {
                let (id, history, me) = (updated.conversation_id, updated.history, self.me);
                self.shared(id, history, updated.rev, Change::Other);
                let conversation = touch(&mut self.conversations, &mut self.touched, id);
                if conversation.history == Some(history) {
                    if updated.member.user_id == me {
                        conversation.own_member(&updated.member, &mut self.desk);
                    }
                    if conversation.window.is_some() {
                        conversation.members.learn(updated.member);
                    }
                }
            }
            ServerFrame::Receipt(receipt) => self.receipt(&receipt),
            ServerFrame::InboxUpdated(updated) => {
                let id = updated.conversation_id;
                let faults = self.faults;
                #[cfg(test)]
                if faults.has(Fault::CursorByEvents) {
                    self.move_cursor(updated.user_rev);
                }
                let conversation = touch(&mut self.conversations, &mut self.touched, id);
                if conversation.inbox_updated(&updated, &mut self.desk, faults) {
                    self.listing.due = true;
                }
            }
            // Live and never kept: whoever shows it reads the frames.
            ServerFrame::Typing(_) | ServerFrame::Presence(_) => {}
            ServerFrame::SyncRequired(_) => {
                if !(self.faults.has(Fault::Coalesce) && self.listing.asked.is_some()) {
                    self.catch_up();
                }
            }
            ServerFrame::Heartbeat(answer) => {
                if answer.user_rev > self.listing.user_rev {
                    self.listing.due = true;
                }
            }
            ServerFrame::Error(error) => self.refused(reference, &error),
            ServerFrame::Unknown(_) => {}
        }
    }

    /// A shared event of a conversation.
    fn shared(&mut self, id: ConversationId, history: History, rev: Rev, change: Change) {
        let faults = self.faults;
        let conversation = touch(&mut self.conversations, &mut self.touched, id);
        let known = conversation.line.is_some() || conversation.fresh;
        conversation.event(history, rev, change, &mut self.desk, faults);
        // The list does not name it yet: once is enough, `inbox_updated` follows.
        self.listing.due |= !known;
    }

    /// A message as it is now, new or changed.
    fn message(&mut self, message: Message<'static>, history: Option<History>, new: bool) {
        let Some(history) = message.history.or(history) else {
            return;
        };
        let (id, me, seq) = (message.conversation_id, self.me, message.seq);
        let sender = message.sender_id;
        if sender == me
            && let Some(client_id) = &message.client_id
        {
            let client_id = client_id.to_string();
            self.own_seen(id, client_id, seq);
        }
        let mark_rev = message.mark_rev.unwrap_or_default();
        let (kind, rev) = (message.kind, message.rev);
        let row = Arc::new(stored(message));
        self.shared(id, history, rev, Change::Row(Arc::clone(&row)));
        let conversation = self.conversation_mut(id);
        if conversation.history != Some(history) {
            return;
        }
        if let Some(line) = &mut conversation.line {
            if new {
                line.count(&row, me);
            }
            line.learn(row);
        }
        if new && kind != MessageKind::System {
            // A send moves its sender's own marks; in large groups only one's own are known.
            let large = conversation.info.as_ref().is_some_and(|info| info.large);
            if sender == me || !large {
                let marks = Marks { read_seq: seq, delivered_seq: seq, mark_rev };
                conversation.members.mark(sender, marks);
            }
            if sender == me {
                conversation.read_up_to(seq);
            } else if self.options.auto_delivered {
                self.outbox.mark(id, MarkKind::Delivered, seq);
            }
        }
        self.desk.changed(id);
    }

    fn deleted(
        &mut self,
        id: ConversationId,
        history: History,
        seq: Seq,
        (rev, at, by): (Rev, Millis, UserId),
    ) {
        self.shared(id, history, rev, Change::Deleted { seq, rev, at, by });
        let conversation = self.conversation_mut(id);
        if conversation.history == Some(history) {
            conversation.line.iter_mut().for_each(|line| line.deleted(seq, rev));
        }
        self.desk.changed(id);
    }

    fn receipt(&mut self, frame: &ReceiptUpdated) {
        let me = self.me;
        let conversation = self.conversation_mut(frame.conversation_id);
        if conversation.history.is_some_and(|own| own != frame.history) {
            // Marks never ask for anything; the next shared event or listing drops the history.
            return;
        }
        let receipt = Receipt {
            user_id: frame.user_id,
            read_seq: frame.read_seq.unwrap_or_default(),
            delivered_seq: frame.delivered_seq.unwrap_or_default(),
            mark_rev: frame.mark_rev,
        };
        conversation.members.receipt(&receipt);
        if frame.user_id == me {
            conversation.read_up_to(receipt.read_seq);
        }
        self.desk.changed(frame.conversation_id);
    }

    /// A send is durable.
    fn through(&mut self, reference: Option<i64>, seq: Seq) {
        let Some(Done::Command(conversation, command)) =
            reference.and_then(|reference| self.outbox.done(reference))
        else {
            return;
        };
        if let Some(client_id) = command.client_id() {
            let client_id = client_id.to_owned();
            self.desk.push(Output::Notify(Event::Sent { conversation, client_id, seq }));
        }
        self.desk.changed(conversation);
    }

    /// A command other than a send is durable.
    fn done(&mut self, reference: Option<i64>, frame: DoneFrame<'_>) {
        let done = reference.and_then(|reference| self.outbox.done(reference));
        if let Some(message) = frame.message {
            self.message(message.into_owned(), None, false);
        }
        match done {
            Some(Done::Command(id, Outgoing::Delete(delete))) => {
                if let (Some(rev), Some(history), Some(at), Some(by)) =
                    (frame.rev, frame.history, frame.deleted_at, frame.deleted_by)
                {
                    self.deleted(id, history, delete.seq, (rev, at, by));
                }
            }
            Some(Done::Mark(id, MarkKind::Read, seq)) => {
                let me = self.me;
                let conversation = self.conversation_mut(id);
                conversation.read_up_to(seq);
                let marks = Marks { read_seq: seq, delivered_seq: seq, mark_rev: 0 };
                conversation.members.mark(me, marks);
                self.desk.changed(id);
            }
            _ => {}
        }
    }

    fn refused(&mut self, reference: Option<i64>, error: &ErrorObject) {
        if error.code == TOKEN_OVER {
            self.desk.push(Output::Notify(Event::SignedOut));
        }
        let refused =
            reference.and_then(|reference| self.outbox.refused(reference, error, &mut self.desk));
        match refused {
            Some(Refused::Send(conversation, client_id)) => {
                self.desk.push(Output::Notify(Event::SendFailed {
                    conversation,
                    client_id,
                    error: error.clone(),
                }));
                self.desk.changed(conversation);
            }
            Some(Refused::Other(conversation)) => {
                let error = error.clone();
                self.desk.push(Output::Notify(Event::Refused { conversation, error }));
            }
            Some(Refused::Held) | None => {}
        }
    }

    /// The fault of moving the stored cursor by what events say.
    #[cfg(test)]
    fn move_cursor(&mut self, user_rev: ostracon_domain::UserRev) {
        use ostracon_proto::cursor::{Cursor as _, SyncCursor};
        let held = self.listing.cursor.as_deref();
        if let Some(mut cursor) = held.and_then(|text| SyncCursor::decode(text).ok()) {
            cursor.user_rev = cursor.user_rev.max(user_rev);
            self.listing.cursor = Some(cursor.encode());
            self.listing.user_rev = self.listing.user_rev.max(user_rev);
        }
    }
}
