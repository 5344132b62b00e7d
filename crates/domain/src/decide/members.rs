//! Adding, removing and promoting members of a group.

use std::{collections::BTreeSet, sync::Arc};

use super::{Context, group};
use crate::{
    command::ConversationCommand,
    conversation::Conversation,
    id::UserId,
    limits::{LARGE_ABOVE, LARGE_UNTIL_BELOW, USERS_PER_REQUEST_MAX},
    member::{Member, Role},
    outcome::Outcome,
    refusal::Refusal,
    slice::ConversationSlice,
};

/// Admins may. Each added member takes a rev, in order of user id; then the conversation, whose member count changed.
pub(super) fn add(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    users: &[UserId],
    context: &Context<'_>,
) -> Result<Outcome, Refusal> {
    let (conversation, _) = super::group_as(slice, command.actor, Role::Admin)?;
    if users.len() > USERS_PER_REQUEST_MAX {
        return Err(Refusal::invalid("user_ids", "Name at most 1,000 users at once."));
    }
    let users: BTreeSet<UserId> = users.iter().copied().collect();
    let is_new = |user: &UserId| !slice.member(*user).is_some_and(|known| known.is_present());
    let new: Vec<UserId> = users.iter().copied().filter(is_new).collect();
    let count = conversation.member_count as usize + new.len();
    if !new.is_empty() && count > context.limits.group_members_max as usize {
        return Err(Refusal::conflict("The group would have too many members."));
    }
    let mut conversation = Arc::unwrap_or_clone(conversation);
    for user in &new {
        conversation.rev += 1;
        let joined_seq = conversation.head_seq + 1;
        let member = match slice.member(*user) {
            // Marks and the private view survive leaving and coming back; the role does not.
            Some(former) => Member {
                role: Role::Member,
                joined_seq,
                left_seq: None,
                rev: conversation.rev,
                ..Member::clone(former)
            },
            None => Member {
                conversation: conversation.id,
                user: *user,
                role: Role::Member,
                joined_seq,
                left_seq: None,
                rev: conversation.rev,
                read_seq: 0,
                delivered_seq: 0,
                mark_rev: 0,
                hidden_to: 0,
                muted_until: None,
                extra: None,
            },
        };
        slice.put_member(member);
    }
    let history = conversation.history;
    let rev = if new.is_empty() {
        conversation.rev
    } else {
        conversation.member_count += new.len() as u32;
        count_changed(slice, conversation)
    };
    let members = users.iter().filter_map(|user| slice.member(*user).cloned()).collect();
    Ok(Outcome::Members { members, rev, history })
}

/// Admins remove members, the owner removes anybody, everybody may leave; the last one out ends the group.
pub(super) fn remove(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    user: UserId,
    context: &Context<'_>,
) -> Result<Outcome, Refusal> {
    let leaving = user == command.actor;
    let needed = if leaving { Role::Member } else { Role::Admin };
    let (conversation, actor) = super::group_as(slice, command.actor, needed)?;
    let target = match slice.member(user) {
        Some(target) => Arc::clone(target),
        None => return Err(Refusal::no_member()),
    };
    if !target.is_present() {
        // Removed already: the same answer again.
        return Ok(unchanged(target, &conversation));
    }
    if !leaving && actor.role <= target.role {
        return Err(Refusal::forbidden("Only the owner may remove an admin."));
    }
    if leaving && actor.role == Role::Owner && conversation.member_count > 1 {
        return Err(Refusal::conflict("Hand the group over before you leave it."));
    }
    let mut conversation = Arc::unwrap_or_clone(conversation);
    conversation.rev += 1;
    conversation.member_count -= 1;
    let target = slice.put_member(Member {
        role: Role::Member,
        left_seq: Some(conversation.head_seq),
        rev: conversation.rev,
        ..Arc::unwrap_or_clone(target)
    });
    let history = conversation.history;
    let rev = if conversation.member_count == 0 {
        group::end(slice, conversation, context.now).rev
    } else {
        count_changed(slice, conversation)
    };
    Ok(Outcome::Members { members: vec![target], rev, history })
}

/// The owner sets roles; making somebody else the owner makes oneself an admin.
pub(super) fn set_role(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    user: UserId,
    role: Role,
) -> Result<Outcome, Refusal> {
    let (conversation, owner) = super::group_as(slice, command.actor, Role::Owner)?;
    let target = match slice.member(user) {
        Some(target) if target.is_present() => Arc::clone(target),
        _ => return Err(Refusal::no_member()),
    };
    if target.role == role {
        return Ok(unchanged(target, &conversation));
    }
    if user == command.actor {
        return Err(Refusal::conflict("Make somebody else the owner instead."));
    }
    let mut conversation = Arc::unwrap_or_clone(conversation);
    let mut members = Vec::new();
    let mut give = |slice: &mut ConversationSlice, member: Arc<Member>, role| {
        conversation.rev += 1;
        let rev = conversation.rev;
        members.push(slice.put_member(Member { role, rev, ..Arc::unwrap_or_clone(member) }));
    };
    if role == Role::Owner {
        give(slice, owner, Role::Admin);
    }
    give(slice, target, role);
    let (rev, history) = (conversation.rev, conversation.history);
    slice.put_conversation(conversation);
    Ok(Outcome::Members { members, rev, history })
}

/// It is so already.
fn unchanged(target: Arc<Member>, conversation: &Conversation) -> Outcome {
    let Conversation { rev, history, .. } = *conversation;
    Outcome::Members { members: vec![target], rev, history }
}

/// The member count is part of what everybody sees of a conversation: its change takes a rev of its own.
fn count_changed(slice: &mut ConversationSlice, mut conversation: Conversation) -> u64 {
    let count = conversation.member_count;
    conversation.large =
        if conversation.large { count >= LARGE_UNTIL_BELOW } else { count > LARGE_ABOVE };
    conversation.rev += 1;
    conversation.info_rev = conversation.rev;
    slice.put_conversation(conversation).rev
}
