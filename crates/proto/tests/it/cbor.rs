//! CBOR: the same content as JSON, and nothing that makes the reader fall.

use crate::support::Chance;
use ostracon_proto::{
    cbor::{CborError, DEPTH_MAX, from_json, to_json},
    fuzz::fuzz_decode,
};

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn the_examples_of_the_standard() {
    for (hex, json) in [
        ("00", "0"),
        ("17", "23"),
        ("1818", "24"),
        ("1903e8", "1000"),
        ("1a000f4240", "1000000"),
        ("1bffffffffffffffff", "18446744073709551615"),
        ("3bffffffffffffffff", "-18446744073709551616"),
        ("3903e7", "-1000"),
        ("f90000", "0.0"),
        ("f93c00", "1.0"),
        ("f97bff", "65504.0"),
        ("f90001", "5.960464477539063e-8"),
        ("f9c400", "-4.0"),
        ("fa47c35000", "100000.0"),
        ("fb3ff199999999999a", "1.1"),
        ("f4", "false"),
        ("f5", "true"),
        ("f6", "null"),
        ("f7", "null"),
        ("60", "\"\""),
        ("62225c", r#""\"\\""#),
        ("64f0908591", "\"𐅑\""),
        ("c11a514b67b0", "1363896240"),
        ("80", "[]"),
        ("8301820203820405", "[1,[2,3],[4,5]]"),
        ("a26161016162820203", r#"{"a":1,"b":[2,3]}"#),
        ("7f657374726561646d696e67ff", "\"streaming\""),
        ("9fff", "[]"),
        ("9f018202039f0405ffff", "[1,[2,3],[4,5]]"),
        ("bf61610161629f0203ffff", r#"{"a":1,"b":[2,3]}"#),
    ] {
        assert_eq!(to_json(&bytes(hex)).as_deref(), Ok(json), "{hex}");
    }
}

#[test]
fn what_json_cannot_say_or_nobody_wrote_is_refused() {
    use CborError::{Malformed, NotJson};
    for (hex, expect) in [
        ("", Malformed),
        ("18", Malformed),
        ("1c", Malformed),
        ("1f", Malformed),
        ("0000", Malformed),
        ("61", Malformed),
        ("61ff", Malformed),
        ("7f00ff", Malformed),
        ("7f", Malformed),
        ("81", Malformed),
        ("9f", Malformed),
        ("9f00", Malformed),
        ("bf6161ff", Malformed),
        ("a16161", Malformed),
        ("ff", Malformed),
        ("c1", Malformed),
        ("df00", Malformed),
        ("9bffffffffffffffff", Malformed),
        ("7bffffffffffffffff", Malformed),
        ("bbffffffffffffffff", Malformed),
        ("40", NotJson),
        ("41ff", NotJson),
        ("5f40ff", NotJson),
        ("a118ff00", NotJson),
        ("a12000", NotJson),
        ("a10018ff", NotJson),
        ("a1038101", NotJson),
        ("a103820100", NotJson),
        ("a1038201f6", NotJson),
        ("a2041b00000000ffffffff0a1b7fffffffffffffff", NotJson),
        ("a18000", NotJson),
        ("e0", NotJson),
        ("f820", NotJson),
        ("f97e00", NotJson),
        ("f97c00", NotJson),
        ("faff800000", NotJson),
        ("c249010000000000000000", NotJson),
    ] {
        assert_eq!(to_json(&bytes(hex)), Err(expect), "{hex}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| [vec![0x81; depth], vec![0]].concat();
    assert!(to_json(&nested(DEPTH_MAX)).is_ok());
    assert_eq!(to_json(&nested(DEPTH_MAX + 1)), Err(CborError::TooDeep));
    assert_eq!(to_json(&nested(1_000_000)), Err(CborError::TooDeep));
    assert_eq!(to_json(&vec![0x9f; 1_000_000]), Err(CborError::TooDeep));
    assert_eq!(to_json(&vec![0xbf; 1_000_000]), Err(CborError::NotJson));
    assert_eq!(to_json(&vec![0xc1; 1_000_000]), Err(CborError::Malformed));
    let mut out = Vec::new();
    assert!(from_json("[".repeat(100_000).as_bytes(), &mut out).is_err());
}

#[test]
fn json_comes_back_through_cbor() {
    for json in [
        "0",
        "23",
        "24",
        "255",
        "256",
        "65535",
        "65536",
        "4294967295",
        "4294967296",
        "18446744073709551615",
        "-1",
        "-24",
        "-25",
        "-9223372036854775808",
        "1.5",
        "-0.0",
        "1e300",
        "null",
        "true",
        "false",
        "\"\"",
        r#""\n\u0000😀""#,
        "[]",
        "{}",
        r#"{"a":[1,{"b":null}],"é":"x"}"#,
    ] {
        let mut cbor = Vec::new();
        from_json(json.as_bytes(), &mut cbor).unwrap();
        let back: serde_json::Value = serde_json::from_str(&to_json(&cbor).unwrap()).unwrap();
        assert_eq!(back, serde_json::from_str::<serde_json::Value>(json).unwrap(), "{json}");
    }
    let text = "x".repeat(70_000);
    let mut cbor = Vec::new();
    from_json(serde_json::to_string(&text).unwrap().as_bytes(), &mut cbor).unwrap();
    assert_eq!(&cbor[..5], [0x7a, 0, 1, 0x11, 0x70]);
}

/// What a person says in a direct conversation, as it reaches the other one.
const EVENT: &str = r#"{"type":"new_message","data":{"message_id":"1572864000123456789","conversation_id":"00000000-0000-8080-8000-00000c3b0000","seq":310,"rev":412,"content_rev":412,"sender_id":97,"type":"text","content":"Shall we meet at noon? The café on the corner: ок?","timestamp":1795000000123,"history":"9871236540123456789","mark_rev":298}}"#;

fn short(json: &str) -> Vec<u8> {
    let mut cbor = Vec::new();
    from_json(json.as_bytes(), &mut cbor).unwrap();
    cbor
}

#[test]
fn an_event_is_short_and_comes_back_to_the_letter() {
    let id = ostracon_domain::ConversationId::direct(user(97), user(195)).to_string();
    let message = ostracon_domain::MessageId::from_parts(1_795_000_000_121, 3, 17).unwrap();
    let event = EVENT
        .replace("00000000-0000-8080-8000-00000c3b0000", &id)
        .replace("1572864000123456789", &message.to_string());
    let cbor = short(&event);
    assert_eq!(to_json(&cbor).unwrap(), event);
    assert!(cbor.len() <= 110, "{}", cbor.len());
    let group = event.replace(&id, "0190163d-8694-739b-aea5-966c26f8ad91");
    let cbor = short(&group);
    assert_eq!(to_json(&cbor).unwrap(), group);
    assert!(cbor.len() <= 122, "{}", cbor.len());
}

fn user(id: u64) -> ostracon_domain::UserId {
    ostracon_domain::UserId::new(id).unwrap()
}

#[test]
fn what_looks_like_something_short_comes_back_as_it_was() {
    for json in [
        r#"{"type":5,"message_id":7,"history":-1}"#,
        r#"{"type":-1,"message_id":"007","history":"18446744073709551616"}"#,
        r#"{"type":"no word","message_id":"0","history":""}"#,
        r#"{"conversation_id":[1,2]}"#,
        r#"{"conversation_id":"0190163D-8694-739B-AEA5-966C26F8AD91"}"#,
        r#"{"message_id":"1572864000123456789","timestamp":18446744073709551615}"#,
        r#"{"message_id":"1572864000123456789","timestamp":-5}"#,
        r#"{"message_id":"1572864000123456789","timestamp":1.5}"#,
        r#"{"message_id":"9223372036854775808","timestamp":7}"#,
        r#"{"message_id":"1572864000123456789","nested":{"timestamp":7},"timestamp":7}"#,
        r#"{"rev":7,"content_rev":-9223372036854775808}"#,
        r#"{"rev":18446744073709551615,"content_rev":3}"#,
        r#"{"content_rev":3,"rev":7}"#,
        r#"{"rev":null,"content_rev":3}"#,
        r#"["0190163d-8694-739b-aea5-966c26f8ad91","0190163d-8694-739b-aea5_966c26f8ad91"]"#,
    ] {
        assert_eq!(to_json(&short(json)).unwrap(), json);
    }
    let many: Vec<String> = (0..300).map(|n| format!("\"k{n}\":[{n}]")).collect();
    let many = format!("{{{}}}", many.join(","));
    assert_eq!(to_json(&short(&many)).unwrap(), many);
}

#[test]
fn the_lists_of_names_hold_each_once() {
    use ostracon_proto::cbor::names::{NAMES, WORDS};
    let names: std::collections::BTreeSet<_> = NAMES.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), NAMES.len());
    let words: std::collections::BTreeSet<_> = WORDS.iter().collect();
    assert_eq!(words.len(), WORDS.len());
}

#[test]
fn damaged_frames_never_panic() {
    let mut chance = Chance(0xcb0);
    let json = r#"{"type":"send_message","id":"é1","data":{"to":"ext:x","content":"hi\n","mentions":[{"user_id":2,"start":0,"end":1}],"n":[1.5,-7,null,true]}}"#;
    let mut cbor = Vec::new();
    from_json(json.as_bytes(), &mut cbor).unwrap();
    for whole in [cbor, json.as_bytes().to_vec()] {
        for _ in 0..20_000 {
            let mut damaged = whole.clone();
            chance.mutate(&mut damaged);
            fuzz_decode(&damaged);
        }
    }
}
