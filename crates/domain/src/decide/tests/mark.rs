//! Read and delivered marks.

use super::room::{ALICE, BOB, EVE, Room};
use crate::{Action, Outcome, RefusalCode};

fn marks(room: &Room) -> (u64, u64, u64) {
    let member = room.member(BOB);
    (member.read_seq, member.delivered_seq, member.mark_rev)
}

#[test]
fn marks_go_forward_only_and_end_at_the_head() {
    let mut room = Room::direct();
    for _ in 0..5 {
        room.say(ALICE, "hello");
    }
    let read = |seq| Action::MarkRead { seq };
    let delivered = |seq| Action::MarkDelivered { seq };
    for (action, expect) in [
        (delivered(2), (0, 2, 6)),
        (read(1), (1, 2, 7)),
        (read(3), (3, 3, 8)),
        (delivered(4), (3, 4, 9)),
        (read(u64::MAX), (5, 5, 10)),
    ] {
        let (outcome, rows) = room.run(BOB, action).expect("allowed");
        assert!(matches!(outcome, Outcome::Marked { moved: true, .. }));
        assert_eq!((rows.len(), marks(&room)), (2, expect));
        assert_eq!(room.head().mark_rev, expect.2);
    }
    for action in [read(0), read(3), delivered(0), delivered(5), read(9)] {
        let outcome = room.idle(BOB, action);
        assert!(matches!(outcome, Outcome::Marked { moved: false, .. }));
    }
    assert_eq!((room.head().rev, room.member(BOB).rev), (8, 3), "marks take no rev");
}

#[test]
fn only_members_mark() {
    let mut room = Room::group(&[BOB]);
    room.say(ALICE, "one");
    assert_eq!(room.refused(EVE, Action::MarkRead { seq: 1 }), RefusalCode::NotFound);
    room.done(BOB, Action::RemoveMember { user: BOB });
    for action in [Action::MarkRead { seq: 1 }, Action::MarkDelivered { seq: 1 }] {
        assert_eq!(room.refused(BOB, action), RefusalCode::NotMember);
    }
    // An empty conversation has nothing to mark.
    let mut room = Room::direct();
    room.done(ALICE, Action::OpenDirect);
    room.idle(BOB, Action::MarkRead { seq: 9 });
}
