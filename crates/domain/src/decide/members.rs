//! Adding, removing and promoting members of a group.

use std::{collections::BTreeSet, sync::Arc};

use super::{Context, ban, group, system, system::Told};
use crate::{
    command::ConversationCommand,
    conversation::Conversation,
    id::UserId,
    limits::{LARGE_ABOVE, LARGE_UNTIL_BELOW, USERS_PER_REQUEST_MAX},
    member::{Member, Role},
    outcome::Outcome,
    permission::{self, Permission},
    refusal::Refusal,
    slice::ConversationSlice,
};

/// Whom the rules allow it; in a group without rules admins. Each added member takes a rev, in order of user id; then the conversation, whose member count changed.
pub(super) fn add(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    users: &[UserId],
    context: &mut Context<'_>,
) -> Result<Outcome, Refusal> {
    let (conversation, _) = super::allowed(slice, command.actor, Permission::AddMembers)?;
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
    if new.iter().any(|user| ban::holds(slice, *user, context)) {
        return Err(Refusal::conflict("One of them is banned from this group."));
    }
    let answered = |slice: &ConversationSlice| {
        users.iter().filter_map(|user| slice.member(*user).cloned()).collect()
    };
    if new.is_empty() {
        let (rev, history) = (conversation.rev, conversation.history);
        return Ok(Outcome::Members { members: answered(slice), rev, history });
    }
    let conversation = Arc::unwrap_or_clone(conversation);
    let outcome = admit(slice, conversation, command.actor, &new, context)?;
    Ok(match outcome {
        Outcome::Members { rev, history, .. } => {
            Outcome::Members { members: answered(slice), rev, history }
        }
        other => other,
    })
}

/// Makes users members who are none, by rising id. Each takes a rev; then what is said of it; then the conversation, whose
/// member count changed.
pub(super) fn admit(
    slice: &mut ConversationSlice,
    mut conversation: Conversation,
    actor: UserId,
    new: &[UserId],
    context: &mut Context<'_>,
) -> Result<Outcome, Refusal> {
    let mut members = Vec::with_capacity(new.len());
    for user in new {
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
        members.push(slice.put_member(member));
    }
    let history = conversation.history;
    count(&mut conversation, new.len() as i64);
    system::tell(slice, &mut conversation, actor, Told::Joined(new), context)?;
    let rev = count_changed(slice, conversation);
    Ok(Outcome::Members { members, rev, history })
}

/// Admins remove members, the owner removes anybody, everybody may leave; the last one out ends the group.
pub(super) fn remove(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    user: UserId,
    context: &mut Context<'_>,
) -> Result<Outcome, Refusal> {
    let leaving = user == command.actor;
    let (conversation, actor) = super::present_in_group(slice, command.actor)?;
    if !leaving {
        permission::check(&conversation, &actor, Permission::RemoveMembers)?;
    }
    let target = match slice.member(user) {
        Some(target) => Arc::clone(target),
        None => return Err(Refusal::no_member()),
    };
    if !target.is_present() {
        // Removed already: the same answer again.
        return Ok(unchanged(target, &conversation));
    }
    if !leaving && actor.role <= target.role {
        return Err(Refusal::missing(
            Permission::RemoveMembers,
            "Only the owner may remove an admin.",
        ));
    }
    if leaving && actor.role == Role::Owner && conversation.member_count > 1 {
        return Err(Refusal::conflict("Hand the group over before you leave it."));
    }
    expel(slice, Arc::unwrap_or_clone(conversation), command.actor, target, context)
}

/// Ends a membership. It takes a rev; then what is said of it, to those who stay; then the conversation, whose member count
/// changed; without members it ends.
pub(super) fn expel(
    slice: &mut ConversationSlice,
    mut conversation: Conversation,
    actor: UserId,
    target: Arc<Member>,
    context: &mut Context<'_>,
) -> Result<Outcome, Refusal> {
    conversation.rev += 1;
    count(&mut conversation, -1);
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
        let told =
            if actor == target.user { Told::Left(actor) } else { Told::Removed(target.user) };
        system::tell(slice, &mut conversation, actor, told, context)?;
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
    context: &mut Context<'_>,
) -> Result<Outcome, Refusal> {
    let (conversation, owner) = super::allowed(slice, command.actor, Permission::SetRoles)?;
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
    system::tell(slice, &mut conversation, command.actor, Told::Role(user, role), context)?;
    let (rev, history) = (conversation.rev, conversation.history);
    slice.put_conversation(conversation);
    Ok(Outcome::Members { members, rev, history })
}

/// It is so already.
fn unchanged(target: Arc<Member>, conversation: &Conversation) -> Outcome {
    let Conversation { rev, history, .. } = *conversation;
    Outcome::Members { members: vec![target], rev, history }
}

/// Counts members in or out; above a bound a group is large, until it is well below it.
fn count(conversation: &mut Conversation, by: i64) {
    let count = (i64::from(conversation.member_count) + by) as u32;
    conversation.member_count = count;
    conversation.large =
        if conversation.large { count >= LARGE_UNTIL_BELOW } else { count > LARGE_ABOVE };
}

/// The member count is part of what everybody sees of a conversation: its change takes a rev of its own.
fn count_changed(slice: &mut ConversationSlice, mut conversation: Conversation) -> u64 {
    conversation.rev += 1;
    conversation.info_rev = conversation.rev;
    slice.put_conversation(conversation).rev
}
