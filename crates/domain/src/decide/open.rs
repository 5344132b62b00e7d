//! Opening direct conversations and creating groups.

use std::{collections::BTreeSet, sync::Arc};

use super::{Context, group::check_rules, system, system::Told, text::check_name};
use crate::{
    command::{ConversationCommand, NewGroup},
    conversation::{Conversation, ConversationKind, GroupSettings},
    extra::{ConversationExtra, Extra},
    id::{ConversationId, Party, UserId},
    limits::{LARGE_ABOVE, USERS_PER_REQUEST_MAX},
    member::{Member, Role},
    outcome::Outcome,
    permission::GroupRules,
    refusal::Refusal,
    slice::ConversationSlice,
};

pub(super) fn direct(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    context: &mut Context<'_>,
) -> Result<Outcome, Refusal> {
    let created = ensure_direct(slice, command, context)?;
    let (conversation, member) = super::present(slice, command.actor)?;
    Ok(Outcome::Opened { conversation, member, created })
}

/// Creates a direct conversation if it is not there. Rev 1 is the conversation, then one for each member.
pub(super) fn ensure_direct(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    context: &mut Context<'_>,
) -> Result<bool, Refusal> {
    let Party::Direct { lo, hi } = command.conversation.party() else {
        return Err(Refusal::no_conversation());
    };
    if command.actor != lo && command.actor != hi {
        return Err(Refusal::no_conversation());
    }
    if slice.conversation.is_some() {
        return Ok(false);
    }
    let users = BTreeSet::from([lo, hi]);
    let kind = ConversationKind::Direct;
    let birth = Birth {
        id: command.conversation,
        kind,
        name: String::new(),
        create_hash: None,
        settings: GroupSettings::default(),
        rules: GroupRules::default(),
    };
    create(slice, birth, users, |_| Role::Member, context);
    Ok(true)
}

pub(super) fn group(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    group: &NewGroup,
    context: &mut Context<'_>,
) -> Result<Outcome, Refusal> {
    if let Some(existing) = &slice.conversation {
        // Only a retry with the same client id can meet its own group.
        let same = existing.create_hash.is_some() && existing.create_hash == group.create_hash;
        let (conversation, member) = super::known(slice, command.actor)?;
        if !same {
            return Err(Refusal::conflict("This client id was used for another group."));
        }
        return Ok(Outcome::Opened { conversation, member, created: false });
    }
    check_name(&group.name)?;
    check_rules(&group.rules)?;
    let mut users: BTreeSet<UserId> = group.members.iter().copied().collect();
    users.insert(command.actor);
    if users.len() > USERS_PER_REQUEST_MAX + 1 {
        return Err(Refusal::invalid("member_ids", "Name at most 1,000 members at once."));
    }
    if users.len() > context.limits.group_members_max as usize {
        return Err(Refusal::conflict("The group would have too many members."));
    }
    let owner = command.actor;
    let role = |user| {
        if user == owner { Role::Owner } else { Role::Member }
    };
    let new_rules =
        GroupRules { system_messages: context.limits.system_messages, ..GroupRules::default() };
    let birth = Birth {
        id: command.conversation,
        kind: ConversationKind::Group,
        name: group.name.clone(),
        create_hash: group.create_hash,
        settings: group.settings,
        rules: group.rules.apply(new_rules),
    };
    let born = create(slice, birth, users, role, context);
    let mut told = Conversation::clone(&born);
    system::tell(slice, &mut told, owner, Told::Created(&group.name), context)?;
    if told != *born {
        slice.put_conversation(told);
    }
    let (conversation, member) = super::present(slice, command.actor)?;
    Ok(Outcome::Opened { conversation, member, created: true })
}

/// The parts of a new conversation.
struct Birth {
    id: ConversationId,
    kind: ConversationKind,
    name: String,
    create_hash: Option<u128>,
    settings: GroupSettings,
    rules: GroupRules,
}

fn create(
    slice: &mut ConversationSlice,
    birth: Birth,
    users: BTreeSet<UserId>,
    role: impl Fn(UserId) -> Role,
    context: &mut Context<'_>,
) -> Arc<Conversation> {
    let Birth { id, kind, name, create_hash, settings, rules } = birth;
    let mut extra = None;
    Extra::change(&mut extra, |extra: &mut ConversationExtra| extra.rules = rules);
    let member_count = users.len() as u32;
    for (index, user) in users.into_iter().enumerate() {
        slice.put_member(Member {
            conversation: id,
            user,
            role: role(user),
            joined_seq: 1,
            left_seq: None,
            rev: index as u64 + 2,
            read_seq: 0,
            delivered_seq: 0,
            mark_rev: 0,
            hidden_to: 0,
            muted_until: None,
            extra: None,
        });
    }
    slice.put_conversation(Conversation {
        id,
        unit: context.unit,
        slot: id.slot(),
        kind,
        name,
        created_at: context.now,
        history: context.ids.history(),
        head_seq: 0,
        last_message_id: None,
        last_activity_at: context.now,
        rev: u64::from(member_count) + 1,
        info_rev: 1,
        mark_rev: 0,
        member_count,
        large: member_count > LARGE_ABOVE,
        retained_from: 1,
        settings,
        create_hash,
        deleted_at: None,
        extra,
    })
}
