//! What a user said and the server has not yet taken: in order for each conversation, with the same
//! client id over every retry. After a retryable refusal later sends of that conversation wait until
//! the first is through.

use super::output::{Desk, Output};
use ostracon_domain::{ConversationId, Seq};
use ostracon_proto::{
    ErrorObject,
    frame::{
        ClientFrame, Command, DeleteMessage, EditMessage, FrameRef, Mark, MarkTarget, React,
        SendMessage,
    },
};
use std::collections::{BTreeMap, VecDeque};

/// A command that must become durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outgoing {
    Send(SendMessage<'static>),
    Edit(EditMessage<'static>),
    Delete(DeleteMessage),
    React(React<'static>),
}

/// Which of one's own marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MarkKind {
    Delivered,
    Read,
}

/// Commands and marks that wait for their answer.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    queues: BTreeMap<ConversationId, Queue>,
    marks: BTreeMap<(ConversationId, MarkKind), OwnMark>,
    under_way: BTreeMap<i64, UnderWay>,
    last_reference: i64,
    /// Something may have become due since the last look.
    dirty: bool,
    /// Commands of one conversation that may be under way at once.
    window: usize,
    /// Commands that may be under way in all; the server names it.
    pub(super) in_flight_max: usize,
}

#[derive(Debug, Clone, Default)]
struct Queue {
    items: VecDeque<Item>,
    gate: Gate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Gate {
    #[default]
    Open,
    /// Refused for now: nothing is sent.
    Waiting { attempt: u32 },
    /// Only the first is tried.
    Trying { attempt: u32 },
}

#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) command: Outgoing,
    reference: Option<i64>,
    /// Refused for good; it stays until the user decides.
    pub(super) error: Option<ErrorObject>,
}

#[derive(Debug, Clone, Copy, Default)]
struct OwnMark {
    wanted: Seq,
    done: Seq,
    reference: Option<i64>,
    waiting: bool,
}

#[derive(Debug, Clone, Copy)]
enum UnderWay {
    Command(ConversationId),
    Mark(ConversationId, MarkKind, Seq),
}

/// What an answer was an answer to.
#[derive(Debug)]
pub(super) enum Done {
    Command(ConversationId, Outgoing),
    Mark(ConversationId, MarkKind, Seq),
}

/// What a refusal was a refusal of.
#[derive(Debug)]
pub(super) enum Refused {
    /// It waits now and is tried again.
    Held,
    /// A send failed for good and stays among the failed ones.
    Send(ConversationId, String),
    /// Something else failed for good and is gone.
    Other(ConversationId),
}

impl Outgoing {
    fn frame(&self) -> Command<'static> {
        match self {
            Self::Send(data) => Command::SendMessage(data.clone()),
            Self::Edit(data) => Command::EditMessage(data.clone()),
            Self::Delete(data) => Command::DeleteMessage(data.clone()),
            Self::React(data) => Command::React(data.clone()),
        }
    }

    pub(super) fn client_id(&self) -> Option<&str> {
        match self {
            Self::Send(send) => send.message.client_id.as_deref(),
            _ => None,
        }
    }
}

impl Item {
    pub(super) fn is_under_way(&self) -> bool {
        self.reference.is_some()
    }
}

impl Outbox {
    pub(super) fn new(window: usize) -> Self {
        Self {
            queues: BTreeMap::new(),
            marks: BTreeMap::new(),
            under_way: BTreeMap::new(),
            last_reference: 0,
            dirty: false,
            window: window.max(1),
            in_flight_max: 1,
        }
    }

    pub(super) fn push(&mut self, conversation: ConversationId, command: Outgoing) {
        self.dirty = true;
        let queue = self.queues.entry(conversation).or_default();
        queue.items.push_back(Item { command, reference: None, error: None });
    }

    /// A mark is to reach `seq`; lower than before changes nothing.
    pub(super) fn mark(&mut self, conversation: ConversationId, kind: MarkKind, seq: Seq) {
        self.dirty = true;
        let mark = self.marks.entry((conversation, kind)).or_default();
        mark.wanted = mark.wanted.max(seq);
    }

