//! Reactions.

use std::sync::Arc;

use super::text::check_emoji;
use crate::{
    command::ConversationCommand,
    conversation::Conversation,
    id::{Seq, UserId},
    limits::EMOJI_PER_MESSAGE_MAX,
    message::{Message, MessageView, ReactionGroup},
    outcome::Outcome,
    refusal::Refusal,
    row::Reaction,
    slice::ConversationSlice,
};

/// Adds or removes one's own reaction; what is so already changes nothing. The message takes the rev.
pub(super) fn react(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    seq: Seq,
    emoji: &str,
    remove: bool,
) -> Result<Outcome, Refusal> {
    let emoji = &*check_emoji(emoji)?;
    let (conversation, member) = super::present(slice, command.actor)?;
    let view = super::readable(slice, &conversation, &member, seq)?.clone();
    super::system::refuse(&view.message)?;
    let MessageView { message, mut reactions, quote } = view.clone();
    let changed = if remove {
        take(&mut reactions, emoji, command.actor)
    } else {
        let known = reactions.iter().any(|group| group.emoji == emoji);
        if !known && reactions.len() >= EMOJI_PER_MESSAGE_MAX {
            return Err(Refusal::conflict("The message has 50 different reactions already."));
        }
        add(&mut reactions, emoji, command.actor)
    };
    if !changed {
        return Ok(Outcome::Changed { message: view, history: conversation.history });
    }
    let mut conversation = Arc::unwrap_or_clone(conversation);
    conversation.rev += 1;
    let Conversation { id, rev, history, .. } = conversation;
    slice.put_conversation(conversation);
    let reaction = Reaction { conversation: id, seq, user: command.actor, emoji: emoji.to_owned() };
    if remove {
        slice.remove_reaction(reaction);
    } else {
        slice.put_reaction(reaction);
    }
    let message = Message { rev, ..Arc::unwrap_or_clone(message) };
    let message = slice.put_message(message, reactions, quote);
    Ok(Outcome::Changed { message, history })
}

fn add(reactions: &mut Vec<ReactionGroup>, emoji: &str, user: UserId) -> bool {
    match reactions.binary_search_by(|group| group.emoji.as_str().cmp(emoji)) {
        Ok(at) => match reactions[at].users.binary_search(&user) {
            Ok(_) => false,
            Err(place) => {
                reactions[at].users.insert(place, user);
                true
            }
        },
        Err(at) => {
            let group = ReactionGroup { emoji: emoji.to_owned(), users: vec![user] };
            reactions.insert(at, group);
            true
        }
    }
}

fn take(reactions: &mut Vec<ReactionGroup>, emoji: &str, user: UserId) -> bool {
    let Some(at) = reactions.iter().position(|group| group.emoji == emoji) else {
        return false;
    };
    let Ok(place) = reactions[at].users.binary_search(&user) else {
        return false;
    };
    reactions[at].users.remove(place);
    if reactions[at].users.is_empty() {
        reactions.remove(at);
    }
    true
}
