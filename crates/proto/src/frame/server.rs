//! What the server sends: answers and events. Each type is the `data` of one frame; the same types
//! read frames in the client. Who gets which frame is decided in `engine`.

use super::client::Envelope;
use super::{FrameError, FrameRef, Presence, TypingNotice};
use crate::{Conversation, ErrorObject, Inbox, Member, Message, body, schema, text};
use ostracon_domain::{
    ConversationId, History, MarkRev, MessageId, Millis, Rev, Seq, UserId, UserRev,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The data of one type of server frame.
pub trait ServerData: Serialize {
    /// The `type` of the frame.
    const TYPE: &'static str;
}

/// `hello`: always the first frame, sent when events already flow to this connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Hello<'a> {
    /// The session of this connection.
    #[serde(borrow)]
    pub session_id: Cow<'a, str>,
    /// The user it belongs to.
    #[schema(value_type = schema::UserId)]
    pub user_id: UserId,
    /// Send a heartbeat at least this often, in seconds.
    pub heartbeat_s: u32,
    /// Largest frame that is read, in bytes; above it the connection closes with 4413.
    pub max_frame_bytes: u64,
    /// Commands that may wait for their answer; beyond it the socket is not read.
    pub max_in_flight: u32,
    /// The server's clock.
    #[schema(value_type = schema::Millis)]
    pub server_time: Millis,
    /// Newest change of this user's own view.
    #[schema(value_type = u64)]
    pub user_rev: UserRev,
}

/// `message_sent`: the message is durable. Answer to `send_message`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MessageSent<'a> {
    /// Its id.
    #[schema(value_type = schema::MessageId)]
    pub message_id: MessageId,
    /// The conversation; for `to`, the direct one.
    #[schema(value_type = schema::ConversationId)]
    pub conversation_id: ConversationId,
    /// Its place there.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// Its number of change; of a repeated send, that of its present state.
    #[schema(value_type = u64)]
    pub rev: Rev,
    /// The line of numbers that `rev` belongs to.
    #[schema(value_type = schema::History)]
    pub history: History,
    /// The server's receive time.
    #[schema(value_type = schema::Millis)]
    pub timestamp: Millis,
    /// The id that the sender gave it; null without one.
    #[serde(borrow, default, deserialize_with = "text::optional")]
    #[schema(required = true)]
    pub client_id: Option<Cow<'a, str>>,
    /// The message as stored; of a repeated send, as it is now.
    #[serde(borrow)]
    pub message: Message<'a>,
}

/// `ok`: a command other than a send is durable. What is in it depends on the command.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Ok)]
pub struct Done<'a> {
    /// Edit and react: the message as it is now.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Message<'a>>,
    /// Delete for oneself: number of this private change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub mark_rev: Option<MarkRev>,
    /// Delete: number of the deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub rev: Option<Rev>,
    /// Delete: the line of numbers that `rev` belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::History>)]
    pub history: Option<History>,
    /// Delete: time of the deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Millis>)]
    pub deleted_at: Option<Millis>,
    /// Delete: who deleted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UserId>)]
    pub deleted_by: Option<UserId>,
}

/// `new_message`: a `Message` with `history` and `mark_rev`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NewMessage<'a>(#[serde(borrow)] pub Message<'a>);

/// `message_updated`: a `Message` with `history`; it was edited or reacted to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageUpdated<'a>(#[serde(borrow)] pub Message<'a>);

/// `message_deleted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MessageDeleted {
    /// The conversation.
    #[schema(value_type = schema::ConversationId)]
    pub conversation_id: ConversationId,
    /// Its place there; the tombstone keeps it.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// Its id.
    #[schema(value_type = schema::MessageId)]
    pub message_id: MessageId,
    /// Number of the deletion.
    #[schema(value_type = u64)]
    pub rev: Rev,
    /// The line of numbers that `rev` belongs to.
    #[schema(value_type = schema::History)]
    pub history: History,
    /// Time of the deletion.
    #[schema(value_type = schema::Millis)]
    pub deleted_at: Millis,
    /// Who deleted it.
    #[schema(value_type = schema::UserId)]
    pub deleted_by: UserId,
}

/// `message_hidden`: one has deleted a message for oneself, on another device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MessageHidden {
    /// The conversation.
    #[schema(value_type = schema::ConversationId)]
    pub conversation_id: ConversationId,
    /// The message.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// Number of this private change.
    #[schema(value_type = u64)]
    pub mark_rev: MarkRev,
    /// The line of numbers that `mark_rev` belongs to.
    #[schema(value_type = schema::History)]
    pub history: History,
}

/// `receipt`: a member's marks moved. Merged by maximum; never asks for anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ReceiptFrame)]
pub struct ReceiptUpdated {
    /// The conversation.
    #[schema(value_type = schema::ConversationId)]
    pub conversation_id: ConversationId,
    /// Whose marks.
    #[schema(value_type = schema::UserId)]
    pub user_id: UserId,
    /// Everything up to here is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub read_seq: Option<Seq>,
    /// Everything up to here has reached a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub delivered_seq: Option<Seq>,
    /// Number of this change of marks.
    #[schema(value_type = u64)]
    pub mark_rev: MarkRev,
    /// The line of numbers that `mark_rev` belongs to.
    #[schema(value_type = schema::History)]
    pub history: History,
}

