//! Opening direct conversations, creating groups.

use super::room::{ALICE, BOB, CAROL, EVE, Room, START, UNIT, new_group, send, user};
use crate::{Action, ConversationId, ConversationKind, NewGroup, Outcome, RefusalCode, Role};

#[test]
fn a_direct_conversation_is_opened_once() {
    let mut room = Room::direct();
    let outcome = room.done(BOB, Action::OpenDirect);
    let Outcome::Opened { conversation, member, created: true } = outcome else {
        panic!("not opened: {outcome:?}");
    };
    assert_eq!(conversation.kind, ConversationKind::Direct);
    assert_eq!((conversation.unit, conversation.slot), (UNIT, room.id.slot()));
    assert_eq!((conversation.rev, conversation.info_rev, conversation.mark_rev), (3, 1, 0));
    assert_eq!((conversation.created_at, conversation.last_activity_at), (START, START));
    assert_eq!(member.user, BOB);
    assert_eq!((room.member(ALICE).rev, room.member(BOB).rev), (2, 3));
    assert_eq!(room.member(ALICE).joined_seq, 1);
    for actor in [ALICE, BOB] {
        let again = room.idle(actor, Action::OpenDirect);
        assert!(matches!(again, Outcome::Opened { created: false, .. }));
    }
}

#[test]
fn with_oneself_there_is_one_member() {
    let mut room = Room::new(ConversationId::direct(ALICE, ALICE));
    room.say(ALICE, "note");
    assert_eq!((room.head().member_count, room.members.len()), (1, 1));
    assert_eq!(room.head().rev, 3);
}

#[test]
fn strangers_find_no_direct_conversation_open_or_not() {
    let mut room = Room::direct();
    for _ in 0..2 {
        for action in [Action::OpenDirect, send("hello"), Action::MarkRead { seq: 1 }] {
            assert_eq!(room.refused(EVE, action), RefusalCode::NotFound);
        }
        room.done(ALICE, Action::OpenDirect);
    }
    // A group's id is no direct conversation, and the other way round it cannot be created.
    let mut group = Room::new(Room::group_id());
    assert_eq!(group.refused(ALICE, Action::OpenDirect), RefusalCode::NotFound);
    assert_eq!(group.refused(ALICE, send("hello")), RefusalCode::NotFound);
}

#[test]
fn a_group_has_one_owner_and_each_member_once() {
    let room = Room::group(&[CAROL, BOB, CAROL, ALICE]);
    let roles: Vec<_> = room.members.values().map(|m| (m.user, m.role, m.rev)).collect();
    assert_eq!(roles, [(ALICE, Role::Owner, 2), (BOB, Role::Member, 3), (CAROL, Role::Member, 4)]);
    assert_eq!((room.head().rev, room.head().member_count), (4, 3));
    assert_eq!(room.head().name, "a group");
}

#[test]
fn a_new_group_is_large_above_a_hundred() {
    for (others, large) in [(99, false), (100, true)] {
        let members: Vec<_> = (2..2 + others).map(user).collect();
        let room = Room::group(&members);
        assert_eq!((room.head().member_count, room.head().large), (others as u32 + 1, large));
    }
}

#[test]
fn names_and_numbers_of_a_group_are_checked() {
    let mut room = Room::new(Room::group_id());
    let long = "ä".repeat(201);
    for name in ["", "  ", "a\nb", "a\0b", long.as_str()] {
        assert_eq!(room.invalid(ALICE, new_group(name, &[])), "name", "{name:?}");
    }
    let crowd: Vec<_> = (2..1_003).map(user).collect();
    assert_eq!(room.invalid(ALICE, new_group("g", &crowd)), "member_ids");
    let many: Vec<_> = (2..502).map(user).collect();
    assert_eq!(room.refused(ALICE, new_group("g", &many)), RefusalCode::Conflict);
    assert!(room.conversation.is_none());
    room.done(ALICE, new_group(&"ä".repeat(200), &many[..499]));
    assert_eq!(room.head().member_count, 500);
}

#[test]
fn a_retry_finds_the_group_it_made() {
    let with = |hash| {
        Action::CreateGroup(NewGroup {
            name: "g".to_owned(),
            members: vec![BOB],
            create_hash: Some(hash),
            ..NewGroup::default()
        })
    };
    let mut room = Room::new(ConversationId::retried_group([1; 16]));
    room.done(ALICE, with(7));
    room.say(ALICE, "hello");
    let again = room.idle(ALICE, with(7));
    let Outcome::Opened { conversation, created: false, .. } = again else {
        panic!("not found: {again:?}");
    };
    assert_eq!(conversation.head_seq, 1);
    assert_eq!(room.refused(ALICE, with(8)), RefusalCode::Conflict);
    assert_eq!(room.refused(ALICE, new_group("g", &[])), RefusalCode::Conflict);
    assert_eq!(room.refused(EVE, with(7)), RefusalCode::NotFound);
    room.done(ALICE, Action::DeleteGroup);
    assert_eq!(room.refused(ALICE, with(7)), RefusalCode::NotFound);
}
