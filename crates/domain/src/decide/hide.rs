//! Deleting a message for oneself: a private row beside it. Nobody else learns of it.

use std::sync::Arc;

use crate::{
    annex::{Annex, AnnexKey},
    command::ConversationCommand,
    extra::Extra,
    id::Seq,
    member::Member,
    outcome::Outcome,
    refusal::Refusal,
    slice::ConversationSlice,
};

/// Takes a mark rev. Doing it twice gives the same answer. Who has left may still hide what he may read.
pub(super) fn hide(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    seq: Seq,
) -> Result<Outcome, Refusal> {
    let (conversation, member) = super::known(slice, command.actor)?;
    let history = conversation.history;
    let key = AnnexKey::hidden(command.actor, seq);
    if let Some(known) = slice.annex(key) {
        return Ok(Outcome::Hidden { member, annex: Arc::clone(known), history });
    }
    let counts = !super::readable(slice, &conversation, &member, seq)?.message.uncounted;
    let mut conversation = Arc::unwrap_or_clone(conversation);
    conversation.mark_rev += 1;
    let (id, number) = (conversation.id, conversation.mark_rev);
    slice.put_conversation(conversation);
    let mut member = Member { mark_rev: number, ..Arc::unwrap_or_clone(member) };
    Extra::change(&mut member.extra, |extra| extra.hides = true);
    let member = slice.put_member(member);
    let value = if counts { Vec::new() } else { vec![1] };
    let annex = slice.put_annex(Annex { conversation: id, key, number, value });
    Ok(Outcome::Hidden { member, annex, history })
}
