//! Renaming, changing and deleting a group.

use std::sync::Arc;

use super::{Context, system, system::Told, text::check_name};
use crate::{
    command::{ConversationCommand, GroupChange},
    conversation::Conversation,
    extra::Extra,
    id::Millis,
    limits::SLOW_MODE_S_MAX,
    outcome::Outcome,
    permission::{self, GroupRules, Permission, RulesChange},
    refusal::Refusal,
    slice::ConversationSlice,
};

/// Whom the rules allow it; settings and rules at least an admin. What is so already changes nothing.
pub(super) fn change(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    change: &GroupChange,
    context: &mut Context<'_>,
) -> Result<Outcome, Refusal> {
    let (conversation, member) = super::present_in_group(slice, command.actor)?;
    if change.settings.is_some() || change.rules != RulesChange::default() {
        permission::check(&conversation, &member, Permission::ChangeSettings)?;
    } else {
        permission::check(&conversation, &member, Permission::Rename)?;
    }
    if let Some(name) = &change.name {
        check_name(name)?;
    }
    check_rules(&change.rules)?;
    let name = change.name.clone().unwrap_or_else(|| conversation.name.clone());
    let settings = change.settings.unwrap_or(conversation.settings);
    let known = *GroupRules::of(&conversation);
    let rules = change.rules.apply(known);
    if name == conversation.name && settings == conversation.settings && rules == known {
        return Ok(Outcome::Group { conversation, member });
    }
    let mut changed = Arc::unwrap_or_clone(conversation);
    let (renamed, set) = (name != changed.name, settings != changed.settings || rules != known);
    changed.settings = settings;
    if rules != known {
        Extra::change(&mut changed.extra, |extra| extra.rules = rules);
    }
    if renamed {
        system::tell(slice, &mut changed, command.actor, Told::Renamed(&name), context)?;
    }
    if set {
        system::tell(slice, &mut changed, command.actor, Told::Settings, context)?;
    }
    changed.name = name;
    changed.rev += 1;
    changed.info_rev = changed.rev;
    let conversation = slice.put_conversation(changed);
    Ok(Outcome::Group { conversation, member })
}

/// Refuses rules that are out of range.
pub(super) fn check_rules(rules: &RulesChange) -> Result<(), Refusal> {
    if rules.slow_mode_s.is_some_and(|seconds| seconds > SLOW_MODE_S_MAX) {
        return Err(Refusal::invalid(
            "settings.slow_mode_s",
            "Slow mode is at most 21,600 seconds.",
        ));
    }
    Ok(())
}

/// Only the owner may.
pub(super) fn delete(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    context: &Context<'_>,
) -> Result<Outcome, Refusal> {
    let (conversation, member) = super::allowed(slice, command.actor, Permission::DeleteGroup)?;
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
