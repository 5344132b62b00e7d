//! Every rule, once: what a command does to the rows it sees, or why it is refused.
//!
//! A decision is pure. A refused command has changed nothing. Each durable change takes exactly one number:
//! `rev` if every member may see it, `mark_rev` if it is a mark or private, `user_rev` in a user's own rows.

mod ban;
mod delete;
mod edit;
mod group;
mod hide;
mod inbox;
mod invite;
mod life;
mod mark;
mod members;
mod open;
mod pin;
mod react;
mod send;
mod slow;
mod system;
mod text;
mod view;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use inbox::decide_inbox;

use crate::{
    command::{Action, ConversationCommand},
    conversation::{Conversation, ConversationKind},
    id::{History, MessageId, Millis, UnitId, UserId},
    limits::Limits,
    member::Member,
    message::{Message, MessageView},
    outcome::Outcome,
    permission::{self, Permission},
    refusal::Refusal,
    slice::ConversationSlice,
};

/// Where new ids come from; a store hands in its node's generator.
pub trait IdSource {
    /// An id later than `later_than`, not before `now`; `None` when time is used up.
    fn message_id(&mut self, now: Millis, later_than: Option<MessageId>) -> Option<MessageId>;
    /// A random line of numbers.
    fn history(&mut self) -> History;
}

/// What a decision may use besides the rows.
pub struct Context<'a> {
    /// The server's time.
    pub now: Millis,
    /// The unit the command named.
    pub unit: UnitId,
    /// Limits that the operator has set.
    pub limits: &'a Limits,
    /// Where ids come from.
    pub ids: &'a mut dyn IdSource,
}

/// Decides a command on a conversation.
pub fn decide(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    context: &mut Context<'_>,
) -> Result<Outcome, Refusal> {
    match &command.action {
        Action::OpenDirect => open::direct(slice, command, context),
        Action::CreateGroup(group) => open::group(slice, command, group, context),
        Action::Send(message) => send::send(slice, command, message, context),
        Action::Edit(edit) => edit::edit(slice, command, edit, context),
        Action::Delete { seq } => delete::delete(slice, command, *seq, context),
        Action::Pin { seq, remove } => pin::pin(slice, command, *seq, *remove, context),
        Action::Hide { seq } => hide::hide(slice, command, *seq),
        Action::React { seq, emoji, remove } => react::react(slice, command, *seq, emoji, *remove),
        Action::MarkRead { seq } => mark::mark(slice, command, *seq, *seq),
        Action::MarkDelivered { seq } => mark::mark(slice, command, 0, *seq),
        Action::AddMembers { users } => members::add(slice, command, users, context),
        Action::RemoveMember { user } => members::remove(slice, command, *user, context),
        Action::SetRole { user, role } => members::set_role(slice, command, *user, *role, context),
        Action::Change(change) => group::change(slice, command, change, context),
        Action::SetLife(change) => life::set(slice, command, *change),
        Action::Expire { seqs } => life::expire(slice, seqs, context),
        Action::Retain { from } => life::retain(slice, *from),
        Action::DeleteGroup => group::delete(slice, command, context),
        Action::Ban { user, until } => ban::ban(slice, command, *user, *until, context),
        Action::Unban { user } => ban::unban(slice, command, *user),
        Action::CreateInvite(new) => invite::create(slice, command, new, context),
        Action::RevokeInvite { place, mark } => invite::revoke(slice, command, *place, mark),
        Action::LookAtInvite { place, hash } => invite::look(slice, *place, hash, context.now),
        Action::Join { place, hash } => invite::join(slice, command, *place, hash, context),
        Action::ChangeView(change) => view::change(slice, command, change),
    }
}

/// The conversation and the actor's row, for somebody who is a member now.
fn present(
    slice: &ConversationSlice,
    actor: UserId,
) -> Result<(Arc<Conversation>, Arc<Member>), Refusal> {
    let (conversation, member) = known(slice, actor)?;
    if !member.is_present() {
        return Err(Refusal::not_member());
    }
    Ok((conversation, member))
}

/// The conversation and the actor's row, for somebody who is or was a member.
fn known(
    slice: &ConversationSlice,
    actor: UserId,
) -> Result<(Arc<Conversation>, Arc<Member>), Refusal> {
    match (&slice.conversation, slice.member(actor)) {
        (Some(conversation), Some(member)) if conversation.deleted_at.is_none() => {
            Ok((Arc::clone(conversation), Arc::clone(member)))
        }
        _ => Err(Refusal::no_conversation()),
    }
}

/// The conversation and the actor's row, for a member who may do this.
fn allowed(
    slice: &ConversationSlice,
    actor: UserId,
    permission: Permission,
) -> Result<(Arc<Conversation>, Arc<Member>), Refusal> {
    let (conversation, member) = present(slice, actor)?;
    permission::check(&conversation, &member, permission)?;
    Ok((conversation, member))
}

/// A group and the actor's row, for a member of whatever role.
fn present_in_group(
    slice: &ConversationSlice,
    actor: UserId,
) -> Result<(Arc<Conversation>, Arc<Member>), Refusal> {
    let (conversation, member) = present(slice, actor)?;
    if conversation.kind == ConversationKind::Direct {
        return Err(Refusal::conflict("A direct conversation has no members to manage."));
    }
    Ok((conversation, member))
}

/// Whether a message was sent longer ago than a window, if there is one.
fn is_past(context: &Context<'_>, message: &Message, window: Option<Millis>) -> bool {
    window.is_some_and(|window| context.now.saturating_sub(message.created_at) > window)
}

/// A message that the member may read and that is not deleted.
fn readable<'a>(
    slice: &'a ConversationSlice,
    conversation: &Conversation,
    member: &Member,
    seq: u64,
) -> Result<&'a MessageView, Refusal> {
    let access = crate::access(Some(conversation), Some(member))?;
    slice
        .message(seq)
        .filter(|view| access.covers(seq) && view.message.deleted.is_none())
        .ok_or(Refusal::no_message())
}
