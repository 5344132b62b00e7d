//! Two processes on one directory: who comes second is told, and both see what either did.

use std::collections::BTreeSet;

use ostracon_domain::UnitId;
use ostracon_store::{
    Accounts as _, Cluster as _, DirectoryError, Moves as _, Sessions as _,
    directory::{
        AccountRole, JobState, MoveLost, MovePhase, MoveRefusal, NewSession, NewUser, ShardRow,
    },
};

use super::{A, B, external, open, options, planned, two, two_of_a_cluster};

/// Both find a cluster, with different shards; the first one decides, for both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_founded_by_one() {
    let [one, other] = two().await;
    let shards = [[A].as_slice(), [A, B].as_slice()]
        .map(|ids| ids.iter().map(|id| ShardRow::new(*id, "embedded")).collect::<Vec<_>>());
    let (first, second) = tokio::join!(one.found(&shards[0]), other.found(&shards[1]));
    first.unwrap();
    second.unwrap();
    let known = one.shards().await.unwrap();
    assert!(shards.contains(&known));
    assert_eq!(other.shards().await.unwrap(), known);
    assert_eq!(one.map().await.unwrap(), other.map().await.unwrap());
}

/// A map that one of them changes is the other's at its next look.
#[tokio::test]
async fn a_commit_is_seen_by_the_other() {
    let [one, other] = two_of_a_cluster().await;
    let before = other.map().await.unwrap();
    let row = planned(&one, &[4, 6]).await;
    let row = one.begin_move(row.id, 2).await.unwrap();
    let freezing =
        other.advance_move(row.id, row.lease, MovePhase::Copying, MovePhase::Freezing, 3);
    let freeze = freezing.await.unwrap().freeze;
    assert_eq!(other.map().await.unwrap(), before);
    let version = one.commit_move(row.id, row.lease, freeze, 4).await.unwrap();
    let after = other.map().await.unwrap();
    assert_eq!((after.version, version), (before.version + 1, before.version + 1));
    assert_eq!(after.home(UnitId(4)).unwrap().shard, B);
    assert_eq!(one.map().await.unwrap(), after);
    assert_eq!(other.garbage().await.unwrap().len(), 2);
    // The other one goes on with the map that it did not make.
    let row = planned(&other, &[8]).await;
    let row = other.begin_move(row.id, 5).await.unwrap();
    let freezing = one.advance_move(row.id, row.lease, MovePhase::Copying, MovePhase::Freezing, 6);
    let freeze = freezing.await.unwrap().freeze;
    assert_eq!(other.commit_move(row.id, row.lease, freeze, 7).await.unwrap(), version + 1);
    assert_eq!(one.map().await.unwrap().version, version + 1);
}

/// Of two moves of one unit that begin at once, in two processes, one begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_begins_to_move_once() {
    let [one, other] = two_of_a_cluster().await;
    for round in 0..20 {
        let unit = 2 * round;
        let (mine, theirs) = (planned(&one, &[unit]).await, planned(&other, &[unit]).await);
        let (first, second) =
            tokio::join!(one.begin_move(mine.id, 2), other.begin_move(theirs.id, 2));
        let refusals: Vec<_> =
            [&first, &second].into_iter().filter_map(|r| r.as_ref().err()).collect();
        assert!(matches!(refusals[..], [MoveRefusal::Busy { .. }]), "{first:?} {second:?}");
    }
    let leases: BTreeSet<_> =
        one.unfinished_moves().await.unwrap().into_iter().map(|row| row.lease).collect();
    assert_eq!(leases.len(), 20);
}

/// A commit, a way back and a take-over of the same freeze at once: either the commit or the others, never both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_ends_one_way() {
    let [one, other] = two_of_a_cluster().await;
    for round in 0..20 {
        let unit = UnitId(2 * round);
        let row = planned(&one, &[unit.0]).await;
        let row = one.begin_move(row.id, 2).await.unwrap();
        let freezing =
            one.advance_move(row.id, row.lease, MovePhase::Copying, MovePhase::Freezing, 3);
        let row = freezing.await.unwrap();
        let version = one.map().await.unwrap().version;
        let (committed, back, taken) = tokio::join!(
            one.commit_move(row.id, row.lease, row.freeze, 4),
            other.advance_move(row.id, row.lease, MovePhase::Freezing, MovePhase::Copying, 4),
            async {
                match round % 2 {
                    0 => Some(other.take_over_move(row.id, 4).await.unwrap()),
                    _ => None,
                }
            },
        );
        let now = other.move_row(row.id).await.unwrap().unwrap();
        let home = other.map().await.unwrap().home(unit).unwrap().shard;
        match committed {
            Ok(after) => {
                assert_eq!((after, home, now.phase), (version + 1, B, MovePhase::Committed));
                assert!(matches!(back, Err(MoveLost::Lost(_))), "{back:?}");
            }
            Err(MoveLost::Lost(_)) => {
                assert_eq!((home, now.phase), (A, MovePhase::Copying));
                assert_eq!(one.map().await.unwrap().version, version);
            }
            Err(other) => panic!("{other}"),
        }
        if let Some(taken) = taken {
            assert_eq!(now.lease, taken.lease);
        }
    }
}

