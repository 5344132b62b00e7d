//! What clients send: commands and the heartbeat. Reading borrows from the frame where it can and
//! never follows nesting. Whether a command is allowed is not known here.

use super::{FrameRef, PresenceOf, Typing, encode};
use crate::{Body, Encoding, ErrorCode, ErrorObject, Invalid, UserRef, body, schema, text};
use ostracon_domain::{ConversationId, Mention, MessageId, MessageKind, Rev, Seq};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// One frame of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFrame<'a> {
    /// The client's own reference; comes back in the answer.
    pub id: Option<FrameRef>,
    /// What it wants.
    pub command: Command<'a>,
}

/// What a client can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// Answer: `message_sent`.
    SendMessage(SendMessage<'a>),
    /// Answer: `ok` with the message.
    EditMessage(EditMessage<'a>),
    /// Answer: `ok` with rev, time and author of the deletion.
    DeleteMessage(DeleteMessage),
    /// Answer: `ok` with the message.
    React(React<'a>),
    /// Answer: `ok`.
    MarkRead(Mark),
    /// Answer: `ok`.
    MarkDelivered(Mark),
    /// No answer.
    Typing(Typing),
    /// Answer: `ok`, and a `presence_update` of each user.
    PresenceSubscribe(PresenceOf),
    /// Answer: `ok`.
    PresenceUnsubscribe(PresenceOf),
    /// Answer: `heartbeat`.
    Heartbeat,
}

/// Why a frame is not a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not JSON (or CBOR) at all: close with 4400.
    #[error("not a frame")]
    Unparsable,
    /// Answer with `error`; the connection stays.
    #[error("{}: {}", .error.code, .error.message)]
    Refused {
        /// The client's reference, where it could be read.
        id: Option<FrameRef>,
        /// The data of the `error` frame.
        error: Box<ErrorObject>,
    },
}

/// The data of a message that is to be sent; the same on both transports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OutgoingMessage<'a> {
    /// The text: at most 10,000 UTF-16 units, not empty.
    #[serde(borrow)]
    pub content: Cow<'a, str>,
    /// `text` when left out; `system` is the server's own.
    #[serde(rename = "type", default = "plain_text")]
    #[schema(value_type = Option<schema::MessageKind>)]
    pub kind: MessageKind,
    /// Your own id of this send, at most 64 bytes without control characters: makes a retry harmless.
    #[serde(borrow, default, deserialize_with = "text::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Cow<'a, str>>,
    /// Seq of the message it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub reply_to: Option<Seq>,
    /// Users named in the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<schema::Mention>, required = false)]
    pub mentions: Vec<Mention>,
    /// Files, at most ten: what you have uploaded, or may read.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub attachments: Vec<AttachmentRef<'a>>,
}

/// A file to attach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AttachmentRef<'a> {
    /// Its id.
    #[serde(borrow)]
    pub media_id: Cow<'a, str>,
}

/// Files of one message.
pub const ATTACHMENTS_MAX: usize = 10;

const fn plain_text() -> MessageKind {
    MessageKind::Text
}

impl<'a> OutgoingMessage<'a> {
    /// Plain text without anything else.
    pub fn text(content: impl Into<Cow<'a, str>>) -> Self {
        Self {
            content: content.into(),
            kind: MessageKind::Text,
            client_id: None,
            reply_to: None,
            mentions: Vec::new(),
            attachments: Vec::new(),
        }
    }
}

/// `OutgoingMessage` is checked as `SendMessage` is.
#[derive(Deserialize)]
#[doc(hidden)]
#[derive(Debug)]
pub struct OutgoingWire<'a> {
    #[serde(default)]
    conversation_id: Option<ConversationId>,
    #[serde(default)]
    to: Option<UserRef>,
    #[serde(borrow)]
    content: Cow<'a, str>,
    #[serde(rename = "type", default = "plain_text")]
    kind: MessageKind,
    #[serde(borrow, default, deserialize_with = "text::optional")]
    client_id: Option<Cow<'a, str>>,
    #[serde(default)]
    reply_to: Option<Seq>,
    #[serde(default, deserialize_with = "body::objects")]
    mentions: Vec<Mention>,
    #[serde(borrow, default, deserialize_with = "body::objects")]
    attachments: Vec<AttachmentRef<'a>>,
}

impl<'a> Body<'a> for OutgoingMessage<'a> {
    type Wire = OutgoingWire<'a>;

    fn check(wire: OutgoingWire<'a>) -> Result<Self, Invalid> {
        if wire.kind == MessageKind::System {
            return Err(Invalid::new("type", "is made by the server only"));
        }
        if wire.attachments.len() > ATTACHMENTS_MAX {
            return Err(Invalid::new("attachments", "must be ten at most"));
        }
        Ok(Self {
            content: wire.content,
            kind: wire.kind,
            client_id: wire.client_id,
            reply_to: wire.reply_to,
            mentions: wire.mentions,
            attachments: wire.attachments,
        })
    }
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendTarget {
    /// Into a conversation.
    Conversation(ConversationId),
    /// To a user: the direct conversation, which begins with its first message.
    User(UserRef),
}

