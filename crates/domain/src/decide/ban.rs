//! Keeping somebody out of a group.

use std::sync::Arc;

use super::{Context, members};
use crate::{
    annex::{Annex, AnnexKey},
    ban::Ban,
    command::ConversationCommand,
    id::{Millis, UserId},
    outcome::Outcome,
    permission::Permission,
    refusal::Refusal,
    slice::ConversationSlice,
};

/// Removes a user, or keeps a stranger out, until a time or until the ban is lifted. Only of a lower role. What is so
/// already changes nothing. The row takes a mark rev: only those who may ban read it.
pub(super) fn ban(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    user: UserId,
    until: Option<Millis>,
    context: &mut Context<'_>,
) -> Result<Outcome, Refusal> {
    let (conversation, actor) = super::allowed(slice, command.actor, Permission::RemoveMembers)?;
    if user == command.actor {
        return Err(Refusal::conflict("Leave the group instead."));
    }
    if until.is_some_and(|until| until <= context.now) {
        return Err(Refusal::invalid("until", "The end of a ban lies in the future."));
    }
    let target = slice.member(user).cloned();
    if target.as_ref().is_some_and(|row| row.is_present() && actor.role <= row.role) {
        return Err(Refusal::missing(
            Permission::RemoveMembers,
            "Only the owner may remove an admin.",
        ));
    }
    let known = slice.annex(AnnexKey::ban(user)).and_then(|row| Ban::of(row));
    let same = known.is_some_and(|ban| ban.until == until);
    let present = target.as_ref().is_some_and(|row| row.is_present());
    if same && !present {
        let (rev, history) = (conversation.rev, conversation.history);
        return Ok(Outcome::Members { members: target.into_iter().collect(), rev, history });
    }
    let mut conversation = Arc::unwrap_or_clone(conversation);
    conversation.mark_rev += 1;
    let (id, number) = (conversation.id, conversation.mark_rev);
    let ban = Ban { at: context.now, by: command.actor, until };
    slice.put_annex(Annex {
        conversation: id,
        key: AnnexKey::ban(user),
        number,
        value: ban.encode(),
    });
    match target {
        Some(target) if present => {
            members::expel(slice, conversation, command.actor, target, context)
        }
        target => {
            let (rev, history) = (conversation.rev, conversation.history);
            slice.put_conversation(conversation);
            Ok(Outcome::Members { members: target.into_iter().collect(), rev, history })
        }
    }
}

/// Lets a user in again; nobody is added by it. The row stays without a value, so that its number is not lost.
pub(super) fn unban(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    user: UserId,
) -> Result<Outcome, Refusal> {
    let (conversation, _) = super::allowed(slice, command.actor, Permission::RemoveMembers)?;
    let members = slice.member(user).cloned().into_iter().collect();
    let (rev, history) = (conversation.rev, conversation.history);
    let known = slice.annex(AnnexKey::ban(user)).and_then(|row| Ban::of(row));
    if known.is_some() {
        let mut conversation = Arc::unwrap_or_clone(conversation);
        conversation.mark_rev += 1;
        let (id, number) = (conversation.id, conversation.mark_rev);
        slice.put_conversation(conversation);
        let key = AnnexKey::ban(user);
        slice.put_annex(Annex { conversation: id, key, number, value: Vec::new() });
    }
    Ok(Outcome::Members { members, rev, history })
}

/// Whether a user may not be a member now.
pub(super) fn holds(slice: &ConversationSlice, user: UserId, context: &Context<'_>) -> bool {
    let ban = slice.annex(AnnexKey::ban(user)).and_then(|row| Ban::of(row));
    ban.is_some_and(|ban| ban.holds(context.now))
}
