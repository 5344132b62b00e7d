//! What a device wants done: requests, frames, waits, and what its user should look at again.
//! Doing it is the work of a driver.

use ostracon_domain::{ConversationId, History, MarkRev, Rev, Seq};
use ostracon_proto::{
    ErrorObject,
    frame::ClientFrame,
    rest::{Anchor, Changes, Members, MessagePage, Sync},
};
use std::collections::BTreeMap;

/// Names a request of one device; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

/// A REST call to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `GET /sync`.
    Sync {
        /// Where the last answer ended.
        cursor: Option<String>,
        /// How many conversations.
        limit: u32,
    },
    /// `GET …/changes`.
    Changes {
        /// Of which conversation.
        conversation: ConversationId,
        /// Changes above this.
        since_rev: Rev,
        /// Marks above this.
        since_mark: MarkRev,
        /// The line of numbers that the two belong to.
        history: Option<History>,
        /// How many rows.
        limit: u32,
    },
    /// `GET …/messages`.
    Page {
        /// Of which conversation.
        conversation: ConversationId,
        /// Which page.
        anchor: Anchor,
        /// How many messages.
        limit: u32,
    },
    /// `GET …/members`.
    Members {
        /// Of which conversation.
        conversation: ConversationId,
        /// Where the page before ended.
        cursor: Option<String>,
    },
}

/// The answer to a request, of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// To [`Request::Sync`].
    Sync(Sync<'static>),
    /// To [`Request::Changes`].
    Changes(Changes<'static>),
    /// To [`Request::Page`].
    Page(MessagePage<'static>),
    /// To [`Request::Members`].
    Members(Members),
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It was lost or refused for now. The device asks again at once: wait before telling it.
    Again,
    /// It was refused for good.
    Refused(Box<ErrorObject>),
}

/// Something to do. Outputs are to be done in their order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Make a call and hand its answer to [`Device::answer`](super::Device::answer).
    Ask(RequestId, Request),
    /// The answer is of no use any more. One that comes all the same is ignored.
    Cancel(RequestId),
    /// Send a frame over the socket.
    Frame(ClientFrame<'static>),
    /// Sends of this conversation wait after a retryable refusal: call
    /// [`Device::release`](super::Device::release) after a delay.
    Hold {
        /// The conversation.
        conversation: ConversationId,
        /// Refusals in a row before this one.
        attempt: u32,
        /// What the server asked for, in milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// Tell the user interface.
    Notify(Event),
}

/// What a user interface should know. What changed is read from a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Events flow; sends go out.
    Connected,
    /// They do not; the device comes back by itself.
    Disconnected,
    /// The chat list is level with the server.
    Synced,
    /// Something of a conversation changed: messages, members, marks, unread, what waits to be sent.
    Changed(ConversationId),
    /// The conversation is gone from the list.
    Removed(ConversationId),
    /// A message is durable.
    Sent {
        /// Where.
        conversation: ConversationId,
        /// The id given when it was sent.
        client_id: String,
        /// Its place.
        seq: Seq,
    },
    /// A message was refused for good; it stays among the failed ones.
    SendFailed {
        /// Where.
        conversation: ConversationId,
        /// The id given when it was sent.
        client_id: String,
        /// Why.
        error: ErrorObject,
    },
    /// Another command was refused for good.
    Refused {
        /// Where.
        conversation: ConversationId,
        /// Why.
        error: ErrorObject,
    },
    /// Events were dropped, because nobody read them in time: look at everything again. Only from
    /// [`Events`](crate::client::Events).
    Missed,
    /// The session is over; only a new token helps.
    SignedOut,
    /// The connection cannot be opened again by itself.
    Stopped(String),
}

/// What a request under way is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Sync,
    Changes(ConversationId),
    Page(ConversationId),
    Members(ConversationId),
}

/// Requests under way, and outputs not yet taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Desk {
    last_id: u64,
    asked: BTreeMap<RequestId, Asked>,
    outputs: Vec<Output>,
    dropped: Vec<ConversationId>,
}

impl Desk {
    pub(super) fn ask(&mut self, about: Asked, request: Request) -> RequestId {
        self.last_id += 1;
        let id = RequestId(self.last_id);
        self.asked.insert(id, about);
        self.outputs.push(Output::Ask(id, request));
        id
    }

    pub(super) fn cancel(&mut self, id: Option<RequestId>) {
        if let Some(id) = id
            && self.asked.remove(&id).is_some()
        {
            self.outputs.push(Output::Cancel(id));
        }
    }

    /// What an answer is about; `None` for one that nobody waits for.
    pub(super) fn close(&mut self, id: RequestId) -> Option<Asked> {
        self.asked.remove(&id)
    }

    pub(super) fn idle(&self) -> bool {
        self.asked.is_empty()
    }

    pub(super) fn push(&mut self, output: Output) {
        self.outputs.push(output);
    }

    /// Told once, however often it changes before somebody looks.
    pub(super) fn changed(&mut self, conversation: ConversationId) {
        let event = Output::Notify(Event::Changed(conversation));
        if !self.outputs.contains(&event) {
            self.outputs.push(event);
        }
    }

    /// What a conversation had reached belongs to another history now.
    pub(super) fn dropped(&mut self, conversation: ConversationId) {
        self.dropped.push(conversation);
    }

    pub(super) fn take_dropped(&mut self) -> Vec<ConversationId> {
        std::mem::take(&mut self.dropped)
    }

    pub(super) fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }
}