/// `send_message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendMessage<'a> {
    /// Where to.
    pub target: SendTarget,
    /// What.
    pub message: OutgoingMessage<'a>,
}

impl<'a> Body<'a> for SendMessage<'a> {
    type Wire = OutgoingWire<'a>;

    fn check(mut wire: OutgoingWire<'a>) -> Result<Self, Invalid> {
        let target = match (wire.conversation_id.take(), wire.to.take()) {
            (Some(conversation), None) => SendTarget::Conversation(conversation),
            (None, Some(user)) => SendTarget::User(user),
            (None, None) => {
                return Err(Invalid::new("conversation_id", "is needed, or `to`"));
            }
            (Some(_), Some(_)) => {
                return Err(Invalid::new("to", "must be left out beside `conversation_id`"));
            }
        };
        Ok(Self { target, message: OutgoingMessage::check(wire)? })
    }
}

impl Serialize for SendMessage<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a, 'b> {
            #[serde(skip_serializing_if = "Option::is_none")]
            conversation_id: Option<ConversationId>,
            #[serde(skip_serializing_if = "Option::is_none")]
            to: Option<&'a UserRef>,
            #[serde(flatten)]
            message: &'a OutgoingMessage<'b>,
        }
        let (conversation_id, to) = match &self.target {
            SendTarget::Conversation(id) => (Some(*id), None),
            SendTarget::User(user) => (None, Some(user)),
        };
        Wire { conversation_id, to, message: &self.message }.serialize(out)
    }
}

/// `edit_message`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EditMessage<'a> {
    /// The conversation.
    #[schema(value_type = schema::ConversationId)]
    pub conversation_id: ConversationId,
    /// The message.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// The new text.
    #[serde(borrow)]
    pub content: Cow<'a, str>,
    /// Only if the content is still the one of this number; else `conflict`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub if_content_rev: Option<Rev>,
}

/// For whom a message is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeleteScope {
    /// Nobody sees its content any more.
    #[default]
    Everyone,
    /// Only the caller does not see it any more.
    Me,
}

/// `delete_message`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeleteMessage {
    /// The conversation.
    #[schema(value_type = schema::ConversationId)]
    pub conversation_id: ConversationId,
    /// The message.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// For whom; `everyone` when left out.
    #[serde(rename = "for", default)]
    #[schema(inline, required = false)]
    pub scope: DeleteScope,
}

/// `react`: adds or removes one's own reaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct React<'a> {
    /// The conversation.
    #[schema(value_type = schema::ConversationId)]
    pub conversation_id: ConversationId,
    /// The message.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// The emoji, at most 64 bytes.
    #[serde(borrow)]
    pub emoji: Cow<'a, str>,
    /// True takes it away.
    #[serde(default, skip_serializing_if = "crate::message::is_false")]
    #[schema(required = false)]
    pub remove: bool,
}

/// How far a mark goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkTarget {
    /// Up to this seq; clamped to the head.
    Seq(Seq),
    /// Up to this message.
    Message(MessageId),
}

/// `mark_read` and `mark_delivered`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// How far.
    pub up_to: MarkTarget,
}

/// `mark_read` and `mark_delivered`: forward only, one of `seq` and `message_id`.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Mark)]
#[doc(hidden)]
pub struct MarkWire {
    /// The conversation.
    #[schema(value_type = schema::ConversationId)]
    conversation_id: ConversationId,
    /// Everything up to this seq; clamped to the head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    seq: Option<Seq>,
    /// Or everything up to this message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::MessageId>)]
    message_id: Option<MessageId>,
}

impl Body<'_> for Mark {
    type Wire = MarkWire;

    fn check(wire: MarkWire) -> Result<Self, Invalid> {
        Ok(Self {
            conversation_id: wire.conversation_id,
            up_to: mark_target(wire.seq, wire.message_id)?,
        })
    }
}

pub(crate) fn mark_target(
    seq: Option<Seq>,
    message_id: Option<MessageId>,
) -> Result<MarkTarget, Invalid> {
    match (seq, message_id) {
        (Some(seq), None) => Ok(MarkTarget::Seq(seq)),
        (None, Some(id)) => Ok(MarkTarget::Message(id)),
        (None, None) => Err(Invalid::new("seq", "is needed, or `message_id`")),
        (Some(_), Some(_)) => Err(Invalid::new("message_id", "must be left out beside `seq`")),
    }
}

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let (seq, message_id) = match self.up_to {
            MarkTarget::Seq(seq) => (Some(seq), None),
            MarkTarget::Message(id) => (None, Some(id)),
        };
        MarkWire { conversation_id: self.conversation_id, seq, message_id }.serialize(out)
    }
}

