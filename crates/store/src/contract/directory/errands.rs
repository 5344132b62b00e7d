//! Stories of the queue of what is to be told outside.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use ostracon_domain::{ConversationId, UserId};

use super::{Fixture, stage::together};
use crate::directory::{
    Errand, ErrandEnd, ErrandKind, ErrandSort, ErrandState, ErrandStats, NewErrand,
};

fn user(n: u64) -> UserId {
    UserId::new(n).unwrap()
}

fn tell(n: u64, seq: u64, due_at: i64) -> NewErrand {
    let conversation = ConversationId::direct(user(n), user(n + 1));
    let kind = ErrandKind::Tell { user: user(n), conversation };
    NewErrand { key: format!("tell {n}"), kind, seq, mention_seq: 0, count: 1, due_at }
}

fn event(n: u64, due_at: i64) -> NewErrand {
    let kind = ErrandKind::Event {
        hook: "crm".to_owned(),
        event: "user.created".to_owned(),
        user: n.is_multiple_of(2).then(|| user(n)),
        conversation: n.is_multiple_of(3).then(|| ConversationId::direct(user(n), user(n))),
    };
    NewErrand { key: format!("event {n}"), kind, seq: n, mention_seq: 0, count: 1, due_at }
}

fn done(seq: u64) -> ErrandEnd {
    ErrandEnd::Done { seq, then: Vec::new() }
}

fn failed(due_at: i64) -> ErrandEnd {
    ErrandEnd::Later { due_at, error: Some("status 500".to_owned()) }
}

fn keys(errands: &[Errand]) -> Vec<&str> {
    errands.iter().map(|errand| errand.key.as_str()).collect()
}

/// What is due is taken, the longest due first, and held; it is there again when whoever held it has gone. It survives.
pub async fn errands_are_taken_in_turn(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    assert_eq!(d.take_errands(100, 200, 10).await.unwrap(), []);
    d.put_errands(Vec::new(), 1).await.unwrap();
    let device = ErrandKind::Device {
        user: user(3),
        conversation: ConversationId::direct(user(3), user(4)),
        subscription: 77,
    };
    let third = NewErrand { kind: device.clone(), mention_seq: 8, count: 5, ..tell(3, 9, 20) };
    let put = vec![tell(1, 1, 30), event(6, 10), third, event(7, 40), tell(5, 1, 101)];
    d.put_errands(put, 2).await.unwrap();
    let d = fixture.reopened(d).await;
    let taken = d.take_errands(100, 200, 3).await.unwrap();
    assert_eq!(keys(&taken), ["event 6", "tell 3", "tell 1"]);
    let [sixth, third, _] = taken.as_slice() else { panic!("three") };
    assert_eq!(sixth.kind, event(6, 0).kind);
    let expected = Errand {
        id: third.id,
        key: "tell 3".to_owned(),
        kind: device,
        seq: 9,
        mention_seq: 8,
        count: 5,
        state: ErrandState::Waiting,
        attempts: 0,
        created_at: 2,
        due_at: 20,
        held_until: 200,
        error: None,
    };
    assert_eq!(*third, expected);
    assert_eq!(keys(&d.take_errands(100, 201, 10).await.unwrap()), ["event 7"]);
    assert_eq!(keys(&d.take_errands(199, 300, 10).await.unwrap()), ["tell 5"]);
    // Who held them has gone.
    let d = fixture.reopened(d).await;
    let again = d.take_errands(200, 300, 10).await.unwrap();
    assert_eq!(keys(&again), ["event 6", "tell 3", "tell 1"]);
    assert!(!d.end_errand(third, done(9), 200).await.unwrap(), "it is somebody else's now");
    assert!(d.end_errand(&again[1], done(9), 200).await.unwrap());
    assert!(!d.end_errand(&again[1], done(9), 200).await.unwrap());
    assert_eq!(
        keys(&d.take_errands(301, 400, 10).await.unwrap()),
        ["event 6", "tell 1", "event 7", "tell 5"]
    );
}

/// What is put under a key that waits is one with it; what was done is not done again.
pub async fn errands_of_one_key_are_one(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    // In one call too.
    d.put_errands(vec![tell(1, 5, 10), NewErrand { mention_seq: 6, ..tell(1, 6, 11) }], 1)
        .await
        .unwrap();
    d.put_errands(vec![tell(1, 7, 50), tell(1, 6, 50), tell(1, 7, 60)], 2).await.unwrap();
    let taken = d.take_errands(10, 100, 10).await.unwrap();
    let [one] = taken.as_slice() else { panic!("one") };
    assert_eq!((one.seq, one.mention_seq, one.count, one.due_at, one.created_at), (7, 6, 3, 10, 1));

    // What comes while it is held waits for its own time.
    d.put_errands(vec![tell(1, 8, 60)], 20).await.unwrap();
    assert!(d.end_errand(one, done(7), 21).await.unwrap());
    assert_eq!(d.take_errands(59, 100, 10).await.unwrap(), []);
    let taken = d.take_errands(60, 100, 10).await.unwrap();
    assert_eq!((taken[0].id, taken[0].seq, taken[0].count), (one.id, 8, 1));
    assert!(d.end_errand(&taken[0], done(8), 61).await.unwrap());

    // Again, after a crash: it was told.
    d.put_errands(vec![tell(1, 8, 70), tell(1, 7, 70)], 62).await.unwrap();
    assert_eq!(d.take_errands(1_000, 2_000, 10).await.unwrap(), []);
    d.put_errands(vec![tell(1, 9, 80)], 63).await.unwrap();
    let taken = d.take_errands(80, 90, 10).await.unwrap();
    assert_eq!((taken[0].seq, taken[0].count, taken[0].created_at), (9, 1, 63));
}

