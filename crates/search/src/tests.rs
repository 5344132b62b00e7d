//! What is found and what is not, as cases; and that an index proposes whatever matches.

use proptest::prelude::*;

use crate::{Query, QueryError, fold, name_matches, tokens};

/// Whether a query finds a text; an index is asked first, as in a server.
fn finds(query: &str, text: &str) -> bool {
    let query = Query::parse(query).unwrap();
    let tokens = tokens(text);
    let proposed = query.terms().iter().all(|term| {
        tokens.iter().any(|token| {
            if term.prefix { token.starts_with(&term.text) } else { *token == term.text }
        })
    });
    let found = query.find(text).is_some();
    assert!(proposed || !found, "an index would not propose it: {query:?} in {text:?}");
    found
}

#[test]
fn what_people_look_for_is_found() {
    for (query, text) in [
        ("привет", "Ну, Привет!"),
        ("上海", "我家在上海东边。"),
        ("鈴虫", "バッタと鈴虫"),
        ("鈴", "バッタと鈴虫"),
        ("虫", "バッタと鈴虫"),
        ("foo", "see foo.png"),
        ("foo.png", "see foo.png"),
        ("png", "see foo.png"),
        ("qwen", "we run qwen3.6 here"),
        ("qwen3", "we run qwen3.6 here"),
        ("qwen3.6", "we run qwen3.6 here"),
        ("C++20", "concepts of C++20."),
        ("c++", "concepts of C++20."),
        ("C", "concepts of C++20."),
        ("C#", "C# or F#"),
        ("https://example.org/a/b?c=d", "read https://example.org/a/b?c=d#e now"),
        ("example.org", "read https://example.org/a/b now"),
        ("the who", "It is The Who"),
        ("to be or not to be", "to be, or not to be"),
        ("well-known", "a well\u{2011}known fact"),
        ("known", "a well-known fact"),
        ("tieng viet", "Tiếng Việt"),
        ("Tiếng Việt", "tieng viet"),
        ("duong", "Đường Trần Hưng Đạo"),
        ("strasse", "Straße"),
        ("naive", "nai\u{308}ve"),
        ("ёлка", "елка"),
        ("книга", "о книгах и людях"),
        ("москве", "Москва"),
        ("학교", "우리학교에서 만나요"),
        ("한국어", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}\u{110b}\u{1165}"),
        ("ガ", "ｶﾞｽ"),
        ("สวัสดี", "สวัสดีครับ"),
        ("👍", "ok 👍🏽"),
        ("❤️", "I ❤ it"),
        ("let x", "let x = vec![1];"),
        ("vec![1]", "let x = vec![1];"),
        ("snake_case", "use snake_case here"),
        ("\"hello world\"", "well, Hello  World."),
        ("“hello world”", "hello world"),
        ("@anna", "thanks @anna"),
        ("anna", "thanks @anna"),
        ("1,5", "1,5 kg"),
        ("hello,", "hello world"),
        ("résumé.pdf", "resume.PDF"),
        ("cafe", "CAFÉ"),
        ("ΟΔΟΣ", "οδός"),
        ("مرحبا", "مَرْحَبًا"),
    ] {
        assert!(finds(query, text), "{query:?} in {text:?}");
    }
}

#[test]
fn what_is_not_meant_is_not_found() {
    for (query, text) in [
        ("art", "a chart"),
        ("C++20", "C 20"),
        ("c", "cat"),
        ("上东", "我家在上海东边。"),
        ("\"hello wor\"", "hello world"),
        ("\"world hello\"", "hello world"),
        ("книга", "книжный"),
        ("май", "маи"),
        ("か", "がき"),
        ("foo bar", "foo"),
        ("12", "312"),
    ] {
        assert!(!finds(query, text), "{query:?} in {text:?}");
    }
}

