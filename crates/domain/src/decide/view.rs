//! One's own private view of a conversation: the hidden part and the mute.

use std::sync::Arc;

use crate::{
    command::{ConversationCommand, ViewChange},
    member::Member,
    outcome::Outcome,
    refusal::Refusal,
    slice::ConversationSlice,
};

/// Takes a mark rev. Who has left may still hide the conversation.
pub(super) fn change(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    change: &ViewChange,
) -> Result<Outcome, Refusal> {
    let (conversation, member) = super::known(slice, command.actor)?;
    let hidden_to = change
        .hidden_to
        .map_or(member.hidden_to, |seq| member.hidden_to.max(seq.min(conversation.head_seq)));
    let muted_until = change.muted_until.unwrap_or(member.muted_until);
    if hidden_to == member.hidden_to && muted_until == member.muted_until {
        return Ok(Outcome::Marked { member, moved: false });
    }
    let mut conversation = Arc::unwrap_or_clone(conversation);
    conversation.mark_rev += 1;
    let mark_rev = conversation.mark_rev;
    slice.put_conversation(conversation);
    let member = Member { hidden_to, muted_until, mark_rev, ..Arc::unwrap_or_clone(member) };
    let member = slice.put_member(member);
    Ok(Outcome::Marked { member, moved: true })
}
