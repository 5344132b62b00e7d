//! Sending: numbers, checks of what people write, retries.

use super::room::{ALICE, BOB, CAROL, EVE, Room, START, edit, file, reply, say, send, send_as};
use crate::{Action, AnnexKey, ClientId, Mention, MessageKind, NewMessage, Outcome, RefusalCode};

#[test]
fn a_send_takes_the_next_numbers_and_moves_its_senders_marks() {
    let mut room = Room::direct();
    let first = room.say(ALICE, "one").message;
    assert_eq!((first.seq, first.created_rev, first.rev, first.content_rev), (1, 4, 4, 4));
    assert_eq!((first.created_at, first.slot), (START, room.id.slot()));
    assert_eq!(first.payload_hash, None, "nothing to compare without a client id");
    let (outcome, rows) = room.run(BOB, send("two")).expect("allowed");
    assert_eq!(rows.len(), 3);
    assert!(matches!(outcome, Outcome::Sent { mark_rev: 2, duplicate: false, .. }));
    let head = room.head();
    assert_eq!((head.head_seq, head.rev, head.mark_rev, head.info_rev), (2, 5, 2, 1));
    assert_eq!(head.last_message_id, Some(room.message(2).message_id));
    let marks = |user| {
        let member = room.member(user);
        (member.read_seq, member.delivered_seq, member.mark_rev, member.rev)
    };
    assert_eq!((marks(ALICE), marks(BOB)), ((1, 1, 1, 2), (2, 2, 2, 3)));
}

#[test]
fn times_and_ids_never_go_back() {
    let mut room = Room::direct();
    room.say(ALICE, "one");
    room.now = START - 10_000;
    room.say(BOB, "two");
    room.now = START + 1;
    room.say(BOB, "three");
    let times: Vec<_> = room.messages.values().map(|m| m.created_at - START).collect();
    assert_eq!(times, [0, 0, 1]);
    let ids: Vec<_> = room.messages.values().map(|m| m.message_id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b));
}

#[test]
fn texts_are_checked() {
    let mut room = Room::direct();
    let longest = "\u{10ffff}".repeat(5_000);
    let dense = "é".repeat(10_000);
    for text in ["x", " ", "\n", longest.as_str(), dense.as_str()] {
        room.say(ALICE, text);
    }
    let too_long = [format!("{longest}x"), format!("{dense}x"), "x".repeat(10_001)];
    for text in ["", "\0", "a\0b"].into_iter().chain(too_long.iter().map(String::as_str)) {
        assert_eq!(room.invalid(ALICE, send(text)), "content");
    }
    let kind = |kind| Action::Send(NewMessage { kind, ..say("x") });
    for other in [MessageKind::System, MessageKind::Image, MessageKind::File] {
        assert_eq!(room.invalid(ALICE, kind(other)), "type");
    }
    assert_eq!(room.head().head_seq, 5);
}

#[test]
fn a_message_with_files_needs_no_text() {
    let mut room = Room::direct();
    let with = |kind, content: &str, files: Option<Vec<_>>| {
        Action::Send(NewMessage { kind, attachments: files, ..say(content) })
    };
    room.done(ALICE, with(MessageKind::Image, "", Some(vec![file("1")])));
    room.done(ALICE, with(MessageKind::Text, "two of them", Some(vec![file("1"), file("2")])));
    assert_eq!(room.message(1).attachments(), [file("1")]);
    assert_eq!(room.message(2).attachments(), [file("1"), file("2")]);
    assert_eq!(room.message(1).kind, MessageKind::Image);
    assert_eq!(room.invalid(ALICE, with(MessageKind::File, "x", Some(Vec::new()))), "type");
    let system = with(MessageKind::System, "x", Some(vec![file("1")]));
    assert_eq!(room.invalid(ALICE, system), "type");
    assert_eq!(
        room.invalid(ALICE, with(MessageKind::Text, "\0", Some(vec![file("1")]))),
        "content"
    );
    // One of the files is not there, or not for this user.
    assert_eq!(room.refused(ALICE, with(MessageKind::Text, "x", None)), RefusalCode::NotFound);
    assert_eq!(room.head().head_seq, 2);
}

#[test]
fn the_same_again_needs_no_files() {
    let mut room = Room::direct();
    let again = |files| {
        let client_id = ClientId::new("c");
        Action::Send(NewMessage { client_id, attachments: files, ..say("look") })
    };
    room.done(ALICE, again(Some(vec![file("1")])));
    // The file may be gone by now.
    room.idle(ALICE, again(None));
    room.done(ALICE, Action::Delete { seq: 1 });
    assert!(room.message(1).attachments().is_empty());
}

#[test]
fn mentions_lie_inside_the_text_in_order() {
    let mut room = Room::direct();
    // Seven units: "@bob", a blank, a cake of two.
    let with = |spans: &[(u32, u32)]| {
        let mention =
            |(start, end): &(u32, u32)| Mention { user_id: EVE, start: *start, end: *end };
        let mentions = spans.iter().map(mention).collect();
        Action::Send(NewMessage { mentions, ..say("@bob 🎂") })
    };
    for spans in [&[(0, 4)][..], &[(0, 4), (5, 7)], &[(0, 2), (2, 4)], &[(6, 7)]] {
        room.done(ALICE, with(spans));
    }
    for spans in [
        &[(0, 8)][..],
        &[(4, 4)],
        &[(4, 3)],
        &[(7, 8)],
        &[(0, 4), (3, 5)],
        &[(5, 7), (0, 4)],
        &[(0, u32::MAX)],
    ] {
        assert_eq!(room.invalid(ALICE, with(spans)), "mentions", "{spans:?}");
    }
    let many: Vec<Mention> =
        (0..51).map(|n| Mention { user_id: BOB, start: n, end: n + 1 }).collect();
    let text = "x".repeat(100);
    let crowd = |count| Action::Send(NewMessage { mentions: many[..count].to_vec(), ..say(&text) });
    room.done(ALICE, crowd(50));
    assert_eq!(room.invalid(ALICE, crowd(51)), "mentions");
}

