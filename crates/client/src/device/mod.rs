//! A device that stays right: a state machine without I/O, clock or chance. Frames, answers and the
//! user's wishes go in; requests, frames to send and notices come out.
//!
//! The rules are those of docs/protocol.md, "How a client stays right"; `model` beside this file
//! searches their schedules.
//!
//! It is: owned by one task. Nothing in it waits or locks.

mod conversation;
mod faults;
mod frames;
mod line;
mod members;
#[cfg(test)]
mod model;
mod outbox;
mod output;
mod sync;
#[cfg(test)]
mod tests;
mod view;
mod window;

pub use members::Marks;
pub use output::{Answer, Event, Failure, Output, Request, RequestId};
pub use view::{ChatLine, Pending, PendingState, Snapshot};
pub use window::Row;

use conversation::{Conversation, Want};
use faults::Faults;
use ostracon_domain::{ConversationId, Rev, Seq, UserId};
use ostracon_proto::{
    ErrorCode, Position, UserRef,
    frame::{
        DeleteMessage, DeleteScope, EditMessage, OutgoingMessage, React, Received, SendMessage,
        SendTarget,
    },
};
use outbox::{MarkKind, Outbox, Outgoing};
use output::{Asked, Desk};
use std::collections::{BTreeMap, BTreeSet};
use sync::{Listing, Next};

/// The refusal after which nothing succeeds any more.
const TOKEN_OVER: ErrorCode = ErrorCode::Unauthorized;

/// How a device works. Limits are those of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Messages of a page, 1 to 200.
    pub page_limit: u32,
    /// Rows of one answer of `changes`, 1 to 1,000.
    pub changes_limit: u32,
    /// Conversations of one answer of `/sync`, 1 to 1,000.
    pub sync_limit: u32,
    /// Commands of one conversation under way at once. With more than one, a refused send can be
    /// overtaken by a later one that was already under way.
    pub send_window: usize,
    /// Load the members of a conversation that is opened, unless it is large.
    pub members: bool,
    /// After a reconnect, ask for the marks of others where a conversation is open.
    pub marks: bool,
    /// Mark new messages as delivered.
    pub auto_delivered: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            page_limit: 50,
            changes_limit: 500,
            sync_limit: 200,
            send_window: 1,
            members: true,
            marks: true,
            auto_delivered: true,
        }
    }
}

/// One signed-in device of a user. After every call, do what [`Device::take_outputs`] says.
#[derive(Debug, Clone)]
pub struct Device {
    me: UserId,
    options: Options,
    connected: bool,
    conversations: BTreeMap<ConversationId, Box<Conversation>>,
    /// Conversations that may have something to ask now.
    touched: BTreeSet<ConversationId>,
    listing: Listing,
    outbox: Outbox,
    desk: Desk,
    faults: Faults,
}

impl Device {
    /// A device of this user that knows nothing yet.
    #[must_use]
    pub fn new(me: UserId, options: Options) -> Self {
        Self {
            me,
            options,
            connected: false,
            conversations: BTreeMap::new(),
            touched: BTreeSet::new(),
            listing: Listing::default(),
            outbox: Outbox::new(options.send_window),
            desk: Desk::default(),
            faults: Faults::default(),
        }
    }

    /// Whose device it is.
    #[must_use]
    pub const fn me(&self) -> UserId {
        self.me
    }

