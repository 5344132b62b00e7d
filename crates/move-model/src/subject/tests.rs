//! Commands and pages on the rows of one conversation.

use super::*;

fn row(messages: u8) -> Row {
    Row { unit: Unit::P, content: Content::with_messages(messages) }
}

fn after(row: Row, number: CommandNumber, act: Act) -> Row {
    Row { content: row.content.after(number, act, true), ..row }
}

#[test]
fn each_change_takes_one_version() {
    let mut row = row(2);
    for (number, act) in [(0, Act::Append), (1, Act::Edit), (2, Act::Remove)] {
        let before = row.content.small.version;
        row = after(row, number, act);
        assert_eq!(row.content.small.version, before + 1, "{act:?}");
    }
    assert_eq!(row.content.messages.len(), 3);
    assert_eq!(row.content.messages.first(), Some(None));
}

#[test]
fn a_command_is_stored_once() {
    let once = after(row(1), 0, Act::Append);
    assert_eq!(after(once, 0, Act::Append), once);
    assert_ne!(once.content.after(0, Act::Append, false), once.content);
}

#[test]
fn an_edit_of_a_removed_message_changes_nothing() {
    let removed = after(row(1), 0, Act::Remove);
    assert_eq!(after(removed, 1, Act::Edit), removed);
}

#[test]
fn a_page_brings_a_row_up_to_date_and_an_older_one_does_not_take_it_back() {
    let old = row(2);
    let new = after(after(old, 0, Act::Append), 1, Act::Edit);
    let copied = Row::empty(Unit::P).after_page(&old.since(Conversation::X, 0), true);
    assert_eq!(copied, old);
    let caught_up = copied.after_page(&new.since(Conversation::X, copied.digest().0), true);
    assert_eq!(caught_up, new);
    let image = old.since(Conversation::X, 0);
    assert_eq!(caught_up.after_page(&image, true), new);
    assert_ne!(caught_up.after_page(&image, false), new);
}

#[test]
fn a_removed_message_does_not_come_back_with_a_page() {
    let old = row(2);
    let removed = after(old, 0, Act::Remove);
    let copied = Row::empty(Unit::P).after_page(&removed.since(Conversation::X, 0), true);
    assert_eq!(copied, removed);
    assert_eq!(copied.after_page(&old.since(Conversation::X, 0), true), removed);
}
