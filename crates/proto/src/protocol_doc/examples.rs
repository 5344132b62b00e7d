//! One value of every frame: the examples of the document, and what its tests look at.

use crate::{
    Conversation, Encoding, ErrorCode, ErrorObject, Inbox, Member, Message, Reaction, Reply,
    Settings,
    frame::{
        ClientFrame, Command, ConversationUpdated, DeleteMessage, DeleteScope, Done, EditMessage,
        FrameRef, HeartbeatAnswer, Hello, InboxUpdated, Mark, MarkTarget, MemberUpdated,
        MessageDeleted, MessageHidden, MessageSent, MessageUpdated, NewMessage, OutgoingMessage,
        Presence, PresenceOf, PresenceStatus, React, ReceiptUpdated, SendMessage, SendTarget,
        ServerData, SyncRequired, Typing, TypingNotice, encode,
    },
};
use ostracon_domain::{
    ConversationId, ConversationKind, History, IdError, MessageId, MessageKind, Millis, Role,
    UserId,
};

const NOW: Millis = 1_795_257_516_007;
const HISTORY: History = History(8_842_013_377);

/// The people and places of all examples.
struct Cast {
    alice: UserId,
    bob: UserId,
    direct: ConversationId,
    message: MessageId,
}

fn cast() -> Result<Cast, IdError> {
    let (alice, bob) = (UserId::new(1)?, UserId::new(2)?);
    Ok(Cast {
        alice,
        bob,
        direct: ConversationId::direct(alice, bob),
        message: MessageId::new(1_573_741_824_000_000_042)?,
    })
}

fn message(cast: &Cast) -> Message<'static> {
    Message {
        message_id: cast.message,
        conversation_id: cast.direct,
        seq: 7,
        rev: 9,
        content_rev: 9,
        sender_id: cast.alice,
        kind: MessageKind::Text,
        content: Some("See you at nine.".into()),
        timestamp: NOW,
        client_id: Some("b1f7".into()),
        edited_at: None,
        deleted_at: None,
        deleted_by: None,
        reply_to: None,
        mentions: Vec::new(),
        reactions: Vec::new(),
        pinned_at: None,
        expires_at: None,
        hidden: false,
        withheld: false,
        history: Some(HISTORY),
        mark_rev: None,
        attachments: Vec::new(),
    }
}

/// The frames of a client, in the order of the document.
pub(super) fn client() -> Result<Vec<String>, IdError> {
    let cast = cast()?;
    let conversation_id = cast.direct;
    let commands = [
        Command::SendMessage(SendMessage {
            target: SendTarget::Conversation(conversation_id),
            message: OutgoingMessage {
                client_id: Some("b1f7".into()),
                ..OutgoingMessage::text("See you at nine.")
            },
        }),
        Command::EditMessage(EditMessage {
            conversation_id,
            seq: 7,
            content: "See you at ten.".into(),
            if_content_rev: Some(9),
        }),
        Command::DeleteMessage(DeleteMessage {
            conversation_id,
            seq: 7,
            scope: DeleteScope::Everyone,
        }),
        Command::React(React { conversation_id, seq: 7, emoji: "👍".into(), remove: false }),
        Command::MarkRead(Mark { conversation_id, up_to: MarkTarget::Seq(7) }),
        Command::MarkDelivered(Mark { conversation_id, up_to: MarkTarget::Message(cast.message) }),
        Command::Typing(Typing { conversation_id, is_typing: true }),
        Command::PresenceSubscribe(PresenceOf { user_ids: vec![cast.bob.into()] }),
        Command::PresenceUnsubscribe(PresenceOf { user_ids: vec![cast.bob.into()] }),
        Command::Heartbeat,
    ];
    let frame = |(n, command)| {
        let frame = ClientFrame { id: Some(FrameRef::number(n)), command };
        String::from_utf8(frame.encode(Encoding::Json)).unwrap_or_default()
    };
    Ok((1..).zip(commands).map(frame).collect())
}

