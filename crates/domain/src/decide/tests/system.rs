//! What the server says: in the same commit, with numbers of its own, unread for nobody, and nobody's to change.

use super::room::{ALICE, BOB, CAROL, DAVE, Room, edit, react, reply, user};
use crate::{
    Action, GroupChange, GroupSettings, HistoryFor, MessageKind, RefusalCode, Role, RulesChange,
    UserId, unread,
};

fn add(users: &[UserId]) -> Action {
    Action::AddMembers { users: users.to_vec() }
}

/// The messages of the server, sender before content.
fn told(room: &Room) -> Vec<String> {
    let told = room.messages.values().filter(|row| row.kind == MessageKind::System);
    told.map(|row| format!("{}: {}", row.sender, row.content)).collect()
}

#[test]
fn it_says_who_comes_and_goes_and_what_is_changed() {
    let mut room = Room::told_group(&[BOB]);
    room.done(ALICE, add(&[DAVE, CAROL]));
    room.done(ALICE, Action::SetRole { user: BOB, role: Role::Admin });
    room.done(BOB, Action::RemoveMember { user: DAVE });
    room.done(CAROL, Action::RemoveMember { user: CAROL });
    let settings = Some(GroupSettings { history_for: HistoryFor::All });
    let name = Some("a\\b".to_owned());
    room.done(BOB, Action::Change(GroupChange { name, settings, ..GroupChange::default() }));
    assert_eq!(
        told(&room),
        [
            r#"1: {"event":"created","name":"a \"group\""}"#,
            r#"1: {"event":"joined","user_ids":[3,4]}"#,
            r#"1: {"event":"role_changed","user_ids":[2],"role":"admin"}"#,
            r#"2: {"event":"removed","user_ids":[4]}"#,
            r#"3: {"event":"left","user_ids":[3]}"#,
            r#"2: {"event":"renamed","name":"a\\b"}"#,
            r#"2: {"event":"settings_changed"}"#,
        ]
    );
    assert!(room.messages.values().all(|row| row.uncounted && row.created_rev == row.rev));
}

#[test]
fn it_takes_a_seq_and_a_rev_between_the_members_and_the_count() {
    let mut room = Room::told_group(&[BOB]);
    // The conversation, two members, and what is said of it.
    assert_eq!((room.head().rev, room.head().info_rev, room.head().head_seq), (4, 1, 1));
    assert_eq!((room.message(1).rev, room.head().mark_rev), (4, 0));
    room.done(ALICE, add(&[CAROL]));
    assert_eq!((room.member(CAROL).rev, room.member(CAROL).joined_seq), (5, 2));
    assert_eq!((room.message(2).rev, room.head().info_rev, room.head().rev), (6, 7, 7));
    room.done(ALICE, Action::RemoveMember { user: CAROL });
    assert_eq!(room.member(CAROL).left_seq, Some(2), "what is said of it is for those who stay");
    assert_eq!((room.message(3).rev, room.head().rev), (9, 10));
    assert_eq!(unread(room.head(), room.member(BOB), 3), 0);
    let last = room.message(3);
    assert_eq!(room.head().last_message_id, Some(last.message_id));
    assert_eq!(room.head().last_activity_at, last.created_at);
}

#[test]
fn only_those_who_may_delete_messages_of_others_may_touch_it() {
    let mut room = Room::told_group(&[BOB]);
    room.done(ALICE, Action::SetRole { user: BOB, role: Role::Admin });
    room.done(BOB, add(&[CAROL]));
    room.done(ALICE, Action::SetRole { user: BOB, role: Role::Member });
    for actor in [ALICE, BOB] {
        let forbidden =
            [edit(3, "x"), react(3, "👍", false), Action::Pin { seq: 3, remove: false }];
        for action in forbidden {
            assert_eq!(room.refused(actor, action), RefusalCode::Forbidden);
        }
    }
    assert_eq!(room.refused(BOB, Action::Delete { seq: 3 }), RefusalCode::Forbidden);
    room.done(BOB, reply(3));
    room.done(ALICE, Action::Delete { seq: 3 });
    assert!(room.message(3).deleted.is_some());
}

#[test]
fn in_large_groups_nobody_is_told_who_comes_and_goes() {
    let people: Vec<UserId> = (2..=100).map(user).collect();
    let mut room = Room::told_group(&people);
    room.done(ALICE, add(&[user(101)]));
    room.done(ALICE, Action::RemoveMember { user: user(101) });
    assert_eq!(told(&room).len(), 1, "large above 100, until below 80");
    let name = Some("new".to_owned());
    room.done(ALICE, Action::Change(GroupChange { name, ..GroupChange::default() }));
    assert_eq!(told(&room).len(), 2);
}

#[test]
fn a_group_may_switch_it_on_and_off() {
    let mut room = Room::group(&[BOB]);
    let set = |on| {
        let rules = RulesChange { system_messages: Some(on), ..RulesChange::default() };
        Action::Change(GroupChange { rules, ..GroupChange::default() })
    };
    room.done(ALICE, add(&[CAROL]));
    assert_eq!(told(&room).len(), 0);
    room.done(ALICE, set(true));
    assert_eq!(told(&room).len(), 1, "that is the first it says");
    room.done(ALICE, set(false));
    room.done(ALICE, add(&[DAVE]));
    assert_eq!(told(&room).len(), 1);
}

#[test]
fn direct_conversations_and_the_end_of_a_group_are_silent() {
    let mut room = Room::direct();
    room.limits.system_messages = true;
    room.say(ALICE, "one");
    assert_eq!(told(&room).len(), 0);
    let mut room = Room::told_group(&[]);
    room.done(ALICE, Action::RemoveMember { user: ALICE });
    assert!(room.messages.is_empty() && room.head().deleted_at.is_some());
}
