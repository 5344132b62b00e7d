//! The table of what is due.

use ostracon_domain::ConversationId;

use super::Timetable;

#[test]
fn the_earliest_counts_and_is_taken_once() {
    let [one, two] = [1, 2].map(|n| ConversationId::new_group(1_000, [n; 10]));
    let table = Timetable::default();
    table.note(one, 50, 7);
    table.note(one, 40, 9);
    table.note(one, 60, 8);
    table.note(two, 45, 1);
    assert!(table.take(39, 10).is_empty());
    assert_eq!(table.take(40, 10), [(one, 7)]);
    assert!(!table.knows(one) && table.knows(two));
    table.note(one, i64::MAX, 3);
    assert_eq!(table.take(1_000, 10), [(two, 1)]);
    assert!(table.take(i64::MAX - 1, 10).is_empty(), "nothing is due");
    assert!(table.knows(one));
}
