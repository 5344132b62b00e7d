//! Invite links: making, revoking and using them.

use std::sync::Arc;

use super::{Context, ban, members};
use crate::{
    annex::{Annex, AnnexKey},
    command::{ConversationCommand, NewInvite},
    conversation::Conversation,
    id::Millis,
    invite::{Invite, InviteHash},
    limits::{INVITE_USES_MAX, INVITES_MAX},
    outcome::Outcome,
    permission::Permission,
    refusal::Refusal,
    slice::ConversationSlice,
};

/// Puts a link at a place that is free. It takes a mark rev: only those who may add members read it.
pub(super) fn create(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    new: &NewInvite,
    context: &Context<'_>,
) -> Result<Outcome, Refusal> {
    let (conversation, _) = super::allowed(slice, command.actor, Permission::AddMembers)?;
    if new.expires_at.is_some_and(|at| at <= context.now) {
        return Err(Refusal::invalid("expires_at", "A link ends in the future."));
    }
    if new.max_uses.is_some_and(|uses| !(1..=INVITE_USES_MAX).contains(&uses)) {
        return Err(Refusal::invalid("max_uses", "A link is for 1 to 100,000 people."));
    }
    let key = AnnexKey::invite(new.place);
    let taken = |row: &Arc<Annex>| Invite::of(row).is_some_and(|link| link.is_open(context.now));
    if usize::from(new.place) >= INVITES_MAX || slice.annex(key).is_some_and(taken) {
        return Err(Refusal::conflict("Another link was made meanwhile. Try again."));
    }
    let invite = Invite {
        created_at: context.now,
        created_by: command.actor,
        expires_at: new.expires_at,
        max_uses: new.max_uses,
        uses: 0,
        revoked: false,
        hash: new.hash,
    };
    Ok(put(slice, Arc::unwrap_or_clone(conversation), key, &invite))
}

/// Nobody joins by it any more. Twice the same answer.
pub(super) fn revoke(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    place: u8,
    mark: &[u8; 4],
) -> Result<Outcome, Refusal> {
    let (conversation, _) = super::allowed(slice, command.actor, Permission::AddMembers)?;
    let key = AnnexKey::invite(place);
    let Some(row) = slice.annex(key).cloned() else { return Err(Refusal::no_invite()) };
    let named = |invite: &Invite| invite.hash.starts_with(mark);
    let invite = Invite::of(&row).filter(named).ok_or(Refusal::no_invite())?;
    if invite.revoked {
        return Ok(Outcome::Invite { conversation, annex: row });
    }
    let invite = Invite { revoked: true, ..invite };
    Ok(put(slice, Arc::unwrap_or_clone(conversation), key, &invite))
}

/// What a link leads to, for whoever has it. Changes nothing.
pub(super) fn look(
    slice: &ConversationSlice,
    place: u8,
    hash: &InviteHash,
    now: Millis,
) -> Result<Outcome, Refusal> {
    let (conversation, annex, _) = found(slice, place, hash, now)?;
    Ok(Outcome::Invite { conversation, annex })
}

/// The caller joins by a link, as if somebody had added him. Who is a member already uses nothing up.
pub(super) fn join(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    place: u8,
    hash: &InviteHash,
    context: &mut Context<'_>,
) -> Result<Outcome, Refusal> {
    if let Some(member) = slice.member(command.actor).filter(|row| row.is_present()).cloned() {
        let (conversation, _) = super::known(slice, command.actor)?;
        let (rev, history) = (conversation.rev, conversation.history);
        return Ok(Outcome::Members { members: vec![member], rev, history });
    }
    let (conversation, row, invite) = found(slice, place, hash, context.now)?;
    if ban::holds(slice, command.actor, context) {
        return Err(Refusal::banned());
    }
    if conversation.member_count >= context.limits.group_members_max {
        return Err(Refusal::conflict("The group would have too many members."));
    }
    let mut conversation = Arc::unwrap_or_clone(conversation);
    conversation.mark_rev += 1;
    let number = conversation.mark_rev;
    let value = Invite { uses: invite.uses.saturating_add(1), ..invite }.encode();
    slice.put_annex(Annex { conversation: conversation.id, key: row.key, number, value });
    members::admit(slice, conversation, command.actor, &[command.actor], context)
}

/// The group of a link that may still be used; everything else is as if it had never been.
fn found(
    slice: &ConversationSlice,
    place: u8,
    hash: &InviteHash,
    now: Millis,
) -> Result<(Arc<Conversation>, Arc<Annex>, Invite), Refusal> {
    let conversation = slice.conversation.clone().filter(|row| row.deleted_at.is_none());
    let row = slice.annex(AnnexKey::invite(place)).cloned();
    let (Some(conversation), Some(row)) = (conversation, row) else {
        return Err(Refusal::no_invite());
    };
    let invite = Invite::of(&row).filter(|link| link.hash == *hash && link.is_open(now));
    Ok((conversation, row, invite.ok_or(Refusal::no_invite())?))
}

fn put(
    slice: &mut ConversationSlice,
    mut conversation: Conversation,
    key: AnnexKey,
    invite: &Invite,
) -> Outcome {
    conversation.mark_rev += 1;
    let (id, number) = (conversation.id, conversation.mark_rev);
    let conversation = slice.put_conversation(conversation);
    let value = invite.encode();
    let annex = slice.put_annex(Annex { conversation: id, key, number, value });
    Outcome::Invite { conversation, annex }
}
