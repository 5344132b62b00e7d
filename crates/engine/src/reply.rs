//! Where the answer to a command goes: a frame on the connection it came from, or a waiting call.

use std::sync::Arc;

use ostracon_domain::{Conversation, Outcome};
use ostracon_proto::frame::{Done as DoneFrame, FrameRef, MessageSent};
use tokio::sync::oneshot;

use crate::{connection::Connection, error::EngineError, view};

/// What a command answered, with the conversation as of that command.
#[derive(Debug, Clone)]
pub struct Done {
    /// The result.
    pub outcome: Outcome,
    /// The conversation, if the command changed it.
    pub conversation: Option<Arc<Conversation>>,
}

/// Where an answer goes.
#[derive(Debug)]
pub(crate) enum Reply {
    /// To a connection, which has counted the command as in flight.
    Frame { connection: Arc<Connection>, id: Option<FrameRef> },
    /// To a connection, for marks that were committed as one.
    Marks { connection: Arc<Connection>, ids: Vec<Option<FrameRef>> },
    /// To a call that waits.
    Call(oneshot::Sender<Result<Done, EngineError>>),
    /// To a lane.
    Lane(oneshot::Sender<ListAnswer>),
}

/// What a lane has to know about changes of a user's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListAnswer {
    /// They are durable.
    Committed,
    /// The user's unit is between two shards; nothing was changed.
    Fenced,
    /// They may not be durable.
    Failed,
}

impl Reply {
    /// The connection that must not get the events of its own command.
    pub(crate) fn origin(&self) -> Option<&Arc<Connection>> {
        match self {
            Self::Frame { connection, .. } | Self::Marks { connection, .. } => Some(connection),
            Self::Call(_) | Self::Lane(_) => None,
        }
    }

    pub(crate) fn fail(self, error: EngineError) {
        match self {
            Self::Frame { connection, id } => connection.finish(id.as_ref(), &error.object()),
            Self::Marks { connection, ids } => {
                let object = error.object();
                ids.iter().for_each(|id| connection.finish(id.as_ref(), &object));
            }
            // The caller went away: nobody is left to tell.
            Self::Call(call) => drop(call.send(Err(error))),
            Self::Lane(lane) => drop(lane.send(ListAnswer::Failed)),
        }
    }

    /// The shard does not serve the unit, and the command is not parked.
    pub(crate) fn fenced(self) {
        match self {
            Self::Lane(lane) => drop(lane.send(ListAnswer::Fenced)),
            other => other.fail(EngineError::Busy),
        }
    }

    pub(crate) fn done(self, outcome: Outcome, conversation: Option<&Arc<Conversation>>) {
        match self {
            Self::Frame { connection, id } => {
                answer_frame(&connection, id.as_ref(), &outcome);
            }
            Self::Marks { connection, ids } => {
                ids.iter().for_each(|id| answer_frame(&connection, id.as_ref(), &outcome));
            }
            Self::Call(call) => {
                let conversation = conversation.cloned();
                drop(call.send(Ok(Done { outcome, conversation })));
            }
            Self::Lane(lane) => drop(lane.send(ListAnswer::Committed)),
        }
    }
}

fn answer_frame(connection: &Connection, id: Option<&FrameRef>, outcome: &Outcome) {
    match outcome {
        Outcome::Sent { message, mark_rev, history, .. } => {
            let shown =
                view::own_message(message, Some(*history), Some(*mark_rev), &*connection.addresses);
            let sent = MessageSent {
                message_id: message.message.message_id,
                conversation_id: message.message.conversation,
                seq: message.message.seq,
                rev: message.message.rev,
                history: *history,
                timestamp: message.message.created_at,
                client_id: shown.client_id.clone(),
                message: shown,
            };
            connection.finish(id, &sent);
        }
        Outcome::Changed { message, history } => {
            let message =
                view::message_for(message, connection.user, Some(*history), &*connection.addresses);
            connection.finish(id, &DoneFrame { message: Some(message), ..DoneFrame::default() });
        }
        Outcome::Deleted { rev, history, at, by, .. } => {
            let done = DoneFrame {
                rev: Some(*rev),
                history: Some(*history),
                deleted_at: Some(*at),
                deleted_by: Some(*by),
                ..DoneFrame::default()
            };
            connection.finish(id, &done);
        }
        Outcome::Hidden { annex, history, .. } => {
            let (mark_rev, history) = (Some(annex.number), Some(*history));
            connection.finish(id, &DoneFrame { mark_rev, history, ..DoneFrame::default() });
        }
        _ => connection.finish(id, &DoneFrame::default()),
    }
}
