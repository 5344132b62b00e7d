//! Stories of the cluster: identity, shards, map, node numbers, secrets.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use ostracon_domain::{PlacementMap, ShardId, UnitId, id::SLOTS};

use super::Fixture;
use crate::directory::{DirectoryError, ShardRow};

fn embedded(ids: &[u32]) -> Vec<ShardRow> {
    ids.iter().map(|id| ShardRow::new(ShardId(*id), "embedded")).collect()
}

/// Made once, the same for ever; secrets differ by name.
pub async fn identity_and_secrets_stay(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let cluster = d.cluster_id().await.unwrap();
    assert_ne!(cluster, 0);
    let key = d.secret("idempotency").await.unwrap();
    let other = d.secret("tickets").await.unwrap();
    assert_ne!(key, other);
    assert_eq!(d.secret("idempotency").await.unwrap(), key);
    let d = fixture.reopened(d).await;
    assert_eq!(d.cluster_id().await.unwrap(), cluster);
    assert_eq!(d.secret("tickets").await.unwrap(), other);
    assert_eq!(d.secret("idempotency").await.unwrap(), key);
}

/// The first founding decides, also after a restart.
pub async fn a_cluster_is_founded_once(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    assert_eq!(d.shards().await.unwrap(), []);
    assert_eq!(d.map().await.unwrap(), PlacementMap::new(0, [], [], []));
    let mut shards = embedded(&[0, 1, 2, 3]);
    shards[2].url = "postgres://user@host/db?schema=s2".to_owned();
    d.found(&shards).await.unwrap();
    let map = PlacementMap::initial(&[0, 1, 2, 3].map(ShardId));
    assert_eq!(d.shards().await.unwrap(), shards);
    assert_eq!(d.map().await.unwrap(), map);
    d.found(&embedded(&[8, 9])).await.unwrap();
    let d = fixture.reopened(d).await;
    d.found(&embedded(&[8, 9])).await.unwrap();
    assert_eq!(d.shards().await.unwrap(), shards);
    assert_eq!(d.map().await.unwrap(), map);
}

/// No shard, or one number twice.
pub async fn foundings_that_make_no_sense_change_nothing(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let none = d.found(&[]).await;
    assert!(matches!(none, Err(DirectoryError::Refused(_))));
    let twice = d.found(&embedded(&[1, 2, 1])).await;
    assert_eq!(twice, Err(DirectoryError::Taken("shard number")));
    assert_eq!(d.shards().await.unwrap(), []);
    assert_eq!(d.map().await.unwrap().version, 0);
    d.found(&embedded(&[5])).await.unwrap();
    assert_eq!(d.shards().await.unwrap(), embedded(&[5]));
}

/// Slot `s` lives on the `s mod N`-th of the shards as they were given; they are listed by number.
pub async fn any_number_of_shards_shares_the_slots(fixture: &dyn Fixture) {
    for ids in [vec![0], vec![7, 2, 4_000_000_000], (0..16).collect()] {
        let d = fixture.fresh().await;
        d.found(&embedded(&ids)).await.unwrap();
        let map = d.map().await.unwrap();
        assert_eq!(map.units().count(), usize::from(SLOTS));
        for slot in 0..SLOTS {
            let home = map.home(UnitId(u32::from(slot))).unwrap();
            assert_eq!(home.shard.0, ids[usize::from(slot) % ids.len()]);
        }
        let mut by_number = ids.clone();
        by_number.sort_unstable();
        assert_eq!(d.shards().await.unwrap(), embedded(&by_number));
    }
}

/// A lease starts where the reserved time of the same number ended.
pub async fn id_time_never_goes_back(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let unknown = d.reserve_ids(3, 1_000).await;
    assert!(matches!(unknown, Err(DirectoryError::Refused(_))));
    let first = d.lease_node(1_000).await.unwrap();
    assert!(first.number < 1_024);
    assert_eq!(first.ids_from, 0);
    d.reserve_ids(first.number, 5_000).await.unwrap();
    d.reserve_ids(first.number, 4_000).await.unwrap();
    let d = fixture.reopened(d).await;
    // The clock went back while the node was down.
    let second = d.lease_node(500).await.unwrap();
    assert!(second.number != first.number || second.ids_from == 5_000);
    d.reserve_ids(second.number, 6_000).await.unwrap();
}