    /// What waits in a conversation, in order.
    pub(super) fn items(&self, conversation: ConversationId) -> impl Iterator<Item = &Item> {
        let queue = self.queues.get(&conversation);
        queue.into_iter().flat_map(|queue| &queue.items)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.values().all(|queue| queue.items.iter().all(|item| item.error.is_some()))
            && self.marks.values().all(|mark| mark.done >= mark.wanted)
    }

    /// Sends what may be sent.
    pub(super) fn pump(&mut self, desk: &mut Desk) {
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        self.queues.retain(|_, queue| !queue.items.is_empty());
        for (conversation, queue) in &mut self.queues {
            let window = match queue.gate {
                Gate::Open => self.window,
                Gate::Waiting { .. } => 0,
                Gate::Trying { .. } => 1,
            };
            let live = queue.items.iter_mut().filter(|item| item.error.is_none());
            for item in live.take(window).filter(|item| item.reference.is_none()) {
                if self.under_way.len() >= self.in_flight_max {
                    // The next answer looks again.
                    return;
                }
                self.last_reference += 1;
                item.reference = Some(self.last_reference);
                let what = UnderWay::Command(*conversation);
                self.under_way.insert(self.last_reference, what);
                desk.push(frame(self.last_reference, item.command.frame()));
            }
        }
        for ((conversation, kind), mark) in &mut self.marks {
            let due = mark.wanted > mark.done && mark.reference.is_none() && !mark.waiting;
            if !due || self.under_way.len() >= self.in_flight_max {
                continue;
            }
            self.last_reference += 1;
            mark.reference = Some(self.last_reference);
            let what = UnderWay::Mark(*conversation, *kind, mark.wanted);
            self.under_way.insert(self.last_reference, what);
            let data = Mark { conversation_id: *conversation, up_to: MarkTarget::Seq(mark.wanted) };
            let command = match kind {
                MarkKind::Delivered => Command::MarkDelivered(data),
                MarkKind::Read => Command::MarkRead(data),
            };
            desk.push(frame(self.last_reference, command));
        }
    }

    /// The answer with this reference came.
    pub(super) fn done(&mut self, reference: i64) -> Option<Done> {
        self.dirty = true;
        match self.under_way.remove(&reference)? {
            UnderWay::Command(conversation) => {
                let queue = self.queues.get_mut(&conversation)?;
                let at = queue.position(reference)?;
                Some(Done::Command(conversation, queue.remove(at)?.command))
            }
            UnderWay::Mark(conversation, kind, seq) => {
                let mark = self.marks.get_mut(&(conversation, kind))?;
                mark.reference = None;
                mark.done = mark.done.max(seq);
                Some(Done::Mark(conversation, kind, seq))
            }
        }
    }

    /// A message of one's own was seen in the conversation: it is through, whoever says so.
    pub(super) fn seen(&mut self, conversation: ConversationId, client_id: &str) -> bool {
        self.dirty = true;
        let Some(queue) = self.queues.get_mut(&conversation) else {
            return false;
        };
        let same = |item: &Item| item.command.client_id() == Some(client_id);
        let Some(at) = queue.items.iter().position(same) else {
            return false;
        };
        if let Some(reference) = queue.items[at].reference {
            self.under_way.remove(&reference);
        }
        queue.remove(at).is_some()
    }

