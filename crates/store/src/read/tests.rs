//! Which seqs a page covers, at every end.

use ostracon_domain::Access;

use super::{MessagePage, PagePosition, Place};

const ANY: PagePosition = PagePosition::Seq(0);

fn check(page: MessagePage, place: Place, readable: (u64, u64), expect: &[u64]) {
    let access = Access { from: readable.0, to: readable.1, content_until: None };
    let seqs: Vec<u64> = page.span(place, access).collect();
    assert_eq!(seqs, expect, "{page:?} at {place:?} of {readable:?}");
}

const fn newest(limit: u32) -> MessagePage {
    MessagePage::Newest { limit }
}
const fn before(limit: u32) -> MessagePage {
    MessagePage::Before { position: ANY, limit }
}
const fn after(limit: u32) -> MessagePage {
    MessagePage::After { position: ANY, limit }
}
const fn around(limit: u32) -> MessagePage {
    MessagePage::Around { position: ANY, limit }
}

#[test]
fn pages_cover_what_they_say() {
    let at = Place::message;
    let gap = Place::before;
    let all = (1, 9);
    check(newest(3), at(0), all, &[7, 8, 9]);
    check(newest(20), at(0), (4, 9), &[4, 5, 6, 7, 8, 9]);
    check(before(2), at(5), all, &[3, 4]);
    check(before(2), gap(5), all, &[3, 4]);
    check(before(2), at(1), all, &[]);
    check(before(2), at(99), all, &[8, 9]);
    check(before(5), at(6), (4, 9), &[4, 5]);
    check(before(5), at(3), (4, 9), &[]);
    check(after(2), at(5), all, &[6, 7]);
    check(after(2), gap(5), all, &[5, 6]);
    check(after(2), at(0), all, &[1, 2]);
    check(after(2), at(9), all, &[]);
    check(after(2), at(u64::MAX), all, &[]);
    check(after(2), at(1), (4, 9), &[4, 5]);
    check(around(4), at(5), all, &[3, 4, 5, 6]);
    check(around(5), at(5), all, &[3, 4, 5, 6, 7]);
    check(around(1), at(5), all, &[5]);
    check(around(4), at(1), all, &[1, 2, 3, 4]);
    check(around(4), at(2), all, &[1, 2, 3, 4]);
    check(around(4), at(9), all, &[7, 8, 9]);
    check(around(4), at(99), all, &[8, 9]);
    check(around(4), at(2), (4, 9), &[4, 5, 6, 7]);
    for page in [newest(0), before(0), after(0), around(0)] {
        check(page, at(5), all, &[]);
    }
    // Nothing is readable: before the first message, or joined and nothing said since.
    for page in [newest(3), before(3), after(3), around(3)] {
        check(page, at(5), (1, 0), &[]);
        check(page, at(5), (10, 9), &[]);
    }
}
