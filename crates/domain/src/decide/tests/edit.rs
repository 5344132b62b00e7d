//! Editing one's own message.

use super::room::{ALICE, BOB, CAROL, EVE, Room, START, edit, file, react, say};
use crate::{Action, Edit, Edition, Mention, NewMessage, RefusalCode, limits::EDITIONS_MAX};

#[test]
fn an_edit_changes_the_text_and_its_rev() {
    let mut room = Room::direct();
    let mentions = vec![Mention { user_id: BOB, start: 0, end: 3 }];
    room.done(ALICE, Action::Send(NewMessage { mentions, ..say("one two") }));
    room.done(BOB, react(1, "👍", false));
    room.now = START + 500;
    room.done(ALICE, edit(1, "better"));
    let message = room.message(1);
    assert_eq!(message.content, "better");
    assert_eq!((message.created_rev, message.rev, message.content_rev), (4, 6, 6));
    assert_eq!((message.edited_at, message.created_at), (Some(START + 500), START));
    assert!(message.mentions.is_empty(), "their offsets belong to the old text");
    assert_eq!(room.view(1).expect("there").reactions.len(), 1);
    assert_eq!((room.head().rev, room.head().head_seq), (6, 1));
    room.idle(ALICE, edit(1, "better"));
    // The clock may go back; an edit is never older than its message.
    room.now = START - 5;
    room.done(ALICE, edit(1, "again"));
    assert_eq!(room.message(1).edited_at, Some(START));
}

#[test]
fn only_the_sender_edits_and_only_what_is_there() {
    let mut room = Room::group(&[BOB, CAROL]);
    room.say(BOB, "one");
    assert_eq!(room.refused(ALICE, edit(1, "x")), RefusalCode::Forbidden, "not even the owner");
    assert_eq!(room.refused(CAROL, edit(1, "x")), RefusalCode::Forbidden);
    assert_eq!(room.refused(EVE, edit(1, "x")), RefusalCode::NotFound);
    assert_eq!(room.refused(BOB, edit(2, "x")), RefusalCode::NotFound);
    assert_eq!(room.invalid(BOB, edit(1, "")), "content");
    assert_eq!(room.invalid(BOB, edit(1, "\0")), "content");
    room.done(ALICE, Action::RemoveMember { user: BOB });
    assert_eq!(room.refused(BOB, edit(1, "x")), RefusalCode::NotMember);
    room.done(ALICE, Action::AddMembers { users: vec![BOB] });
    assert_eq!(room.refused(BOB, edit(1, "x")), RefusalCode::NotFound, "said before coming back");
    room.say(BOB, "two");
    room.done(BOB, Action::Delete { seq: 2 });
    assert_eq!(room.refused(BOB, edit(2, "x")), RefusalCode::NotFound);
}

#[test]
fn files_stay_and_the_text_beside_them_may_go() {
    let mut room = Room::direct();
    let attachments = Some(vec![file("1")]);
    room.done(ALICE, Action::Send(NewMessage { attachments, ..say("look") }));
    room.done(ALICE, edit(1, ""));
    assert_eq!(room.message(1).content, "");
    assert_eq!(room.message(1).attachments(), [file("1")]);
    assert_eq!(room.invalid(ALICE, edit(1, "\0")), "content");
}

#[test]
fn an_edit_may_name_the_content_it_means() {
    let mut room = Room::direct();
    room.say(ALICE, "one");
    let named = |rev, text: &str| {
        Action::Edit(Edit { seq: 1, content: text.to_owned(), if_content_rev: Some(rev) })
    };
    assert_eq!(room.refused(ALICE, named(3, "x")), RefusalCode::Conflict);
    room.done(ALICE, named(4, "two"));
    // A reaction is no change of content.
    room.done(BOB, react(1, "👍", false));
    assert_eq!(room.refused(ALICE, named(4, "three")), RefusalCode::Conflict);
    room.done(ALICE, named(5, "three"));
    assert_eq!(room.message(1).content, "three");
}

#[test]
fn a_window_ends_editing_but_not_for_admins() {
    let mut room = Room::group(&[BOB]);
    room.limits.edit_window = Some(1_000);
    room.say(BOB, "one");
    room.say(ALICE, "two");
    room.now += 1_000;
    room.done(BOB, edit(1, "in time"));
    room.now += 1;
    assert_eq!(room.refused(BOB, edit(1, "late")), RefusalCode::Forbidden);
    room.done(ALICE, edit(2, "the owner may"));
}

#[test]
fn former_contents_are_kept_where_that_is_wanted() {
    let mut room = Room::direct();
    room.say(ALICE, "one");
    room.done(ALICE, edit(1, "two"));
    assert!(room.annexes.is_empty(), "not by default");
    room.limits.edit_history = true;
    room.now += 5;
    room.done(ALICE, edit(1, "three"));
    room.now += 5;
    room.done(ALICE, edit(1, "four"));
    let kept: Vec<_> =
        room.annexes.values().filter_map(|row| Edition::of_value(&row.value)).collect();
    let edition = |since, content: &str| Edition { since, content: content.to_owned() };
    assert_eq!(kept, [edition(START, "two"), edition(START + 5, "three")]);
    assert_eq!(room.message(1).extra.as_ref().map(|extra| extra.editions), Some(2));
    for n in 0..EDITIONS_MAX {
        room.done(ALICE, edit(1, &format!("{n}")));
    }
    assert_eq!(room.annexes.len(), EDITIONS_MAX as usize, "and no more");
    room.done(ALICE, Action::Delete { seq: 1 });
    assert!(room.annexes.is_empty() && room.message(1).extra.is_none());
}
