//! Deleting for everyone, and the tombstone.

use super::room::{ALICE, BOB, CAROL, EVE, Room, START, edit, react, reply, say, send_as};
use crate::{Action, NewMessage, Outcome, RefusalCode, Role};

#[test]
fn a_tombstone_has_no_content() {
    let mut room = Room::direct();
    room.say(ALICE, "one");
    room.sent(BOB, send_as("c-1", 7, "secret"));
    room.done(BOB, reply(2));
    room.done(ALICE, react(3, "👍", false));
    room.done(BOB, react(3, "❤️", false));
    room.now = START + 9;
    for seq in [2, 3] {
        let before = room.message(seq).clone();
        room.done(BOB, Action::Delete { seq });
        let message = room.message(seq);
        assert_eq!(message.deleted, Some((START + 9, BOB)));
        assert!(message.content.is_empty() && message.mentions.is_empty());
        assert_eq!((message.payload_hash, message.reply_to, message.edited_at), (None, None, None));
        assert!(message.uncounted);
        assert_eq!((message.rev, message.content_rev), (room.head().rev, room.head().rev));
        assert_eq!(
            (message.message_id, &message.client_id, message.created_rev, message.created_at),
            (before.message_id, &before.client_id, before.created_rev, before.created_at)
        );
    }
    assert!(room.reactions.is_empty());
    assert_eq!(room.head().head_seq, 3, "numbers are never given back");
}

#[test]
fn deleting_twice_gives_the_same_answer() {
    let mut room = Room::group(&[BOB]);
    room.say(BOB, "one");
    let first = room.done(BOB, Action::Delete { seq: 1 });
    assert_eq!(
        first,
        Outcome::Deleted { seq: 1, rev: 5, history: room.head().history, at: START, by: BOB }
    );
    room.now += 100;
    room.say(BOB, "two");
    assert_eq!(room.idle(ALICE, Action::Delete { seq: 1 }), first);
}

#[test]
fn senders_and_admins_of_groups_delete() {
    let mut room = Room::group(&[BOB, CAROL]);
    for _ in 0..3 {
        room.say(BOB, "hello");
    }
    room.say(ALICE, "hello");
    let delete = |seq| Action::Delete { seq };
    assert_eq!(room.refused(CAROL, delete(1)), RefusalCode::Forbidden);
    assert_eq!(room.refused(EVE, delete(1)), RefusalCode::NotFound);
    assert_eq!(room.refused(BOB, delete(9)), RefusalCode::NotFound);
    room.done(BOB, delete(1));
    room.done(ALICE, delete(2));
    room.done(ALICE, Action::SetRole { user: CAROL, role: Role::Admin });
    room.done(CAROL, delete(3));
    room.done(CAROL, delete(4));
    room.say(CAROL, "five");
    room.done(ALICE, Action::RemoveMember { user: CAROL });
    assert_eq!(room.refused(CAROL, delete(5)), RefusalCode::NotMember);

    // In a direct conversation nobody is admin.
    let mut room = Room::direct();
    room.say(ALICE, "mine");
    assert_eq!(room.refused(BOB, delete(1)), RefusalCode::Forbidden);
}

#[test]
fn a_window_ends_deleting_but_not_for_admins() {
    let mut room = Room::group(&[BOB]);
    room.limits.delete_window = Some(1_000);
    room.say(BOB, "one");
    room.now += 1_001;
    assert_eq!(room.refused(BOB, Action::Delete { seq: 1 }), RefusalCode::Forbidden);
    room.done(ALICE, Action::Delete { seq: 1 });
    room.done(BOB, Action::Delete { seq: 1 });
}

#[test]
fn what_is_deleted_is_kept_only_where_that_is_wanted() {
    let mut room = Room::direct();
    room.say(ALICE, "one");
    room.say(ALICE, "two");
    room.done(ALICE, Action::Delete { seq: 1 });
    assert!(room.message(1).extra.is_none());
    room.limits.keep_deleted = true;
    room.done(ALICE, Action::Delete { seq: 2 });
    let gone = room.message(2);
    assert_eq!(gone.extra.as_ref().and_then(|extra| extra.kept.as_deref()), Some("two"));
    assert!(gone.content.is_empty());
    room.idle(ALICE, Action::Delete { seq: 2 });
}

/// Two at once: whichever the server takes first, every device ends with the same.
#[test]
fn a_deletion_wins_over_everything_else() {
    let others = |seq| {
        [
            edit(seq, "edited"),
            react(seq, "👍", false),
            Action::Pin { seq, remove: false },
            Action::Send(NewMessage { reply_to: Some(seq), ..say("answer") }),
        ]
    };
    for n in 0..4 {
        let before = &mut Room::direct();
        before.say(ALICE, "one");
        before.done(ALICE, others(1)[n].clone());
        before.done(ALICE, Action::Delete { seq: 1 });
        let after = &mut Room::direct();
        after.say(ALICE, "one");
        after.done(ALICE, Action::Delete { seq: 1 });
        assert_eq!(after.refused(ALICE, others(1)[n].clone()), RefusalCode::NotFound);
        for room in [before, after] {
            let gone = room.message(1);
            assert!(gone.deleted.is_some() && gone.content.is_empty() && gone.extra.is_none());
            let view = room.view(1).expect("a tombstone");
            assert!(view.reactions.is_empty());
            assert!(room.head().extra.as_ref().is_none_or(|extra| extra.pins.is_empty()));
            assert!(room.annexes.keys().all(|key| key.seq() != 1));
        }
    }
    let mut room = Room::group(&[BOB]);
    room.say(BOB, "one");
    let first = room.done(BOB, Action::Delete { seq: 1 });
    assert_eq!(room.idle(ALICE, Action::Delete { seq: 1 }), first, "two deletions, one answer");
}
