//! A message as it stands on the wire. Text is borrowed where it can be: the same type is encoded
//! from stored rows and read from a frame without a copy.

use crate::{rest::Media, schema, text};
use ostracon_domain::{
    ConversationId, History, MarkRev, Mention, MessageId, MessageKind, Millis, Rev, Seq, UserId,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One message, or the tombstone of a deleted one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Message<'a> {
    /// Its id; rises with seq inside the conversation.
    #[schema(value_type = schema::MessageId)]
    pub message_id: MessageId,
    /// The conversation it belongs to.
    #[schema(value_type = schema::ConversationId)]
    pub conversation_id: ConversationId,
    /// Its place there: 1, 2, 3 … without gaps.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// Number of its last change, reactions included. The higher one wins.
    #[schema(value_type = u64)]
    pub rev: Rev,
    /// Number of the last change of its content; for `if_content_rev`.
    #[schema(value_type = u64)]
    pub content_rev: Rev,
    /// Who sent it.
    #[schema(value_type = schema::UserId)]
    pub sender_id: UserId,
    /// What it is.
    #[serde(rename = "type")]
    #[schema(value_type = schema::MessageKind)]
    pub kind: MessageKind,
    /// The text; left out when deleted or withheld.
    #[serde(borrow, default, deserialize_with = "text::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Cow<'a, str>>,
    /// The server's receive time; never goes back inside a conversation.
    #[schema(value_type = schema::Millis)]
    pub timestamp: Millis,
    /// The sender's own id of it; on the sender's own connections only.
    #[serde(borrow, default, deserialize_with = "text::optional")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Cow<'a, str>>,
    /// Time of the last edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Millis>)]
    pub edited_at: Option<Millis>,
    /// Time of the deletion; makes it a tombstone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Millis>)]
    pub deleted_at: Option<Millis>,
    /// Who deleted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::UserId>)]
    pub deleted_by: Option<UserId>,
    /// The message it answers.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Reply<'a>>,
    /// Users named in the text, by rising offset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<schema::Mention>)]
    pub mentions: Vec<Mention>,
    /// Files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Media>,
    /// Reactions, one for each emoji.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction<'a>>,
    /// Since when it is pinned for everybody; left out when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Millis>)]
    pub pinned_at: Option<Millis>,
    /// When it disappears; left out when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Millis>)]
    pub expires_at: Option<Millis>,
    /// True when the reader has deleted it for himself: nothing of its content is shown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// True for a former member when this was edited after leaving: the content is not shown.
    #[serde(default, skip_serializing_if = "is_false")]
    pub withheld: bool,
    /// The line of numbers that `rev` belongs to. There where a message stands alone (an event, an
    /// answer); inside a page or `changes` that one says it for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::History>)]
    pub history: Option<History>,
    /// With a new message: its sender's own marks moved to its seq, with this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub mark_rev: Option<MarkRev>,
}

/// What a reply shows of the message it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reply<'a> {
    /// Seq of the quoted message.
    #[schema(value_type = u64)]
    pub seq: Seq,
    /// Its sender.
    #[schema(value_type = schema::UserId)]
    pub sender_id: UserId,
    /// The first 140 UTF-16 units of the quoted message as it is now; empty when it is deleted.
    #[serde(borrow)]
    pub excerpt: Cow<'a, str>,
}

/// Everyone who reacted with one emoji.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reaction<'a> {
    /// The emoji.
    #[serde(borrow)]
    pub emoji: Cow<'a, str>,
    /// How many users.
    pub count: u32,
    /// The first 10 of them, by rising id.
    #[schema(value_type = Vec<schema::UserId>)]
    pub user_ids: Vec<UserId>,
}

impl Message<'_> {
    /// The same message for the connections of others: without `client_id`. Text is borrowed.
    #[must_use]
    pub fn without_client_id(&self) -> Message<'_> {
        Message { client_id: None, ..self.borrowed() }
    }

    /// The same message, borrowing every text of this one.
    #[must_use]
    pub fn borrowed(&self) -> Message<'_> {
        Message {
            content: self.content.as_deref().map(Cow::Borrowed),
            client_id: self.client_id.as_deref().map(Cow::Borrowed),
            reply_to: self.reply_to.as_ref().map(|reply| Reply {
                seq: reply.seq,
                sender_id: reply.sender_id,
                excerpt: Cow::Borrowed(&reply.excerpt),
            }),
            mentions: self.mentions.clone(),
            attachments: self.attachments.clone(),
            reactions: self
                .reactions
                .iter()
                .map(|one| Reaction {
                    emoji: Cow::Borrowed(&one.emoji),
                    count: one.count,
                    user_ids: one.user_ids.clone(),
                })
                .collect(),
            ..*self
        }
    }

    /// The same message with text of its own, to be kept.
    #[must_use]
    pub fn into_owned(self) -> Message<'static> {
        fn text(text: Cow<'_, str>) -> Cow<'static, str> {
            Cow::Owned(text.into_owned())
        }
        Message {
            message_id: self.message_id,
            conversation_id: self.conversation_id,
            seq: self.seq,
            rev: self.rev,
            content_rev: self.content_rev,
            sender_id: self.sender_id,
            kind: self.kind,
            content: self.content.map(text),
            timestamp: self.timestamp,
            client_id: self.client_id.map(text),
            edited_at: self.edited_at,
            deleted_at: self.deleted_at,
            deleted_by: self.deleted_by,
            reply_to: self.reply_to.map(|reply| Reply {
                seq: reply.seq,
                sender_id: reply.sender_id,
                excerpt: text(reply.excerpt),
            }),
            mentions: self.mentions,
            attachments: self.attachments,
            reactions: self
                .reactions
                .into_iter()
                .map(|one| Reaction {
                    emoji: text(one.emoji),
                    count: one.count,
                    user_ids: one.user_ids,
                })
                .collect(),
            pinned_at: self.pinned_at,
            expires_at: self.expires_at,
            hidden: self.hidden,
            withheld: self.withheld,
            history: self.history,
            mark_rev: self.mark_rev,
        }
    }
}

pub(crate) fn is_false(value: &bool) -> bool {
    !*value
}
