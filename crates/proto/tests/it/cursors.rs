//! Cursors: what was given out comes back, everything else is `invalid`.

use crate::support::{Chance, HISTORY, direct, group, user};
use ostracon_proto::{cursor::*, fuzz::fuzz_cursor};

fn all() -> Vec<String> {
    let sync = SyncCursor { history: HISTORY, user_rev: 7, after: None };
    vec![
        sync.encode(),
        SyncCursor { after: Some(group()), ..sync }.encode(),
        ChatListCursor { last_activity_at: -1, conversation: direct() }.encode(),
        MembersCursor { after: user(7) }.encode(),
    ]
}

#[test]
fn cursors_come_back() {
    let sync = SyncCursor { history: HISTORY, user_rev: u64::MAX, after: Some(group()) };
    assert_eq!(SyncCursor::decode(&sync.encode()), Ok(sync));
    let list = ChatListCursor { last_activity_at: i64::MIN, conversation: direct() };
    assert_eq!(ChatListCursor::decode(&list.encode()), Ok(list));
    let members = MembersCursor { after: user(1) };
    assert_eq!(MembersCursor::decode(&members.encode()), Ok(members));
    insta::assert_snapshot!(all().join("\n"), @r#"
    AQH__________wAAAAAAAAAH
    AQH__________wAAAAAAAAAHAZen9Cs8fU6PUBEiM0RVZg
    AQL__________wAAAAAAAICAgAAAAAACAAA
    AQMAAAAAAAAABw
    "#);
}

#[test]
fn another_lists_cursor_is_invalid() {
    for text in all() {
        let read = [
            SyncCursor::decode(&text).is_ok(),
            ChatListCursor::decode(&text).is_ok(),
            MembersCursor::decode(&text).is_ok(),
        ];
        assert_eq!(read.iter().filter(|ok| **ok).count(), 1, "{text}");
    }
    for text in ["", "A", "AQ", "AQE", "AQE=", "!!", "AgE", &"A".repeat(1_000_000)] {
        assert_eq!(SyncCursor::decode(text).unwrap_err().field, "cursor");
    }
}

#[test]
fn damaged_cursors_are_refused_or_read_as_what_they_then_say() {
    let mut chance = Chance(0x0571_2ac0);
    for text in all() {
        for _ in 0..5_000 {
            let mut bytes = text.clone().into_bytes();
            chance.mutate(&mut bytes);
            fuzz_cursor(&bytes);
        }
    }
}