/// What failed is tried later and counted, what is postponed is not; what follows from an errand comes in one step with its end.
pub async fn errands_end_or_come_later(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    d.put_errands(vec![tell(1, 1, 10)], 1).await.unwrap();
    let one = d.take_errands(10, 20, 10).await.unwrap().remove(0);
    assert!(d.end_errand(&one, failed(15), 11).await.unwrap());
    assert_eq!(d.take_errands(14, 30, 10).await.unwrap(), []);
    let one = d.take_errands(15, 30, 10).await.unwrap().remove(0);
    assert_eq!((one.attempts, one.error.as_deref()), (1, Some("status 500")));
    let later = ErrandEnd::Later { due_at: 25, error: None };
    assert!(d.end_errand(&one, later, 16).await.unwrap());
    let stats = ErrandStats { waiting: 1, failing: 1, dead: 0, oldest_due_at: Some(25) };
    assert_eq!(d.errand_stats(ErrandSort::Push).await.unwrap(), stats);
    assert_eq!(d.errand_stats(ErrandSort::Events).await.unwrap(), ErrandStats::default());
    let one = d.take_errands(25, 40, 10).await.unwrap().remove(0);
    assert_eq!((one.attempts, one.error.as_deref()), (1, Some("status 500")));
    let then = vec![event(2, 26), tell(3, 1, 27)];
    assert!(d.end_errand(&one, ErrandEnd::Done { seq: 1, then: then.clone() }, 26).await.unwrap());
    let taken = d.take_errands(30, 50, 10).await.unwrap();
    assert_eq!(keys(&taken), ["event 2", "tell 3"]);
    // What somebody else ended already has no consequences.
    assert!(
        !d.end_errand(&one, ErrandEnd::Done { seq: 1, then: vec![tell(9, 1, 1)] }, 31)
            .await
            .unwrap()
    );
    assert_eq!(d.take_errands(30, 50, 10).await.unwrap(), []);
}

/// What was given up is listed until it is replayed or old; what was done is forgotten earlier.
pub async fn errands_that_were_given_up_can_be_replayed(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    d.put_errands(vec![event(1, 10), event(2, 11), tell(3, 1, 12), tell(4, 1, 13)], 1)
        .await
        .unwrap();
    let taken = d.take_errands(20, 40, 10).await.unwrap();
    let give_up = || ErrandEnd::Dead { error: "status 404".to_owned() };
    for one in &taken[..3] {
        assert!(d.end_errand(one, give_up(), 21).await.unwrap());
    }
    assert!(d.end_errand(&taken[3], done(1), 22).await.unwrap());
    let d = fixture.reopened(d).await;
    let stats = d.errand_stats(ErrandSort::Events).await.unwrap();
    assert_eq!((stats.dead, stats.waiting), (2, 0));
    let dead = d.dead_errands(ErrandSort::Events, None, 10).await.unwrap();
    assert_eq!(keys(&dead), ["event 2", "event 1"]);
    assert_eq!((dead[0].state, dead[0].attempts, dead[0].due_at), (ErrandState::Dead, 1, 21));
    assert_eq!(dead[0].error.as_deref(), Some("status 404"));
    assert_eq!(keys(&d.dead_errands(ErrandSort::Events, None, 1).await.unwrap()), ["event 2"]);
    let below = d.dead_errands(ErrandSort::Events, Some(dead[0].id), 10).await.unwrap();
    assert_eq!(keys(&below), ["event 1"]);

    assert_eq!(d.replay_errands(ErrandSort::Push, Some(dead[0].id), 30).await.unwrap(), 0);
    assert_eq!(d.replay_errands(ErrandSort::Events, Some(dead[0].id), 30).await.unwrap(), 1);
    let again = d.take_errands(30, 50, 10).await.unwrap();
    assert_eq!((keys(&again), again[0].attempts), (vec!["event 2"], 0));
    assert!(d.end_errand(&again[0], done(2), 31).await.unwrap());
    assert_eq!(d.replay_errands(ErrandSort::Push, None, 32).await.unwrap(), 1);
    let again = d.take_errands(32, 50, 10).await.unwrap();
    assert_eq!(keys(&again), ["tell 3"]);
    assert!(d.end_errand(&again[0], give_up(), 33).await.unwrap());

    assert_eq!(d.forget_errands(22, 21, 10).await.unwrap(), 0);
    assert_eq!(d.forget_errands(32, 22, 1).await.unwrap(), 1);
    assert_eq!(d.forget_errands(32, 22, 10).await.unwrap(), 2);
    assert_eq!(keys(&d.dead_errands(ErrandSort::Events, None, 10).await.unwrap()), [""; 0]);
    assert_eq!(keys(&d.dead_errands(ErrandSort::Push, None, 10).await.unwrap()), ["tell 3"]);
}

/// Of those who take at once each gets his own.
pub async fn errands_are_taken_once(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    d.put_errands((1..=40).map(|n| tell(n, 1, 10)).collect(), 1).await.unwrap();
    let many = (0..8).map(|_| {
        let d = d.clone();
        async move { d.take_errands(20, 40, 10).await.unwrap() }
    });
    let mut taken: Vec<u64> =
        together(many).await.into_iter().flatten().map(|one| one.id).collect();
    let all = taken.len();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!(taken.len(), all, "one was taken twice");
    taken.extend(d.take_errands(20, 40, 100).await.unwrap().iter().map(|one| one.id));
    assert_eq!(taken.len(), 40);
}
