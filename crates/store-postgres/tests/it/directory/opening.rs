//! What is refused when a directory is opened: foreign, newer, another cluster's, gone, unreachable. What is not: at once.

use std::time::Duration;

use ostracon_domain::ShardId;
use ostracon_store::{Cluster as _, DirectoryError};
use ostracon_store_postgres::{
    DirectoryOptions, OpenError, PostgresDirectory, PostgresOptions, PostgresShard, testing::Server,
};

use super::{open, options, options_on, sql};
use crate::fixture::{CLUSTER, ids, shared_url};

async fn refused(options: &DirectoryOptions, sentence: &str) {
    match PostgresDirectory::connect(options.clone()).await.map(|_| ()) {
        Err(OpenError::Refused(why)) => assert!(why.contains(sentence), "{why}"),
        other => panic!("{other:?}"),
    }
}

async fn tables(options: &DirectoryOptions) -> i64 {
    let schema = options.access.schema().as_str();
    let client = sql(options).await;
    let row = client
        .query_one("SELECT count(*) FROM pg_tables WHERE schemaname = $1", &[&schema])
        .await
        .unwrap();
    row.get(0)
}

#[tokio::test]
async fn a_newer_directory_is_refused() {
    let options = options();
    let known = open(&options).await;
    sql(&options)
        .await
        .batch_execute("INSERT INTO migration (version) VALUES (999)")
        .await
        .unwrap();
    refused(&options, "use a newer server").await;
    drop(known);
}

#[tokio::test]
async fn what_is_no_directory_is_left_alone() {
    let foreign = options();
    let schema = foreign.access.schema();
    let make = format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.invoices (id int)");
    sql(&foreign).await.batch_execute(&make).await.unwrap();
    refused(&foreign, "something else").await;
    assert_eq!(tables(&foreign).await, 1);

    // A shard is no directory, and a directory no shard.
    let other = options();
    let url = format!("{}?schema={}", shared_url(), other.access.schema());
    let shard = PostgresOptions::new(&url, CLUSTER, ShardId(0), ids(1)).unwrap();
    PostgresShard::format(&shard, []).await.unwrap();
    refused(&other, "something else").await;

    let directory = options();
    open(&directory).await;
    let url = format!("{}?schema={}", shared_url(), directory.access.schema());
    let shard = PostgresOptions::new(&url, CLUSTER, ShardId(0), ids(1)).unwrap();
    let formatted = PostgresShard::format(&shard, []).await;
    assert!(matches!(formatted, Err(OpenError::Refused(why)) if why.contains("something else")));
    let connected = PostgresShard::connect(shard).await.map(|_| ());
    assert!(matches!(connected, Err(OpenError::Refused(why)) if why.contains("something else")));
}

#[tokio::test]
async fn a_directory_belongs_to_one_cluster() {
    let mut options = options();
    // A node that knows its cluster makes no other one.
    options.cluster = Some(5);
    refused(&options, "is gone").await;
    assert_eq!(tables(&options).await, 0);
    options.cluster = None;
    let cluster = open(&options).await.cluster_id().await.unwrap();
    options.cluster = Some(cluster);
    assert_eq!(open(&options).await.cluster_id().await.unwrap(), cluster);
    options.cluster = Some(cluster + 1);
    refused(&options, "another cluster").await;
}

#[tokio::test]
async fn a_directory_that_changed_hands_is_noticed_by_the_next_connection() {
    let server = Server::start();
    let options = options_on(&server.url());
    let directory = open(&options).await;
    let (client, connection) =
        tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let other = format!("UPDATE {}.cluster SET id = gen_random_uuid()", options.access.schema());
    client.batch_execute(&other).await.unwrap();
    server.tell("restart");
    loop {
        match directory.map().await {
            Err(DirectoryError::Unavailable(why)) if why.contains("another cluster") => break,
            Err(DirectoryError::Unavailable(_)) => tokio::task::yield_now().await,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn opened_at_once_it_is_made_once() {
    let first = options();
    let mut second = first.clone();
    second.node += 1;
    let (first, second) = tokio::join!(open(&first), open(&second));
    assert_eq!(first.cluster_id().await.unwrap(), second.cluster_id().await.unwrap());
}

/// The server dies and comes back; nobody has to do anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_serves() {
    let server = Server::start();
    let mut options = options_on(&server.url());
    options.access.silence = Duration::from_millis(500);
    options.access.connect_timeout = Duration::from_millis(500);
    let directory = open(&options).await;
    let secret = directory.secret("tickets").await.unwrap();
    server.tell("kill");
    while directory.shards().await.is_ok() {}
    server.tell("restart");
    let back = async {
        loop {
            match directory.secret("tickets").await {
                Ok(known) => return known,
                Err(DirectoryError::Unavailable(_)) => tokio::task::yield_now().await,
                Err(other) => panic!("{other}"),
            }
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(30), back).await.unwrap(), secret);
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let url = "postgres://app:secret@127.0.0.1:1/postgres";
    let options = DirectoryOptions::new(url, None, 1).unwrap();
    match PostgresDirectory::connect(options).await.map(|_| ()) {
        Err(OpenError::Unavailable(why)) => assert!(!why.contains("secret"), "{why}"),
        other => panic!("{other:?}"),
    }
}
