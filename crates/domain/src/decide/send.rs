//! Sending a message.

use std::{collections::BTreeSet, sync::Arc};

use super::{Context, life, open, slow, text};
use crate::{
    annex::{Annex, AnnexKey},
    command::{ConversationCommand, NewMessage},
    extra::{Attachment, Extra, MessageExtra},
    id::{History, Party, Seq, UserId},
    member::Member,
    message::{Mention, Message, MessageKind, Quote},
    outcome::Outcome,
    permission::Permission,
    refusal::Refusal,
    slice::ConversationSlice,
};

/// Whom a message mentions, and what it answers: where both are looked for.
fn relations(sender: UserId, new: &NewMessage, seq: Seq) -> Vec<AnnexKey> {
    let mut keys: Vec<_> = mentioned(sender, &new.mentions, seq).collect();
    keys.extend(new.reply_to.map(|root| AnnexKey::reply(root, seq)));
    keys
}

/// Where it is noted whom a message mentions: each user once, and not its sender.
pub(super) fn mentioned(
    sender: UserId,
    mentions: &[Mention],
    seq: Seq,
) -> impl Iterator<Item = AnnexKey> {
    let users: BTreeSet<_> = mentions.iter().map(|mention| mention.user_id).collect();
    users
        .into_iter()
        .filter(move |user| *user != sender)
        .map(move |user| AnnexKey::mention(user, seq))
}

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
    let (conversation, member) = super::allowed(slice, command.actor, Permission::Send)?;
    let slowed = slow::check(&conversation, &member, context.now)?;
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
    if !new.mentions.is_empty() {
        Extra::change(&mut conversation.extra, |extra| extra.mentioned = true);
    }
    let mut extra = extra(attachments);
    if conversation.extra.is_some() {
        let seq = conversation.head_seq;
        let expires_at = life::time(&mut conversation, seq, now);
        Extra::change(&mut extra, |extra: &mut MessageExtra| extra.expires_at = expires_at);
    }
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
        extra,
    };
    slice.put_conversation(conversation);
    let mut member =
        Member { read_seq: seq, delivered_seq: seq, mark_rev, ..Arc::unwrap_or_clone(member) };
    if slowed {
        slow::note(&mut member, context.now);
    }
    slice.put_member(member);
    let id = message.conversation;
    for key in relations(command.actor, new, seq) {
        slice.put_annex(Annex { conversation: id, key, number: rev, value: Vec::new() });
    }
    let message = slice.put_message(message, Vec::new(), quote);
    Ok(Outcome::Sent { message, mark_rev, history, duplicate: false })
}

/// What few messages have, where there is something.
fn extra(attachments: &[Attachment]) -> Option<Box<MessageExtra>> {
    let extra = || MessageExtra { attachments: attachments.to_vec(), ..MessageExtra::default() };
    (!attachments.is_empty()).then(|| Box::new(extra()))
}
