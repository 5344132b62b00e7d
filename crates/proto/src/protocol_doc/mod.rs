//! `docs/protocol.md`: the prose of `template.md`, with tables and examples made from the code, so
//! that what the document shows is what the server sends.

mod examples;
mod fields;
mod wire;

pub use wire::wire;

use crate::{
    CloseCode, Conversation, ErrorBody, ErrorCode, ErrorObject, Message, cbor,
    frame::{
        DeleteMessage, Done, EditMessage, HeartbeatAnswer, Hello, InboxUpdated, MemberUpdated,
        MessageDeleted, MessageHidden, MessageSent, OutgoingMessage, Presence, PresenceOf, React,
        ReceiptUpdated, SyncRequired, Typing, TypingNotice,
        client::{Heartbeat, MarkWire},
        live::PRESENCE_USERS_MAX,
    },
    openapi,
    rest::{
        OPERATIONS, Operation,
        operations::{ParamKind, Shape},
    },
};
use ostracon_domain::limits;
use std::fmt::Write as _;

const TEMPLATE: &str = include_str!("template.md");

/// The whole document, ending with a line break.
#[must_use]
pub fn document() -> String {
    let parts = [
        ("{{rest}}", rest()),
        ("{{client_frames}}", frames(CLIENT_FRAMES, examples::client().unwrap_or_default())),
        ("{{server_frames}}", frames(SERVER_FRAMES, examples::server().unwrap_or_default())),
        ("{{error_example}}", error_example()),
        ("{{cbor}}", short_cbor()),
        ("{{errors}}", errors()),
        ("{{close_codes}}", close_codes()),
        ("{{limits}}", limits()),
        ("{{objects}}", objects()),
    ];
    parts
        .into_iter()
        .fold(TEMPLATE.to_owned(), |text, (name, part)| text.replace(name, part.trim_end()))
}

/// What the document says of one type of frame.
struct FrameDoc {
    kind: &'static str,
    meaning: &'static str,
    /// Rows above those of the shape.
    more: &'static [[&'static str; 3]],
    shape: Shape,
    /// Shown as "the object …" where the data is an object of its own.
    object: Option<&'static str>,
}

const fn frame(kind: &'static str, meaning: &'static str, shape: Shape) -> FrameDoc {
    FrameDoc { kind, meaning, more: &[], shape, object: None }
}

const CLIENT_FRAMES: &[FrameDoc] = &[
    FrameDoc {
        more: &[
            ["conversation_id", "ConversationId, *optional*", "The conversation; or `to`."],
            [
                "to",
                "UserRef, *optional*",
                "A user: the direct conversation, which begins with its first message.",
            ],
        ],
        ..frame(
            "send_message",
            "Send a message. Answer: `message_sent`.",
            Shape::of::<OutgoingMessage<'_>>(),
        )
    },
    frame(
        "edit_message",
        "Change the text of one's own message. Answer: `ok` with `message`.",
        Shape::of::<EditMessage<'_>>(),
    ),
    frame(
        "delete_message",
        "Delete a message for everyone: its sender, or an admin of the group. Answer: `ok` with \
         `rev`, `deleted_at` and `deleted_by`; twice the same. With `for: \"me\"` only for oneself: \
         `ok` with `mark_rev`.",
        Shape::of::<DeleteMessage>(),
    ),
    frame(
        "react",
        "Add or remove one's own reaction. Answer: `ok` with `message`.",
        Shape::of::<React<'_>>(),
    ),
    frame(
        "mark_read",
        "Everything up to here is read, and delivered. One of `seq` and `message_id`. Answer: `ok`.",
        Shape::of::<MarkWire>(),
    ),
    frame(
        "mark_delivered",
        "Everything up to here has reached this device. One of `seq` and `message_id`. Answer: `ok`.",
        Shape::of::<MarkWire>(),
    ),
    frame(
        "typing",
        "You type, or have stopped. Repeat it every few seconds while it goes on. No answer, but `error` where the \
         conversation is not yours. Nothing happens in groups that are `large`.",
        Shape::of::<Typing>(),
    ),
    frame(
        "presence_subscribe",
        "Watch users, besides those watched already; at most 500 in all, more is `invalid`. Answer: `ok`, before it a \
         `presence_update` of each as it is now. It ends with the connection.",
        Shape::of::<PresenceOf>(),
    ),
    frame(
        "presence_unsubscribe",
        "Watch these users no longer. Answer: `ok`.",
        Shape::of::<PresenceOf>(),
    ),
    frame(
        "heartbeat",
        "Still here. Answer: `heartbeat` with `user_rev`.",
        Shape::of::<Heartbeat>(),
    ),
];

