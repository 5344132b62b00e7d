//! Frames of a client: what is read from them, and what is said about those that are wrong.

use crate::support::{direct, message_id, user};
use ostracon_domain::{Mention, MessageKind};
use ostracon_proto::{
    Encoding, UserRef,
    frame::{
        ClientFrame, Command, DeleteMessage, DeleteScope, EditMessage, FrameError, FrameRef, Mark,
        MarkTarget, OutgoingMessage, React, SendMessage, SendTarget,
    },
};
use std::borrow::Cow;

const DIRECT: &str = "00000000-0000-8080-8000-000000020000";

/// `closed`, or code, details and echoed id of the refusal.
fn refusal(text: &str) -> String {
    match ClientFrame::decode(text) {
        Ok(frame) => panic!("{text:.200} was read as {frame:?}"),
        Err(FrameError::Unparsable) => "closed".to_owned(),
        Err(FrameError::Refused { id, error }) => {
            let details = serde_json::to_string(&error.details).unwrap();
            format!("{} {details} {id:?} {}", error.code, error.message)
        }
    }
}

fn data(kind: &str, data: &str) -> String {
    format!(r#"{{"type":"{kind}","id":1,"data":{data}}}"#)
}

fn read(text: &str) -> Command<'_> {
    ClientFrame::decode(text).unwrap().command
}

