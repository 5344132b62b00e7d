//! Positions at every border of magnitude.

use ostracon_domain::MessageId;
use ostracon_proto::Position::{self, Seq, Time};

#[test]
fn magnitude_decides() {
    let id = |n| Position::MessageId(MessageId::new(n).unwrap());
    for (text, expect) in [
        ("0", Seq(0)),
        ("1", Seq(1)),
        ("007", Seq(7)),
        ("999999999", Seq(999_999_999)),
        ("1000000000", Time(1_000_000_000_000)),
        ("1795257516", Time(1_795_257_516_000)),
        ("99999999999", Time(99_999_999_999_000)),
        ("100000000000", Time(100_000_000_000)),
        ("1795257516007", Time(1_795_257_516_007)),
        ("999999999999999", Time(999_999_999_999_999)),
        ("1000000000000000", id(1_000_000_000_000_000)),
        ("0001000000000000000", id(1_000_000_000_000_000)),
        ("9223372036854775807", id(u64::MAX >> 1)),
    ] {
        assert_eq!(Position::parse("before", text), Ok(expect), "{text}");
    }
}

#[test]
fn the_rest_is_invalid_by_name() {
    for text in [
        "",
        "-1",
        "+1",
        " 1",
        "1.0",
        "1e3",
        "x",
        "0x10",
        "٣",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999999",
    ] {
        assert_eq!(Position::parse("around", text).unwrap_err().field, "around", "{text}");
    }
}
