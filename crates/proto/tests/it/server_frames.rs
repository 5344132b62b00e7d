//! Frames of the server: their exact bytes, and that a client reads back what was written.

use crate::support::{HISTORY, direct, full_message, group, message, message_id, user};
use ostracon_domain::{ConversationKind, HistoryFor, Role};
use ostracon_proto::{
    Conversation, Encoding, ErrorCode, ErrorObject, Inbox, Member, Settings,
    frame::{
        ConversationUpdated, Done, FrameRef, HeartbeatAnswer, Hello, InboxUpdated, MemberUpdated,
        MessageDeleted, MessageSent, MessageUpdated, NewMessage, ReceiptUpdated, ServerData,
        ServerFrame, SyncRequired, encode,
    },
};

fn written<T: ServerData>(data: &T) -> String {
    let id = FrameRef::from_json("\"r\"").unwrap();
    let answer = encode::answer(Encoding::Json, Some(&id), data);
    let cbor = encode::answer(Encoding::Cbor, Some(&id), data);
    let text = String::from_utf8(answer.to_vec()).unwrap();
    assert_eq!(Encoding::Cbor.text(&cbor).unwrap(), text, "both encodings say the same");
    let received = ServerFrame::decode(&text).unwrap();
    assert_eq!(received.id, Some(id));
    assert!(!matches!(received.frame, ServerFrame::Unknown(_)), "{text}");
    let event = encode::event(Encoding::Json, data);
    assert_eq!(std::str::from_utf8(&event).unwrap(), text.replace(",\"id\":\"r\"", ""));
    text
}