#[test]
fn highlights_count_units_of_the_text_as_it_is_written() {
    let highlights =
        |query: &str, text: &str| Query::parse(query).unwrap().find(text).unwrap().highlights;
    assert_eq!(highlights("world", "😀 world"), [(3, 8)]);
    assert_eq!(highlights("viet", "Tie\u{302}\u{301}ng Vie\u{323}\u{302}t!"), [(8, 14)]);
    assert_eq!(highlights("上海", "我家在上海东边。"), [(3, 5)]);
    assert_eq!(highlights("книга", "о книгах"), [(2, 7)]);
    assert_eq!(highlights("книга", "о книгу"), [(2, 7)]);
    assert_eq!(highlights("foo fo", "foo, foo"), [(0, 3), (5, 8)]);
    assert_eq!(highlights("ss", "ß"), [(0, 1)]);
}

#[test]
fn a_whole_word_fits_better_than_a_beginning() {
    let score = |query: &str, text: &str| Query::parse(query).unwrap().find(text).unwrap().score;
    assert!(score("art", "art for all") > score("art", "article one"));
    assert!(score("art", "art") > score("art", &format!("art {}", "and so on ".repeat(50))));
}

#[test]
fn queries_without_anything_to_find_are_refused() {
    for text in ["", "  ", "...", "\"\"", "-- !"] {
        assert_eq!(Query::parse(text).unwrap_err(), QueryError::Empty, "{text:?}");
    }
    assert_eq!(Query::parse(&"a".repeat(257)).unwrap_err(), QueryError::TooLong);
    assert_eq!(Query::parse(&"a ".repeat(20)).unwrap_err(), QueryError::TooLong);
}

#[test]
fn names_are_found_by_the_beginnings_of_their_words() {
    assert!(name_matches("nguy", "Trần Nguyễn"));
    assert!(name_matches("nguyen tr", "Trần Nguyễn"));
    assert!(name_matches("dao", "Đạo"));
    assert!(name_matches("田", "山田太郎"));
    assert!(name_matches("anna", "anna.smith"));
    assert!(!name_matches("mith", "anna.smith"));
    assert!(!name_matches("", "anna"));
    assert!(!name_matches("!", "anna"));
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-cA-C0-2 .+\\-\"éđ上海鈴がカ학교приветй😀👍\u{300}\u{301}\u{fe0f}]{0,40}",
    ]
}

proptest! {
    #[test]
    fn an_index_proposes_whatever_matches(query in texts(), text in texts()) {
        if Query::parse(&query).is_ok() {
            finds(&query, &text);
        }
    }

    #[test]
    fn a_part_of_a_text_finds_it(text in texts(), from in 0usize..40, length in 1usize..20) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let start = from % words.len().max(1);
        let part: Vec<&str> = words.iter().skip(start).take(length.min(4)).copied().collect();
        let part = part.join(" ");
        if !part.contains(['"', '“', '”', '„', '«', '»'])
            && let Ok(query) = Query::parse(&part)
            && part.chars().all(|c| c.is_alphanumeric() || c == ' ')
        {
            prop_assert!(query.find(&text).is_some() , "{:?} in {:?}", part, text);
        }
    }

    #[test]
    fn highlights_lie_in_the_text(query in texts(), text in texts()) {
        let length = text.encode_utf16().count() as u32;
        if let Ok(query) = Query::parse(&query) && let Some(found) = query.find(&text) {
            let mut last = 0;
            for (start, end) in found.highlights {
                prop_assert!(last <= start && start < end && end <= length);
                last = end;
            }
        }
    }

    #[test]
    fn folding_twice_is_folding_once(text in texts()) {
        let once = fold(&text);
        prop_assert_eq!(fold(&once), once);
    }

    #[test]
    fn forms_of_one_text_have_the_same_tokens(text in texts()) {
        use unicode_normalization::UnicodeNormalization as _;
        let composed: String = text.nfc().collect();
        let apart: String = text.nfd().collect();
        prop_assert_eq!(tokens(&composed), tokens(&apart));
    }

    #[test]
    fn tokens_are_short_sorted_and_single(text in texts()) {
        let tokens = tokens(&text);
        prop_assert!(tokens.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(tokens.iter().all(|token| !token.is_empty() && token.chars().count() <= 32));
    }
}
