//! One's own private view of a conversation.

use super::room::{ALICE, BOB, EVE, Room};
use crate::{Action, RefusalCode, ViewChange};

fn view(hidden_to: Option<u64>, muted_until: Option<Option<i64>>) -> Action {
    Action::ChangeView(ViewChange { hidden_to, muted_until })
}

#[test]
fn a_private_change_takes_a_mark_rev_and_nobody_sees_it() {
    let mut room = Room::direct();
    for _ in 0..3 {
        room.say(ALICE, "hello");
    }
    let rev = room.head().rev;
    for (change, expect) in [
        (view(Some(2), None), (2, None, 4)),
        (view(None, Some(Some(99))), (2, Some(99), 5)),
        (view(Some(77), Some(None)), (3, None, 6)),
    ] {
        room.done(BOB, change);
        let bob = room.member(BOB);
        assert_eq!((bob.hidden_to, bob.muted_until, bob.mark_rev), expect);
        assert_eq!((room.head().mark_rev, room.head().rev), (expect.2, rev));
    }
    // What is so already, and backwards.
    for change in [view(None, None), view(Some(1), None), view(Some(9), Some(None))] {
        room.idle(BOB, change);
    }
}

#[test]
fn who_has_left_may_still_hide_a_group() {
    let mut room = Room::group(&[BOB]);
    room.say(ALICE, "one");
    room.done(BOB, Action::RemoveMember { user: BOB });
    room.done(BOB, view(Some(1), None));
    assert_eq!(room.member(BOB).hidden_to, 1);
    assert_eq!(room.refused(EVE, view(Some(1), None)), RefusalCode::NotFound);
}