/// `heartbeat`: no data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Heartbeat {}

body::plain_body!(EditMessage<'a>, DeleteMessage, React<'a>, Heartbeat);

impl Command<'_> {
    /// The `type` of its frame.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SendMessage(_) => "send_message",
            Self::EditMessage(_) => "edit_message",
            Self::DeleteMessage(_) => "delete_message",
            Self::React(_) => "react",
            Self::MarkRead(_) => "mark_read",
            Self::MarkDelivered(_) => "mark_delivered",
            Self::Typing(_) => "typing",
            Self::PresenceSubscribe(_) => "presence_subscribe",
            Self::PresenceUnsubscribe(_) => "presence_unsubscribe",
            Self::Heartbeat => "heartbeat",
        }
    }
}

impl<'a> Command<'a> {
    fn decode(kind: &str, data: &'a str) -> Result<Self, ErrorObject> {
        Ok(match kind {
            "send_message" => Self::SendMessage(SendMessage::read_value(data)?),
            "edit_message" => Self::EditMessage(EditMessage::read_value(data)?),
            "delete_message" => Self::DeleteMessage(DeleteMessage::read_value(data)?),
            "react" => Self::React(React::read_value(data)?),
            "mark_read" => Self::MarkRead(Mark::read_value(data)?),
            "mark_delivered" => Self::MarkDelivered(Mark::read_value(data)?),
            "typing" => Self::Typing(Typing::read_value(data)?),
            "presence_subscribe" => Self::PresenceSubscribe(PresenceOf::read_value(data)?),
            "presence_unsubscribe" => Self::PresenceUnsubscribe(PresenceOf::read_value(data)?),
            "heartbeat" => Heartbeat::read_value(data).map(|_| Self::Heartbeat)?,
            _ => {
                return Err(ErrorObject::new(ErrorCode::BadRequest, "Unknown frame type."));
            }
        })
    }
}

impl Serialize for Command<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::SendMessage(data) => data.serialize(out),
            Self::EditMessage(data) => data.serialize(out),
            Self::DeleteMessage(data) => data.serialize(out),
            Self::React(data) => data.serialize(out),
            Self::MarkRead(data) | Self::MarkDelivered(data) => data.serialize(out),
            Self::Typing(data) => data.serialize(out),
            Self::PresenceSubscribe(data) | Self::PresenceUnsubscribe(data) => data.serialize(out),
            Self::Heartbeat => Heartbeat {}.serialize(out),
        }
    }
}

/// The outer object of every frame, both ways. `data` stays text until the type is known.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) data: Option<&'a RawValue>,
}

/// What is left of an envelope that could not be read.
#[derive(Deserialize)]
struct IdOnly<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self, FrameError> {
        if body::is_object(text)
            && let Ok(envelope) = serde_json::from_str(text)
        {
            return Ok(envelope);
        }
        if serde_json::from_str::<&RawValue>(text).is_err() {
            return Err(FrameError::Unparsable);
        }
        let (id, message) = if body::is_object(text) {
            let id = serde_json::from_str::<IdOnly<'_>>(text).ok().and_then(|only| only.id);
            let id = id.and_then(|id| FrameRef::from_json(id.get()));
            (id, "A frame needs `type` as text.")
        } else {
            (None, "A frame is a JSON object.")
        };
        Err(refused(id, ErrorObject::new(ErrorCode::BadRequest, message)))
    }

    pub(super) fn reference(&self) -> Result<Option<FrameRef>, FrameError> {
        let Some(id) = self.id else { return Ok(None) };
        let id = FrameRef::from_json(id.get()).ok_or_else(|| {
            let message = "`id` is a number or a text of at most 64 characters.";
            refused(None, ErrorObject::new(ErrorCode::BadRequest, message).with("field", "id"))
        })?;
        Ok(Some(id))
    }

    pub(super) fn data(&self) -> &'a str {
        self.data.map_or("{}", RawValue::get)
    }
}

fn refused(id: Option<FrameRef>, error: ErrorObject) -> FrameError {
    FrameError::Refused { id, error: Box::new(error) }
}

impl<'a> ClientFrame<'a> {
    /// Reads a frame; for CBOR, [`Encoding::text`] comes first.
    ///
    /// # Errors
    /// [`FrameError`]: what to answer, or that the connection is to be closed.
    pub fn decode(text: &'a str) -> Result<Self, FrameError> {
        let envelope = Envelope::read(text)?;
        let id = envelope.reference()?;
        match Command::decode(&envelope.kind, envelope.data()) {
            Ok(command) => Ok(Self { id, command }),
            Err(error) => Err(refused(id, error)),
        }
    }

    /// Writes a frame, as our own client sends it.
    #[must_use]
    pub fn encode(&self, encoding: Encoding) -> Vec<u8> {
        let mut out = Vec::new();
        encode::client_frame_into(&mut out, encoding, self);
        out
    }
}
