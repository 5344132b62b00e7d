//! Whether a user is still to be told of messages, and of which: asked at the moment when it is to be done.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use ostracon_domain::{
    Conversation, ConversationId, Message, MessageKind, Millis, Seq, UserId, unread,
};
use ostracon_store::{MessagePage, PagePosition};
use tokio::time::Instant;

use crate::{
    engine::{Core, Engine},
    error::EngineError,
    limits::{AWAY_LOOK_AGAIN, AWAY_MESSAGES_MAX},
};

/// Messages that somebody may have to be told of.
#[derive(Debug, Clone, Copy)]
pub struct AwayQuestion {
    /// Whom.
    pub user: UserId,
    /// Where.
    pub conversation: ConversationId,
    /// The newest.
    pub seq: Seq,
    /// The newest that mentions the user; 0 for none.
    pub mention_seq: Seq,
    /// How many.
    pub count: u32,
    /// Whether only those that mention the user count.
    pub mentions_only: bool,
}

/// What there is to tell.
#[derive(Debug, Clone)]
pub struct AwayNews {
    /// The conversation.
    pub conversation: Arc<Conversation>,
    /// The newest of the messages that is still there to be read.
    pub message: Arc<Message>,
    /// Whether it mentions the user.
    pub mentioned: bool,
    /// What is unread in the conversation.
    pub unread: u64,
}

/// Whether there is something to tell.
#[derive(Debug, Clone)]
pub enum AwayLook {
    /// There is.
    Tell(Box<AwayNews>),
    /// There is not, and why: a word for metrics.
    Silent(&'static str),
    /// A device of the user is connected and may yet take it: to be asked again then.
    Later(Duration),
}

impl Engine {
    /// Looks whether a user is still to be told of messages: he has not read them, has not muted the conversation, may read
    /// them, and no device that he looks at has them.
    ///
    /// # Errors
    /// When a shard does not answer.
    pub async fn look_away(&self, asked: AwayQuestion) -> Result<AwayLook, EngineError> {
        let core = self.core();
        let AwayQuestion { user, conversation: id, seq, .. } = asked;
        let overview = match core.overviews(user, &[id]).await {
            Ok(mut found) => found.pop().flatten(),
            Err(EngineError::Refused(_)) => None,
            Err(error) => return Err(error),
        };
        let Some(overview) = overview else { return Ok(AwayLook::Silent("gone")) };
        let conversation = &overview.conversation;
        let member = overview.member.as_ref().filter(|row| row.is_present());
        let Some(member) = member.filter(|_| conversation.deleted_at.is_none()) else {
            return Ok(AwayLook::Silent("gone"));
        };
        let now = core.clock.now();
        if member.muted_until.is_some_and(|until| until > now) {
            return Ok(AwayLook::Silent("muted"));
        }
        if member.read_seq >= seq {
            return Ok(AwayLook::Silent("read"));
        }
        if member.hidden_to >= seq {
            return Ok(AwayLook::Silent("hidden"));
        }
        let mentions_only = asked.mentions_only || conversation.large;
        let newest = if mentions_only { asked.mention_seq } else { seq };
        let floor = member.read_seq.max(member.hidden_to);
        if newest <= floor {
            return Ok(AwayLook::Silent(if newest == 0 { "not_mentioned" } else { "read" }));
        }
        let page = MessagePage::Before {
            position: PagePosition::Seq(newest.saturating_add(1)),
            limit: asked.count.clamp(1, AWAY_MESSAGES_MAX),
        };
        let (found, _) = match self.messages(user, id, page).await {
            Ok(found) => found,
            Err(EngineError::Refused(_)) => return Ok(AwayLook::Silent("gone")),
            Err(error) => return Err(error),
        };
        let mentioned = |message: &Message| message.mentions.iter().any(|one| one.user_id == user);
        let message = found.messages.iter().rev().map(|view| &view.message).find(|message| {
            message.seq > floor
                && message.deleted.is_none()
                && message.kind != MessageKind::System
                && message.sender != user
                && !found.hidden.contains(&message.seq)
                && (!mentions_only || mentioned(message))
        });
        let Some(message) = message else { return Ok(AwayLook::Silent("deleted")) };
        if let Some(heard_at) = heard_in_front(core, user) {
            let has_it = member.delivered_seq >= message.seq || heard_since(heard_at, message, now);
            return Ok(if has_it {
                AwayLook::Silent("delivered")
            } else {
                AwayLook::Later(AWAY_LOOK_AGAIN)
            });
        }
        Ok(AwayLook::Tell(Box::new(AwayNews {
            unread: unread(conversation, member, overview.uncounted),
            mentioned: mentioned(message),
            message: Arc::clone(message),
            conversation: Arc::clone(conversation),
        })))
    }

    /// A user has a device now that is reached while he is away.
    pub fn subscribed(&self, user: UserId) {
        if let Some(away) = &self.core().away {
            away.subscribed(user);
        }
    }
}

/// When a connection that its user looks at was last heard; none without one.
fn heard_in_front(core: &Core, user: UserId) -> Option<Instant> {
    let mut heard_at = None;
    core.hub.each(user, |connection| {
        if connection.is_present.load(Ordering::Acquire) {
            heard_at = heard_at.max(Some(connection.heard_at()));
        }
    });
    heard_at
}

/// Whether the connection was alive after the message was sent to it.
fn heard_since(heard_at: Instant, message: &Message, now: Millis) -> bool {
    let age = u64::try_from(now.saturating_sub(message.created_at)).unwrap_or(0);
    heard_at.elapsed() < Duration::from_millis(age)
}
