//! What is one emoji, what is not, and the one spelling of each.

use super::emoji;

#[test]
fn what_looks_the_same_has_one_spelling() {
    for (written, is) in [
        ("👍", "👍"),
        ("👍🏽", "👍🏽"),
        ("👍\u{FE0F}", "👍"),
        ("❤", "❤\u{FE0F}"),
        ("❤\u{FE0E}", "❤\u{FE0F}"),
        ("❤\u{FE0F}", "❤\u{FE0F}"),
        ("☝\u{FE0F}🏿", "☝🏿"),
        ("1\u{20E3}", "1\u{FE0F}\u{20E3}"),
        ("#\u{FE0F}\u{20E3}", "#\u{FE0F}\u{20E3}"),
        ("🇻🇳", "🇻🇳"),
        ("👩\u{200D}❤\u{200D}👩", "👩\u{200D}❤\u{FE0F}\u{200D}👩"),
        (
            "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
            "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
        ),
        ("👨🏿\u{200D}👩🏻\u{200D}👧🏽\u{200D}👦", "👨🏿\u{200D}👩🏻\u{200D}👧🏽\u{200D}👦"),
    ] {
        assert_eq!(emoji(written).as_deref(), Some(is), "{written:?}");
        assert_eq!(emoji(is).as_deref(), Some(is), "the spelling of a spelling is the same");
    }
}

#[test]
fn anything_else_is_not_one_emoji() {
    for text in [
        "",
        "a",
        "1",
        "+1",
        ":)",
        "👍👍",
        "👍a",
        " 👍",
        "\u{FE0F}",
        "\u{200D}",
        "👍\u{200D}",
        "🇻",
        "🇻🇳🇻🇳",
        "🏽",
        "❤\u{FE0F}\u{20E3}\u{20E3}",
        "🏴\u{E0067}",
        "é",
        "ф",
        "漢",
    ] {
        assert_eq!(emoji(text), None, "{text:?}");
    }
}
