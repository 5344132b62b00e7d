//! Sending a message.

use std::sync::Arc;

use super::{Context, open, text};
use crate::{
    command::{ConversationCommand, NewMessage},
    extra::{Attachment, MessageExtra},
    id::{History, Party},
    member::Member,
    message::{Message, MessageKind, Quote},
    outcome::Outcome,
    refusal::Refusal,
    slice::ConversationSlice,
};

/// A new message takes the next seq and rev; it moves its sender's own marks to itself.
///
/// The same client id again gives the first result, before any other check: whoever retries must learn what happened,
/// also when he has left or the message is deleted.
pub(super) fn send(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    new: &NewMessage,
    context: &mut Context<'_>,
) -> Result<Outcome, Refusal> {
    if let Some(first) = slice.duplicate.clone() {
        let same = first.message.payload_hash.is_none_or(|hash| hash == new.payload_hash);
        if !same {
            return Err(Refusal::conflict("This client id was used for another message."));
        }
        let mark_rev = slice.member(command.actor).map_or(0, |member| member.mark_rev);
        let history = slice.conversation.as_ref().map_or(History(0), |row| row.history);
        return Ok(Outcome::Sent { message: first, mark_rev, history, duplicate: true });
    }
    let attachments = new.attachments.as_deref().ok_or(Refusal::no_file())?;
    if new.kind == MessageKind::System || (new.kind != MessageKind::Text && attachments.is_empty())
    {
        return Err(Refusal::invalid("type", "A message of this type needs attachments."));
    }
    if attachments.is_empty() || !new.content.is_empty() {
        text::check_content(&new.content)?;
    }
    text::check_mentions(&new.mentions, &new.content)?;
    if matches!(command.conversation.party(), Party::Direct { .. }) && slice.conversation.is_none()
    {
        if new.reply_to.is_some() {
            return Err(Refusal::no_message());
        }
        open::ensure_direct(slice, command, context)?;
    }
    let (conversation, member) = super::present(slice, command.actor)?;
    let quote = match new.reply_to {
        Some(seq) => Some(Quote::of(&super::readable(slice, &conversation, &member, seq)?.message)),
        None => None,
    };
    let now = context.now.max(conversation.last_activity_at);
    let message_id = context
        .ids
        .message_id(now, conversation.last_message_id)
        .ok_or(Refusal::conflict("The server's clock is out of range."))?;

    let mut conversation = Arc::unwrap_or_clone(conversation);
    conversation.head_seq += 1;
    conversation.rev += 1;
    conversation.mark_rev += 1;
    conversation.last_activity_at = now;
    conversation.last_message_id = Some(message_id);
    let (seq, rev, mark_rev) = (conversation.head_seq, conversation.rev, conversation.mark_rev);
    let history = conversation.history;

    let message = Message {
        conversation: conversation.id,
        seq,
        message_id,
        slot: conversation.slot,
        sender: command.actor,
        client_id: new.client_id.clone(),
        payload_hash: new.client_id.is_some().then_some(new.payload_hash),
        kind: new.kind,
        content: new.content.clone(),
        reply_to: new.reply_to,
        mentions: new.mentions.clone(),
        created_at: now,
        edited_at: None,
        deleted: None,
        uncounted: false,
        created_rev: rev,
        rev,
        content_rev: rev,
        extra: extra(attachments),
    };
    slice.put_conversation(conversation);
    slice.put_member(Member {
        read_seq: seq,
        delivered_seq: seq,
        mark_rev,
        ..Arc::unwrap_or_clone(member)
    });
    let message = slice.put_message(message, Vec::new(), quote);
    Ok(Outcome::Sent { message, mark_rev, history, duplicate: false })
}

/// What few messages have, where there is something.
fn extra(attachments: &[Attachment]) -> Option<Box<MessageExtra>> {
    let extra = || MessageExtra { attachments: attachments.to_vec(), ..MessageExtra::default() };
    (!attachments.is_empty()).then(|| Box::new(extra()))
}
