//! Bans: who may, what they keep out, and that a row stays for each.

use super::room::{ALICE, BOB, CAROL, DAVE, EVE, Room, START};
use crate::{Action, AnnexKey, Ban, Millis, Outcome, RefusalCode, Role, UserId};

const fn ban(user: UserId) -> Action {
    Action::Ban { user, until: None }
}

const fn ban_until(user: UserId, until: Millis) -> Action {
    Action::Ban { user, until: Some(until) }
}

const fn unban(user: UserId) -> Action {
    Action::Unban { user }
}

fn add(user: UserId) -> Action {
    Action::AddMembers { users: vec![user] }
}

fn room() -> Room {
    let mut room = Room::group(&[BOB, CAROL, DAVE]);
    room.done(ALICE, Action::SetRole { user: BOB, role: Role::Admin });
    room
}

#[test]
fn a_ban_removes_and_keeps_out_until_it_is_lifted() {
    let mut room = room();
    let (rev, mark_rev) = (room.head().rev, room.head().mark_rev);
    room.done(BOB, ban(CAROL));
    assert_eq!((room.head().rev, room.head().mark_rev), (rev + 2, mark_rev + 1));
    assert!(!room.member(CAROL).is_present() && room.head().member_count == 3);
    let row = &room.annexes[&AnnexKey::ban(CAROL)];
    assert_eq!(
        (Ban::of(row), row.number),
        (Some(Ban { at: START, by: BOB, until: None }), mark_rev + 1)
    );
    assert_eq!(Ban::user(row), Some(CAROL));
    room.idle(ALICE, ban(CAROL));
    assert_eq!(room.refused(ALICE, add(CAROL)), RefusalCode::Conflict);
    room.done(ALICE, unban(CAROL));
    room.idle(ALICE, unban(CAROL));
    assert_eq!(Ban::of(&room.annexes[&AnnexKey::ban(CAROL)]), None, "the row stays");
    room.done(ALICE, add(CAROL));
    assert!(room.member(CAROL).is_present());
}

#[test]
fn a_ban_may_end_by_itself_and_may_be_changed() {
    let mut room = room();
    assert_eq!(room.invalid(ALICE, ban_until(CAROL, START)), "until");
    room.done(ALICE, ban_until(CAROL, START + 10));
    room.done(ALICE, ban_until(CAROL, START + 20));
    room.now = START + 19;
    assert_eq!(room.refused(ALICE, add(CAROL)), RefusalCode::Conflict);
    room.now = START + 20;
    room.done(ALICE, add(CAROL));
}

#[test]
fn strangers_can_be_kept_out_too() {
    let mut room = room();
    let outcome = room.done(ALICE, ban(EVE));
    assert!(matches!(outcome, Outcome::Members { members, .. } if members.is_empty()));
    assert_eq!(room.refused(ALICE, add(EVE)), RefusalCode::Conflict);
    assert_eq!(room.refused(EVE, ban(CAROL)), RefusalCode::NotFound);
}

#[test]
fn only_of_a_lower_role() {
    let mut room = room();
    assert_eq!(room.refused(CAROL, ban(DAVE)), RefusalCode::Forbidden);
    assert_eq!(room.refused(CAROL, unban(EVE)), RefusalCode::Forbidden);
    assert_eq!(room.refused(BOB, ban(ALICE)), RefusalCode::Forbidden);
    assert_eq!(room.refused(BOB, ban(BOB)), RefusalCode::Conflict);
    room.done(ALICE, ban(BOB));
    assert_eq!(room.refused(BOB, unban(BOB)), RefusalCode::NotMember);
}
