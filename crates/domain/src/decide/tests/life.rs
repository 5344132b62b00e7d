//! Disappearing messages and retention.

use super::room::{ALICE, BOB, CAROL, EVE, Room, START, edit, react, send_as};
use crate::{Action, LifeChange, Outcome, RefusalCode, Row};

fn timer(seconds: Option<u32>) -> Action {
    Action::SetLife(LifeChange { timer_s: Some(seconds), ..LifeChange::default() })
}

fn retention(seconds: Option<u32>) -> Action {
    Action::SetLife(LifeChange { retention_s: Some(seconds), ..LifeChange::default() })
}

fn expire(seqs: &[u64]) -> Action {
    Action::Expire { seqs: seqs.to_vec() }
}

#[test]
fn both_of_a_direct_conversation_and_admins_of_a_group_say_how_long_messages_live() {
    let mut room = Room::direct();
    room.say(ALICE, "one");
    for user in [ALICE, BOB] {
        let rev = room.head().rev;
        room.done(user, timer(Some(user.get() as u32 * 60)));
        assert_eq!((room.head().rev, room.head().info_rev), (rev + 1, rev + 1));
        room.idle(user, timer(Some(user.get() as u32 * 60)));
    }
    for seconds in [0, 4, 31_536_001] {
        assert_eq!(room.invalid(ALICE, timer(Some(seconds))), "timer_s");
    }
    assert_eq!(room.invalid(ALICE, retention(Some(3_600))), "retention_s");
    assert_eq!(room.refused(EVE, timer(None)), RefusalCode::NotFound);
    room.done(ALICE, timer(None));
    assert!(room.head().extra.is_none());

    let mut room = Room::group(&[BOB]);
    assert_eq!(room.refused(BOB, timer(Some(60))), RefusalCode::Forbidden);
    room.done(ALICE, retention(Some(86_400)));
}

#[test]
fn what_is_sent_under_a_timer_disappears_when_it_is_due() {
    let mut room = Room::direct();
    room.say(ALICE, "stays");
    room.done(ALICE, timer(Some(60)));
    room.say(ALICE, "goes");
    room.done(BOB, timer(Some(5)));
    room.now += 1_000;
    room.say(BOB, "goes first");
    room.done(BOB, timer(None));
    room.say(BOB, "stays too");
    let due = |seq| room.message(seq).extra.as_ref().and_then(|extra| extra.expires_at);
    assert_eq!([1, 2, 3, 4].map(due), [None, Some(START + 60_000), Some(START + 6_000), None]);
    assert_eq!(room.head().extra.as_ref().and_then(|extra| extra.timed_from), Some(2));
    room.done(ALICE, edit(2, "goes still"));
    room.done(ALICE, react(3, "👍", false));
    room.done(ALICE, Action::Pin { seq: 3, remove: false });
    room.idle(EVE, expire(&[1, 2, 3, 4, 9]));
    room.now = START + 6_000;
    let rev = room.head().rev;
    let (outcome, rows) = room.run(EVE, expire(&[1, 2, 3, 4, 9])).expect("allowed");
    assert!(matches!(outcome, Outcome::Swept { .. }));
    assert!(rows.iter().any(|row| matches!(row, Row::Message(row) if row.deleted.is_some())));
    assert_eq!(room.head().rev, rev + 1, "one message, one rev");
    assert_eq!(room.message(3).deleted, Some((START + 6_000, BOB)));
    assert!(room.message(3).content.is_empty() && room.annexes.is_empty());
    assert!(room.reactions.is_empty());
    assert_eq!(room.message(2).content, "goes still");
    room.now = START + 60_000;
    room.done(EVE, expire(&[2, 3]));
    assert!(room.message(2).deleted.is_some() && room.message(1).deleted.is_none());
    assert_eq!(room.refused(ALICE, edit(2, "x")), RefusalCode::NotFound);
}

#[test]
fn what_is_below_is_removed_with_everything() {
    let mut room = Room::group(&[BOB, CAROL]);
    for n in 1..=6 {
        room.sent(ALICE, send_as(&format!("c{n}"), 1, "text"));
    }
    for seq in [2, 5] {
        room.done(ALICE, Action::Pin { seq, remove: false });
        room.done(BOB, react(seq, "👍", false));
        room.done(BOB, Action::Hide { seq });
    }
    room.done(BOB, Action::MarkRead { seq: 2 });
    let rev = room.head().rev;
    room.done(EVE, Action::Retain { from: 4 });
    let head = room.head();
    assert_eq!((head.retained_from, head.rev, head.info_rev), (4, rev + 1, rev + 1));
    assert_eq!(head.extra.as_ref().map(|extra| extra.pins.clone()), Some(vec![5]));
    assert_eq!(room.messages.keys().copied().collect::<Vec<_>>(), [4, 5, 6]);
    assert!(room.annexes.keys().all(|key| key.seq() == 5));
    assert!(room.reactions.iter().all(|row| row.seq == 5));
    room.idle(EVE, Action::Retain { from: 4 });
    room.idle(EVE, Action::Retain { from: 2 });
    assert_eq!(room.refused(ALICE, Action::Delete { seq: 3 }), RefusalCode::NotFound);
    room.done(EVE, Action::Retain { from: 99 });
    assert_eq!((room.head().retained_from, room.head().head_seq), (7, 6), "never beyond the head");
    assert!(room.messages.is_empty());
    room.say(ALICE, "on it goes");
    assert_eq!(room.head().head_seq, 7);
    room.done(ALICE, Action::DeleteGroup);
    assert_eq!(room.refused(EVE, Action::Retain { from: 8 }), RefusalCode::NotFound);
}
