//! Editing one's own message.

use std::sync::Arc;

use super::{Context, text};
use crate::{
    command::{ConversationCommand, Edit},
    message::{Message, MessageView},
    outcome::Outcome,
    refusal::Refusal,
    slice::ConversationSlice,
};

/// The text it has already changes nothing. Mentions belong to the old text and go with it; files stay, and a message that
/// has some may lose its text.
pub(super) fn edit(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    edit: &Edit,
    context: &Context<'_>,
) -> Result<Outcome, Refusal> {
    if !edit.content.is_empty() {
        text::check_content(&edit.content)?;
    }
    let (conversation, member) = super::present(slice, command.actor)?;
    let view = super::readable(slice, &conversation, &member, edit.seq)?.clone();
    if view.message.sender != command.actor {
        return Err(Refusal::forbidden("Only the sender may edit a message."));
    }
    if view.message.attachments().is_empty() {
        text::check_content(&edit.content)?;
    }
    if edit.if_content_rev.is_some_and(|rev| rev != view.message.content_rev) {
        return Err(Refusal::conflict("The message was changed meanwhile."));
    }
    if view.message.content == edit.content {
        return Ok(Outcome::Changed { message: view, history: conversation.history });
    }
    let mut conversation = Arc::unwrap_or_clone(conversation);
    conversation.rev += 1;
    let (rev, history) = (conversation.rev, conversation.history);
    slice.put_conversation(conversation);
    let MessageView { message, reactions, quote } = view;
    let message = Message {
        content: edit.content.clone(),
        mentions: Vec::new(),
        edited_at: Some(context.now.max(message.created_at)),
        rev,
        content_rev: rev,
        ..Arc::unwrap_or_clone(message)
    };
    let message = slice.put_message(message, reactions, quote);
    Ok(Outcome::Changed { message, history })
}
