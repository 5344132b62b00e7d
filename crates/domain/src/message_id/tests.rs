//! Message ids rise: with a clock that stands or goes back, past a full millisecond, and past other nodes.

use super::MessageIds;
use crate::id::{MESSAGE_EPOCH_MS, MessageId};

const NOW: i64 = 1_700_000_000_000;

fn id(ms: i64, node: u16, counter: u16) -> MessageId {
    MessageId::from_parts(ms, node, counter).expect("fits")
}

#[test]
fn a_clock_that_goes_back_repeats_no_id() {
    let mut ids = MessageIds::new(3, 0);
    let mut last = None;
    for now in [NOW, NOW + 5, NOW - 1_000_000, NOW + 4, 0, i64::MIN, NOW + 6] {
        let next = ids.next(now, None);
        assert!(next > last, "at {now}");
        last = next;
    }
    assert_eq!(last, Some(id(NOW + 6, 3, 0)));
}

#[test]
fn a_full_millisecond_runs_over_into_the_next() {
    let mut ids = MessageIds::new(3, 0);
    let mut last = None;
    for n in 0..10_000u16 {
        let next = ids.next(NOW, None);
        assert!(next > last);
        assert_eq!(next, Some(id(NOW + i64::from(n / 4_096), 3, n % 4_096)));
        last = next;
    }
    assert_eq!(ids.time(), NOW + 2);
}

#[test]
fn ids_are_later_than_another_nodes() {
    let mut ids = MessageIds::new(3, 0);
    // Same millisecond: a lower node number is passed in it, a higher one only by the next.
    assert_eq!(ids.next(NOW, Some(id(NOW, 2, 4_095))), Some(id(NOW, 3, 0)));
    assert_eq!(ids.next(NOW, Some(id(NOW, 4, 0))), Some(id(NOW + 1, 3, 0)));
    // That node's clock is far ahead; afterwards our own ids stay there.
    let ahead = id(NOW + 60_000, 9, 17);
    assert_eq!(ids.next(NOW, Some(ahead)), Some(id(NOW + 60_001, 3, 0)));
    assert_eq!(ids.next(NOW, None), Some(id(NOW + 60_001, 3, 1)));
    // An own id of this very millisecond, made before a restart.
    let mut again = MessageIds::new(3, 0);
    let next = again.next(NOW, Some(id(NOW, 3, 7))).expect("an id");
    assert!(next > id(NOW, 3, 7));
}

#[test]
fn ids_begin_after_the_time_reserved_before() {
    let mut ids = MessageIds::new(0, NOW + 500);
    assert_eq!(ids.next(NOW, None), Some(id(NOW + 500, 0, 0)));
}

#[test]
fn time_ends_where_its_bits_end() {
    let last = MESSAGE_EPOCH_MS + (1 << 41) - 1;
    let mut ids = MessageIds::new(1_023, 0);
    assert_eq!(ids.next(MESSAGE_EPOCH_MS - 1, None), None);
    assert!(ids.next(MESSAGE_EPOCH_MS, None).is_some());
    for _ in 0..4_096 {
        assert!(ids.next(last, None).is_some());
    }
    assert_eq!(ids.next(last, None), None);
    assert_eq!(ids.next(last, Some(id(last, 1_023, 4_095))), None);
}
