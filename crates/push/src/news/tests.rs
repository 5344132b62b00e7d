//! What a device reads, and that it fits.

use ostracon_domain::{ConversationId, MessageId, MessageKind, UserId};
use serde_json::{Value, json};

use super::{News, Sender};
use crate::PLAIN_BYTES_MAX;

fn news(name: &str, text: &str) -> News {
    let user = |n| UserId::new(n).unwrap();
    News {
        conversation: ConversationId::direct(user(1), user(2)),
        group: None,
        seq: 7,
        message_id: MessageId::new(1_573_741_824_000_000_042).unwrap(),
        sender: Sender { id: user(1), name: name.to_owned(), external_id: None },
        kind: MessageKind::Text,
        text: text.to_owned(),
        created_at: 1,
        mentioned: false,
        unread: 3,
    }
}

#[test]
fn a_device_reads_who_says_what() {
    let read = |news: &News, preview| -> Value {
        serde_json::from_slice(&news.for_device(preview)).unwrap()
    };
    let direct = news("Alice", "Lunch?\nNow?");
    let expected = json!({
        "conversation_id": direct.conversation,
        "seq": 7,
        "type": "text",
        "sender": {"user_id": 1, "display_name": "Alice"},
        "title": "Alice",
        "body": "Lunch? Now?",
        "mentioned": false,
        "unread": 3,
    });
    assert_eq!(read(&direct, true), expected);
    assert!(read(&direct, false).get("body").is_none());
    assert!(read(&news("Alice", ""), true).get("body").is_none());
    let group = News { group: Some("Team".to_owned()), ..direct };
    assert_eq!(read(&group, true)["title"], "Team");
}

#[test]
fn the_longest_fits() {
    // What takes most room in JSON that is not cut off: four bytes a character.
    let long = News {
        group: Some("😀".repeat(500)),
        ..news(&"😀".repeat(500), &"😀".repeat(10_000))
    };
    let bytes = long.for_device(true);
    assert!(bytes.len() <= PLAIN_BYTES_MAX, "{}", bytes.len());
    let quotes =
        News { group: Some("\"".repeat(500)), ..news(&"\"".repeat(500), &"\\".repeat(10_000)) };
    assert!(quotes.for_device(true).len() <= PLAIN_BYTES_MAX);
}
