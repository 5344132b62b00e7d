//! Deleting a message for everyone.

use std::sync::Arc;

use super::Context;
use crate::{
    command::ConversationCommand,
    conversation::Conversation,
    extra::{Extra, MessageExtra},
    id::{Millis, Seq, UserId},
    message::{Message, MessageKind, MessageView},
    outcome::Outcome,
    permission::{self, Permission},
    refusal::Refusal,
    row::Reaction,
    slice::ConversationSlice,
};

/// The sender may, and in a group whom its rules allow it. Deleting twice gives the same answer. What is left is a tombstone;
/// where the operator wants it, with what it said, for operators only.
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
    // What the server said is nobody's own.
    if view.message.sender != command.actor || view.message.kind == MessageKind::System {
        permission::check(&conversation, &member, Permission::DeleteMessages)?;
    }
    if let Some((at, by)) = view.message.deleted {
        let (rev, history) = (view.message.content_rev, conversation.history);
        return Ok(Outcome::Deleted { seq, rev, history, at, by });
    }
    let may_others = permission::check(&conversation, &member, Permission::DeleteMessages).is_ok();
    if !may_others && super::is_past(context, &view.message, context.limits.delete_window) {
        return Err(Refusal::forbidden("The message is too old to be deleted for everyone."));
    }
    let mut conversation = Arc::unwrap_or_clone(conversation);
    let at = context.now.max(view.message.created_at);
    let kept = context.limits.keep_deleted.then(|| view.message.content.clone());
    bury(slice, &mut conversation, view, (at, command.actor), kept);
    let (rev, history) = (conversation.rev, conversation.history);
    slice.put_conversation(conversation);
    Ok(Outcome::Deleted { seq, rev, history, at, by: command.actor })
}

/// Makes a message a tombstone with the conversation's next rev, and removes what belongs to it. The conversation's row is
/// for the caller to put.
pub(super) fn bury(
    slice: &mut ConversationSlice,
    conversation: &mut Conversation,
    view: MessageView,
    (at, by): (Millis, UserId),
    kept: Option<String>,
) {
    conversation.rev += 1;
    let (id, rev) = (conversation.id, conversation.rev);
    let MessageView { message, reactions, .. } = view;
    let seq = message.seq;
    if conversation.extra.is_some() {
        super::pin::set(conversation, seq, false);
    }
    for group in reactions {
        for user in group.users {
            let emoji = group.emoji.clone();
            slice.remove_reaction(Reaction { conversation: id, seq, user, emoji });
        }
    }
    slice.remove_annexes(id, seq);
    let mut extra = None;
    Extra::change(&mut extra, |extra: &mut MessageExtra| extra.kept = kept);
    let message = Message {
        content: String::new(),
        extra,
        mentions: Vec::new(),
        reply_to: None,
        payload_hash: None,
        edited_at: None,
        deleted: Some((at.max(message.created_at), by)),
        uncounted: true,
        rev,
        content_rev: rev,
        ..Arc::unwrap_or_clone(message)
    };
    slice.put_message(message, Vec::new(), None);
}