#[test]
fn every_frame_has_these_bytes() {
    let conversation_id = direct();
    let said = [
        written(&Hello {
            session_id: "s".into(),
            user_id: user(1),
            heartbeat_s: 30,
            max_frame_bytes: 65_536,
            max_in_flight: 64,
            server_time: 1,
            user_rev: 2,
        }),
        written(&MessageSent {
            message_id: message_id(),
            conversation_id,
            seq: 1,
            rev: 2,
            history: HISTORY,
            timestamp: 3,
            client_id: None,
            message: message("hi"),
        }),
        written(&Done::default()),
        written(&Done { mark_rev: None, message: Some(message("hi")), ..Done::default() }),
        written(&Done {
            mark_rev: None,
            rev: Some(4),
            history: Some(HISTORY),
            deleted_at: Some(5),
            deleted_by: Some(user(1)),
            message: None,
        }),
        written(&NewMessage(full_message())),
        written(&MessageUpdated(message(""))),
        written(&MessageDeleted {
            conversation_id,
            seq: 1,
            message_id: message_id(),
            rev: 3,
            history: HISTORY,
            deleted_at: 4,
            deleted_by: user(1),
        }),
        written(&ReceiptUpdated {
            conversation_id,
            user_id: user(2),
            read_seq: None,
            delivered_seq: Some(1),
            mark_rev: 2,
            history: HISTORY,
        }),
        written(&ConversationUpdated(Conversation {
            conversation_id: group(),
            kind: ConversationKind::Group,
            name: Some("a \"b\"".into()),
            member_count: 101,
            head_seq: 1,
            rev: 2,
            mark_rev: 3,
            history: HISTORY,
            large: true,
            created_at: 4,
            settings: Settings { history_for: HistoryFor::All, ..Settings::default() },
            retained_from: None,
            timer_s: None,
            retention_s: None,
        })),
        written(&MemberUpdated {
            conversation_id: group(),
            history: HISTORY,
            rev: 5,
            member: Member {
                user_id: user(2),
                role: Role::Owner,
                joined_seq: 1,
                left_seq: None,
                rev: 5,
                read_seq: None,
                delivered_seq: None,
                mark_rev: None,
            },
        }),
        written(&InboxUpdated {
            conversation_id,
            history: HISTORY,
            rev: 1,
            mark_rev: 2,
            user_rev: 3,
            unread: 4,
            inbox: Some(Inbox::default()),
        }),
        written(&SyncRequired {}),
        written(&HeartbeatAnswer { server_time: 1, user_rev: 2 }),
        written(&ErrorObject::invalid("content", "is too long")),
        written(&ErrorObject::new(ErrorCode::Busy, "Full.").retry_after(250)),
    ]
    .join("\n");
    insta::assert_snapshot!(said, @r#"
    {"type":"hello","id":"r","data":{"session_id":"s","user_id":1,"heartbeat_s":30,"max_frame_bytes":65536,"max_in_flight":64,"server_time":1,"user_rev":2}}
    {"type":"message_sent","id":"r","data":{"message_id":"0000000000000000042","conversation_id":"00000000-0000-8080-8000-000000020000","seq":1,"rev":2,"history":"18446744073709551615","timestamp":3,"client_id":null,"message":{"message_id":"0000000000000000042","conversation_id":"00000000-0000-8080-8000-000000020000","seq":1,"rev":2,"content_rev":2,"sender_id":1,"type":"text","content":"hi","timestamp":1795257516007}}}
    {"type":"ok","id":"r","data":{}}
    {"type":"ok","id":"r","data":{"message":{"message_id":"0000000000000000042","conversation_id":"00000000-0000-8080-8000-000000020000","seq":1,"rev":2,"content_rev":2,"sender_id":1,"type":"text","content":"hi","timestamp":1795257516007}}}
    {"type":"ok","id":"r","data":{"rev":4,"history":"18446744073709551615","deleted_at":5,"deleted_by":1}}
    {"type":"new_message","id":"r","data":{"message_id":"0000000000000000042","conversation_id":"00000000-0000-8080-8000-000000020000","seq":1,"rev":2,"content_rev":2,"sender_id":1,"type":"text","content":"line\nbreak 👨‍👩","timestamp":1795257516007,"client_id":"a\"b","edited_at":5,"deleted_at":6,"deleted_by":2,"reply_to":{"seq":1,"sender_id":2,"excerpt":"…"},"mentions":[{"user_id":2,"start":0,"end":2}],"reactions":[{"emoji":"👍","count":12,"user_ids":[1]}],"withheld":true,"history":"18446744073709551615","mark_rev":7}}
    {"type":"message_updated","id":"r","data":{"message_id":"0000000000000000042","conversation_id":"00000000-0000-8080-8000-000000020000","seq":1,"rev":2,"content_rev":2,"sender_id":1,"type":"text","content":"","timestamp":1795257516007}}
    {"type":"message_deleted","id":"r","data":{"conversation_id":"00000000-0000-8080-8000-000000020000","seq":1,"message_id":"0000000000000000042","rev":3,"history":"18446744073709551615","deleted_at":4,"deleted_by":1}}
    {"type":"receipt","id":"r","data":{"conversation_id":"00000000-0000-8080-8000-000000020000","user_id":2,"delivered_seq":1,"mark_rev":2,"history":"18446744073709551615"}}
    {"type":"conversation_updated","id":"r","data":{"conversation_id":"0197a7f4-2b3c-7d4e-8f50-112233445566","type":"group","name":"a \"b\"","member_count":101,"head_seq":1,"rev":2,"mark_rev":3,"history":"18446744073709551615","large":true,"created_at":4,"settings":{"history_for":"all"}}}
    {"type":"member_updated","id":"r","data":{"conversation_id":"0197a7f4-2b3c-7d4e-8f50-112233445566","history":"18446744073709551615","rev":5,"member":{"user_id":2,"role":"owner","joined_seq":1,"rev":5}}}
    {"type":"inbox_updated","id":"r","data":{"conversation_id":"00000000-0000-8080-8000-000000020000","history":"18446744073709551615","rev":1,"mark_rev":2,"user_rev":3,"unread":4,"inbox":{"pinned":false,"muted_until":null,"archived":false,"hidden_to":0,"marked_unread":false}}}
    {"type":"sync_required","id":"r","data":{}}
    {"type":"heartbeat","id":"r","data":{"server_time":1,"user_rev":2}}
    {"type":"error","id":"r","data":{"code":"invalid","message":"is too long","retry_after_ms":null,"details":{"field":"content"}}}
    {"type":"error","id":"r","data":{"code":"busy","message":"Full.","retry_after_ms":250,"details":{}}}
    "#);
}

#[test]
fn a_message_survives_the_way_to_the_client_and_ownership() {
    let sent = full_message();
    for encoding in Encoding::ALL {
        let bytes = encode::event(encoding, &NewMessage(sent.clone()));
        let text = encoding.text(&bytes).unwrap();
        let received = ServerFrame::decode(&text).unwrap();
        assert_eq!(received.id, None);
        let ServerFrame::NewMessage(NewMessage(message)) = received.frame else { panic!("{text}") };
        assert_eq!(message, sent);
        assert_eq!(message.borrowed(), sent);
        assert_eq!(message.into_owned(), sent);
    }
}

#[test]
fn only_the_sender_gets_the_client_id() {
    let sent = full_message();
    let others = encode::event(Encoding::Json, &NewMessage(sent.without_client_id()));
    let own = encode::event(Encoding::Json, &NewMessage(sent.borrowed()));
    let own = std::str::from_utf8(&own).unwrap();
    assert!(own.contains(r#""client_id":"a\"b","#));
    assert_eq!(own.replace(r#""client_id":"a\"b","#, ""), std::str::from_utf8(&others).unwrap());
}

#[test]
fn a_frame_of_a_later_server_is_no_error() {
    let text = r#"{"type":"weather_update","data":{"user_id":1}}"#;
    let received = ServerFrame::decode(text).unwrap();
    assert!(matches!(received.frame, ServerFrame::Unknown(kind) if kind == "weather_update"));
}