#[test]
fn every_command_is_read_and_written_the_same() {
    let conversation_id = direct();
    let full = OutgoingMessage {
        content: "hi @bob".into(),
        kind: MessageKind::Image,
        client_id: Some("c-1".into()),
        reply_to: Some(3),
        mentions: vec![Mention { user_id: user(2), start: 3, end: 7 }],
        attachments: Vec::new(),
    };
    let send = |target| SendMessage { target, message: full.clone() };
    let edit =
        EditMessage { conversation_id, seq: 1, content: "new".into(), if_content_rev: Some(9) };
    let commands = [
        Command::SendMessage(send(SendTarget::Conversation(conversation_id))),
        Command::SendMessage(send(SendTarget::User(UserRef::Id(user(2))))),
        Command::SendMessage(send(SendTarget::User(UserRef::External("c 4711".into())))),
        Command::EditMessage(edit),
        Command::DeleteMessage(DeleteMessage {
            conversation_id,
            seq: 1,
            scope: DeleteScope::Everyone,
        }),
        Command::React(React { conversation_id, seq: 1, emoji: "👍".into(), remove: true }),
        Command::MarkRead(Mark { conversation_id, up_to: MarkTarget::Seq(7) }),
        Command::MarkDelivered(Mark { conversation_id, up_to: MarkTarget::Message(message_id()) }),
        Command::Heartbeat,
    ];
    let mut written = String::new();
    for command in commands {
        let frame = ClientFrame { id: Some(FrameRef::number(1)), command };
        for encoding in Encoding::ALL {
            let bytes = frame.encode(encoding);
            let text = encoding.text(&bytes).unwrap();
            assert_eq!(ClientFrame::decode(&text).unwrap(), frame, "{text}");
        }
        written += &String::from_utf8(frame.encode(Encoding::Json)).unwrap();
        written.push('\n');
    }
    insta::assert_snapshot!(written, @r#"
    {"type":"send_message","id":1,"data":{"conversation_id":"00000000-0000-8080-8000-000000020000","content":"hi @bob","type":"image","client_id":"c-1","reply_to":3,"mentions":[{"user_id":2,"start":3,"end":7}]}}
    {"type":"send_message","id":1,"data":{"to":2,"content":"hi @bob","type":"image","client_id":"c-1","reply_to":3,"mentions":[{"user_id":2,"start":3,"end":7}]}}
    {"type":"send_message","id":1,"data":{"to":"ext:c 4711","content":"hi @bob","type":"image","client_id":"c-1","reply_to":3,"mentions":[{"user_id":2,"start":3,"end":7}]}}
    {"type":"edit_message","id":1,"data":{"conversation_id":"00000000-0000-8080-8000-000000020000","seq":1,"content":"new","if_content_rev":9}}
    {"type":"delete_message","id":1,"data":{"conversation_id":"00000000-0000-8080-8000-000000020000","seq":1,"for":"everyone"}}
    {"type":"react","id":1,"data":{"conversation_id":"00000000-0000-8080-8000-000000020000","seq":1,"emoji":"👍","remove":true}}
    {"type":"mark_read","id":1,"data":{"conversation_id":"00000000-0000-8080-8000-000000020000","seq":7}}
    {"type":"mark_delivered","id":1,"data":{"conversation_id":"00000000-0000-8080-8000-000000020000","message_id":"0000000000000000042"}}
    {"type":"heartbeat","id":1,"data":{}}
    "#);
}

#[test]
fn left_out_fields_have_their_defaults_and_null_is_left_out() {
    let plain = SendMessage {
        target: SendTarget::User(UserRef::Id(user(2))),
        message: OutgoingMessage::text("hi"),
    };
    for more in [
        "",
        r#","client_id":null,"reply_to":null,"mentions":null,"attachments":null"#,
        r#","type":"text","mentions":[],"attachments":[ ],"conversation_id":null,"later":{"x":[1]}"#,
    ] {
        let text = data("send_message", &format!(r#"{{"to":2,"content":"hi"{more}}}"#));
        assert_eq!(read(&text), Command::SendMessage(plain.clone()), "{text}");
    }
    assert_eq!(read(r#"{"type":"heartbeat"}"#), Command::Heartbeat);
    assert_eq!(
        read(r#"  {"data":{"x":1},"type":"heartbeat","id":null,"v":2} "#),
        Command::Heartbeat
    );
}

#[test]
fn text_without_escapes_is_borrowed() {
    let text = data("send_message", r#"{"to":2,"content":"plain ünï","client_id":"c"}"#);
    let Command::SendMessage(send) = read(&text) else { panic!("not a send") };
    assert!(matches!(send.message.content, Cow::Borrowed("plain ünï")));
    assert!(matches!(send.message.client_id, Some(Cow::Borrowed("c"))));
    let text = data("send_message", r#"{"to":2,"content":"a\n\u00e9\ud83d\ude00"}"#);
    let Command::SendMessage(send) = read(&text) else { panic!("not a send") };
    assert_eq!(send.message.content, "a\né😀");
}

#[test]
fn the_reference_comes_back_as_it_was_sent() {
    let long = format!("\"{}\"", "é".repeat(64));
    for id in [
        "0",
        "-1",
        "7",
        "9223372036854775807",
        "18446744073709551615",
        "-0",
        "1.50",
        "1e3",
        "1E+2",
        "123456789012345678901234567890",
        "\"\"",
        "\"a\"",
        r#""\u0041\n\"""#,
        "\"😀\"",
        &long,
    ] {
        let text = format!(r#"{{"type":"nonsense","id": {id} }}"#);
        let Err(FrameError::Refused { id: Some(echo), .. }) = ClientFrame::decode(&text) else {
            panic!("{id} is lost")
        };
        assert_eq!(format!("{echo:?}"), id);
    }
    for id in [
        "true",
        "{}",
        "[]",
        "[1]",
        "1e999",
        r#""\ud800""#,
        &format!("\"{}\"", "a".repeat(65)),
        &"1".repeat(65),
    ] {
        let text = format!(r#"{{"type":"heartbeat","id":{id}}}"#);
        let said = refusal(&text);
        assert!(said.starts_with(r#"bad_request {"field":"id"} None"#), "{id:.80}: {said}");
    }
}

#[test]
fn what_is_no_frame_is_told_apart_from_what_is_no_command() {
    for text in [
        "",
        " ",
        "hello",
        "{",
        "{}}",
        "{\"type\":\"heartbeat\"",
        "{'type':1}",
        "\u{0}",
        "nul",
        "{\"type\":\"heartbeat\"}{}",
        "{\"type\":\"a\u{1}\"}",
        "01",
        "\u{feff}{}",
    ] {
        assert_eq!(refusal(text), "closed", "{text:?}");
    }
    let said = [
        "1",
        "null",
        "[]",
        "\"x\"",
        "[[[]]]",
        "{}",
        r#"{"id":5}"#,
        r#"{"id":5,"type":7}"#,
        r#"{"id":"x","type":null}"#,
        r#"{"type":"heartbeat","type":"heartbeat","id":1}"#,
        r#"{"type":"whispering","id":"t"}"#,
        r#"{"type":"\ud800","id":1}"#,
        r#"{"type":["send_message"],"id":1}"#,
    ]
    .map(|text| format!("{text} → {}", refusal(text)))
    .join("\n");
    insta::assert_snapshot!(said, @r#"
    1 → bad_request {} None A frame is a JSON object.
    null → bad_request {} None A frame is a JSON object.
    [] → bad_request {} None A frame is a JSON object.
    "x" → bad_request {} None A frame is a JSON object.
    [[[]]] → bad_request {} None A frame is a JSON object.
    {} → bad_request {} None A frame needs `type` as text.
    {"id":5} → bad_request {} Some(5) A frame needs `type` as text.
    {"id":5,"type":7} → bad_request {} Some(5) A frame needs `type` as text.
    {"id":"x","type":null} → bad_request {} Some("x") A frame needs `type` as text.
    {"type":"heartbeat","type":"heartbeat","id":1} → bad_request {} Some(1) A frame needs `type` as text.
    {"type":"whispering","id":"t"} → bad_request {} Some("t") Unknown frame type.
    {"type":"\ud800","id":1} → bad_request {} Some(1) A frame needs `type` as text.
    {"type":["send_message"],"id":1} → bad_request {} Some(1) A frame needs `type` as text.
    "#);
}

#[test]
fn a_wrong_field_is_named() {
    let say =
        |kind: &str, fields: &str| format!("{kind} {fields} → {}", refusal(&data(kind, fields)));
    let said = [
        say("send_message", "null"),
        say("send_message", "[]"),
        say("send_message", r#"["a","b"]"#),
        say("send_message", "7"),
        say("send_message", "{}"),
        say("send_message", r#"{"content":"x"}"#),
        say("send_message", &format!(r#"{{"content":"x","to":2,"conversation_id":"{DIRECT}"}}"#)),
        say("send_message", r#"{"to":2}"#),
        say("send_message", r#"{"to":2,"content":7}"#),
        say("send_message", r#"{"to":2,"content":null}"#),
        say("send_message", r#"{"to":2,"content":"x","content":"y"}"#),
        say("send_message", r#"{"to":2,"content":"\ud800"}"#),
        say("send_message", r#"{"to":2,"content":"\udc00\ud800"}"#),
        say("send_message", r#"{"to":0,"content":"x"}"#),
        say("send_message", r#"{"to":-1,"content":"x"}"#),
        say("send_message", r#"{"to":9007199254740992,"content":"x"}"#),
        say("send_message", r#"{"to":1e999,"content":"x"}"#),
        say("send_message", r#"{"to":1.5,"content":"x"}"#),
        say("send_message", r#"{"to":"2","content":"x"}"#),
        say("send_message", r#"{"to":"ext:","content":"x"}"#),
        say("send_message", r#"{"to":{"id":2},"content":"x"}"#),
        say("send_message", r#"{"conversation_id":7,"content":"x"}"#),
        say("send_message", r#"{"conversation_id":"x","content":"x"}"#),
        say("send_message", r#"{"conversation_id":"00000000-0000-0000-0000-000000000000","content":"x"}"#),
        say("send_message", r#"{"conversation_id":"00000000000080808000000000020000","content":"x"}"#),
        say("send_message", r#"{"to":2,"content":"x","type":"system"}"#),
        say("send_message", r#"{"to":2,"content":"x","type":"video"}"#),
        say("send_message", r#"{"to":2,"content":"x","client_id":7}"#),
        say("send_message", r#"{"to":2,"content":"x","reply_to":-1}"#),
        say("send_message", r#"{"to":2,"content":"x","reply_to":18446744073709551616}"#),
        say("send_message", r#"{"to":2,"content":"x","mentions":{}}"#),
        say("send_message", r#"{"to":2,"content":"x","mentions":[[2,0,1]]}"#),
        say("send_message", r#"{"to":2,"content":"x","mentions":[{"user_id":2,"start":0,"end":1},{"user_id":2,"start":0}]}"#),
        say("send_message", r#"{"to":2,"content":"x","mentions":[{"user_id":2,"start":0,"end":4294967296}]}"#),
        say("edit_message", &format!(r#"{{"conversation_id":"{DIRECT}","content":"x"}}"#)),
        say("edit_message", &format!(r#"{{"conversation_id":"{DIRECT}","seq":"1","content":"x"}}"#)),
        say("delete_message", &format!(r#"{{"conversation_id":"{DIRECT}","seq":1,"for":"us"}}"#)),
        say("react", &format!(r#"{{"conversation_id":"{DIRECT}","seq":1,"emoji":"x","remove":1}}"#)),
        say("mark_read", &format!(r#"{{"conversation_id":"{DIRECT}"}}"#)),
        say("mark_read", &format!(r#"{{"conversation_id":"{DIRECT}","seq":1,"message_id":"0000000000000000042"}}"#)),
        say("mark_delivered", &format!(r#"{{"conversation_id":"{DIRECT}","message_id":"42"}}"#)),
        say("mark_delivered", &format!(r#"{{"conversation_id":"{DIRECT}","message_id":42}}"#)),
        say("heartbeat", "[]"),
    ]
    .join("\n");
    insta::assert_snapshot!(said, @r#"
    send_message null → invalid {"field":"content"} Some(1) missing field `content`
    send_message [] → invalid {"field":"data"} Some(1) must be an object
    send_message ["a","b"] → invalid {"field":"data"} Some(1) must be an object
    send_message 7 → invalid {"field":"data"} Some(1) must be an object
    send_message {} → invalid {"field":"content"} Some(1) missing field `content`
    send_message {"content":"x"} → invalid {"field":"conversation_id"} Some(1) is needed, or `to`
    send_message {"content":"x","to":2,"conversation_id":"00000000-0000-8080-8000-000000020000"} → invalid {"field":"to"} Some(1) must be left out beside `conversation_id`
    send_message {"to":2} → invalid {"field":"content"} Some(1) missing field `content`
    send_message {"to":2,"content":7} → invalid {"field":"content"} Some(1) invalid type: integer `7`, expected a string
    send_message {"to":2,"content":null} → invalid {"field":"content"} Some(1) invalid type: null, expected a string
    send_message {"to":2,"content":"x","content":"y"} → invalid {"field":"content"} Some(1) duplicate field `content`
    send_message {"to":2,"content":"\ud800"} → invalid {"field":"content"} Some(1) unexpected end of hex escape
    send_message {"to":2,"content":"\udc00\ud800"} → invalid {"field":"content"} Some(1) lone leading surrogate in hex escape
    send_message {"to":0,"content":"x"} → invalid {"field":"to"} Some(1) invalid value: integer `0`, expected a user id or "ext:<external id>"
    send_message {"to":-1,"content":"x"} → invalid {"field":"to"} Some(1) invalid type: integer `-1`, expected a user id or "ext:<external id>"
    send_message {"to":9007199254740992,"content":"x"} → invalid {"field":"to"} Some(1) invalid value: integer `9007199254740992`, expected a user id or "ext:<external id>"
    send_message {"to":1e999,"content":"x"} → invalid {"field":"to"} Some(1) number out of range
    send_message {"to":1.5,"content":"x"} → invalid {"field":"to"} Some(1) invalid type: floating point `1.5`, expected a user id or "ext:<external id>"
    send_message {"to":"2","content":"x"} → invalid {"field":"to"} Some(1) must be a user id or "ext:" and an external id of 1 to 255 characters
    send_message {"to":"ext:","content":"x"} → invalid {"field":"to"} Some(1) must be a user id or "ext:" and an external id of 1 to 255 characters
    send_message {"to":{"id":2},"content":"x"} → invalid {"field":"to"} Some(1) invalid type: map, expected a user id or "ext:<external id>"
    send_message {"conversation_id":7,"content":"x"} → invalid {"field":"conversation_id"} Some(1) invalid type: integer `7`, expected a conversation id
    send_message {"conversation_id":"x","content":"x"} → not_found {"field":"conversation_id"} Some(1) No such conversation.
    send_message {"conversation_id":"00000000-0000-0000-0000-000000000000","content":"x"} → not_found {"field":"conversation_id"} Some(1) No such conversation.
    send_message {"conversation_id":"00000000000080808000000000020000","content":"x"} → not_found {"field":"conversation_id"} Some(1) No such conversation.
    send_message {"to":2,"content":"x","type":"system"} → invalid {"field":"type"} Some(1) is made by the server only
    send_message {"to":2,"content":"x","type":"video"} → invalid {"field":"type"} Some(1) unknown variant `video`, expected one of `text`, `image`, `file`, `system`
    send_message {"to":2,"content":"x","client_id":7} → invalid {"field":"client_id"} Some(1) invalid type: integer `7`, expected a string
    send_message {"to":2,"content":"x","reply_to":-1} → invalid {"field":"reply_to"} Some(1) invalid value: integer `-1`, expected u64
    send_message {"to":2,"content":"x","reply_to":18446744073709551616} → invalid {"field":"reply_to"} Some(1) invalid type: floating point `1.8446744073709552e+19`, expected u64
    send_message {"to":2,"content":"x","mentions":{}} → invalid {"field":"mentions"} Some(1) invalid type: map, expected a sequence
    send_message {"to":2,"content":"x","mentions":[[2,0,1]]} → invalid {"field":"mentions[0]"} Some(1) invalid type: sequence, expected an object
    send_message {"to":2,"content":"x","mentions":[{"user_id":2,"start":0,"end":1},{"user_id":2,"start":0}]} → invalid {"field":"mentions[1].end"} Some(1) missing field `end`
    send_message {"to":2,"content":"x","mentions":[{"user_id":2,"start":0,"end":4294967296}]} → invalid {"field":"mentions[0].end"} Some(1) invalid value: integer `4294967296`, expected u32
    edit_message {"conversation_id":"00000000-0000-8080-8000-000000020000","content":"x"} → invalid {"field":"seq"} Some(1) missing field `seq`
    edit_message {"conversation_id":"00000000-0000-8080-8000-000000020000","seq":"1","content":"x"} → invalid {"field":"seq"} Some(1) invalid type: string "1", expected u64
    delete_message {"conversation_id":"00000000-0000-8080-8000-000000020000","seq":1,"for":"us"} → invalid {"field":"for"} Some(1) unknown variant `us`, expected `everyone` or `me`
    react {"conversation_id":"00000000-0000-8080-8000-000000020000","seq":1,"emoji":"x","remove":1} → invalid {"field":"remove"} Some(1) invalid type: integer `1`, expected a boolean
    mark_read {"conversation_id":"00000000-0000-8080-8000-000000020000"} → invalid {"field":"seq"} Some(1) is needed, or `message_id`
    mark_read {"conversation_id":"00000000-0000-8080-8000-000000020000","seq":1,"message_id":"0000000000000000042"} → invalid {"field":"message_id"} Some(1) must be left out beside `seq`
    mark_delivered {"conversation_id":"00000000-0000-8080-8000-000000020000","message_id":"42"} → invalid {"field":"message_id"} Some(1) not a valid message id
    mark_delivered {"conversation_id":"00000000-0000-8080-8000-000000020000","message_id":42} → invalid {"field":"message_id"} Some(1) invalid type: integer `42`, expected a message id of 19 digits
    heartbeat [] → invalid {"field":"data"} Some(1) must be an object
    "#);
}
