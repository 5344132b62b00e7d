//! Placement in SQL: the vectors, by ids of an existing system, and by the map.

use std::collections::BTreeMap;

use ostracon_domain::{ConversationId, Cover, MapChange, PlacementMap, UserId};
use ostracon_store::{
    Accounts as _, Cluster as _, Moves as _,
    directory::{MovePhase, NewJob, NewMove, ShardRow},
};
use ostracon_store_postgres::PostgresDirectory;
use serde_json::Value;
use tokio_postgres::Client;

use super::{A, B, external, open, options, sql};

fn vectors() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../domain/vectors/pair_hash.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

#[tokio::test]
async fn sql_computes_the_vectors_by_external_id() {
    let options = options();
    open(&options).await;
    let client = sql(&options).await;
    let vectors = vectors();
    assert!(vectors.len() > 10);
    for vector in vectors {
        let id = |name: &str| vector[name].as_i64().unwrap();
        let (a, b) = (id("user1"), id("user2"));
        // An existing system may call its users anything.
        let (ext_a, ext_b) = (format!("x-{a}"), format!("x-{b}"));
        for (id, name) in [(a, &ext_a), (b, &ext_b)] {
            let account = "INSERT INTO account (id, external_id, display_name, folded_name, role, created_at, version) \
                           VALUES ($1, $2, '', '', 0, 0, 1) ON CONFLICT DO NOTHING";
            client.execute(account, &[&id, name]).await.unwrap();
        }
        let row = client
            .query_one(
                "SELECT pair_hash($1, $2)::text, slot_of($1, $2), calculate_shard_id($1, $2, 4), \
                 calculate_shard_id($3, $4, 4), calculate_shard_id($3, $4, 16), calculate_shard_id($3, $4, 32)",
                &[&a, &b, &ext_a, &ext_b],
            )
            .await
            .unwrap();
        assert_eq!(row.get::<_, &str>(0), vector["hash"].as_str().unwrap(), "{a} {b}");
        let names = [(1, "slot"), (2, "mod4"), (3, "mod4"), (4, "mod16"), (5, "mod32")];
        for (at, name) in names {
            assert_eq!(i64::from(row.get::<_, i32>(at)), id(name), "{name} of {a} {b}");
        }
    }
    // Plain literals mean what they look like; who is unknown has no shard.
    let sql = "SELECT calculate_shard_id(1, 2, 4), calculate_shard_id('x-1', 'x-2', 4), \
               calculate_shard_id('x-1', 'nobody', 4)";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), row.get::<_, i32>(1));
    assert_eq!(row.get::<_, Option<i32>>(2), None);
}

async fn change(directory: &PostgresDirectory, change: MapChange) {
    let moves = vec![NewMove { source: A, destination: A, change }];
    commit(directory, moves).await;
}

async fn commit(directory: &PostgresDirectory, moves: Vec<NewMove>) {
    let (title, request, by) = (String::new(), String::new(), String::new());
    let job = directory.plan_job(NewJob { title, request, by, moves }, 1).await.unwrap();
    let row = directory.moves_of(job.id).await.unwrap().remove(0);
    let row = directory.begin_move(row.id, 2).await.unwrap();
    let freezing =
        directory.advance_move(row.id, row.lease, MovePhase::Copying, MovePhase::Freezing, 3);
    let row = freezing.await.unwrap();
    directory.commit_move(row.id, row.lease, row.freeze, 4).await.unwrap();
    let (from, to) = (MovePhase::Committed, MovePhase::Done);
    directory.advance_move(row.id, row.lease, from, to, 5).await.unwrap();
    for left in directory.garbage().await.unwrap() {
        directory.delete_garbage(left.id).await.unwrap();
    }
}

async fn agrees(client: &Client, map: &PlacementMap, users: &[UserId]) -> BTreeMap<i64, u32> {
    let mut homes = BTreeMap::new();
    for a in users {
        for b in users {
            let unit = map.unit_of(ConversationId::direct(*a, *b));
            let home = i64::from(map.home(unit).unwrap().shard.0);
            let (a, b) = (a.get() as i64, b.get() as i64);
            let names = (format!("u{a}"), format!("u{b}"));
            let row = client
                .query_one(
                    "SELECT placed_shard_id($1::bigint, $2::bigint), placed_shard_id($3::text, $4::text)",
                    &[&a, &b, &names.0, &names.1],
                )
                .await
                .unwrap();
            assert_eq!((row.get(0), row.get(1)), (home, home), "{a} {b}");
            *homes.entry(home).or_default() += 1;
        }
    }
    homes
}

/// Slots that moved, a pair of its own and two hot users: SQL says what the server's map says.
#[tokio::test]
async fn sql_places_as_the_map_does() {
    let options = options();
    let directory = open(&options).await;
    directory.found(&[A, B].map(|id| ShardRow::new(id, "embedded"))).await.unwrap();
    let new = (1..13).map(|n| external(&format!("u{n}"))).collect();
    let users: Vec<_> =
        directory.create_users(new, 1).await.unwrap().into_iter().map(|user| user.id).collect();
    let client = sql(&options).await;
    agrees(&client, &directory.map().await.unwrap(), &users).await;

    let on_a = |user: UserId| {
        let mut slots: Vec<_> = users
            .iter()
            .map(|other| ConversationId::direct(user, *other).slot())
            .filter(|slot| slot.get() % 2 == 0)
            .collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    };
    let child = directory.reserve_units(3).await.unwrap();
    // Two hot users; of what both are in, the first one decides.
    for n in 0..2 {
        let (user, rank) = (users[n], directory.next_rank().await.unwrap());
        let add = MapChange::AddUser { user, rank, targets: vec![B] };
        directory.change_overrides(&add).await.unwrap();
        // The older one's table does not hold all of its slots.
        let slots: Vec<_> = on_a(user).into_iter().skip(1 - n).collect();
        let parents = slots.iter().map(|slot| slot.unit()).collect();
        let cover = Cover::User { user, slots, own: false };
        let child = ostracon_domain::UnitId(child.0 + n as u32);
        change(&directory, MapChange::Carve { parents, child, cover }).await;
        let units = vec![child];
        let to_b = MapChange::Move { units, to: B };
        commit(&directory, vec![NewMove { source: A, destination: B, change: to_b }]).await;
        agrees(&client, &directory.map().await.unwrap(), &users).await;
    }
    // A pair of its own that stays at home.
    let pair = (5..12)
        .map(|n| ConversationId::direct(users[4], users[n]))
        .find(|id| id.slot().get() % 2 == 0)
        .unwrap();
    let child = ostracon_domain::UnitId(child.0 + 2);
    let parents = vec![pair.slot().unit()];
    change(&directory, MapChange::Carve { parents, child, cover: Cover::Conversation(pair) }).await;
    let to_b = MapChange::Move { units: vec![pair.slot().unit()], to: B };
    commit(&directory, vec![NewMove { source: A, destination: B, change: to_b }]).await;
    let homes = agrees(&client, &directory.map().await.unwrap(), &users).await;
    assert!(homes.values().all(|pairs| *pairs > 10), "{homes:?}");
}
