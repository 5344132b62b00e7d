//! What the hot frames cost, in nanoseconds: `cargo run --release -p ostracon-proto --example hot_frames`.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use ostracon_domain::{ConversationId, History, IdError, MessageId, MessageKind, UserId};
use ostracon_proto::{
    Encoding, Message,
    frame::{ClientFrame, FrameRef, InboxUpdated, MessageSent, NewMessage, ServerFrame, encode},
};
use std::{hint::black_box, time::Instant};

const ROUNDS: u32 = 500_000;
const HISTORY: History = History(8_842_013_377);

fn measure(what: &str, mut one: impl FnMut()) {
    for _ in 0..ROUNDS / 10 {
        one();
    }
    let start = Instant::now();
    for _ in 0..ROUNDS {
        one();
    }
    println!("{:>6} ns  {what}", start.elapsed().as_nanos() / u128::from(ROUNDS));
}

fn main() -> Result<(), IdError> {
    let text = "x".repeat(200);
    let client_id = "0197a7f4-2b3c-7d4e-8f50-112233445566";
    let (alice, bob) = (UserId::new(1)?, UserId::new(2)?);
    let conversation_id = ConversationId::direct(alice, bob);
    let message_id = MessageId::new(1_573_741_824_000_000_042)?;
    let send = format!(
        r#"{{"type":"send_message","id":12345,"data":{{"conversation_id":"{conversation_id}","content":"{text}","client_id":"{client_id}"}}}}"#
    );
    measure("decode send_message", || {
        black_box(ClientFrame::decode(black_box(&send))).ok();
    });
    let stored = Message {
        message_id,
        conversation_id,
        seq: 1_234,
        rev: 2_345,
        content_rev: 2_345,
        sender_id: alice,
        kind: MessageKind::Text,
        content: Some(text.as_str().into()),
        timestamp: 1_795_257_516_007,
        client_id: Some(client_id.into()),
        edited_at: None,
        deleted_at: None,
        deleted_by: None,
        reply_to: None,
        mentions: Vec::new(),
        attachments: Vec::new(),
        reactions: Vec::new(),
        pinned_at: None,
        expires_at: None,
        hidden: false,
        withheld: false,
        history: Some(HISTORY),
        mark_rev: Some(17),
    };
    let sent = MessageSent {
        message_id,
        conversation_id,
        seq: 1_234,
        rev: 2_345,
        history: HISTORY,
        timestamp: 1_795_257_516_007,
        client_id: Some(client_id.into()),
        message: stored.borrowed(),
    };
    let reference = FrameRef::number(12_345);
    let mut out = Vec::new();
    for encoding in Encoding::ALL {
        measure(&format!("encode message_sent {encoding:?}"), || {
            out.clear();
            encode::frame_into(&mut out, encoding, Some(&reference), black_box(&sent));
        });
        measure(&format!("encode new_message {encoding:?}"), || {
            out.clear();
            encode::frame_into(&mut out, encoding, None, &NewMessage(stored.without_client_id()));
        });
    }
    let inbox = InboxUpdated {
        conversation_id,
        history: HISTORY,
        rev: 1,
        mark_rev: 2,
        user_rev: 3,
        unread: 4,
        inbox: None,
    };
    measure("encode inbox_updated", || {
        out.clear();
        encode::frame_into(&mut out, Encoding::Json, None, black_box(&inbox));
    });
    let new = encode::event(Encoding::Json, &NewMessage(stored.without_client_id()));
    let new = String::from_utf8_lossy(&new);
    measure("decode new_message", || {
        black_box(ServerFrame::decode(black_box(&new))).ok();
    });
    Ok(())
}
