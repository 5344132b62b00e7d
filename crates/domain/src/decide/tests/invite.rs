//! Invite links: making, using them up, ending them, and what a wrong one tells.

use super::room::{ALICE, BOB, CAROL, DAVE, EVE, Room, START};
use crate::{
    Action, AnnexKey, GroupChange, Invite, InviteHash, Level, NewInvite, Outcome, RefusalCode,
    RulesChange, unread,
};

const HASH: InviteHash = [7; 32];

const fn link(place: u8) -> NewInvite {
    NewInvite { place, hash: HASH, expires_at: None, max_uses: None }
}

const fn join(place: u8) -> Action {
    Action::Join { place, hash: HASH }
}

const fn revoke(place: u8) -> Action {
    Action::RevokeInvite { place, mark: [7; 4] }
}

fn invite(room: &Room, place: u8) -> Invite {
    Invite::of(&room.annexes[&AnnexKey::invite(place)]).unwrap()
}

#[test]
fn whoever_has_a_link_joins_as_if_somebody_had_added_him() {
    let mut room = Room::group(&[BOB]);
    room.say(ALICE, "before");
    room.done(ALICE, Action::CreateInvite(link(0)));
    let (rev, mark_rev) = (room.head().rev, room.head().mark_rev);
    let outcome = room.done(EVE, join(0));
    assert!(matches!(outcome, Outcome::Members { members, .. } if members[0].user == EVE));
    assert_eq!((room.head().rev, room.head().mark_rev), (rev + 2, mark_rev + 1));
    assert_eq!((room.head().info_rev, room.head().member_count), (rev + 2, 3));
    assert_eq!((room.member(EVE).joined_seq, invite(&room, 0).uses), (2, 1));
    assert_eq!(unread(room.head(), room.member(EVE), 0), 0);
    room.idle(EVE, join(0));
    assert_eq!(invite(&room, 0).uses, 1, "a member uses nothing up");
}

#[test]
fn a_link_counts_and_ends() {
    let mut room = Room::group(&[BOB]);
    let limited = NewInvite { max_uses: Some(1), ..link(0) };
    let short = NewInvite { expires_at: Some(START + 10), ..link(1) };
    room.done(ALICE, Action::CreateInvite(limited));
    room.done(ALICE, Action::CreateInvite(short));
    room.done(ALICE, Action::CreateInvite(link(2)));
    room.done(CAROL, join(0));
    assert_eq!(room.refused(DAVE, join(0)), RefusalCode::NotFound, "used up");
    room.now = START + 10;
    assert_eq!(room.refused(DAVE, join(1)), RefusalCode::NotFound, "too late");
    let another = Action::RevokeInvite { place: 2, mark: [8; 4] };
    assert_eq!(room.refused(ALICE, another), RefusalCode::NotFound);
    room.done(ALICE, revoke(2));
    let again = room.idle(ALICE, revoke(2));
    assert!(matches!(again, Outcome::Invite { .. }));
    assert_eq!(room.refused(DAVE, join(2)), RefusalCode::NotFound, "revoked");
    assert_eq!(room.refused(DAVE, join(3)), RefusalCode::NotFound, "never made");
    let guessed = Action::Join { place: 0, hash: [8; 32] };
    assert_eq!(room.refused(DAVE, guessed), RefusalCode::NotFound);
    // A place that is free again takes another link.
    room.done(ALICE, Action::CreateInvite(link(0)));
    assert_eq!(room.refused(ALICE, Action::CreateInvite(link(0))), RefusalCode::Conflict);
    assert_eq!(room.refused(ALICE, Action::CreateInvite(link(100))), RefusalCode::Conflict);
    let looked = room.idle(DAVE, Action::LookAtInvite { place: 0, hash: HASH });
    assert!(matches!(looked, Outcome::Invite { .. }), "a stranger may look");
    room.done(DAVE, join(0));
}

#[test]
fn out_of_range() {
    let mut room = Room::group(&[]);
    let past = NewInvite { expires_at: Some(START), ..link(0) };
    assert_eq!(room.invalid(ALICE, Action::CreateInvite(past)), "expires_at");
    for uses in [0, 100_001] {
        let link = NewInvite { max_uses: Some(uses), ..link(0) };
        assert_eq!(room.invalid(ALICE, Action::CreateInvite(link)), "max_uses");
    }
}

#[test]
fn links_are_of_those_who_may_add_members() {
    let mut room = Room::group(&[BOB]);
    let create = Action::CreateInvite(link(0));
    assert_eq!(room.refused(BOB, create.clone()), RefusalCode::Forbidden);
    assert_eq!(room.refused(EVE, create.clone()), RefusalCode::NotFound);
    let rules = RulesChange { add_members: Some(Level::Everyone), ..RulesChange::default() };
    room.done(ALICE, Action::Change(GroupChange { rules, ..GroupChange::default() }));
    room.done(BOB, create);
    assert_eq!(room.refused(EVE, revoke(0)), RefusalCode::NotFound);
    assert_eq!(room.refused(BOB, revoke(1)), RefusalCode::NotFound);
    room.done(BOB, revoke(0));
}

#[test]
fn who_is_banned_cannot_join_and_full_is_full() {
    let mut room = Room::group(&[BOB, CAROL]);
    room.done(ALICE, Action::CreateInvite(link(0)));
    room.done(ALICE, Action::Ban { user: CAROL, until: None });
    assert_eq!(room.refused(CAROL, join(0)), RefusalCode::Forbidden);
    room.limits.group_members_max = 2;
    assert_eq!(room.refused(DAVE, join(0)), RefusalCode::Conflict);
    room.done(ALICE, Action::Unban { user: CAROL });
    room.limits.group_members_max = 3;
    room.done(CAROL, join(0));
    assert_eq!(invite(&room, 0).uses, 1);
    room.done(ALICE, Action::DeleteGroup);
    assert_eq!(room.refused(DAVE, join(0)), RefusalCode::NotFound);
}
