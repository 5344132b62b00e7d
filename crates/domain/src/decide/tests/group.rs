//! Renaming, settings, deleting a group.

use super::room::{ALICE, BOB, CAROL, EVE, Room, START, react, send};
use crate::{Action, GroupChange, GroupSettings, HistoryFor, RefusalCode, Role, Row};

fn rename(name: &str) -> Action {
    Action::Change(GroupChange { name: Some(name.to_owned()), ..Default::default() })
}

fn history(history_for: HistoryFor) -> Action {
    Action::Change(GroupChange {
        settings: Some(GroupSettings { history_for }),
        ..Default::default()
    })
}

#[test]
fn admins_rename_and_set() {
    let mut room = Room::group(&[BOB]);
    assert_eq!(room.refused(BOB, rename("x")), RefusalCode::Forbidden);
    assert_eq!(room.refused(EVE, rename("x")), RefusalCode::NotFound);
    room.done(ALICE, Action::SetRole { user: BOB, role: Role::Admin });
    room.done(BOB, rename("new"));
    assert_eq!((room.head().rev, room.head().info_rev), (5, 5));
    room.done(BOB, history(HistoryFor::All));
    assert_eq!((room.head().rev, room.head().info_rev), (6, 6));
    assert_eq!(room.head().name, "new");
    for action in [rename("new"), history(HistoryFor::All), Action::Change(GroupChange::default())]
    {
        room.idle(ALICE, action);
    }
    for name in ["", "\t", "a\u{7f}", &"x".repeat(201)] {
        assert_eq!(room.invalid(ALICE, rename(name)), "name", "{name:?}");
    }
}

#[test]
fn a_deleted_group_is_gone_for_everybody() {
    let mut room = Room::group(&[BOB, CAROL]);
    room.say(ALICE, "one");
    room.done(BOB, react(1, "👍", false));
    room.done(CAROL, Action::RemoveMember { user: CAROL });
    assert_eq!(room.refused(BOB, Action::DeleteGroup), RefusalCode::Forbidden);
    let (_, rows) = room.run(ALICE, Action::DeleteGroup).expect("allowed");
    assert!(matches!(rows[0], Row::MessagesGone { below: 2, .. }));
    let head = room.head();
    assert_eq!((head.deleted_at, head.name.as_str()), (Some(START), ""));
    assert_eq!((head.retained_from, head.rev, head.info_rev), (2, 9, 9));
    assert!(room.messages.is_empty() && room.reactions.is_empty());
    for actor in [ALICE, BOB, CAROL, EVE] {
        for action in [
            send("hello"),
            Action::DeleteGroup,
            Action::MarkRead { seq: 1 },
            Action::Delete { seq: 1 },
            Action::RemoveMember { user: actor },
            rename("x"),
            Action::ChangeView(crate::ViewChange { hidden_to: Some(1), muted_until: None }),
        ] {
            assert_eq!(room.refused(actor, action), RefusalCode::NotFound);
        }
    }
}
