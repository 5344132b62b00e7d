//! Reactions.

use super::room::{ALICE, BOB, CAROL, EVE, Room, react};
use crate::{Action, Outcome, RefusalCode};

fn shown(outcome: &Outcome) -> Vec<(String, Vec<u64>)> {
    let Outcome::Changed { message, .. } = outcome else {
        panic!("not changed: {outcome:?}");
    };
    let groups = message.reactions.iter();
    groups.map(|g| (g.emoji.clone(), g.users.iter().map(|u| u.get()).collect())).collect()
}

#[test]
fn each_change_of_a_reaction_is_a_rev_of_its_message() {
    let mut room = Room::group(&[BOB, CAROL]);
    room.say(ALICE, "one");
    for (actor, emoji, remove, rev) in [
        (CAROL, "👍", false, 6),
        (ALICE, "👍", false, 7),
        (BOB, "❤️", false, 8),
        (CAROL, "👍", true, 9),
        (CAROL, "👍", false, 10),
        (BOB, "❤️", true, 11),
    ] {
        let outcome = room.done(actor, react(1, emoji, remove));
        assert_eq!((room.message(1).rev, room.head().rev), (rev, rev));
        let view = room.view(1).expect("there");
        let history = room.head().history;
        let stored = Outcome::Changed { message: view, history };
        assert_eq!(outcome, stored, "the answer is what is stored");
    }
    assert_eq!(room.message(1).content_rev, 5);
    for (actor, remove) in [(CAROL, false), (BOB, true)] {
        let outcome = room.idle(actor, react(1, "👍", remove));
        assert_eq!(shown(&outcome), [("👍".to_owned(), vec![1, 3])]);
    }
    room.idle(BOB, react(1, "🎂", true));
}

#[test]
fn an_emoji_is_short_and_has_no_letters() {
    let mut room = Room::direct();
    room.say(ALICE, "one");
    let longest = ["👩🏿"; 5].join("\u{200D}");
    for emoji in ["👍", "👍🏽", "👨🏿‍👩🏿‍👧🏿‍👦🏿", "1️⃣", "©️", longest.as_str()]
    {
        room.done(BOB, react(1, emoji, false));
    }
    let too_long = ["👩🏿"; 7].join("\u{200D}");
    for emoji in ["", "a", "thumbs", " ", "👍 ", "\0", "\n", too_long.as_str()] {
        assert_eq!(room.invalid(BOB, react(1, emoji, false)), "emoji", "{emoji:?}");
    }
}

#[test]
fn a_message_has_at_most_fifty_different_ones() {
    let mut room = Room::direct();
    room.say(ALICE, "one");
    let emoji = |n: u32| char::from_u32(0x1f400 + n).expect("a sign").to_string();
    for n in 0..50 {
        room.done(BOB, react(1, &emoji(n), false));
    }
    assert_eq!(room.refused(BOB, react(1, &emoji(50), false)), RefusalCode::Conflict);
    room.done(ALICE, react(1, &emoji(7), false));
    room.done(BOB, react(1, &emoji(0), true));
    room.done(BOB, react(1, &emoji(50), false));
}

#[test]
fn who_may_not_read_a_message_may_not_react_to_it() {
    let mut room = Room::group(&[BOB]);
    room.say(ALICE, "one");
    room.done(ALICE, Action::AddMembers { users: vec![CAROL] });
    assert_eq!(room.refused(CAROL, react(1, "👍", false)), RefusalCode::NotFound);
    assert_eq!(room.refused(EVE, react(1, "👍", false)), RefusalCode::NotFound);
    assert_eq!(room.refused(BOB, react(2, "👍", false)), RefusalCode::NotFound);
    room.done(ALICE, Action::Delete { seq: 1 });
    assert_eq!(room.refused(BOB, react(1, "👍", false)), RefusalCode::NotFound);
    room.done(BOB, Action::RemoveMember { user: BOB });
    assert_eq!(room.refused(BOB, react(1, "👍", true)), RefusalCode::NotMember);
}

#[test]
fn one_emoji_has_one_spelling() {
    let mut room = Room::direct();
    room.say(ALICE, "one");
    room.done(ALICE, react(1, "❤", false));
    room.idle(ALICE, react(1, "❤\u{FE0F}", false));
    room.done(BOB, react(1, "❤\u{FE0F}", false));
    let view = room.view(1).expect("there");
    assert_eq!(view.reactions.len(), 1);
    assert_eq!((&*view.reactions[0].emoji, view.reactions[0].users.len()), ("❤\u{FE0F}", 2));
    room.done(BOB, react(1, "❤\u{FE0E}", true));
    room.done(BOB, react(1, "👍🏽", false));
    room.done(BOB, react(1, "👍", false));
    assert_eq!(room.view(1).expect("there").reactions.len(), 3, "skin tones are kept");
    assert_eq!(room.invalid(BOB, react(1, "👍👍", false)), "emoji");
}
