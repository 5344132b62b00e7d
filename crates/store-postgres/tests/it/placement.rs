//! Placement computed by SQL is that of the server, and rows can be asked for by it.

use ostracon_domain::{ConversationId, UserId, pair_hash};
use serde_json::Value;
use tokio_postgres::{Client, NoTls};

use crate::fixture::{ALICE, BOB, SHARD, direct, formatted, options, say, shared_url, units};

async fn sql(schema: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(shared_url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("SET search_path = {schema}")).await.unwrap();
    client
}

fn vectors() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../domain/vectors/pair_hash.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

#[tokio::test]
async fn sql_computes_the_vectors() {
    let options = options();
    formatted(&options, &[]).await;
    let client = sql(options.schema().as_str()).await;
    let vectors = vectors();
    assert!(vectors.len() > 10);
    for vector in vectors {
        let id = |name: &str| vector[name].as_i64().unwrap();
        let (a, b) = (id("user1"), id("user2"));
        let row = client
            .query_one(
                "SELECT pair_hash($1, $2)::text, calculate_shard_id($1, $2, 4), calculate_shard_id($1, $2, 16), \
                 calculate_shard_id($1, $2, 32), slot_of($1, $2)",
                &[&a, &b],
            )
            .await
            .unwrap();
        assert_eq!(row.get::<_, &str>(0), vector["hash"].as_str().unwrap(), "{a} {b}");
        for (at, name) in [(1, "mod4"), (2, "mod16"), (3, "mod32"), (4, "slot")] {
            assert_eq!(i64::from(row.get::<_, i32>(at)), id(name), "{name} of {a} {b}");
        }
    }
    // Any other number of shards is the plain rule too.
    let (a, b) = (ALICE.get(), BOB.get());
    let row = client.query_one("SELECT calculate_shard_id(1, 2, 7)", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0) as u64, pair_hash(a, b) % 7);
}

#[tokio::test]
async fn sql_computes_ids_of_direct_conversations() {
    let options = options();
    formatted(&options, &[]).await;
    let client = sql(options.schema().as_str()).await;
    let last = (1 << 53) - 1;
    for (a, b) in [(1, 2), (2, 1), (7, 7), (1, last), (last, last), (31, 1 << 46), (1 << 46, 33)] {
        let row = client.query_one("SELECT direct_id($1, $2)", &[&a, &b]).await.unwrap();
        let user = |id: i64| UserId::new(id as u64).unwrap();
        let id = ConversationId::direct(user(a), user(b));
        assert_eq!(row.get::<_, uuid::Uuid>(0).as_u128(), id.as_u128(), "{a} {b}");
    }
}

#[tokio::test]
async fn rows_can_be_asked_for_by_their_placement() {
    let options = options();
    let shard = formatted(&options, &units()).await;
    say(&*shard, "one").await.unwrap();
    say(&*shard, "two").await.unwrap();
    let client = sql(options.schema().as_str()).await;
    let rows = client
        .query(
            "SELECT content, unit, slot FROM placed_message \
             WHERE shard_id = $1 AND conversation = direct_id($2, $3) AND slot = slot_of($2, $3) ORDER BY seq",
            &[&i64::from(SHARD.0), &(ALICE.get() as i64), &(BOB.get() as i64)],
        )
        .await
        .unwrap();
    let texts: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(rows[0].get::<_, i64>(1), i64::from(direct().slot().unit().0));
    assert_eq!(rows[0].get::<_, i16>(2) as u16, direct().slot().get());
    // A user's own rows are placed by the same id twice.
    let last = UserId::new((1 << 53) - 1).unwrap();
    let row = client.query_one("SELECT slot_of($1, $1)", &[&(last.get() as i64)]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0) as u16, last.slot().get());
}