const SERVER_FRAMES: &[FrameDoc] = &[
    frame(
        "hello",
        "Always the first frame. Events already flow to this connection.",
        Shape::of::<Hello<'_>>(),
    ),
    frame(
        "message_sent",
        "Answer to `send_message`: the message is durable.",
        Shape::of::<MessageSent<'_>>(),
    ),
    frame(
        "ok",
        "Answer to every other command: it is durable. What is in it depends on the command.",
        Shape::of::<Done<'_>>(),
    ),
    FrameDoc {
        object: Some("Message"),
        ..frame(
            "new_message",
            "A message was sent: to every connection of every member but the one that sent it. It \
             also moved its sender's own read and delivered mark to its seq, with `mark_rev`. \
             `client_id` is there on the sender's own connections only.",
            Shape::of::<Message<'_>>(),
        )
    },
    FrameDoc {
        object: Some("Message"),
        ..frame(
            "message_updated",
            "A message was edited or reacted to; this is its state now.",
            Shape::of::<Message<'_>>(),
        )
    },
    frame("message_deleted", "A message was deleted for everyone.", Shape::of::<MessageDeleted>()),
    frame(
        "message_hidden",
        "A message was deleted for oneself, on another device.",
        Shape::of::<MessageHidden>(),
    ),
    frame(
        "receipt",
        "A member's marks moved. In large groups only one's own, from one's other devices.",
        Shape::of::<ReceiptUpdated>(),
    ),
    FrameDoc {
        object: Some("Conversation"),
        ..frame(
            "conversation_updated",
            "The conversation itself changed: name, settings, `member_count`, `large`. Its `rev` \
             is the number of this change.",
            Shape::of::<Conversation<'_>>(),
        )
    },
    frame(
        "member_updated",
        "Someone joined, left, was removed or changed role. A command that takes several members \
         sends one for each, in rev order, then `conversation_updated` with the new count.",
        Shape::of::<MemberUpdated>(),
    ),
    frame(
        "inbox_updated",
        "One's own view of a conversation moved on. At most four a second and conversation. If its \
         `rev` is above yours, ask `changes`.",
        Shape::of::<InboxUpdated>(),
    ),
    frame(
        "typing",
        "Another member types, or has stopped. Who does not go on has stopped after some seconds, also by the message \
         that comes of it. May be lost.",
        Shape::of::<TypingNotice>(),
    ),
    frame(
        "presence_update",
        "A watched user came or went. Several changes within a moment are one.",
        Shape::of::<Presence>(),
    ),
    frame(
        "sync_required",
        "Events were dropped for this connection: do as after a reconnect.",
        Shape::of::<SyncRequired>(),
    ),
    frame("heartbeat", "Answer to the client's `heartbeat`.", Shape::of::<HeartbeatAnswer>()),
    frame(
        "error",
        "A command was refused, or a frame could not be understood. The connection stays.",
        Shape::of::<ErrorObject>(),
    ),
];

fn frames(docs: &[FrameDoc], examples: Vec<String>) -> String {
    let mut out = String::new();
    for (doc, example) in docs.iter().zip(examples) {
        let _ = write!(out, "### `{}`\n\n{}\n\n", doc.kind, doc.meaning);
        match doc.object {
            Some(name) => {
                let anchor = name.to_ascii_lowercase();
                let _ = write!(out, "The data is a [{name}](#{anchor}).\n\n");
            }
            None => out.push_str(&fields::table(doc.shape, doc.more)),
        }
        let _ = write!(out, "```json\n{example}\n```\n\n");
    }
    out
}

fn rest() -> String {
    let mut out = String::new();
    let mut tag = "";
    for operation in OPERATIONS {
        if operation.tag != tag {
            tag = operation.tag;
            let _ = write!(out, "\n### {tag}\n\n| call | does | answer |\n|---|---|---|\n");
        }
        out.push_str(&rest_row(operation));
    }
    out.trim_start().to_owned()
}

