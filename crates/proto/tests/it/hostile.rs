//! Input made to hurt: it is refused in bounded time, and the stack stays where it is.

use ostracon_proto::{
    Body,
    frame::{ClientFrame, FrameError, OutgoingMessage, ServerFrame},
    fuzz::{fuzz_cursor, fuzz_decode},
    rest::{AddMembers, CreateConversation, EditInbox},
};

const DEEP: usize = 100_000;

fn nested(open: &str, close: &str) -> String {
    open.repeat(DEEP) + "1" + &close.repeat(DEEP)
}

/// The code of a refused frame, or what else became of it.
fn outcome(text: &str) -> String {
    let _ = ServerFrame::decode(text);
    match ClientFrame::decode(text) {
        Ok(frame) => frame.command.kind().to_owned(),
        Err(FrameError::Unparsable) => "closed".to_owned(),
        Err(FrameError::Refused { error, .. }) => {
            let field = error.details.get("field").and_then(|field| field.as_str());
            format!("{} {}", error.code, field.unwrap_or("-"))
        }
    }
}

#[test]
fn nesting_does_not_reach_the_stack() {
    let arrays = nested("[", "]");
    let objects = nested("{\"a\":", "}");
    for (text, expect) in [
        ("[".repeat(DEEP), "closed"),
        ("{\"a\":".repeat(DEEP), "closed"),
        (arrays.clone(), "bad_request -"),
        (objects.clone(), "bad_request -"),
        (format!(r#"{{"type":{arrays}}}"#), "bad_request -"),
        (format!(r#"{{"type":"heartbeat","id":{arrays}}}"#), "bad_request id"),
        (format!(r#"{{"type":"heartbeat","data":{arrays}}}"#), "invalid data"),
        (format!(r#"{{"type":"heartbeat","data":{objects}}}"#), "heartbeat"),
        (format!(r#"{{"type":"heartbeat","x":{arrays}}}"#), "heartbeat"),
        (
            format!(r#"{{"type":"send_message","data":{{"to":{arrays},"content":"x"}}}}"#),
            "invalid to",
        ),
        (
            format!(r#"{{"type":"send_message","data":{{"to":2,"content":{objects}}}}}"#),
            "invalid content",
        ),
        (
            format!(
                r#"{{"type":"send_message","data":{{"to":2,"content":"x","mentions":{arrays}}}}}"#
            ),
            "invalid mentions[0]",
        ),
        (
            format!(
                r#"{{"type":"send_message","data":{{"to":2,"content":"x","attachments":{arrays}}}}}"#
            ),
            "invalid attachments[0]",
        ),
        (
            format!(
                r#"{{"type":"send_message","data":{{"to":2,"content":"x","later":{objects}}}}}"#
            ),
            "send_message",
        ),
        (
            format!(
                r#"{{"type":"send_message","data":{{"content":"x","later":{objects},"to":0}}}}"#
            ),
            "invalid to",
        ),
    ] {
        assert_eq!(outcome(&text), expect, "{text:.70}");
    }
    for body in [&arrays, &objects] {
        assert!(OutgoingMessage::read(body.as_bytes()).is_err());
        let with = format!(r#"{{"content":"x","later":{body}}}"#);
        assert!(OutgoingMessage::read(with.as_bytes()).is_ok());
        let wrong = format!(r#"{{"later":{body},"muted_until":{body}}}"#);
        assert!(EditInbox::read(wrong.as_bytes()).is_err());
    }
}

#[test]
fn huge_numbers_nul_and_surrogates() {
    let digits = "9".repeat(100_000);
    for (text, expect) in [
        (format!(r#"{{"type":"heartbeat","x":{digits}}}"#), "heartbeat"),
        (format!(r#"{{"type":"heartbeat","x":1e{digits}}}"#), "heartbeat"),
        (format!(r#"{{"type":"heartbeat","id":{digits}}}"#), "bad_request id"),
        (
            format!(r#"{{"type":"send_message","data":{{"to":{digits},"content":"x"}}}}"#),
            "invalid to",
        ),
        (
            format!(r#"{{"type":"send_message","data":{{"to":-{digits}.5,"content":"x"}}}}"#),
            "invalid to",
        ),
        (r#"{"type":"heartbeat\u0000"}"#.into(), "bad_request -"),
        ("{\"type\":\"heartbeat\0\"}".into(), "closed"),
        // NUL in text is readable; the rules refuse it.
        (r#"{"type":"send_message","data":{"to":2,"content":"\u0000"}}"#.into(), "send_message"),
        (r#"{"type":"send_message","data":{"to":2,"content":"\ud83d"}}"#.into(), "invalid content"),
        (
            r#"{"type":"send_message","data":{"to":2,"content":"x","client_id":"\udfff"}}"#.into(),
            "invalid client_id",
        ),
        (
            r#"{"type":"send_message","data":{"to":2,"content":"x","later":"\ud83d"}}"#.into(),
            "send_message",
        ),
    ] {
        assert_eq!(outcome(&text), expect, "{text:.70}");
    }
}

#[test]
fn large_input_is_read_or_refused_as_a_whole() {
    let text = "x".repeat(3_000_000);
    let body = format!(r#"{{"content":"{text}"}}"#);
    assert_eq!(OutgoingMessage::read(body.as_bytes()).unwrap().content.len(), 3_000_000);
    let ids = vec!["7"; 200_000].join(",");
    let members = format!(r#"{{"user_ids":[{ids}]}}"#);
    assert_eq!(AddMembers::read(members.as_bytes()).unwrap().user_ids.len(), 200_000);
    let group = format!(r#"{{"type":"group","name":"g","member_ids":[{ids},0]}}"#);
    let refused = CreateConversation::read(group.as_bytes()).unwrap_err();
    assert_eq!(refused.details["field"], "member_ids[200000]");
}

#[test]
fn binary_garbage_never_panics() {
    let mut chance = crate::support::Chance(7);
    for length in 0..2_000 {
        let garbage = (0..length % 97).map(|_| chance.below(256) as u8).collect::<Vec<_>>();
        fuzz_decode(&garbage);
        fuzz_cursor(&garbage);
    }
}
