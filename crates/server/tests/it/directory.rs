//! A directory on PostgreSQL: with shards in the data directory and elsewhere, for one server and for two, and what is
//! refused.

use ostracon_server::{Config, Server, config, testing::TestServer};
use ostracon_store_postgres::testing::Server as Postgres;
use serde_json::{Value, json};

use crate::{
    client::{Caller, PATIENCE, operator},
    shards::over,
};

async fn postgres() -> Postgres {
    tokio::task::spawn_blocking(Postgres::start).await.unwrap()
}

fn directory(postgres: &Postgres) -> config::Directory {
    let url = tokio::task::block_in_place(|| postgres.url());
    config::Directory { url: url.as_str().into() }
}

/// The sentence with which a server does not start.
async fn refused(config: &Config) -> String {
    Server::open(config.clone()).await.err().expect("it is refused").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_shards_live_with_it_and_move() {
    let postgres = postgres().await;
    let mut server = TestServer::start_with(|config| config.directory = directory(&postgres)).await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    alice.say(&bob, "before").await;
    let moved = json!({"slot": "0..64", "to": [1]});
    let moved = operator(&server, "POST", "/api/v1/admin/shards/move", moved).await;
    let job = over(&server, &moved.is(201)).await;
    assert_eq!((&job["state"], &job["units"]), (&json!("done"), &json!(48)), "{job}");
    assert!(!server.data_dir().join("directory.db").exists());

    server.restart().await;
    alice.say(&bob, "after").await;
    let status = operator(&server, "GET", "/api/v1/admin/shards", Value::Null).await.is(200);
    assert_eq!(status["shards"].as_array().unwrap().len(), 4, "{status}");
    let doctor = operator(&server, "POST", "/api/v1/admin/doctor", json!({})).await.text;
    let last: Value = serde_json::from_str(doctor.lines().last().unwrap()).unwrap();
    assert_eq!(last["result"]["findings"], json!([]), "{last}");

    // It says what it does not copy, and copies nothing.
    let dir = server.dir().join("backup");
    let backup = operator(&server, "POST", "/api/v1/admin/backup", json!({"dir": dir})).await;
    assert!(backup.text.contains("the directory is on PostgreSQL"), "{}", backup.text);
    assert!(!dir.join("FORMAT").exists());

    // Shards in a data directory are of one server: another one cannot have them.
    let mut other = server.config_mut().clone();
    other.data_dir = server.dir().join("other");
    let why = refused(&other).await;
    assert!(why.contains("missing"), "{why}");
    // Nor does a data directory change its cluster, or the place of its directory.
    server.stop().await;
    let config = server.config_mut().clone();
    let mut moved = config.clone();
    moved.directory = config::Directory::default();
    let why = refused(&moved).await;
    assert!(why.contains("whose directory is on PostgreSQL"), "{why}");
    let elsewhere = format!("{}?schema=elsewhere", config.directory.url.as_str());
    moved.directory.url = elsewhere.as_str().into();
    let why = refused(&moved).await;
    assert!(why.contains("elsewhere is gone"), "{why}");
    server.start_again().await;
    alice.say(&bob, "still here").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_with_one_of_its_own_keeps_it() {
    let postgres = postgres().await;
    let mut server = TestServer::start().await;
    server.stop().await;
    let mut config = server.config_mut().clone();
    config.directory = directory(&postgres);
    let why = refused(&config).await;
    assert!(why.contains("directory.db exists"), "{why}");
    // Without the file there is no cluster that journal and shards could belong to.
    std::fs::remove_file(config.data_dir.join("directory.db")).unwrap();
    let why = refused(&config).await;
    assert!(why.contains("put the right directory.db back"), "{why}");
    assert!(!config.data_dir.join("NODE").exists());
    // A directory that cannot be reached is no reason to make another one.
    config.data_dir = server.dir().join("new");
    config.directory.url = "postgres://me:hunter2@127.0.0.1:1/chat".into();
    let why = refused(&config).await;
    assert!(why.contains("unavailable") && !why.contains("hunter2"), "{why}");
    assert!(!format!("{config:?}{}", config.to_toml()).contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_know_the_same_accounts() {
    let postgres = postgres().await;
    let choose = |config: &mut Config| {
        config.directory = directory(&postgres);
        let shard = |id| config::Shard {
            id,
            url: config.directory.url.clone(),
            ..config::Shard::default()
        };
        config.shards = vec![shard(0), shard(1)];
    };
    let one = TestServer::start_with(choose).await;
    let other = TestServer::start_with(choose).await;
    let alice = Caller::new(&one, "alice").await;
    let bob = Caller::new(&other, "bob").await;
    assert_ne!(alice.id, bob.id);
    let first = alice.say(&bob, "from one").await;
    // The session of one server is good at the other, and both write the same conversation.
    let second = alice.at(&other).say(&bob, "from the other").await;
    assert_ne!(first, second);
    let list = bob.at(&one).get(&format!("/api/v1/dialog/{}/list", alice.id)).await.is(200);
    let list = list.to_string();
    assert!(list.contains("from one") && list.contains("from the other"), "{list}");
}

/// Its server dies while people talk: that is said, nothing is answered that is not stored, and all goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_is_lost_comes_back() {
    let postgres = postgres().await;
    let server = TestServer::start_with(|config| config.directory = directory(&postgres)).await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let mut said = 0;
    let mut say = async || {
        let path = format!("/api/v1/dialog/{}/send", bob.id);
        let answer = alice.post(&path, json!({"text": format!("text {said}")})).await;
        said += u32::from(answer.status == 201);
        answer
    };
    say().await.is(201);
    let ready = async || Caller::nobody(&server).get("/readyz").await;
    ready().await.is(200);
    tokio::task::block_in_place(|| postgres.tell("kill"));
    let lost = async {
        while ready().await.status != 503 {}
        loop {
            let answer = say().await;
            if answer.status != 201 {
                return answer;
            }
        }
    };
    let lost = tokio::time::timeout(PATIENCE, lost).await.expect("id time ends");
    lost.refused(503, "shard_unavailable");
    assert!(ready().await.text.contains("The directory does not answer"));
    tokio::task::block_in_place(|| postgres.tell("restart"));
    let back = async { while say().await.status != 201 {} };
    tokio::time::timeout(2 * PATIENCE, back).await.expect("it comes back");
    ready().await.is(200);
    let list = bob.get(&format!("/api/v1/dialog/{}/list?limit=1", alice.id)).await.is(200);
    let newest = format!("text {}", said - 1);
    assert!(list.to_string().contains(&newest), "{list}");
}
