//! A reader that an eviction overtakes looks again.

use std::{cell::Cell, sync::Arc};

use super::*;
use crate::{duplicate_filter::ClientKeys, tables};

#[test]
fn what_is_evicted_while_it_looks_is_looked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.db");
    drop(tables::open_writer(&path, ostracon_domain::ShardId(0)).unwrap());
    let conn = tables::open_read_only(&path).unwrap();
    let overlay = Overlay::new(ClientKeys::new(1), Arc::default());
    for (overtaken, looks) in [(0, 1), (1, 2), (2, 3), (9, TRIES + 1)] {
        let count = Cell::new(0);
        let look = |_: &TableReader<'_>| {
            count.set(count.get() + 1);
            // Held up at last, so that it ends.
            if count.get() <= overtaken && count.get() <= TRIES {
                overlay.evict(&[], overlay.evicted() + 1);
            }
            Ok((overlay.evicted(), count.get()))
        };
        let (_, found) = at_a_moment(&overlay, &conn, look).unwrap();
        assert_eq!((found, count.get()), (looks, looks), "{overtaken}");
    }
}
