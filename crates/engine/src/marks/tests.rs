//! Marks that become one commit, and that each of them is answered.

use std::sync::Arc;

use ostracon_domain::{ConversationId, Seq, UserId};
use ostracon_proto::{Encoding, frame::FrameRef};
use proptest::prelude::*;

use super::{MarkKind, Marked, Marks, WINDOW};
use crate::connection::Connection;

fn mark(connection: &Arc<Connection>, kind: MarkKind, seq: Seq, id: i64) -> Marked {
    let user = |id| UserId::new(id).unwrap();
    Marked {
        connection: Arc::clone(connection),
        conversation: ConversationId::direct(user(1), user(2)),
        kind,
        seq,
        ids: vec![Some(FrameRef::number(id))],
    }
}

fn line(id: u64) -> Arc<Connection> {
    Connection::new(
        id,
        UserId::new(1).unwrap(),
        1,
        Encoding::Json,
        16,
        Arc::new(crate::NoAddresses),
    )
}

#[test]
fn the_first_goes_at_once_and_the_rest_as_one() {
    let (mut marks, one, two) = (Marks::default(), line(1), line(2));
    let read = MarkKind::Read;
    assert_eq!(marks.put(mark(&one, read, 3, 1), 0).unwrap().seq, 3);
    assert!(marks.put(mark(&one, read, 9, 2), 10).is_none());
    assert!(marks.put(mark(&one, read, 5, 3), 20).is_none());
    // Others are marks of their own.
    assert!(marks.put(mark(&one, MarkKind::Delivered, 5, 4), 20).is_some());
    assert!(marks.put(mark(&two, read, 5, 5), 20).is_some());
    assert_eq!(marks.next_due(), Some(WINDOW));
    assert!(marks.pass(WINDOW - 1).is_empty());
    let [merged] = marks.pass(WINDOW).try_into().unwrap();
    assert_eq!(
        (merged.seq, merged.ids),
        (9, vec![2, 3].into_iter().map(FrameRef::number).map(Some).collect())
    );
    assert!(marks.put(mark(&one, read, 10, 6), WINDOW + 1).is_none(), "it goes on");
    assert_eq!(marks.pass(2 * WINDOW).len(), 1);
    assert!(marks.pass(3 * WINDOW).is_empty());
    assert_eq!(marks.next_due(), None);
    assert!(marks.put(mark(&one, read, 11, 7), 4 * WINDOW).is_some());
}

proptest! {
    /// Every mark is answered once, by a commit of at least its seq; one key commits at most once in a window.
    #[test]
    fn every_mark_is_answered(steps in prop::collection::vec((0..2_u64, 1..50_u64, 0..400_u64), 1..60)) {
        let lines = [line(0), line(1)];
        let (mut marks, mut now, mut open, mut commits) = (Marks::default(), 0, Vec::new(), Vec::new());
        let mut commit = |marked: Marked, now: u64, open: &mut Vec<(Option<FrameRef>, Seq)>| {
            commits.push((marked.connection.id, now));
            let before = open.len();
            open.retain(|(id, seq)| !(marked.ids.contains(id) && marked.seq >= *seq));
            assert_eq!(before - open.len(), marked.ids.len());
        };
        for (n, (at, seq, span)) in steps.into_iter().enumerate() {
            let id = n as i64;
            open.push((Some(FrameRef::number(id)), seq));
            if let Some(marked) = marks.put(mark(&lines[at as usize], MarkKind::Read, seq, id), now) {
                commit(marked, now, &mut open);
            }
            let until = now + span;
            while let Some(due) = marks.next_due().filter(|due| *due <= until) {
                now = due;
                for marked in marks.pass(now) {
                    commit(marked, now, &mut open);
                }
            }
            now = until;
        }
        while let Some(due) = marks.next_due() {
            for marked in marks.pass(due) {
                commit(marked, due, &mut open);
            }
        }
        prop_assert!(open.is_empty());
        for line in [0, 1] {
            let times: Vec<_> = commits.iter().filter(|(id, _)| *id == line).map(|(_, at)| *at).collect();
            prop_assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= WINDOW || pair[1] == pair[0] + WINDOW));
        }
    }
}
