//! Pinning a message for everybody.

use std::sync::Arc;

use super::Context;
use crate::{
    annex::{Annex, AnnexKey},
    command::ConversationCommand,
    conversation::Conversation,
    extra::{Extra, Pinned},
    id::Seq,
    limits::PINS_MAX,
    message::MessageView,
    outcome::Outcome,
    permission::Permission,
    refusal::Refusal,
    slice::ConversationSlice,
};

/// Both people of a direct conversation may, and whom the rules of a group allow it. What is so already changes nothing. The message takes
/// the rev; whoever pins again does not become the one who pinned.
pub(super) fn pin(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    seq: Seq,
    remove: bool,
    context: &Context<'_>,
) -> Result<Outcome, Refusal> {
    let (conversation, member) = super::allowed(slice, command.actor, Permission::Pin)?;
    let view = super::readable(slice, &conversation, &member, seq)?.clone();
    super::system::refuse(&view.message)?;
    let pinned = view.message.extra.as_ref().is_some_and(|extra| extra.pinned.is_some());
    if pinned != remove {
        return Ok(Outcome::Changed { message: view, history: conversation.history });
    }
    let count = conversation.extra.as_ref().map_or(0, |extra| extra.pins.len());
    if !remove && count >= PINS_MAX {
        return Err(Refusal::conflict("The conversation has 100 pinned messages already."));
    }
    let mut conversation = Arc::unwrap_or_clone(conversation);
    conversation.rev += 1;
    set(&mut conversation, seq, !remove);
    let Conversation { id, rev, history, .. } = conversation;
    slice.put_conversation(conversation);
    let key = AnnexKey::pin(seq);
    if remove {
        slice.remove_annex(id, key);
    } else {
        slice.put_annex(Annex { conversation: id, key, number: rev, value: Vec::new() });
    }
    let MessageView { message, reactions, quote } = view;
    let mut message = Arc::unwrap_or_clone(message);
    message.rev = rev;
    let at = context.now.max(message.created_at);
    Extra::change(&mut message.extra, |extra| {
        extra.pinned = (!remove).then_some(Pinned { at, by: command.actor });
    });
    let message = slice.put_message(message, reactions, quote);
    Ok(Outcome::Changed { message, history })
}

/// Puts a message on the conversation's list of pins, or takes it off.
pub(super) fn set(conversation: &mut Conversation, seq: Seq, pinned: bool) {
    Extra::change(&mut conversation.extra, |extra| {
        match (extra.pins.binary_search(&seq), pinned) {
            (Err(place), true) => extra.pins.insert(place, seq),
            (Ok(place), false) => {
                extra.pins.remove(place);
            }
            _ => {}
        }
    });
}
