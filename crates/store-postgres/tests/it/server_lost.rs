//! A server that dies, hangs, fails over: the shard says that it is unavailable, and works again when the server does.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ostracon_domain::Epoch;
use ostracon_store::{Pair, Shard, ShardError, Transfer, UnitChange, UnitPhase};
use ostracon_store_postgres::{OpenError, PostgresShard, testing::Server};

use crate::fixture::{direct, formatted, ids, options_on, say, texts, units};

fn is_unavailable<T>(answer: &Result<T, ShardError>) -> bool {
    matches!(answer, Err(ShardError::Unavailable(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_comes_back_with_everything_acked() {
    let server = Server::start();
    let shard = formatted(&options_on(&server.url(), ids(1)), &units()).await;
    for round in 0..3u64 {
        // Somebody writes while the server dies.
        let (sender, mut acked) = tokio::sync::watch::channel(0u64);
        let writer = {
            let shard = Arc::clone(&shard);
            tokio::spawn(async move {
                for n in 0.. {
                    match say(&*shard, &format!("{round}-{n}")).await {
                        Ok((_, false)) => sender.send_replace(n + 1),
                        Ok(other) => panic!("sent twice: {other:?}"),
                        Err(error) => return (n, error),
                    };
                }
                unreachable!("it writes until the server dies")
            })
        };
        acked.wait_for(|acked| *acked >= 10).await.unwrap();
        server.tell("kill");
        let (failed, error) = writer.await.unwrap();
        assert!(matches!(error, ShardError::Unavailable(_)), "{error}");
        assert!(is_unavailable(&say(&*shard, "nobody there").await));
        assert!(is_unavailable(&shard.undispatched(None, 1).await));

        server.tell("restart");
        shard.serves().await;
        let there = texts(&*shard).await;
        for n in 0..failed {
            assert!(there.contains(&format!("{round}-{n}")), "acked and gone");
        }
        // The outcome of the last one was unknown; a retry has one result.
        let (seq, _) = say(&*shard, &format!("{round}-{failed}")).await.unwrap();
        assert_eq!(say(&*shard, &format!("{round}-{failed}")).await.unwrap(), (seq, true));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_given_up_and_used_again() {
    let server = Server::start();
    let mut options = options_on(&server.url(), ids(1));
    options.access.silence = Duration::from_millis(500);
    options.access.connect_timeout = Duration::from_millis(500);
    let shard = formatted(&options, &units()).await;
    say(&*shard, "one").await.unwrap();
    server.tell("pause");
    // Those that wait already and all that come later are answered long before the time that an answer may take.
    let begun = Instant::now();
    assert!(is_unavailable(&say(&*shard, "two").await));
    for _ in 0..100 {
        assert!(is_unavailable(&shard.stats().await));
    }
    assert!(begun.elapsed() < options.access.answer_timeout / 2);
    server.tell("resume");
    shard.serves().await;
    let (seq, _) = say(&*shard, "two").await.unwrap();
    assert_eq!(seq, 2);
    assert_eq!(texts(&*shard).await, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let server = Server::start();
    let options = options_on(&server.url(), ids(1));
    PostgresShard::format(&options, []).await.unwrap();
    server.tell("kill");
    let refused = PostgresShard::connect(options.clone()).await.map(|_| ());
    assert!(matches!(refused, Err(OpenError::Unavailable(_))), "{refused:?}");
    let first = units().map(|unit| (unit, Epoch(1))).to_vec();
    let shard = PostgresShard::open(options, first).await.unwrap();
    assert!(is_unavailable(&say(&shard, "one").await));
    server.tell("restart");
    shard.serves().await;
    assert_eq!(say(&shard, "one").await.unwrap(), (1, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_fails_over_is_another_incarnation() {
    let server = Server::start();
    let shard = formatted(&options_on(&server.url(), ids(1)), &units()).await;
    say(&*shard, "one").await.unwrap();
    let change = |step, from, to| UnitChange {
        unit: direct().slot().unit(),
        expect: Some((from, Epoch(1))),
        phase: to,
        epoch: Epoch(1),
        pair: Pair { lease: 1, step },
    };
    let capture = change(1, UnitPhase::Open, UnitPhase::Capturing);
    let captured = shard.set_unit_state(capture).await.unwrap();
    assert_eq!(captured.incarnation, shard.incarnation());
    // A mere restart keeps the incarnation: what was noted is in a table.
    server.tell("restart");
    let again = loop {
        match shard.set_unit_state(capture).await {
            Ok(state) => break state,
            Err(error) => assert!(matches!(error, ShardError::Unavailable(_)), "{error}"),
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(again, captured);
    assert_eq!(shard.incarnation(), captured.incarnation);

    server.tell("failover");
    let freeze = change(2, UnitPhase::Capturing, UnitPhase::Frozen);
    let refused = loop {
        match shard.set_unit_state(freeze).await {
            Err(ShardError::Unavailable(_)) => tokio::task::yield_now().await,
            other => break other,
        }
    };
    assert_eq!(refused, Err(ShardError::Restarted));
    assert!(shard.incarnation() > captured.incarnation);
    assert_eq!(say(&*shard, "two").await.unwrap(), (2, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_leaves_nothing_open() {
    let server = Server::start();
    let mut options = options_on(&server.url(), ids(1));
    options.access.connections = 1;
    let shard = formatted(&options, &units()).await;
    for n in 0..50u64 {
        // Dropped at its n-th step, wherever that is.
        let mut steps = 0;
        let mut work = Box::pin(say(&*shard, "the same"));
        std::future::poll_fn(|context| {
            steps += 1;
            match work.as_mut().poll(context) {
                std::task::Poll::Pending if steps <= n => std::task::Poll::Pending,
                _ => std::task::Poll::Ready(()),
            }
        })
        .await;
        drop(work);
    }
    let (seq, _) = say(&*shard, "the same").await.unwrap();
    assert_eq!(seq, 1);
    assert_eq!(texts(&*shard).await, ["the same"]);
}
