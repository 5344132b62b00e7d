//! What is refused when a shard is opened: foreign, newer, unformatted, unreachable.

use ostracon_domain::ShardId;
use ostracon_store::{ShardError, Transfer};
use ostracon_store_postgres::{OpenError, PostgresOptions, PostgresShard, testing::Server};
use tokio_postgres::NoTls;

use crate::fixture::{formatted, ids, open, options, options_on, say, shared_url, units};

async fn execute(options: &PostgresOptions, sql: &str) {
    execute_on(shared_url(), options, sql).await;
}

async fn execute_on(url: &str, options: &PostgresOptions, sql: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = sql.replace("{schema}", options.schema().as_str());
    client.batch_execute(&sql).await.unwrap();
}

async fn refused(options: &PostgresOptions, sentence: &str) {
    let connected = PostgresShard::connect(options.clone()).await.map(|_| ());
    let formatted = PostgresShard::format(options, Vec::new()).await;
    for answer in [connected, formatted] {
        match answer {
            Err(OpenError::Refused(why)) => assert!(why.contains(sentence), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_shard_belongs_to_one_cluster_and_has_one_number() {
    let mine = options();
    formatted(&mine, &units()).await;
    let mut other = mine.clone();
    other.cluster += 1;
    refused(&other, "another cluster").await;
    let mut other = mine.clone();
    other.shard = ShardId(4);
    refused(&other, "not shard").await;
    open(&mine).await;
}

#[tokio::test]
async fn a_shard_that_changed_hands_is_noticed_by_the_next_connection() {
    let server = Server::start();
    let mine = options_on(&server.url(), ids(1));
    let shard = formatted(&mine, &units()).await;
    say(&*shard, "one").await.unwrap();
    execute_on(&server.url(), &mine, "UPDATE {schema}.meta SET shard = 9").await;
    server.tell("restart");
    loop {
        match say(&*shard, "two").await {
            Err(ShardError::Unavailable(why)) if why.contains("not shard") => break,
            Err(ShardError::Unavailable(_)) => tokio::task::yield_now().await,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let options = options();
    formatted(&options, &units()).await;
    execute(&options, "INSERT INTO {schema}.migration (version) VALUES (999)").await;
    refused(&options, "use a newer server").await;
}

#[tokio::test]
async fn a_schema_that_holds_something_else_is_left_alone() {
    let options = options();
    execute(&options, "CREATE SCHEMA {schema}; CREATE TABLE {schema}.invoices (id int)").await;
    let answer = PostgresShard::format(&options, Vec::new()).await;
    assert!(matches!(answer, Err(OpenError::Refused(why)) if why.contains("something else")));
    let answer = PostgresShard::connect(options).await.map(|_| ());
    assert!(matches!(answer, Err(OpenError::Refused(why)) if why.contains("format")));
}

#[tokio::test]
async fn formatting_again_and_at_once_changes_nothing() {
    let options = options();
    let shard = formatted(&options, &units()).await;
    say(&*shard, "one").await.unwrap();
    let before = shard.unit_states().await.unwrap();
    let again = formatted(&options, &[]).await;
    assert_eq!(again.unit_states().await.unwrap(), before);
    assert_eq!(say(&*again, "one").await.unwrap(), (1, true));

    let options = crate::fixture::options();
    let units = units();
    let (first, second) = tokio::join!(formatted(&options, &units), formatted(&options, &units));
    assert_eq!(first.unit_states().await.unwrap(), second.unit_states().await.unwrap());
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let url = "postgres://app@127.0.0.1:1/postgres";
    let options = PostgresOptions::new(url, 1, ShardId(0), ids(1)).unwrap();
    let answer = PostgresShard::connect(options).await.map(|_| ());
    assert!(matches!(answer, Err(OpenError::Unavailable(_))), "{answer:?}");
}
