//! Who has read a message: asked of the members' marks, in groups where everybody sees them.

use std::sync::Arc;

use ostracon_domain::{
    Conversation, ConversationId, HistoryFor, Member, Refusal, Seq, Subject, UserId,
};
use ostracon_store::{MembersPage, MessagePage, PagePosition, Shard};

use crate::{engine::Engine, error::EngineError, limits::MEMBERS_PER_READ};

/// How far a message has come, among the members that could read it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenBy {
    /// Those that have read it, in order.
    pub read: Vec<UserId>,
    /// Those whom it has reached and who have not read it, or do not tell.
    pub delivered: Vec<UserId>,
}

impl SeenBy {
    /// Takes a member in.
    fn count(
        &mut self,
        conversation: &Conversation,
        member: &Member,
        message: (Seq, UserId),
        hides_reads: bool,
    ) {
        let (seq, sender) = message;
        let could =
            conversation.settings.history_for == HistoryFor::All || member.joined_seq <= seq;
        if member.user == sender || !member.is_present() || !could {
            return;
        }
        if member.read_seq >= seq && !hides_reads {
            self.read.push(member.user);
        } else if member.delivered_seq >= seq {
            self.delivered.push(member.user);
        }
    }
}

impl Engine {
    /// Who has read a message.
    ///
    /// # Errors
    /// `NotFound` when the reader may not see such a message; `Forbidden` in a large group.
    pub async fn seen_by(
        &self,
        reader: UserId,
        id: ConversationId,
        seq: Seq,
    ) -> Result<SeenBy, EngineError> {
        let page = MessagePage::Around { position: PagePosition::Seq(seq), limit: 1 };
        let (found, access) = self.messages(reader, id, page).await?;
        let message = found.messages.iter().find(|view| view.message.seq == seq);
        let message = message.filter(|_| access.covers(seq)).ok_or(Refusal::no_message())?;
        let sender = message.message.sender;
        let conversation = &found.conversation;
        if found.member.as_ref().is_none_or(|member| !member.is_present()) {
            return Err(Refusal::not_member().into());
        }
        if conversation.large {
            let why = "In a large group nobody sees who has read a message.";
            return Err(Refusal::forbidden(why).into());
        }
        let (mut seen, mut after) = (SeenBy::default(), None);
        loop {
            let page = MembersPage { after, limit: MEMBERS_PER_READ };
            let ask = |shard: Arc<dyn Shard>, at| async move { shard.members(at, id, page).await };
            let rows = self.core().ask(Subject::Conversation(id), ask).await?;
            for member in &rows.members {
                let hides = self.hides_reads(reader, member.user);
                seen.count(conversation, member, (seq, sender), hides);
            }
            after = rows.members.last().map(|row| row.user);
            if !rows.more || after.is_none() {
                return Ok(seen);
            }
        }
    }
}