/// Commits of both at once: each is one version, and none is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_at_once_are_all_in_the_map() {
    let handles = two_of_a_cluster().await;
    let mut moving = Vec::new();
    for n in 0..16 {
        let handle = &handles[n as usize % 2];
        let row = planned(handle, &[2 * n]).await;
        let row = handle.begin_move(row.id, 2).await.unwrap();
        let (from, to) = (MovePhase::Copying, MovePhase::Freezing);
        moving.push(handle.advance_move(row.id, row.lease, from, to, 3).await.unwrap());
    }
    let commits = moving
        .iter()
        .zip(0..)
        .map(|(row, n): (_, usize)| handles[n % 2].commit_move(row.id, row.lease, row.freeze, 4));
    let mut versions: Vec<_> =
        futures_util::future::join_all(commits).await.into_iter().map(Result::unwrap).collect();
    versions.sort_unstable();
    assert!(versions.iter().copied().eq(2..18), "{versions:?}");
    for handle in &handles {
        let map = handle.map().await.unwrap();
        assert!((0..16).all(|n| map.home(UnitId(2 * n)).unwrap().shard == B));
    }
}

/// A shard goes while the other plans with it: either it stays, or the plan is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_plan_names_a_shard_that_is_gone() {
    let [one, other] = two_of_a_cluster().await;
    for _ in 0..10 {
        let new = one.add_shard("embedded").await.unwrap().id;
        let change = ostracon_domain::MapChange::Move { units: vec![UnitId(0)], to: new };
        let moves =
            vec![ostracon_store::directory::NewMove { source: A, destination: new, change }];
        let (title, request, by) = (String::new(), String::new(), String::new());
        let job = ostracon_store::directory::NewJob { title, request, by, moves };
        let (removed, planned) = tokio::join!(one.remove_shard(new), other.plan_job(job, 1));
        assert!(removed.is_ok() != planned.is_ok(), "{removed:?} {planned:?}");
        if let Ok(job) = planned {
            let over = one.set_job(job.id, &[JobState::Planned], JobState::Aborted, None, 2).await;
            assert!(over.unwrap().is_some());
            one.remove_shard(new).await.unwrap();
        }
    }
}

/// Names are taken once, accounts are numbered without a gap, a password that changes here counts there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_of_both_are_one_list() {
    let [one, other] = two().await;
    let names = |order: [u32; 8]| order.map(|n| external(&format!("u{n}"))).to_vec();
    let (first, second) = tokio::join!(
        one.create_users(names([0, 1, 2, 3, 4, 5, 6, 7]), 1),
        other.create_users(names([7, 6, 5, 4, 3, 2, 1, 0]), 1),
    );
    let made = match (first, second) {
        (Ok(made), Err(DirectoryError::Taken("external id")))
        | (Err(DirectoryError::Taken("external id")), Ok(made)) => made,
        unexpected => panic!("{unexpected:?}"),
    };
    assert!(made.iter().map(|user| user.id.get()).eq(1..9));
    let bob = NewUser { username: Some("bob".to_owned()), ..external("bob") };
    let bob = other.create_user(bob, 2).await.unwrap();
    assert_eq!(bob.id.get(), 9);
    one.set_password(bob.id, "new").await.unwrap();
    one.set_role(bob.id, AccountRole::Admin).await.unwrap();
    let (user, hash) = other.credentials("bob").await.unwrap().unwrap();
    assert_eq!((user.version, user.role, hash.as_deref()), (3, AccountRole::Admin, Some("new")));
    let token_hash = [7; 32];
    let new = NewSession { user: bob.id, token_hash, device_name: None, expires_at: None };
    let session = one.create_session(new, 3).await.unwrap();
    assert_eq!(other.session_by_token(&token_hash, 4).await.unwrap().unwrap().0, session);
    assert!(other.revoke_session(bob.id, session.id).await.unwrap());
    assert_eq!(one.session_by_token(&token_hash, 4).await.unwrap(), None);
}

/// A text that PostgreSQL cannot store is refused, and found nowhere.
#[tokio::test]
async fn a_text_with_a_null_character_is_refused() {
    let directory = open(&options()).await;
    let made = directory.create_user(external("a\0b"), 1).await;
    assert!(
        matches!(&made, Err(DirectoryError::Refused(why)) if why.contains("U+0000")),
        "{made:?}"
    );
    assert_eq!(directory.users_by_external_id(&["a\0b".to_owned()]).await.unwrap(), []);
    assert_eq!(directory.credentials("a\0b").await.unwrap(), None);
    assert_eq!(directory.find_users("a\0b", None, 10).await.unwrap(), []);
}

/// Each node has a number of its own, and the same one after a restart; who lost it can reserve no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_have_different_numbers() {
    let options = options();
    let as_node = |node| ostracon_store_postgres::DirectoryOptions { node, ..options.clone() };
    let (one, other) = (open(&as_node(1)).await, open(&as_node(2)).await);
    let (first, second) = tokio::join!(one.lease_node(1_000), other.lease_node(1_000));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_ne!(first.number, second.number);
    one.reserve_ids(first.number, 9_000).await.unwrap();
    let foreign = other.reserve_ids(first.number, 99_000).await;
    assert!(matches!(&foreign, Err(DirectoryError::Refused(why)) if why.contains("another node")));
    let again = open(&as_node(1)).await.lease_node(500).await.unwrap();
    assert_eq!((again.number, again.ids_from), (first.number, 9_000));

    // When all numbers are in use, that of a node that has been gone for a day is given away, with its time.
    let day = 24 * 60 * 60 * 1_000;
    let client = super::sql(&options).await;
    let rest = format!(
        "INSERT INTO node SELECT number, gen_random_uuid(), {day}, {day} FROM generate_series(2, 1023) AS n (number)"
    );
    client.batch_execute(&rest).await.unwrap();
    let late = open(&as_node(3)).await;
    let full = late.lease_node(day).await;
    assert!(matches!(full, Err(DirectoryError::Refused(_))), "{full:?}");
    let taken = late.lease_node(day + 9_001).await.unwrap();
    // The restart at 500 was the newest word of node 2; it reserved nothing.
    assert_eq!((taken.number, taken.ids_from), (second.number, 0));
    assert!(other.reserve_ids(second.number, day).await.is_err());
}
