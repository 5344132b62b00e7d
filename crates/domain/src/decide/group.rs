//! Renaming, changing and deleting a group.

use std::sync::Arc;

use super::{Context, text::check_name};
use crate::{
    command::{ConversationCommand, GroupChange},
    conversation::Conversation,
    id::Millis,
    member::Role,
    outcome::Outcome,
    refusal::Refusal,
    slice::ConversationSlice,
};

/// Admins may. What is so already changes nothing.
pub(super) fn change(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    change: &GroupChange,
) -> Result<Outcome, Refusal> {
    let (conversation, member) = super::group_as(slice, command.actor, Role::Admin)?;
    if let Some(name) = &change.name {
        check_name(name)?;
    }
    let name = change.name.clone().unwrap_or_else(|| conversation.name.clone());
    let settings = change.settings.unwrap_or(conversation.settings);
    if name == conversation.name && settings == conversation.settings {
        return Ok(Outcome::Group { conversation, member });
    }
    let mut changed = Arc::unwrap_or_clone(conversation);
    changed.name = name;
    changed.settings = settings;
    changed.rev += 1;
    changed.info_rev = changed.rev;
    let conversation = slice.put_conversation(changed);
    Ok(Outcome::Group { conversation, member })
}

/// Only the owner may.
pub(super) fn delete(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    context: &Context<'_>,
) -> Result<Outcome, Refusal> {
    let (conversation, member) = super::group_as(slice, command.actor, Role::Owner)?;
    let conversation = Arc::unwrap_or_clone(conversation);
    let conversation = end(slice, conversation, context.now);
    Ok(Outcome::Group { conversation, member })
}

/// Ends a group: nothing of it is readable any more and its messages are removed.
pub(super) fn end(
    slice: &mut ConversationSlice,
    mut conversation: Conversation,
    now: Millis,
) -> Arc<Conversation> {
    conversation.deleted_at = Some(now.max(conversation.created_at));
    conversation.retained_from = conversation.head_seq + 1;
    conversation.name = String::new();
    // The list of pins among it.
    conversation.extra = None;
    conversation.rev += 1;
    conversation.info_rev = conversation.rev;
    slice.remove_messages(conversation.id, conversation.retained_from);
    slice.put_conversation(conversation)
}
