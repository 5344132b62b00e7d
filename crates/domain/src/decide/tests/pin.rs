//! Pins: who may, how many, and what becomes of one whose message is deleted.

use super::room::{ALICE, BOB, CAROL, Room, START, edit, react};
use crate::{Action, AnnexKey, RefusalCode, Role, Seq};

const fn pin(seq: Seq, remove: bool) -> Action {
    Action::Pin { seq, remove }
}

fn pins(room: &Room) -> Vec<Seq> {
    room.head().extra.as_ref().map(|extra| extra.pins.clone()).unwrap_or_default()
}

#[test]
fn a_pin_is_a_change_of_its_message() {
    let mut room = Room::direct();
    room.say(ALICE, "one");
    room.say(ALICE, "two");
    let (rev, info_rev) = (room.head().rev, room.head().info_rev);
    room.now = START + 7;
    room.done(BOB, pin(2, false));
    room.done(BOB, pin(1, false));
    let pinned = |room: &Room, seq| room.message(seq).extra.as_ref().and_then(|extra| extra.pinned);
    assert_eq!(pinned(&room, 2).map(|pinned| (pinned.at, pinned.by)), Some((START + 7, BOB)));
    assert_eq!((room.message(2).rev, room.message(1).rev), (rev + 1, rev + 2));
    assert_eq!((room.head().rev, room.head().info_rev), (rev + 2, info_rev));
    assert_eq!(pins(&room), [1, 2]);
    assert_eq!(room.annexes.len(), 2);
    room.idle(ALICE, pin(2, false));
    // It stays through other changes of the message.
    room.done(ALICE, edit(2, "edited"));
    room.done(BOB, react(2, "👍", false));
    assert!(pinned(&room, 2).is_some());
    room.done(ALICE, pin(2, true));
    assert!(room.message(2).extra.is_none());
    assert_eq!(pins(&room), [1]);
    assert!(!room.annexes.contains_key(&AnnexKey::pin(2)));
    room.idle(ALICE, pin(2, true));
    room.done(ALICE, pin(1, true));
    assert!(room.head().extra.is_none(), "nothing is left of it");
}

#[test]
fn a_deletion_takes_the_pin_along() {
    let mut room = Room::group(&[BOB]);
    room.say(BOB, "one");
    room.done(ALICE, pin(1, false));
    room.done(BOB, Action::Delete { seq: 1 });
    assert!(pins(&room).is_empty() && room.annexes.is_empty());
    assert_eq!(room.refused(ALICE, pin(1, false)), RefusalCode::NotFound);
}

#[test]
fn admins_pin_in_groups() {
    let mut room = Room::group(&[BOB, CAROL]);
    room.say(CAROL, "one");
    assert_eq!(room.refused(BOB, pin(1, false)), RefusalCode::Forbidden);
    room.done(ALICE, Action::SetRole { user: BOB, role: Role::Admin });
    room.done(BOB, pin(1, false));
    assert_eq!(room.refused(CAROL, pin(1, true)), RefusalCode::Forbidden);
    assert_eq!(room.refused(BOB, pin(9, false)), RefusalCode::NotFound);
}

#[test]
fn there_is_a_limit() {
    let mut room = Room::direct();
    for seq in 1..=100 {
        room.say(ALICE, "x");
        room.done(ALICE, pin(seq, false));
    }
    room.say(ALICE, "one more");
    assert_eq!(room.refused(ALICE, pin(101, false)), RefusalCode::Conflict);
    room.done(ALICE, pin(50, true));
    room.done(ALICE, pin(101, false));
    assert_eq!(pins(&room).len(), 100);
}

#[test]
fn a_group_that_has_ended_has_none() {
    let mut room = Room::group(&[BOB]);
    room.say(ALICE, "one");
    room.done(ALICE, pin(1, false));
    room.done(ALICE, Action::DeleteGroup);
    assert!(room.head().extra.is_none() && room.annexes.is_empty());
}
