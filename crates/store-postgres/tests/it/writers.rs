//! Several handles of one shard that write at once: numbers, idempotency and the fence hold, and nobody deadlocks.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{ConversationId, Epoch, UnitId};
use ostracon_store::{Answer, Pair, Transfer, UnitChange, UnitPhase};
use ostracon_store_postgres::PostgresShard;

use crate::fixture::{
    ALICE, commit, direct, formatted, home, ids, newest, open, options, send_in, sent, units, user,
};

const PAIRS: u64 = 12;

fn pairs() -> Vec<ConversationId> {
    (1..=PAIRS).map(|n| ConversationId::direct(ALICE, user(n))).collect()
}

fn pair_units() -> Vec<UnitId> {
    pairs().iter().map(|id| id.slot().unit()).collect()
}

/// Two handles, as two processes have them: nothing is shared but the database.
async fn two() -> [Arc<PostgresShard>; 2] {
    let mut options = options();
    let first = formatted(&options, &pair_units()).await;
    options.ids = ids(2);
    [first, open(&options).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_number_without_gaps_and_send_once() {
    let shards = two().await;
    let mut tasks = Vec::new();
    for writer in 0..4usize {
        let shard = Arc::clone(&shards[writer % 2]);
        tasks.push(tokio::spawn(async move {
            let mut results = Vec::new();
            for round in 0..30 {
                // Every message is sent by all writers, to all conversations, in another order each.
                let mut all = pairs();
                all.rotate_left(writer * 3);
                if writer % 2 == 1 {
                    all.reverse();
                }
                let orders = all.iter().map(|id| send_in(*id, ALICE, &format!("m-{round}")));
                let answers = commit(&*shard, orders.collect()).await.unwrap().answers;
                for (id, answer) in all.iter().zip(&answers) {
                    results.push((*id, round, sent(answer)));
                }
            }
            results
        }));
    }
    let mut first = BTreeMap::new();
    let mut fresh = 0;
    for task in tasks {
        for (id, round, (seq, duplicate)) in task.await.unwrap() {
            fresh += usize::from(!duplicate);
            assert_eq!(*first.entry((id, round)).or_insert(seq), seq, "one result for one message");
        }
    }
    assert_eq!(fresh, pairs().len() * 30);
    for id in pairs() {
        let page = newest(&*shards[0], id, ALICE).await.unwrap();
        let seqs: Vec<u64> = page.messages.iter().map(|view| view.message.seq).collect();
        assert_eq!(seqs, (1..=30).collect::<Vec<_>>());
        assert_eq!(page.conversation.head_seq, 30);
        assert!(page.messages.is_sorted_by(|a, b| {
            a.message.message_id < b.message.message_id && a.message.rev + 1 == b.message.rev
        }));
        assert_eq!(page.messages[29].message.rev, page.conversation.rev);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_is_born_once() {
    let shards = two().await;
    for id in pairs() {
        let births = shards.iter().map(|shard| {
            let shard = Arc::clone(shard);
            tokio::spawn(async move {
                commit(&*shard, vec![send_in(id, ALICE, "hello")]).await.unwrap().answers
            })
        });
        let mut results = Vec::new();
        for birth in births.collect::<Vec<_>>() {
            results.push(sent(&birth.await.unwrap()[0]));
        }
        results.sort_unstable();
        assert_eq!(results, [(1, false), (1, true)]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_state_at_one_handle_fences_the_other() {
    let mut options = options();
    let one = formatted(&options, &units()).await;
    options.ids = ids(2);
    let other = open(&options).await;
    let unit = direct().slot().unit();
    let (sender, mut done) = tokio::sync::watch::channel(0u64);
    // One writes without a pause until it is fenced; the other freezes the unit in the middle.
    let writer = {
        let one = Arc::clone(&one);
        tokio::spawn(async move {
            for n in 1.. {
                let answers =
                    commit(&*one, vec![send_in(direct(), ALICE, &format!("m-{n}"))]).await;
                match &answers.unwrap().answers[0] {
                    Answer::Fenced(Some(state)) => {
                        assert_eq!(state.phase, UnitPhase::Frozen);
                        return n - 1;
                    }
                    answer => assert_eq!(sent(answer), (n, false)),
                }
                sender.send_replace(n);
            }
            0
        })
    };
    done.wait_for(|sent| *sent >= 20).await.unwrap();
    let ways = [(UnitPhase::Open, UnitPhase::Capturing), (UnitPhase::Capturing, UnitPhase::Frozen)];
    for (step, (from, to)) in ways.into_iter().enumerate() {
        let change = UnitChange {
            unit,
            expect: Some((from, Epoch(1))),
            phase: to,
            epoch: Epoch(1),
            pair: Pair { lease: 1, step: step as u64 + 1 },
        };
        other.set_unit_state(change).await.unwrap();
    }
    // When the change has returned, everything under the old state is there and nothing more comes.
    let head = other.scan_unit(unit, None, 100_000).await.unwrap().rows;
    let messages =
        head.iter().filter(|row| matches!(row, ostracon_domain::Row::Message(_))).count();
    assert_eq!(writer.await.unwrap(), messages as u64);
    let later = commit(&*one, vec![send_in(direct(), ALICE, "late")]).await.unwrap();
    assert!(matches!(later.answers[0], Answer::Fenced(Some(_))));
    assert_eq!(home(direct()).epoch, Epoch(1));
}