    /// What is to be done now, in order.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        self.desk.take()
    }

    /// Whether events flow.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether everything heard of is held, everything said is durable, and nothing is under way.
    #[must_use]
    pub fn is_level(&self) -> bool {
        self.connected
            && !self.listing.due
            && self.desk.idle()
            && self.outbox.is_empty()
            && self.conversations.values().all(|held| held.is_level())
    }

    /// A frame came. `hello` is what makes it connected.
    pub fn frame(&mut self, received: Received<'_>) {
        self.read(received);
        self.react();
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        if std::mem::take(&mut self.connected) {
            self.desk.push(Output::Notify(Event::Disconnected));
        }
        self.outbox.disconnected();
        self.react();
    }

    /// The answer to a request came.
    pub fn answer(&mut self, id: RequestId, answer: Answer) {
        let Some(asked) = self.desk.close(id) else {
            return;
        };
        let (me, options, faults) = (self.me, self.options, self.faults);
        match (asked, answer) {
            (Asked::Sync, Answer::Sync(answer)) => self.listed(answer),
            (Asked::Changes(of) | Asked::Page(of) | Asked::Members(of), answer) => {
                for (client_id, seq) in own_messages(&answer, me) {
                    self.own_seen(of, client_id, seq);
                }
                self.touched.insert(of);
                if let Some(conversation) = self.conversations.get_mut(&of) {
                    conversation.answer(id, answer, me, &mut self.desk, options, faults);
                }
            }
            (Asked::Sync, _) => self.listing.failed(false),
        }
        self.react();
    }

    /// A request has no answer; see [`Failure`].
    pub fn failed(&mut self, id: RequestId, failure: &Failure) {
        let Some(asked) = self.desk.close(id) else {
            return;
        };
        if let Failure::Refused(error) = failure
            && error.code == TOKEN_OVER
        {
            self.desk.push(Output::Notify(Event::SignedOut));
        }
        match asked {
            Asked::Sync => self.listing.failed(matches!(failure, Failure::Refused(_))),
            Asked::Changes(of) | Asked::Page(of) | Asked::Members(of) => {
                self.touched.insert(of);
                let lost = self
                    .conversations
                    .get_mut(&of)
                    .is_some_and(|held| held.failed(asked, failure, &mut self.desk));
                if lost {
                    self.remove(of);
                }
            }
        }
        self.react();
    }

    /// The wait that [`Output::Hold`] asked for is over.
    pub fn release(&mut self, conversation: ConversationId) {
        self.outbox.release(conversation);
        self.react();
    }

    /// The user looks at a conversation: its newest messages are loaded and kept up to date.
    pub fn open(&mut self, conversation: ConversationId) {
        let held = self.conversation_mut(conversation);
        held.open = true;
        held.want(Want::Newest);
        self.react();
    }

    /// The user jumps into a conversation; what was loaded of it is let go.
    pub fn open_at(&mut self, conversation: ConversationId, position: Position) {
        self.close(conversation);
        let held = self.conversation_mut(conversation);
        held.open = true;
        held.want(Want::Around(position));
        self.react();
    }

    /// The user looks away: its messages are let go. What was heard of it is kept.
    pub fn close(&mut self, conversation: ConversationId) {
        if let Some(held) = self.conversations.get_mut(&conversation) {
            held.open = false;
            held.close(&mut self.desk);
        }
    }

    /// Loads a page before what is shown; false when there is none or one is on its way.
    pub fn load_older(&mut self, conversation: ConversationId) -> bool {
        let wanted = self.conversation_mut(conversation).want(Want::Before);
        self.react();
        wanted
    }

    /// Loads a page after what is shown; false when there is none or one is on its way.
    pub fn load_newer(&mut self, conversation: ConversationId) -> bool {
        let wanted = self.conversation_mut(conversation).want(Want::After);
        self.react();
        wanted
    }

    /// Says something in a conversation. `client_id` must be new, and is kept over every retry.
    pub fn send(
        &mut self,
        conversation: ConversationId,
        message: OutgoingMessage<'static>,
        client_id: String,
    ) {
        self.push_send(conversation, SendTarget::Conversation(conversation), message, client_id);
    }

    /// Says something to a user; the direct conversation begins with it. Its id is returned.
    pub fn send_to(
        &mut self,
        user: UserId,
        message: OutgoingMessage<'static>,
        client_id: String,
    ) -> ConversationId {
        let conversation = ConversationId::direct(self.me, user);
        let target = SendTarget::User(UserRef::Id(user));
        self.push_send(conversation, target, message, client_id);
        conversation
    }

    fn push_send(
        &mut self,
        conversation: ConversationId,
        target: SendTarget,
        message: OutgoingMessage<'static>,
        client_id: String,
    ) {
        let message = OutgoingMessage { client_id: Some(client_id.into()), ..message };
        let send = SendMessage { target, message };
        self.push(conversation, Outgoing::Send(send));
    }

    /// Changes what one said.
    pub fn edit(
        &mut self,
        conversation: ConversationId,
        seq: Seq,
        content: String,
        if_content_rev: Option<Rev>,
    ) {
        let edit = EditMessage {
            conversation_id: conversation,
            seq,
            content: content.into(),
            if_content_rev,
        };
        self.push(conversation, Outgoing::Edit(edit));
    }

    /// Deletes a message for everyone.
    pub fn delete(&mut self, conversation: ConversationId, seq: Seq) {
        let delete =
            DeleteMessage { conversation_id: conversation, seq, scope: DeleteScope::Everyone };
        self.push(conversation, Outgoing::Delete(delete));
    }

    /// Adds one's own reaction, or takes it away.
    pub fn react_to(
        &mut self,
        conversation: ConversationId,
        seq: Seq,
        emoji: String,
        remove: bool,
    ) {
        let react = React { conversation_id: conversation, seq, emoji: emoji.into(), remove };
        self.push(conversation, Outgoing::React(react));
    }

    fn push(&mut self, conversation: ConversationId, command: Outgoing) {
        self.outbox.push(conversation, command);
        self.desk.changed(conversation);
        self.react();
    }

    /// Everything up to a message is read.
    pub fn mark_read(&mut self, conversation: ConversationId, seq: Seq) {
        self.outbox.mark(conversation, MarkKind::Read, seq);
        self.react();
    }

    /// Everything up to a message has reached this device.
    pub fn mark_delivered(&mut self, conversation: ConversationId, seq: Seq) {
        self.outbox.mark(conversation, MarkKind::Delivered, seq);
        self.react();
    }

    /// Tries a failed send again, under the same client id; false when there is none.
    pub fn retry(&mut self, conversation: ConversationId, client_id: &str) -> bool {
        let found = self.outbox.retry(conversation, client_id);
        self.desk.changed(conversation);
        self.react();
        found
    }

    /// Gives a failed send up; false when there is none.
    pub fn discard(&mut self, conversation: ConversationId, client_id: &str) -> bool {
        let found = self.outbox.discard(conversation, client_id);
        self.desk.changed(conversation);
        found
    }

    fn conversation_mut(&mut self, id: ConversationId) -> &mut Conversation {
        touch(&mut self.conversations, &mut self.touched, id)
    }

    /// A message of one's own is in the conversation: it is through, whoever says so.
    fn own_seen(&mut self, conversation: ConversationId, client_id: String, seq: Seq) {
        if self.outbox.seen(conversation, &client_id) {
            self.desk.push(Output::Notify(Event::Sent { conversation, client_id, seq }));
        }
    }

    fn connected(&mut self, max_in_flight: u32) {
        self.connected = true;
        self.outbox.in_flight_max = usize::try_from(max_in_flight).unwrap_or(usize::MAX).max(1);
        self.desk.push(Output::Notify(Event::Connected));
        self.catch_up();
    }

    /// Events may have been missed.
    fn catch_up(&mut self) {
        self.listing.due = true;
        let options = self.options;
        for (id, conversation) in &mut self.conversations {
            conversation.catch_up(options);
            self.touched.insert(*id);
        }
    }

    /// An answer of `/sync`.
    fn listed(&mut self, answer: ostracon_proto::rest::Sync<'static>) {
        let next = self.listing.answer(&answer);
        let (me, faults, user_rev) = (self.me, self.faults, answer.user_rev);
        for id in answer.removed {
            self.remove(id);
        }
        for entry in answer.conversations {
            let id = entry.conversation.conversation_id;
            let newest = entry.last_message.as_ref().filter(|last| last.sender_id != me);
            if self.options.auto_delivered
                && let Some(seq) = newest.map(|last| last.seq)
                && seq > entry.membership.delivered_seq
                && entry.membership.left_seq.is_none()
            {
                self.outbox.mark(id, MarkKind::Delivered, seq);
            }
            let conversation = touch(&mut self.conversations, &mut self.touched, id);
            conversation.entry(entry, user_rev, me, &mut self.desk, faults);
        }
        if let Next::Only(named) = &next {
            let unnamed = self.conversations.iter().filter(|(id, _)| !named.contains(id));
            let (fresh, gone): (Vec<_>, Vec<_>) =
                unnamed.map(|(id, held)| (*id, held.fresh)).partition(|(_, fresh)| *fresh);
            // What was heard of meanwhile may be younger than the listing.
            self.listing.due |= !fresh.is_empty();
            for (id, _) in gone {
                self.remove(id);
            }
        }
        if next != Next::More {
            self.desk.push(Output::Notify(Event::Synced));
        }
    }

    /// A conversation is gone. One that is looked at stays as an empty place: it may come (back).
    fn remove(&mut self, id: ConversationId) {
        self.outbox.forget_marks(id);
        let Some(mut held) = self.conversations.remove(&id) else {
            return;
        };
        held.close(&mut self.desk);
        if held.open {
            let mut empty = Box::new(Conversation::new(id));
            empty.open = true;
            self.conversations.insert(id, empty);
        }
        self.desk.push(Output::Notify(Event::Removed(id)));
    }

    /// Asks and sends what is due now.
    fn react(&mut self) {
        for id in self.desk.take_dropped() {
            self.outbox.forget_marks(id);
        }
        if self.connected {
            if self.listing.react(&mut self.desk, self.options.sync_limit) {
                for conversation in self.conversations.values_mut() {
                    conversation.fresh = false;
                }
            }
            self.outbox.pump(&mut self.desk);
        }
        for id in std::mem::take(&mut self.touched) {
            if let Some(conversation) = self.conversations.get_mut(&id) {
                conversation.react(&mut self.desk, self.options);
            }
        }
    }
}

/// A conversation about which something was heard.
fn touch<'a>(
    conversations: &'a mut BTreeMap<ConversationId, Box<Conversation>>,
    touched: &mut BTreeSet<ConversationId>,
    id: ConversationId,
) -> &'a mut Conversation {
    touched.insert(id);
    conversations.entry(id).or_insert_with(|| Box::new(Conversation::new(id)))
}

/// Client id and seq of one's own messages in an answer.
fn own_messages(answer: &Answer, me: UserId) -> Vec<(String, Seq)> {
    let messages = match answer {
        Answer::Changes(changes) => &changes.messages[..],
        Answer::Page(page) => &page.messages[..],
        Answer::Sync(_) | Answer::Members(_) => &[],
    };
    let own = messages.iter().filter(|message| message.sender_id == me);
    own.filter_map(|message| Some((message.client_id.as_deref()?.to_owned(), message.seq)))
        .collect()
}