fn rest_row(operation: &Operation) -> String {
    let query = operation.query.iter().map(|param| match &param.kind {
        ParamKind::Limit(limit) => format!("limit={}", limit.default),
        _ => format!("{}=", param.name),
    });
    let query = query.collect::<Vec<_>>().join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    let body = operation.body.map(fields::one_line).unwrap_or_default();
    let answers = operation.answers.iter().map(|answer| match answer.body {
        Some(body) => format!("{} `{}`", answer.status, body.name()),
        None => answer.status.to_string(),
    });
    let answers = answers.collect::<Vec<_>>().join(", ");
    let space = if operation.notes.is_empty() { "" } else { " " };
    format!(
        "| `{} {}{mark}{query}`{body} | {}{space}{} | {answers} |\n",
        operation.method, operation.path, operation.summary, operation.notes,
    )
}

fn error_example() -> String {
    serde_json::to_string(&ErrorBody::from(examples::invalid())).unwrap_or_default()
}

fn errors() -> String {
    let mut out = "| code | status | retry | means |\n|---|---|---|---|\n".to_owned();
    for code in ErrorCode::ALL {
        let retry = if code.retryable() { "yes" } else { "no" };
        let _ = writeln!(out, "| `{code}` | {} | {retry} | {} |", code.status(), code.meaning());
    }
    out
}

/// Names and words with their numbers.
fn short_cbor() -> String {
    let list = |what: &str, all: &mut dyn Iterator<Item = &str>| {
        let numbered: Vec<_> = all.enumerate().map(|(n, name)| format!("{n} `{name}`")).collect();
        format!("{what}: {}.", numbered.join(" · "))
    };
    let names = list("Names", &mut cbor::names::NAMES.iter().map(|(name, _)| *name));
    let words = list("Words", &mut cbor::names::WORDS.iter().copied());
    format!("{names}\n\n{words}")
}

fn close_codes() -> String {
    let mut out = "| code | means | connect again? |\n|---|---|---|\n".to_owned();
    for code in CloseCode::ALL {
        let advice = code.reconnect().advice();
        let _ = writeln!(out, "| {} | {} | {advice} |", code.number(), code.meaning());
    }
    out
}

fn limits() -> String {
    let rows = [
        ("text of a message", format!("{} UTF-16 units", limits::TEXT_UNITS_MAX), "`invalid`"),
        ("`client_id`", format!("{} bytes", limits::CLIENT_ID_BYTES_MAX), "`invalid`"),
        ("name of a group", format!("{} characters", limits::GROUP_NAME_CHARS_MAX), "`invalid`"),
        ("mentions in a message", limits::MENTIONS_MAX.to_string(), "`invalid`"),
        ("an emoji", format!("{} bytes", limits::EMOJI_BYTES_MAX), "`invalid`"),
        ("different emoji on a message", limits::EMOJI_PER_MESSAGE_MAX.to_string(), "`conflict`"),
        ("users named in a request", limits::USERS_PER_REQUEST_MAX.to_string(), "`invalid`"),
        ("users watched by a connection", PRESENCE_USERS_MAX.to_string(), "`invalid`"),
        (
            "members of a group",
            format!("{}, or what the operator sets", limits::Limits::default().group_members_max),
            "`conflict`",
        ),
        ("`limit` of most lists", "200".to_owned(), "cut to it"),
        ("`limit` of `changes` and `/sync`", "1000".to_owned(), "cut to it"),
        ("`id` of a frame", "64 characters".to_owned(), "`bad_request`"),
        ("a WebSocket frame", "`max_frame_bytes` of `hello`".to_owned(), "close 4413"),
        (
            "commands waiting for their answer",
            "`max_in_flight` of `hello`".to_owned(),
            "the socket is not read until one is answered",
        ),
    ];
    let mut out = "| what | most | beyond it |\n|---|---|---|\n".to_owned();
    for (what, most, beyond) in rows {
        let _ = writeln!(out, "| {what} | {most} | {beyond} |");
    }
    let _ = write!(
        out,
        "\nA group is `large` above {} members, until it falls below {}: its receipts stay with \
         their owners.\n",
        limits::LARGE_ABOVE,
        limits::LARGE_UNTIL_BELOW,
    );
    out
}

fn objects() -> String {
    let mut out = String::new();
    for (name, schema) in openapi::schemas() {
        if let Some(table) = fields::object(&schema) {
            let _ = write!(out, "### {name}\n\n{table}");
        }
    }
    out
}
