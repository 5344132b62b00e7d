//! Who may do what, driven through the commands: every role, action, level and kind of conversation; and slow mode.

use super::room::{ALICE, BOB, CAROL, DAVE, EVE, Room, edit, react, send, send_as};
use crate::{
    Action, GroupChange, GroupSettings, HistoryFor, Level, Outcome, Permission, RefusalCode, Role,
    RulesChange, UserId,
};

/// Alice owns, Bob is an admin, Carol and Dave are members; message 1 is Alice's, 2 Dave's.
fn room(rules: RulesChange) -> Room {
    let mut room = Room::group(&[BOB, CAROL, DAVE]);
    room.done(ALICE, Action::SetRole { user: BOB, role: Role::Admin });
    room.say(ALICE, "one");
    room.say(DAVE, "two");
    if rules != RulesChange::default() {
        room.done(ALICE, change(rules));
    }
    room
}

fn change(rules: RulesChange) -> Action {
    Action::Change(GroupChange { rules, ..GroupChange::default() })
}

fn rename() -> Action {
    Action::Change(GroupChange { name: Some("new".to_owned()), ..GroupChange::default() })
}

fn settings() -> Action {
    let settings = Some(GroupSettings { history_for: HistoryFor::All });
    Action::Change(GroupChange { settings, ..GroupChange::default() })
}

/// What shows a permission: an action that needs it and nothing else.
fn shows(permission: Permission) -> Option<Action> {
    Some(match permission {
        Permission::Send => send("hello"),
        Permission::AddMembers => Action::AddMembers { users: vec![EVE] },
        Permission::Pin => Action::Pin { seq: 2, remove: false },
        Permission::Rename => rename(),
        Permission::ChangeSettings => settings(),
        Permission::DeleteMessages => Action::Delete { seq: 2 },
        Permission::RemoveMembers => Action::RemoveMember { user: DAVE },
        Permission::SetRoles => Action::SetRole { user: DAVE, role: Role::Admin },
        Permission::DeleteGroup => Action::DeleteGroup,
        // Nothing needs it alone.
        Permission::MentionAll => return None,
    })
}

fn at(level: Level) -> RulesChange {
    let level = Some(level);
    RulesChange {
        send: level,
        add_members: level,
        pin: level,
        change: level,
        delete_messages: level,
        mention_all: level,
        ..RulesChange::default()
    }
}

#[test]
fn every_role_and_action_at_every_level_of_a_group() {
    let people: [(UserId, Role); 3] =
        [(CAROL, Role::Member), (BOB, Role::Admin), (ALICE, Role::Owner)];
    for level in Level::ALL {
        for permission in Permission::ALL {
            let Some(action) = shows(permission) else { continue };
            for (user, role) in people {
                let needed = match permission {
                    Permission::ChangeSettings => level.max(Level::Admins),
                    Permission::RemoveMembers => Level::Admins,
                    Permission::SetRoles | Permission::DeleteGroup => Level::Owner,
                    _ => level,
                };
                let mut room = room(at(level));
                match room.run(user, action.clone()) {
                    Ok(_) => assert!(needed.allows(role), "{role:?} {action:?} at {level:?}"),
                    Err(refusal) => {
                        assert!(!needed.allows(role), "{role:?} {action:?} at {level:?}");
                        assert_eq!(refusal.code, RefusalCode::Forbidden);
                        assert_eq!(refusal.permission, Some(permission));
                    }
                }
            }
        }
    }
}

#[test]
fn every_action_in_a_direct_conversation() {
    for permission in Permission::ALL {
        let Some(action) = shows(permission) else { continue };
        let mut room = Room::direct();
        room.say(BOB, "one");
        room.say(BOB, "two");
        let expected = match permission {
            Permission::Send | Permission::Pin => None,
            Permission::DeleteMessages => Some(RefusalCode::Forbidden),
            _ => Some(RefusalCode::Conflict),
        };
        let refused = room.run(ALICE, action.clone()).err().map(|refusal| refusal.code);
        assert_eq!(refused, expected, "{action:?}");
    }
}

#[test]
fn in_an_announcement_group_members_still_react_and_change_what_they_said() {
    let mut room = room(RulesChange { send: Some(Level::Admins), ..RulesChange::default() });
    room.say(BOB, "news");
    assert_eq!(room.refused(DAVE, send("hello")), RefusalCode::Forbidden);
    room.done(DAVE, react(1, "👍", false));
    room.done(DAVE, edit(2, "two again"));
    room.done(DAVE, Action::Delete { seq: 2 });
    // A retry learns what happened, also now.
    room.done(ALICE, change(at(Level::Everyone)));
    room.done(DAVE, send_as("k", 1, "hello"));
    room.done(ALICE, change(at(Level::Owner)));
    assert!(room.sent(DAVE, send_as("k", 1, "hello")).1);
}

#[test]
fn rules_are_part_of_what_everybody_sees() {
    let mut room = room(RulesChange::default());
    let before = room.head().rev;
    let rules = RulesChange { pin: Some(Level::Everyone), ..RulesChange::default() };
    room.done(BOB, change(rules));
    assert_eq!((room.head().rev, room.head().info_rev), (before + 1, before + 1));
    let changed = matches!(room.idle(BOB, change(rules)), Outcome::Group { .. });
    assert!(changed);
    room.done(CAROL, Action::Pin { seq: 1, remove: false });
    let back = RulesChange { pin: Some(Level::Admins), ..RulesChange::default() };
    room.done(BOB, change(back));
    room.done(ALICE, Action::Pin { seq: 1, remove: true });
    assert_eq!(room.head().extra, None, "nothing is left of it");
}

fn slow(seconds: u32) -> Action {
    change(RulesChange { slow_mode_s: Some(seconds), ..RulesChange::default() })
}

#[test]
fn slow_mode_makes_members_wait() {
    let mut room = room(RulesChange::default());
    assert_eq!(room.invalid(ALICE, slow(21_601)), "settings.slow_mode_s");
    room.done(ALICE, slow(30));
    room.done(CAROL, send_as("a", 1, "first"));
    room.now += 10_000;
    let refusal = room.run(CAROL, send("second")).unwrap_err();
    assert_eq!((refusal.code, refusal.retry_after_ms), (RefusalCode::RateLimited, Some(20_000)));
    assert!(room.sent(CAROL, send_as("a", 1, "first")).1, "a retry is never refused");
    // Others have a pause of their own; admins have none.
    room.say(DAVE, "mine");
    room.say(BOB, "one");
    room.say(BOB, "two");
    // Leaving and coming back does not help.
    room.done(CAROL, Action::RemoveMember { user: CAROL });
    room.done(BOB, Action::AddMembers { users: vec![CAROL] });
    assert_eq!(room.refused(CAROL, send("third")), RefusalCode::RateLimited);
    room.now += 20_000;
    room.say(CAROL, "fourth");
    // A clock that went back makes nobody wait for longer than the pause.
    room.now -= 1_000_000;
    assert_eq!(room.run(CAROL, send("fifth")).unwrap_err().retry_after_ms, Some(30_000));
    room.done(ALICE, slow(0));
    room.say(CAROL, "sixth");
}
