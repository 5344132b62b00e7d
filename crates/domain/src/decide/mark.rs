//! Read and delivered marks.

use std::sync::Arc;

use crate::{
    command::ConversationCommand, id::Seq, member::Member, outcome::Outcome, refusal::Refusal,
    slice::ConversationSlice,
};

/// Moves the marks forward, clamped to the head; read implies delivered. What moves nothing commits nothing.
pub(super) fn mark(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    read: Seq,
    delivered: Seq,
) -> Result<Outcome, Refusal> {
    let (conversation, member) = super::present(slice, command.actor)?;
    let head = conversation.head_seq;
    let read_seq = member.read_seq.max(read.min(head));
    let delivered_seq = member.delivered_seq.max(delivered.min(head)).max(read_seq);
    if read_seq == member.read_seq && delivered_seq == member.delivered_seq {
        return Ok(Outcome::Marked { member, moved: false });
    }
    let mut conversation = Arc::unwrap_or_clone(conversation);
    conversation.mark_rev += 1;
    let mark_rev = conversation.mark_rev;
    slice.put_conversation(conversation);
    let member = Member { read_seq, delivered_seq, mark_rev, ..Arc::unwrap_or_clone(member) };
    let member = slice.put_member(member);
    Ok(Outcome::Marked { member, moved: true })
}