/// `conversation_updated`: the conversation itself changed (name, settings, member count, `large`);
/// its `rev` is the number of this change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConversationUpdated<'a>(#[serde(borrow)] pub Conversation<'a>);

/// `member_updated`: someone joined, left or changed role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MemberUpdated {
    /// The conversation.
    #[schema(value_type = schema::ConversationId)]
    pub conversation_id: ConversationId,
    /// The line of numbers that `rev` belongs to.
    #[schema(value_type = schema::History)]
    pub history: History,
    /// Number of this change.
    #[schema(value_type = u64)]
    pub rev: Rev,
    /// The member as it is now; who left has `left_seq`.
    pub member: Member,
}

/// `inbox_updated`: one's own view of a conversation moved on. At most four a second and
/// conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct InboxUpdated {
    /// The conversation.
    #[schema(value_type = schema::ConversationId)]
    pub conversation_id: ConversationId,
    /// The line of numbers that `rev` and `mark_rev` belong to.
    #[schema(value_type = schema::History)]
    pub history: History,
    /// The conversation's newest change: above your own, ask `changes`.
    #[schema(value_type = u64)]
    pub rev: Rev,
    /// The conversation's newest mark.
    #[schema(value_type = u64)]
    pub mark_rev: MarkRev,
    /// Newest change of this user's own view. Only `/sync` moves the stored cursor.
    #[schema(value_type = u64)]
    pub user_rev: UserRev,
    /// Unread messages.
    pub unread: u64,
    /// One's own settings, where these changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbox: Option<Inbox>,
}

/// `sync_required`: events were dropped for this connection; do as after a reconnect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SyncRequired {}

/// `heartbeat`: the answer to the client's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Heartbeat)]
pub struct HeartbeatAnswer {
    /// The server's clock.
    #[schema(value_type = schema::Millis)]
    pub server_time: Millis,
    /// Newest change of this user's own view: above the last answer of `/sync`, ask it again.
    #[schema(value_type = u64)]
    pub user_rev: UserRev,
}

/// A frame as the client reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Received<'a> {
    /// The reference of the command that this answers; none for events.
    pub id: Option<FrameRef>,
    /// What it says.
    pub frame: ServerFrame<'a>,
}

macro_rules! server_frames {
    ($($type:literal $variant:ident $data:ident $(<$life:lifetime>)?;)+) => {
        /// What the server can say.
        #[derive(Debug, Clone, PartialEq)]
        pub enum ServerFrame<'a> {
            $(
                #[doc = concat!("`", $type, "`.")]
                $variant($data $(<$life>)?),
            )+
            /// A type that this version does not know, to be ignored.
            Unknown(Cow<'a, str>),
        }

        $(
            impl $(<$life>)? ServerData for $data $(<$life>)? {
                const TYPE: &'static str = $type;
            }
        )+
        body::plain_body!($($data $(<$life>)?),+);

        impl<'a> ServerFrame<'a> {
            /// Reads a frame of the server; for CBOR, [`Encoding::text`](crate::Encoding::text)
            /// comes first.
            ///
            /// # Errors
            /// [`FrameError`] when it is none of ours.
            pub fn decode(text: &'a str) -> Result<Received<'a>, FrameError> {
                use crate::Body as _;
                let envelope = Envelope::read(text)?;
                let id = envelope.reference()?;
                let data = envelope.data();
                let read = match &*envelope.kind {
                    $($type => $data::read_value(data).map(Self::$variant),)+
                    _ => Ok(Self::Unknown(envelope.kind)),
                };
                match read {
                    Ok(frame) => Ok(Received { id, frame }),
                    Err(invalid) => Err(FrameError::Refused { id, error: Box::new(invalid.into()) }),
                }
            }
        }
    };
}

server_frames! {
    "hello" Hello Hello<'a>;
    "message_sent" MessageSent MessageSent<'a>;
    "ok" Done Done<'a>;
    "new_message" NewMessage NewMessage<'a>;
    "message_updated" MessageUpdated MessageUpdated<'a>;
    "message_deleted" MessageDeleted MessageDeleted;
    "message_hidden" MessageHidden MessageHidden;
    "receipt" Receipt ReceiptUpdated;
    "conversation_updated" ConversationUpdated ConversationUpdated<'a>;
    "member_updated" MemberUpdated MemberUpdated;
    "inbox_updated" InboxUpdated InboxUpdated;
    "typing" Typing TypingNotice;
    "presence_update" Presence Presence;
    "sync_required" SyncRequired SyncRequired;
    "heartbeat" Heartbeat HeartbeatAnswer;
    "error" Error ErrorObject;
}
