//! Adding, removing, leaving, roles, and when a group is large.

use super::room::{ALICE, BOB, CAROL, DAVE, EVE, Room, user};
use crate::{Action, Outcome, RefusalCode, Role, UserId, ViewChange};

fn add(users: &[UserId]) -> Action {
    Action::AddMembers { users: users.to_vec() }
}

const fn remove(user: UserId) -> Action {
    Action::RemoveMember { user }
}

const fn role(user: UserId, role: Role) -> Action {
    Action::SetRole { user, role }
}

fn answer(outcome: Outcome) -> (Vec<(u64, Role)>, u64) {
    match outcome {
        Outcome::Members { members, rev, .. } => {
            (members.iter().map(|m| (m.user.get(), m.role)).collect(), rev)
        }
        other => panic!("not members: {other:?}"),
    }
}

#[test]
fn added_members_take_a_rev_each_and_the_count_one_more() {
    let mut room = Room::group(&[BOB]);
    room.say(ALICE, "one");
    let (members, rev) = answer(room.done(ALICE, add(&[DAVE, CAROL, BOB, DAVE])));
    assert_eq!(members.iter().map(|m| m.0).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!((room.member(CAROL).rev, room.member(DAVE).rev, rev), (5, 6, 7));
    assert_eq!((room.head().rev, room.head().info_rev, room.head().member_count), (7, 7, 4));
    assert_eq!((room.member(CAROL).joined_seq, room.member(CAROL).read_seq), (2, 0));
    assert_eq!(answer(room.idle(ALICE, add(&[CAROL]))).1, 7);
    assert_eq!(answer(room.idle(ALICE, add(&[]))), (vec![], 7));
}

#[test]
fn only_admins_add_and_remove() {
    let mut room = Room::group(&[BOB, CAROL, DAVE]);
    for action in [add(&[EVE]), remove(CAROL), role(CAROL, Role::Admin)] {
        assert_eq!(room.refused(BOB, action.clone()), RefusalCode::Forbidden);
        assert_eq!(room.refused(EVE, action), RefusalCode::NotFound);
    }
    room.done(ALICE, role(BOB, Role::Admin));
    room.done(ALICE, role(CAROL, Role::Admin));
    room.done(BOB, add(&[EVE]));
    room.done(BOB, remove(EVE));
    assert_eq!(room.refused(BOB, remove(CAROL)), RefusalCode::Forbidden, "another admin");
    assert_eq!(room.refused(BOB, remove(ALICE)), RefusalCode::Forbidden);
    assert_eq!(room.refused(BOB, role(DAVE, Role::Admin)), RefusalCode::Forbidden);
    assert_eq!(room.refused(BOB, remove(user(9))), RefusalCode::NotFound);
    room.done(ALICE, remove(CAROL));
    // Removed already: the same again.
    let again = answer(room.idle(ALICE, remove(CAROL)));
    assert_eq!(again, (vec![(3, Role::Member)], room.head().rev));
    assert_eq!(room.refused(CAROL, remove(CAROL)), RefusalCode::NotMember);
}

#[test]
fn direct_conversations_have_no_members_to_manage() {
    let mut room = Room::direct();
    room.say(ALICE, "one");
    for action in [
        add(&[CAROL]),
        remove(BOB),
        remove(ALICE),
        role(BOB, Role::Admin),
        Action::DeleteGroup,
        Action::Change(crate::GroupChange { name: Some("x".to_owned()), ..Default::default() }),
    ] {
        assert_eq!(room.refused(ALICE, action.clone()), RefusalCode::Conflict, "{action:?}");
    }
}

#[test]
fn there_is_always_exactly_one_owner() {
    let mut room = Room::group(&[BOB, CAROL]);
    assert_eq!(room.refused(ALICE, remove(ALICE)), RefusalCode::Conflict);
    assert_eq!(room.refused(ALICE, role(ALICE, Role::Member)), RefusalCode::Conflict);
    room.idle(ALICE, role(ALICE, Role::Owner));
    assert_eq!(room.refused(ALICE, role(EVE, Role::Owner)), RefusalCode::NotFound);
    let (members, rev) = answer(room.done(ALICE, role(BOB, Role::Owner)));
    assert_eq!(members, [(1, Role::Admin), (2, Role::Owner)]);
    assert_eq!((room.member(ALICE).rev, room.member(BOB).rev, rev), (5, 6, 6));
    assert_eq!(room.refused(ALICE, role(CAROL, Role::Admin)), RefusalCode::Forbidden);
    room.done(BOB, role(ALICE, Role::Member));
    room.done(ALICE, remove(ALICE));
    assert_eq!(room.refused(BOB, role(ALICE, Role::Owner)), RefusalCode::NotFound, "gone");
    // An admin who comes back is a plain member.
    room.done(BOB, role(CAROL, Role::Admin));
    room.done(CAROL, remove(CAROL));
    room.done(BOB, add(&[CAROL]));
    assert_eq!(room.member(CAROL).role, Role::Member);
}

#[test]
fn marks_and_private_view_survive_leaving_and_coming_back() {
    let mut room = Room::group(&[BOB]);
    for _ in 0..3 {
        room.say(ALICE, "hello");
    }
    room.done(BOB, Action::MarkRead { seq: 2 });
    let hide = ViewChange { hidden_to: Some(1), muted_until: Some(Some(5)) };
    room.done(BOB, Action::ChangeView(hide));
    room.done(BOB, remove(BOB));
    assert_eq!((room.member(BOB).left_seq, room.head().member_count), (Some(3), 1));
    room.say(ALICE, "without Bob");
    room.done(ALICE, add(&[BOB]));
    let bob = room.member(BOB);
    assert_eq!((bob.joined_seq, bob.left_seq), (5, None));
    assert_eq!((bob.read_seq, bob.delivered_seq, bob.hidden_to), (2, 2, 1));
    assert_eq!(bob.muted_until, Some(5));
}

#[test]
fn the_last_one_out_ends_the_group() {
    let mut room = Room::group(&[]);
    room.say(ALICE, "one");
    let (outcome, rows) = room.run(ALICE, remove(ALICE)).expect("allowed");
    assert_eq!(answer(outcome).1, room.head().rev);
    assert_eq!(rows.len(), 3);
    assert!(room.head().deleted_at.is_some() && room.messages.is_empty());
    assert_eq!((room.head().member_count, room.head().rev), (0, 5));
    assert_eq!(room.refused(ALICE, add(&[BOB])), RefusalCode::NotFound);
}

#[test]
fn a_group_is_large_above_100_until_below_80() {
    let people: Vec<UserId> = (2..=100).map(user).collect();
    let mut room = Room::group(&people);
    assert!(!room.head().large);
    room.done(ALICE, add(&[user(101)]));
    assert!(room.head().large && room.head().info_rev == room.head().rev);
    for id in (80..=101).rev() {
        room.done(ALICE, remove(user(id)));
        let count = room.head().member_count;
        assert_eq!((count, room.head().large), (id as u32 - 1, count >= 80));
    }
    room.done(ALICE, add(&people[80..]));
    assert_eq!((room.head().member_count, room.head().large), (98, false));
}

#[test]
fn a_group_has_at_most_as_many_members_as_the_operator_allows() {
    let mut room = Room::group(&[BOB]);
    room.limits.group_members_max = 3;
    assert_eq!(room.refused(ALICE, add(&[CAROL, DAVE])), RefusalCode::Conflict);
    room.done(ALICE, add(&[BOB, CAROL]));
    room.idle(ALICE, add(&[BOB]));
    assert_eq!(room.refused(ALICE, add(&[DAVE])), RefusalCode::Conflict);
    let crowd: Vec<UserId> = (1..=1_001).map(user).collect();
    assert_eq!(room.invalid(ALICE, add(&crowd)), "user_ids");
}
