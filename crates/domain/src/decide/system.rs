//! Messages of the server itself: who joined, left, was given a role; what a group is called. They are part of the same
//! commit as what they tell of, take a seq and a rev of their own and count as unread for nobody.

use super::Context;
use crate::{
    conversation::{Conversation, ConversationKind},
    id::UserId,
    member::Role,
    message::{Message, MessageKind},
    permission::GroupRules,
    refusal::Refusal,
    slice::ConversationSlice,
};

/// What is told. The document of the wire is in `proto`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told<'a> {
    /// The group is new.
    Created(&'a str),
    /// Users joined: by themselves, or somebody added them.
    Joined(&'a [UserId]),
    /// A user left.
    Left(UserId),
    /// A user was removed.
    Removed(UserId),
    /// A user has another role.
    Role(UserId, Role),
    /// The group has another name.
    Renamed(&'a str),
    /// The group has other settings.
    Settings,
}

/// Says it, where the group wants such messages; in large groups nothing of who comes and goes. The conversation is changed
/// and not written: the caller does that.
pub(super) fn tell(
    slice: &mut ConversationSlice,
    conversation: &mut Conversation,
    actor: UserId,
    told: Told<'_>,
    context: &mut Context<'_>,
) -> Result<(), Refusal> {
    let comes_and_goes = matches!(told, Told::Joined(_) | Told::Left(_) | Told::Removed(_));
    if conversation.kind != ConversationKind::Group
        || !GroupRules::of(conversation).system_messages
        || (comes_and_goes && conversation.large)
    {
        return Ok(());
    }
    let now = context.now.max(conversation.last_activity_at);
    let message_id = context
        .ids
        .message_id(now, conversation.last_message_id)
        .ok_or(Refusal::conflict("The server's clock is out of range."))?;
    conversation.head_seq += 1;
    conversation.rev += 1;
    conversation.last_activity_at = now;
    conversation.last_message_id = Some(message_id);
    let rev = conversation.rev;
    let message = Message {
        conversation: conversation.id,
        seq: conversation.head_seq,
        message_id,
        slot: conversation.slot,
        sender: actor,
        client_id: None,
        payload_hash: None,
        kind: MessageKind::System,
        content: document(told),
        reply_to: None,
        mentions: Vec::new(),
        created_at: now,
        edited_at: None,
        deleted: None,
        uncounted: true,
        created_rev: rev,
        rev,
        content_rev: rev,
        extra: None,
    };
    slice.put_message(message, Vec::new(), None);
    Ok(())
}

/// Refuses what is only done with messages of people.
pub(super) fn refuse(message: &Message) -> Result<(), Refusal> {
    if message.kind == MessageKind::System {
        return Err(Refusal::forbidden("This is not possible with messages of the server."));
    }
    Ok(())
}

/// The content: one small JSON document.
fn document(told: Told<'_>) -> String {
    let users = |event: &str, users: &[UserId]| {
        let ids: Vec<String> = users.iter().map(|user| user.get().to_string()).collect();
        format!("{{\"event\":\"{event}\",\"user_ids\":[{}]}}", ids.join(","))
    };
    match told {
        Told::Created(name) => format!("{{\"event\":\"created\",\"name\":{}}}", quoted(name)),
        Told::Joined(joined) => users("joined", joined),
        Told::Left(user) => users("left", &[user]),
        Told::Removed(user) => users("removed", &[user]),
        Told::Role(user, role) => {
            let role = match role {
                Role::Member => "member",
                Role::Admin => "admin",
                Role::Owner => "owner",
            };
            format!("{{\"event\":\"role_changed\",\"user_ids\":[{user}],\"role\":\"{role}\"}}")
        }
        Told::Renamed(name) => format!("{{\"event\":\"renamed\",\"name\":{}}}", quoted(name)),
        Told::Settings => "{\"event\":\"settings_changed\"}".to_owned(),
    }
}

/// A name as JSON: names have no control characters.
fn quoted(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 2);
    text.push('"');
    for c in name.chars() {
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}
