//! Editing one's own message.

use std::sync::Arc;

use super::{Context, send, text};
use crate::{
    annex::{Annex, AnnexKey},
    command::{ConversationCommand, Edit},
    edition::Edition,
    extra::Extra,
    limits::EDITIONS_MAX,
    member::Role,
    message::{Message, MessageView},
    outcome::Outcome,
    refusal::Refusal,
    slice::ConversationSlice,
};

/// The text it has already changes nothing. Mentions belong to the old text and go with it; files stay, and a message that
/// has some may lose its text. Where the operator wants it, the old text is kept.
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
    super::system::refuse(&view.message)?;
    if view.message.sender != command.actor {
        return Err(Refusal::forbidden("Only the sender may edit a message."));
    }
    if view.message.attachments().is_empty() {
        text::check_content(&edit.content)?;
    }
    let too_late = super::is_past(context, &view.message, context.limits.edit_window);
    if too_late && member.role < Role::Admin {
        return Err(Refusal::forbidden("The message is too old to be edited."));
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
    let id = conversation.id;
    slice.put_conversation(conversation);
    let MessageView { message, reactions, quote } = view;
    let mut extra = message.extra.clone();
    let kept = extra.as_ref().map_or(0, |extra| extra.editions);
    if context.limits.edit_history && kept < EDITIONS_MAX {
        Extra::change(&mut extra, |extra| extra.editions += 1);
        let since = message.edited_at.unwrap_or(message.created_at);
        let value = Edition { since, content: message.content.clone() }.to_value();
        let key = AnnexKey::edition(message.seq, message.content_rev);
        slice.put_annex(Annex { conversation: id, key, number: rev, value });
    }
    for key in send::mentioned(message.sender, &message.mentions, message.seq) {
        slice.remove_annex(id, key);
    }
    let message = Message {
        extra,
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
