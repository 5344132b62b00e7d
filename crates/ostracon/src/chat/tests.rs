//! What is typed is read as it is meant, and what is shown fits its screen.

use super::{
    editor::Editor,
    input::{Input, parse},
    screen::{Chat, Line, Mark, Picture, Shown, draw},
    text::{cut, one_line, width, wrap},
};

#[test]
fn lines_are_read_as_they_are_meant() {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    for (line, input) in [
        ("hello there\n", Input::Say("hello there".into())),
        ("//slash", Input::Say("/slash".into())),
        ("   ", Input::Nothing),
        ("/open bob", Input::Open("bob".into())),
        ("/edit 12 a new text", Input::Edit(12, "a new text".into())),
        ("/edit #12 x", Input::Edit(12, "x".into())),
        ("/reply 3 yes", Input::Reply(3, "yes".into())),
        ("/delete 4", Input::Delete(4)),
        ("/react 4 👍", Input::React { seq: 4, emoji: "👍".into(), remove: false }),
        ("/unreact 4 👍", Input::React { seq: 4, emoji: "👍".into(), remove: true }),
        (
            "/new team bob carol",
            Input::New { name: "team".into(), members: words(&["bob", "carol"]) },
        ),
        ("/new group team bob", Input::New { name: "team".into(), members: words(&["bob"]) }),
        (
            "/new \"the team\" bob, carol",
            Input::New { name: "the team".into(), members: words(&["bob", "carol"]) },
        ),
        ("/read", Input::Read),
        ("/quit", Input::Quit),
    ] {
        assert_eq!(parse(line), Ok(input), "{line}");
    }
    for line in
        ["/edit", "/edit x y", "/edit 1", "/open", "/new", "/delete", "/react 1", "/nothing"]
    {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn the_editor_keeps_its_cursor() {
    let mut editor = Editor::default();
    "añb".chars().for_each(|c| editor.insert(c));
    editor.left();
    editor.backspace();
    editor.insert('x');
    assert_eq!((editor.text(), editor.left_of_cursor()), ("axb".to_owned(), "ax".to_owned()));
    editor.end();
    " two words ".chars().for_each(|c| editor.insert(c));
    editor.delete_word();
    assert_eq!(editor.text(), "axb two ");
    assert_eq!(editor.enter(), "axb two ");
    assert_eq!(editor.text(), "");
    editor.insert('n');
    editor.enter();
    editor.up();
    editor.up();
    editor.up();
    assert_eq!(editor.text(), "axb two ");
    editor.down();
    editor.down();
    editor.down();
    assert_eq!(editor.text(), "");
}

#[test]
fn texts_of_others_cannot_move_the_cursor() {
    assert_eq!(one_line("a\x1b[2Jb\nc\td\u{202e}e"), "a[2Jb c de");
    assert_eq!(cut("héllo", 4), "hél…");
    assert_eq!(cut("漢字漢字", 5), "漢字…");
    assert_eq!(wrap("one two three", 7), ["one two", "three"]);
    assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
    assert_eq!(wrap("", 4), [""]);
}

fn plain(line: &Line) -> String {
    line.iter().map(|(_, text)| text.as_str()).collect()
}

fn said(seq: u64, text: &str, mark: Mark) -> Shown {
    Shown {
        seq: Some(seq),
        time: "12:30".into(),
        sender: if mark == Mark::None { "bob".into() } else { "alice".into() },
        own: mark != Mark::None,
        text: text.into(),
        mark,
        remark: String::new(),
        quote: None,
    }
}

#[test]
fn a_screen_has_as_many_lines_as_the_terminal() {
    let mut picture = Picture {
        me: "alice".into(),
        connected: true,
        chats: vec![
            Chat { name: "bob".into(), unread: 0, open: true },
            Chat { name: "team".into(), unread: 3, open: false },
        ],
        title: "bob".into(),
        messages: vec![said(1, "hi", Mark::None), said(2, "hello", Mark::Read)],
        typed: "so".into(),
        left_of_cursor: "so".into(),
        ..Picture::default()
    };
    let (lines, cursor) = draw(&picture, 40, 10);
    let text: Vec<String> = lines.iter().map(plain).collect();
    assert_eq!(lines.len(), 10);
    assert_eq!(text[0].trim_end(), "1.bob  2.team(3)");
    assert!(text[1].contains("── bob ") && text[1].contains("alice · connected"), "{}", text[1]);
    assert_eq!(&text[7..], ["   1 12:30 bob hi", "   2 12:30 alice hello ✓✓", "> so"]);
    assert_eq!(cursor, 4);

    picture.connected = false;
    picture.messages = (1..100).map(|n| said(n, &"word ".repeat(30), Mark::Sent)).collect();
    picture.notes = vec!["a note".into()];
    picture.typed = "x".repeat(100);
    picture.left_of_cursor = picture.typed.clone();
    for (columns, rows) in [(40, 10), (1, 1), (300, 100), (21, 7)] {
        let (lines, cursor) = draw(&picture, columns, rows);
        assert_eq!(lines.len(), rows.max(6));
        for line in &lines {
            assert!(width(&plain(line)) <= columns.max(20), "{columns}: {}", plain(line));
        }
        assert!(cursor < columns.max(20));
    }
    let (lines, _) = draw(&picture, 60, 10);
    assert!(plain(&lines[1]).contains("disconnected"));
}
