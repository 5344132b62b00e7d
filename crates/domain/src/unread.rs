//! The unread count: computed from positions, never counted.

#[cfg(test)]
mod tests;

use crate::{conversation::Conversation, id::Seq, member::Member};

/// Nothing up to here counts as unread for this member.
pub fn unread_floor(conversation: &Conversation, member: &Member) -> Seq {
    member
        .read_seq
        .max(member.joined_seq.saturating_sub(1))
        .max(member.hidden_to)
        .max(conversation.retained_from.saturating_sub(1))
}

/// Unread messages of a member, given how many above the floor do not count; 0 for who has left.
pub fn unread(conversation: &Conversation, member: &Member, uncounted_above_floor: u64) -> u64 {
    if !member.is_present() || conversation.deleted_at.is_some() {
        return 0;
    }
    let floor = unread_floor(conversation, member);
    conversation.head_seq.saturating_sub(floor).saturating_sub(uncounted_above_floor)
}
