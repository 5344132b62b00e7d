//! Ids: the vectors, what is refused, and that text and bits go round.

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::{ConversationId, History, MessageId, Party, Slot, UserId};

const USER_MAX: u64 = (1 << 53) - 1;

fn user(id: u64) -> UserId {
    UserId::new(id).expect("in range")
}

fn vectors() -> serde_json::Value {
    let text = include_str!("../../vectors/ids.json");
    serde_json::from_str(text).expect("valid JSON")
}

fn list<'a>(file: &'a serde_json::Value, key: &str) -> &'a [serde_json::Value] {
    let list = file[key].as_array().expect("a list");
    assert!(!list.is_empty());
    list
}

#[test]
fn direct_ids_are_those_of_the_vectors() {
    let file = vectors();
    for vector in list(&file, "direct") {
        let number = |key: &str| vector[key].as_u64().expect("a number");
        let (a, b) = (user(number("a")), user(number("b")));
        let id = ConversationId::direct(a, b);
        let text = vector["conversation_id"].as_str().expect("text");
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(ConversationId::from_u128(id.as_u128()), Ok(id));
        assert_eq!(id.party(), Party::Direct { lo: a.min(b), hi: a.max(b) });
        assert_eq!(u64::from(id.slot().get()), number("slot"));
        assert_eq!((id.peer_of(a), id.peer_of(b)), (Some(b), Some(a)));
        assert_eq!(id.peer_of(user(77)), None);
        if a == b {
            assert_eq!(a.slot(), id.slot(), "a user's own rows hash like the user with himself");
        }
    }
}

#[test]
fn group_ids_are_those_of_the_vectors() {
    let file = vectors();
    for vector in list(&file, "group") {
        let text = vector["conversation_id"].as_str().expect("text");
        let id: ConversationId = text.parse().expect("a group");
        assert_eq!(id.party(), Party::Group);
        assert_eq!(id.to_string(), text);
        assert_eq!(u64::from(id.slot().get()), vector["slot"].as_u64().expect("a number"));
        assert_eq!(id.peer_of(user(1)), None);
    }
    let made = [
        ConversationId::new_group(1_700_000_000_000, [0xff; 10]),
        ConversationId::new_group(-5, [0; 10]),
        ConversationId::retried_group([0; 16]),
        ConversationId::retried_group([0xff; 16]),
    ];
    for id in made {
        assert_eq!(id.party(), Party::Group);
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}

#[test]
fn what_is_not_canonical_is_refused() {
    let file = vectors();
    for vector in list(&file, "not_found") {
        let text = vector["conversation_id"].as_str().expect("text");
        assert!(text.parse::<ConversationId>().is_err(), "{vector}");
    }
    let simple = "0000000000008080800000000002 0000".replace(' ', "");
    for text in [
        "",
        "x",
        &simple,
        "{00000000-0000-8080-8000-000000020000}",
        "urn:uuid:00000000-0000-8080-8000-000000020000",
        "00000000-0000-8080-8000-00000002000g",
        "00000000-0000-8080-0000-000000020000",
        "00000000-0000-8080-c000-000000020000",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "0197a1b2-c3d4-1e5f-8a6b-7c8d9e0f1a2b",
        "0197a1b2-c3d4-7e5f-0a6b-7c8d9e0f1a2b",
    ] {
        assert!(text.parse::<ConversationId>().is_err(), "{text}");
    }
}

#[test]
fn message_ids_are_those_of_the_vectors() {
    let file = vectors();
    for vector in list(&file, "message_id") {
        let number = |key: &str| vector[key].as_u64().expect("a number");
        let ms = i64::try_from(number("unix_ms")).expect("a time");
        let id = MessageId::from_parts(ms, number("node") as u16, number("counter") as u16);
        let id = id.expect("fits");
        let text = vector["message_id"].as_str().expect("text");
        assert_eq!(id.to_string(), text);
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(id.unix_ms(), ms);
    }
    assert_eq!(MessageId::from_parts(0, 0, 0), None);
    assert_eq!(MessageId::from_parts(super::MESSAGE_EPOCH_MS - 1, 0, 0), None);
    assert_eq!(MessageId::from_parts(super::MESSAGE_EPOCH_MS + (1 << 41), 0, 0), None);
    assert_eq!(MessageId::from_parts(super::MESSAGE_EPOCH_MS, 1024, 0), None);
    assert_eq!(MessageId::from_parts(super::MESSAGE_EPOCH_MS, 0, 4096), None);
    assert!(MessageId::new(u64::MAX >> 1).is_ok() && MessageId::new(1 << 63).is_err());
    for text in ["", "1", "00000000000000000001 ", "+000000000000000001", "9999999999999999999"] {
        assert!(text.parse::<MessageId>().is_err(), "{text:?}");
    }
}

#[test]
fn numbers_out_of_range_are_refused() {
    assert!(UserId::new(0).is_err() && UserId::new(USER_MAX + 1).is_err());
    assert_eq!(user(USER_MAX).get(), USER_MAX);
    for text in ["", "0", "+1", "-1", "1.0", " 1", "9007199254740992", "99999999999999999999"] {
        assert!(text.parse::<UserId>().is_err(), "{text:?}");
    }
    assert!(Slot::new(16_384).is_err() && Slot::new(16_383).is_ok());
    for text in ["", "+1", "-1", "18446744073709551616"] {
        assert!(text.parse::<History>().is_err(), "{text:?}");
    }
}

fn json<T>(value: &T, expect: &str)
where
    T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug,
{
    let text = serde_json::to_string(value).expect("can be written");
    assert_eq!(text, expect);
    assert_eq!(&serde_json::from_str::<T>(&text).expect("can be read"), value);
}

#[test]
fn json_is_that_of_the_wire() {
    json(&user(USER_MAX), "9007199254740991");
    json(&ConversationId::direct(user(2), user(1)), "\"00000000-0000-8080-8000-000000020000\"");
    json(&MessageId::new(42).expect("fits"), "\"0000000000000000042\"");
    json(&MessageId::new(u64::MAX >> 1).expect("fits"), "\"9223372036854775807\"");
    json(&History(u64::MAX), "\"18446744073709551615\"");
    assert!(serde_json::from_str::<UserId>("0").is_err());
    assert!(serde_json::from_str::<UserId>("\"1\"").is_err());
    assert!(serde_json::from_str::<MessageId>("42").is_err());
}

proptest! {
    #[test]
    fn direct_ids_hold_both_users(a in 1..=USER_MAX, b in 1..=USER_MAX) {
        let (a, b) = (user(a), user(b));
        let id = ConversationId::direct(a, b);
        prop_assert_eq!(id, ConversationId::direct(b, a));
        prop_assert_eq!(id.party(), Party::Direct { lo: a.min(b), hi: a.max(b) });
        prop_assert_eq!(ConversationId::from_u128(id.as_u128()), Ok(id));
    }

    #[test]
    fn only_canonical_ids_are_ids(bits in any::<u128>(), version in 0..16u128) {
        let bits = bits & !(0xf << 76) | version << 76;
        if let Ok(id) = ConversationId::from_u128(bits) {
            prop_assert_eq!(id.as_u128(), bits);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            if let Party::Direct { lo, hi } = id.party() {
                prop_assert_eq!(ConversationId::direct(lo, hi), id);
            }
        }
    }

    #[test]
    fn message_ids_sort_as_text(a in 0..1u64 << 63, b in 0..1u64 << 63) {
        let (a, b) = (MessageId::new(a).expect("fits"), MessageId::new(b).expect("fits"));
        prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
    }
}
