//! Deleting a message for everyone.

use std::sync::Arc;

use super::Context;
use crate::{
    command::ConversationCommand,
    conversation::ConversationKind,
    id::Seq,
    member::Role,
    message::{Message, MessageView},
    outcome::Outcome,
    refusal::Refusal,
    row::Reaction,
    slice::ConversationSlice,
};

/// The sender may, and admins of a group. Deleting twice gives the same answer. What is left is a tombstone.
pub(super) fn delete(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    seq: Seq,
    context: &Context<'_>,
) -> Result<Outcome, Refusal> {
    let (conversation, member) = super::present(slice, command.actor)?;
    let access = crate::access(Some(&conversation), Some(&member))?;
    let view =
        slice.message(seq).filter(|_| access.covers(seq)).cloned().ok_or(Refusal::no_message())?;
    let admin = conversation.kind == ConversationKind::Group && member.role >= Role::Admin;
    if view.message.sender != command.actor && !admin {
        return Err(Refusal::forbidden("Only the sender or an admin may delete a message."));
    }
    if let Some((at, by)) = view.message.deleted {
        let (rev, history) = (view.message.content_rev, conversation.history);
        return Ok(Outcome::Deleted { seq, rev, history, at, by });
    }
    let mut conversation = Arc::unwrap_or_clone(conversation);
    conversation.rev += 1;
    if conversation.extra.is_some() {
        super::pin::set(&mut conversation, seq, false);
    }
    let (rev, history) = (conversation.rev, conversation.history);
    let at = context.now.max(view.message.created_at);
    let id = conversation.id;
    slice.put_conversation(conversation);
    let MessageView { message, reactions, .. } = view;
    for group in reactions {
        for user in group.users {
            let emoji = group.emoji.clone();
            slice.remove_reaction(Reaction { conversation: id, seq, user, emoji });
        }
    }
    slice.remove_annexes(id, seq);
    let message = Message {
        content: String::new(),
        extra: None,
        mentions: Vec::new(),
        reply_to: None,
        payload_hash: None,
        edited_at: None,
        deleted: Some((at, command.actor)),
        uncounted: true,
        rev,
        content_rev: rev,
        ..Arc::unwrap_or_clone(message)
    };
    slice.put_message(message, Vec::new(), None);
    Ok(Outcome::Deleted { seq, rev, history, at, by: command.actor })
}