#[test]
fn client_ids_are_short_and_plain() {
    let longest = "é".repeat(32);
    for text in ["x", " ", "ü", longest.as_str()] {
        assert_eq!(ClientId::new(text).expect("allowed").as_str(), text);
    }
    let too_long = format!("{longest}x");
    for text in ["", "a\nb", "\u{7f}", "\u{85}", "\0", too_long.as_str()] {
        assert_eq!(ClientId::new(text), None, "{text:?}");
    }
}

#[test]
fn the_same_again_gives_the_first_result_before_any_other_check() {
    let mut room = Room::group(&[BOB, CAROL]);
    let (first, _) = room.sent(BOB, send_as("c-1", 7, "hello"));
    assert_eq!(room.sent(BOB, send_as("c-1", 7, "hello")), (first.clone(), true));
    assert_eq!(room.refused(BOB, send_as("c-1", 8, "other")), RefusalCode::Conflict);
    // The hash is what counts, not what the text looks like today.
    room.done(BOB, edit(1, "edited"));
    let (now, duplicate) = room.sent(BOB, send_as("c-1", 7, "hello"));
    assert!(duplicate && now.message.content == "edited");
    assert_eq!(room.refused(BOB, send_as("c-1", 8, "edited")), RefusalCode::Conflict);
    // Before membership …
    room.done(ALICE, Action::RemoveMember { user: BOB });
    assert!(room.sent(BOB, send_as("c-1", 7, "hello")).1);
    assert_eq!(room.refused(BOB, send_as("c-2", 7, "hello")), RefusalCode::NotMember);
    // … and on a tombstone with any payload, even an impossible one.
    room.done(ALICE, Action::Delete { seq: 1 });
    for action in [send_as("c-1", 7, "hello"), send_as("c-1", 9, "")] {
        let (tombstone, duplicate) = room.sent(BOB, action);
        assert!(duplicate && tombstone.message.message_id == first.message.message_id);
    }
    // Somebody else's client id is another one.
    assert!(!room.sent(CAROL, send_as("c-1", 7, "hello")).1);
    assert_eq!(room.head().head_seq, 2);
}

#[test]
fn a_reply_needs_a_message_that_its_sender_may_read() {
    let mut room = Room::direct();
    assert_eq!(room.refused(ALICE, reply(1)), RefusalCode::NotFound);
    assert!(room.conversation.is_none(), "a refused first message opens nothing");
    room.say(ALICE, &"🎂".repeat(100));
    let (answer, _) = room.sent(BOB, reply(1));
    let quote = answer.quote.expect("a quote");
    assert_eq!((quote.seq, quote.sender), (1, ALICE));
    assert_eq!(quote.excerpt, "🎂".repeat(70), "140 units");
    for seq in [0, 3, 99] {
        assert_eq!(room.refused(BOB, reply(seq)), RefusalCode::NotFound);
    }
    room.done(ALICE, Action::Delete { seq: 1 });
    assert_eq!(room.refused(BOB, reply(1)), RefusalCode::NotFound);

    let mut room = Room::group(&[BOB]);
    room.say(ALICE, "before Carol");
    room.done(ALICE, Action::AddMembers { users: vec![CAROL] });
    assert_eq!(room.refused(CAROL, reply(1)), RefusalCode::NotFound);
    room.done(BOB, reply(1));
}

#[test]
fn a_clock_out_of_range_refuses_sends_only() {
    let mut room = Room::direct();
    room.now = i64::MAX / 2;
    assert_eq!(room.refused(ALICE, send("in the far future")), RefusalCode::Conflict);
    assert!(room.conversation.is_none());
}

#[test]
fn mentions_and_answers_are_noted_beside_the_message() {
    let mut room = Room::group(&[BOB, CAROL]);
    room.say(ALICE, "root");
    let mention = |user_id, start| Mention { user_id, start, end: start + 1 };
    let mentions = vec![mention(BOB, 0), mention(ALICE, 1), mention(BOB, 2), mention(CAROL, 3)];
    let new = NewMessage { mentions, reply_to: Some(1), ..say("a message") };
    room.done(ALICE, Action::Send(new));
    let keys: Vec<_> = room.annexes.keys().copied().collect();
    let noted = [AnnexKey::mention(BOB, 2), AnnexKey::mention(CAROL, 2), AnnexKey::reply(1, 2)];
    assert_eq!(keys, noted, "each once, and not the sender");
    assert!(room.annexes.values().all(|row| row.number == room.message(2).created_rev));
    assert!(room.head().extra.as_ref().is_some_and(|extra| extra.mentioned));
    room.done(ALICE, edit(2, "another text"));
    assert_eq!(room.annexes.keys().copied().collect::<Vec<_>>(), [AnnexKey::reply(1, 2)]);
    room.done(ALICE, Action::Delete { seq: 1 });
    assert_eq!(room.annexes.len(), 1, "answers to what is deleted stay");
    room.done(ALICE, Action::Delete { seq: 2 });
    assert!(room.annexes.is_empty());
}
