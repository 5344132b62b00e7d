//! The feed: what is one note, and how far it has come.

use ostracon_domain::{ConversationId, UserId};

use super::{Feed, Noted, Said};

fn user(n: u64) -> UserId {
    UserId::new(n).unwrap()
}

fn place() -> ConversationId {
    ConversationId::direct(user(1), user(2))
}

#[test]
fn the_position_follows_what_is_in_the_queue() {
    let feed = Feed::default();
    feed.mark(3);
    assert_eq!(feed.done(), 3, "nothing waits");
    feed.tell(place(), 7, [(user(1), false)].into_iter());
    feed.mark(4);
    assert_eq!((feed.done(), feed.is_done()), (3, false));
    let taken = feed.take().unwrap();
    feed.mark(5);
    assert_eq!((feed.done(), feed.is_done()), (3, false), "it is on its way");
    feed.tell(place(), 8, [(user(1), false)].into_iter());
    feed.mark(6);
    feed.settled(&taken);
    assert_eq!((feed.done(), feed.is_done()), (4, false));
    let taken = feed.take().unwrap();
    feed.settled(&taken);
    assert_eq!((feed.done(), feed.is_done()), (6, true));
    assert!(feed.take().is_none());
}

#[test]
fn messages_of_a_conversation_are_one_note() {
    let feed = Feed::default();
    feed.tell(place(), 7, [(user(1), true), (user(2), false)].into_iter());
    feed.tell(place(), 8, [(user(1), false)].into_iter());
    let taken = feed.take().unwrap();
    assert_eq!(taken.told[&(user(1), place())], Noted { seq: 8, mention_seq: 7, count: 2 });
    assert_eq!(taken.told[&(user(2), place())], Noted { seq: 7, mention_seq: 0, count: 1 });
    // The queue does not answer.
    feed.tell(place(), 9, [(user(2), true)].into_iter());
    feed.whole(place(), Said { seq: 9, sender: user(1), mentions: Vec::new() });
    feed.mark(2);
    feed.give_back(taken);
    assert_eq!(feed.done(), 0);
    let taken = feed.take().unwrap();
    assert_eq!(taken.told[&(user(1), place())], Noted { seq: 8, mention_seq: 7, count: 2 });
    assert_eq!(taken.told[&(user(2), place())], Noted { seq: 9, mention_seq: 9, count: 2 });
    assert_eq!(taken.whole.len(), 1);
    feed.settled(&taken);
    assert_eq!(feed.done(), 2);
}
