//! Shards that come and go while their store is open, and what the next start makes of them.

use ostracon_domain::{Epoch, ShardId};
use ostracon_store::{Shard, Transfer, UnitPhase};
use ostracon_store_embedded::EmbeddedStore;

use crate::fixture::{Home, SHARD, options};

const NEW: ShardId = ShardId(7);

#[tokio::test]
async fn a_shard_comes_and_goes_and_the_next_start_knows() {
    let mut home = Home::of_pair(None).await;
    let unit = crate::fixture::direct().slot().unit();
    {
        let store = home.store();
        let added = store.add(NEW).unwrap();
        assert!(store.add(NEW).is_err(), "it is open already");
        assert_eq!(store.shards().len(), 2);
        assert!(added.unit_states().await.unwrap().is_empty());
        // Two that are open at the same time are of the same start.
        assert_eq!(added.incarnation(), store.shard(SHARD).unwrap().incarnation());
        store.format(NEW, [(unit, Epoch(1))]).await.unwrap();
        let states = added.unit_states().await.unwrap();
        assert_eq!((states.len(), states[0].phase), (1, UnitPhase::Open));
    }
    let ids = std::sync::Arc::clone(&home.ids);
    home.take_store().close().await.unwrap();
    {
        let mut both = options(home.dir.path(), &ids);
        both.shards.push(NEW);
        let store = EmbeddedStore::open(both).unwrap();
        let states = store.shard(NEW).unwrap().unit_states().await.unwrap();
        assert_eq!(states.len(), 1, "what it was given is there");
        let path = store.shard(NEW).unwrap().path().to_owned();
        store.remove(NEW).await.unwrap();
        store.remove(NEW).await.unwrap();
        assert_eq!(store.shards().len(), 1);
        assert!(!path.exists());
        assert!(path.with_extension("db.removed").exists(), "its tables are put aside");
        // Not closed in good order: the journal still has its records.
    }
    home.reopen();
    assert_eq!(home.store().shards().len(), 1);
}