/// The frames of the server, in the order of the document.
pub(super) fn server() -> Result<Vec<String>, IdError> {
    fn event<T: ServerData>(data: &T) -> String {
        text(encode::event(Encoding::Json, data))
    }
    fn answer<T: ServerData>(id: i64, data: &T) -> String {
        text(encode::answer(Encoding::Json, Some(&FrameRef::number(id)), data))
    }
    fn text(frame: bytes::Bytes) -> String {
        String::from_utf8(frame.into()).unwrap_or_default()
    }
    let cast = cast()?;
    let conversation_id = cast.direct;
    let sent = Message { mark_rev: Some(3), ..message(&cast) };
    let edited = Message {
        rev: 10,
        content_rev: 10,
        content: Some("See you at ten.".into()),
        edited_at: Some(NOW + 60_000),
        ..message(&cast)
    };
    let reply = Message {
        message_id: MessageId::new(1_573_741_824_000_000_043)?,
        seq: 8,
        rev: 11,
        content_rev: 11,
        sender_id: cast.bob,
        content: Some("Fine.".into()),
        timestamp: NOW + 90_000,
        client_id: None,
        reply_to: Some(Reply { seq: 7, sender_id: cast.alice, excerpt: "See you at ten.".into() }),
        mark_rev: Some(4),
        ..message(&cast)
    };
    let reacted = Message {
        rev: 12,
        client_id: None,
        reactions: vec![Reaction { emoji: "👍".into(), count: 1, user_ids: vec![cast.bob] }],
        ..edited.clone()
    };
    Ok(vec![
        event(&Hello {
            session_id: "5rk2".into(),
            user_id: cast.alice,
            heartbeat_s: 30,
            max_frame_bytes: 65_536,
            max_in_flight: 64,
            server_time: NOW,
            user_rev: 31,
        }),
        answer(
            1,
            &MessageSent {
                message_id: cast.message,
                conversation_id,
                seq: 7,
                rev: 9,
                history: HISTORY,
                timestamp: NOW,
                client_id: Some("b1f7".into()),
                message: sent,
            },
        ),
        answer(2, &Done { message: Some(edited), ..Done::default() }),
        event(&NewMessage(reply)),
        event(&MessageUpdated(reacted)),
        event(&MessageDeleted {
            conversation_id,
            seq: 7,
            message_id: cast.message,
            rev: 13,
            history: HISTORY,
            deleted_at: NOW + 120_000,
            deleted_by: cast.alice,
        }),
        event(&MessageHidden { conversation_id, seq: 6, mark_rev: 4, history: HISTORY }),
        event(&ReceiptUpdated {
            conversation_id,
            user_id: cast.bob,
            read_seq: Some(8),
            delivered_seq: Some(8),
            mark_rev: 5,
            history: HISTORY,
        }),
        event(&ConversationUpdated(Conversation {
            conversation_id: "0197a7f4-2b3c-7d4e-8f50-112233445566".parse()?,
            kind: ConversationKind::Group,
            name: Some("Supper club".into()),
            member_count: 3,
            head_seq: 12,
            rev: 20,
            mark_rev: 14,
            history: HISTORY,
            large: false,
            created_at: NOW,
            settings: Settings::default(),
            retained_from: None,
            timer_s: None,
            retention_s: None,
        })),
        event(&MemberUpdated {
            conversation_id: "0197a7f4-2b3c-7d4e-8f50-112233445566".parse()?,
            history: HISTORY,
            rev: 21,
            member: Member {
                user_id: cast.bob,
                role: Role::Member,
                joined_seq: 1,
                left_seq: Some(12),
                rev: 21,
                read_seq: Some(12),
                delivered_seq: Some(12),
                mark_rev: Some(9),
            },
        }),
        event(&InboxUpdated {
            conversation_id,
            history: HISTORY,
            rev: 13,
            mark_rev: 5,
            user_rev: 32,
            unread: 1,
            inbox: Some(Inbox { pinned: true, ..Inbox::default() }),
        }),
        event(&TypingNotice { conversation_id, user_id: cast.bob, is_typing: true }),
        event(&Presence {
            user_id: cast.bob,
            status: PresenceStatus::Offline,
            last_seen: Some(NOW),
        }),
        event(&SyncRequired {}),
        answer(7, &HeartbeatAnswer { server_time: NOW + 180_000, user_rev: 32 }),
        answer(1, &refusal()),
    ])
}

pub(super) fn refusal() -> ErrorObject {
    ErrorObject::new(ErrorCode::Busy, "Too much is waiting for this conversation's store.")
        .retry_after(250)
}

/// A refusal over REST that names a field.
pub(super) fn invalid() -> ErrorObject {
    ErrorObject::invalid("mentions[0].end", "is beyond the end of the text")
}
