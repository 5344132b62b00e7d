//! Deleting for oneself.

use super::room::{ALICE, BOB, CAROL, Room};
use crate::{Action, AnnexKey, Outcome, RefusalCode};

fn number(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Hidden { annex, .. } => annex.number,
        other => panic!("not hidden: {other:?}"),
    }
}

#[test]
fn it_is_private_and_takes_a_mark_rev() {
    let mut room = Room::direct();
    room.say(ALICE, "one");
    room.say(BOB, "two");
    let (rev, mark_rev) = (room.head().rev, room.head().mark_rev);
    let first = room.done(BOB, Action::Hide { seq: 1 });
    assert_eq!(number(&first), mark_rev + 1);
    assert_eq!((room.head().rev, room.head().mark_rev), (rev, mark_rev + 1));
    assert_eq!(room.member(BOB).mark_rev, mark_rev + 1);
    assert!(room.member(BOB).extra.as_ref().is_some_and(|extra| extra.hides));
    assert!(room.member(ALICE).extra.is_none());
    assert!(room.annexes.contains_key(&AnnexKey::hidden(BOB, 1)));
    assert_eq!(number(&room.idle(BOB, Action::Hide { seq: 1 })), mark_rev + 1, "twice the same");
    assert_eq!(room.message(1).content, "one", "others keep it");
}

#[test]
fn nothing_is_kept_of_a_message_that_is_deleted_for_all() {
    let mut room = Room::group(&[BOB, CAROL]);
    room.say(ALICE, "one");
    room.done(BOB, Action::Hide { seq: 1 });
    room.done(ALICE, Action::Delete { seq: 1 });
    assert!(room.annexes.is_empty());
    assert_eq!(room.refused(CAROL, Action::Hide { seq: 1 }), RefusalCode::NotFound);
}

#[test]
fn only_what_one_may_read_can_be_hidden() {
    let mut room = Room::group(&[BOB]);
    room.say(ALICE, "one");
    room.done(ALICE, Action::AddMembers { users: vec![CAROL] });
    room.say(ALICE, "two");
    assert_eq!(room.refused(CAROL, Action::Hide { seq: 1 }), RefusalCode::NotFound);
    assert_eq!(room.refused(CAROL, Action::Hide { seq: 9 }), RefusalCode::NotFound);
    room.done(BOB, Action::RemoveMember { user: BOB });
    room.say(ALICE, "three");
    assert_eq!(room.refused(BOB, Action::Hide { seq: 3 }), RefusalCode::NotFound);
    room.done(BOB, Action::Hide { seq: 1 });
}
