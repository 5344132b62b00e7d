//! What a reader may see of a conversation.

#[cfg(test)]
mod tests;

use crate::{
    conversation::{Conversation, HistoryFor},
    id::{Rev, Seq},
    member::Member,
    message::Message,
    refusal::Refusal,
};

/// The part of a conversation that one reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// First readable seq.
    pub from: Seq,
    /// Last readable seq.
    pub to: Seq,
    /// Of content changed after this rev only the fact is shown; none for a present member.
    pub content_until: Option<Rev>,
}

impl Access {
    /// Whether a seq lies in the readable part.
    pub const fn covers(&self, seq: Seq) -> bool {
        self.from <= seq && seq <= self.to
    }

    /// Whether a message's content is withheld: it was edited after the reader left.
    pub fn withholds(&self, message: &Message) -> bool {
        self.content_until.is_some_and(|rev| message.content_rev > rev) && message.deleted.is_none()
    }
}

/// What this member may read; `NotFound` for strangers, deleted and unknown conversations alike.
pub fn access(
    conversation: Option<&Conversation>,
    member: Option<&Member>,
) -> Result<Access, Refusal> {
    let (Some(conversation), Some(member)) = (conversation, member) else {
        return Err(Refusal::no_conversation());
    };
    if conversation.deleted_at.is_some() {
        return Err(Refusal::no_conversation());
    }
    let first = match conversation.settings.history_for {
        HistoryFor::SinceJoining => member.joined_seq,
        HistoryFor::All => 1,
    };
    Ok(Access {
        from: first.max(conversation.retained_from),
        to: member.left_seq.unwrap_or(conversation.head_seq),
        content_until: member.left_seq.map(|_| member.rev),
    })
}
