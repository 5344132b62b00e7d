//! Query strings: defaults, clamps, and refusals by name.

use crate::support::HISTORY;
use ostracon_proto::{Invalid, Position, cursor::*, query::Query, rest::*};

fn refused<T: std::fmt::Debug>(read: Result<T, Invalid>) -> String {
    read.unwrap_err().field
}

#[test]
fn limits_are_clamped_and_never_guessed() {
    let limit = |raw| DialogQuery::read(Query::new(raw)).map(|query| query.limit);
    for (raw, expect) in [
        ("", 50),
        ("limit=1", 1),
        ("limit=200", 200),
        ("limit=201", 200),
        ("limit=4294967296", 200),
        ("limit=99999999999999999999999999", 200),
        ("x=1&limit=7&limit=9", 7),
        ("limit=%37", 7),
    ] {
        assert_eq!(limit(raw), Ok(expect), "{raw}");
    }
    for raw in [
        "limit=",
        "x=1&limit=&y",
        "limit=0",
        "limit=-1",
        "limit=1.5",
        "limit=x",
        "limit=%20",
        "limit=%00",
        "limit=+5",
    ] {
        assert_eq!(refused(limit(raw)), "limit", "{raw}");
    }
    let changes = |raw| ChangesQuery::read(Query::new(raw)).unwrap().limit;
    assert_eq!((changes(""), changes("limit=5000")), (500, 1_000));
    let sync = |raw| SyncQuery::read(Query::new(raw)).unwrap().limit;
    assert_eq!((sync(""), sync("limit=5000")), (200, 1_000));
    let page = |raw| MessagesQuery::read(Query::new(raw)).unwrap().limit;
    assert_eq!((page(""), page("limit=5000")), (50, 200));
}

#[test]
fn a_page_has_at_most_one_anchor() {
    let read = |raw| MessagesQuery::read(Query::new(raw));
    assert_eq!(read("").unwrap().anchor, Anchor::Newest);
    assert_eq!(read("before=5").unwrap().anchor, Anchor::Before(Position::Seq(5)));
    assert_eq!(read("after=0").unwrap().anchor, Anchor::After(Position::Seq(0)));
    assert_eq!(
        read("around=1795257516").unwrap().anchor,
        Anchor::Around(Position::Time(1_795_257_516_000))
    );
    assert_eq!(read("min_rev=9").unwrap().min_rev, Some(9));
    assert_eq!(refused(read("before=5&around=6")), "around");
    assert_eq!(refused(read("before=5&after=6")), "after");
    assert_eq!(refused(read("before=-5")), "before");
    assert_eq!(refused(read("min_rev=x")), "min_rev");
}

#[test]
fn changes_need_the_history_of_their_rev() {
    let read = |raw: &str| ChangesQuery::read(Query::new(raw));
    assert_eq!(read("").unwrap().history, None);
    assert_eq!(read("since_rev=0").unwrap().since_rev, 0);
    let full = read(&format!("since_rev=7&since_mark=8&history={HISTORY}")).unwrap();
    assert_eq!((full.since_rev, full.since_mark, full.history), (7, 8, Some(HISTORY)));
    assert_eq!(refused(read("since_rev=1")), "history");
    assert_eq!(refused(read("since_rev=1&history=")), "history");
    assert_eq!(refused(read("since_rev=1&history=-3")), "history");
    assert_eq!(refused(read("since_rev=-1")), "since_rev");
    assert_eq!(refused(read("since_mark=x")), "since_mark");
}

#[test]
fn the_rest_of_the_queries() {
    assert_eq!(UsersQuery::read(Query::new("query=a%20b+c")).unwrap().query, "a b c");
    assert_eq!(refused(UsersQuery::read(Query::new("limit=5"))), "query");
    assert!(DeleteQuery::read(Query::new("")).is_ok());
    assert!(DeleteQuery::read(Query::new("for=everyone")).is_ok());
    assert_eq!(refused(DeleteQuery::read(Query::new("for=us"))), "for");
    assert_eq!(
        DialogQuery::read(Query::new("offset=18446744073709551616")).unwrap().offset,
        u64::MAX
    );
    assert_eq!(refused(DialogQuery::read(Query::new("offset=-1"))), "offset");
    let cursor = MembersCursor { after: crate::support::user(7) };
    let raw = format!("cursor={}", cursor.encode());
    assert_eq!(MembersQuery::read(Query::new(&raw)).unwrap().cursor, Some(cursor));
    assert_eq!(refused(SyncQuery::read(Query::new(&raw))), "cursor");
    assert_eq!(refused(ConversationsQuery::read(Query::new("cursor=x"))), "cursor");
}