    /// The refusal with this reference came.
    pub(super) fn refused(
        &mut self,
        reference: i64,
        error: &ErrorObject,
        desk: &mut Desk,
    ) -> Option<Refused> {
        self.dirty = true;
        let retry = error.code.retryable();
        let hold = |conversation, attempt| Output::Hold {
            conversation,
            attempt,
            retry_after_ms: error.retry_after_ms,
        };
        match self.under_way.remove(&reference)? {
            UnderWay::Command(conversation) => {
                let queue = self.queues.get_mut(&conversation)?;
                let at = queue.position(reference)?;
                if retry {
                    queue.items[at].reference = None;
                    let attempt = match queue.gate {
                        Gate::Open => 0,
                        Gate::Trying { attempt } => attempt + 1,
                        // Another one was refused before: its wait counts for all.
                        Gate::Waiting { .. } => return Some(Refused::Held),
                    };
                    queue.gate = Gate::Waiting { attempt };
                    desk.push(hold(conversation, attempt));
                    return Some(Refused::Held);
                }
                if let Some(client_id) = queue.items[at].command.client_id().map(str::to_owned) {
                    queue.items[at].reference = None;
                    queue.items[at].error = Some(error.clone());
                    queue.open();
                    return Some(Refused::Send(conversation, client_id));
                }
                queue.remove(at);
                Some(Refused::Other(conversation))
            }
            UnderWay::Mark(conversation, kind, seq) => {
                let mark = self.marks.get_mut(&(conversation, kind))?;
                mark.reference = None;
                if retry {
                    mark.waiting = true;
                    desk.push(hold(conversation, 0));
                    return Some(Refused::Held);
                }
                mark.done = mark.done.max(seq);
                Some(Refused::Other(conversation))
            }
        }
    }

    /// The wait of a conversation is over: its first command is tried again.
    pub(super) fn release(&mut self, conversation: ConversationId) {
        self.dirty = true;
        if let Some(queue) = self.queues.get_mut(&conversation)
            && let Gate::Waiting { attempt } = queue.gate
        {
            queue.gate = Gate::Trying { attempt };
        }
        for kind in [MarkKind::Delivered, MarkKind::Read] {
            if let Some(mark) = self.marks.get_mut(&(conversation, kind)) {
                mark.waiting = false;
            }
        }
    }

    /// The connection is gone: what has no answer is sent again on the next one.
    pub(super) fn disconnected(&mut self) {
        self.dirty = true;
        self.under_way.clear();
        for queue in self.queues.values_mut() {
            for item in &mut queue.items {
                item.reference = None;
            }
        }
        for mark in self.marks.values_mut() {
            mark.reference = None;
        }
    }

    /// Tries a failed send once more, under the same client id and at its old place.
    pub(super) fn retry(&mut self, conversation: ConversationId, client_id: &str) -> bool {
        self.dirty = true;
        let queue = self.queues.get_mut(&conversation);
        let item = queue.and_then(|queue| {
            let mut failed = queue.items.iter_mut().filter(|item| item.error.is_some());
            failed.find(|item| item.command.client_id() == Some(client_id))
        });
        item.is_some_and(|item| item.error.take().is_some())
    }

    /// Gives a failed send up.
    pub(super) fn discard(&mut self, conversation: ConversationId, client_id: &str) -> bool {
        let Some(queue) = self.queues.get_mut(&conversation) else {
            return false;
        };
        let before = queue.items.len();
        queue
            .items
            .retain(|item| item.error.is_none() || item.command.client_id() != Some(client_id));
        queue.items.len() < before
    }

    /// Nothing is sent into a conversation that is gone.
    pub(super) fn forget_marks(&mut self, conversation: ConversationId) {
        for kind in [MarkKind::Delivered, MarkKind::Read] {
            self.marks.remove(&(conversation, kind));
        }
    }
}

impl Queue {
    fn position(&self, reference: i64) -> Option<usize> {
        let same = |item: &Item| item.reference == Some(reference);
        self.items.iter().position(same)
    }

    /// Takes a command out; when the first is through, the others may follow.
    fn remove(&mut self, at: usize) -> Option<Item> {
        let item = self.items.remove(at);
        if self.items.iter().take(at).all(|item| item.error.is_some()) {
            self.open();
        }
        item
    }

    fn open(&mut self) {
        self.gate = Gate::Open;
    }
}

fn frame(reference: i64, command: Command<'static>) -> Output {
    Output::Frame(ClientFrame { id: Some(FrameRef::number(reference)), command })
}
