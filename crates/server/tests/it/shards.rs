//! Units move while people talk: shards that come and go, jobs from plan to undo, a user who is isolated, what is refused,
//! and what is written down of all that.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use ostracon_domain::{ConversationId, UserId};
use ostracon_server::testing::TestServer;
use serde_json::{Value, json};

use crate::client::{Caller, PATIENCE, operator};

const SHARDS: &str = "/api/v1/admin/shards";

async fn get(server: &TestServer, path: &str) -> Value {
    operator(server, "GET", &format!("{SHARDS}{path}"), Value::Null).await.is(200)
}

async fn post(server: &TestServer, path: &str, body: Value, status: u16) -> Value {
    operator(server, "POST", &format!("{SHARDS}{path}"), body).await.is(status)
}

/// The job at its end.
pub(crate) async fn over(server: &TestServer, job: &Value) -> Value {
    let path = format!("/jobs/{}", job["job_id"]);
    let wait = async {
        loop {
            let job = get(server, &path).await;
            if ["done", "failed", "aborted"].contains(&job["state"].as_str().unwrap()) {
                return job;
            }
        }
    };
    tokio::time::timeout(6 * PATIENCE, wait).await.expect("the job ends")
}

/// Leftovers are gone.
async fn clean(server: &TestServer) {
    let wait =
        async { while !get(server, "/garbage").await["garbage"].as_array().unwrap().is_empty() {} };
    tokio::time::timeout(3 * PATIENCE, wait).await.expect("leftovers go");
}

/// Nothing is wrong with what is stored.
async fn verified(server: &TestServer) {
    for path in ["/api/v1/admin/verify", "/api/v1/admin/doctor"] {
        let answer = operator(server, "POST", path, json!({})).await;
        let last: Value = serde_json::from_str(answer.text.lines().last().unwrap()).unwrap();
        let problems = if path.ends_with("verify") { "problems" } else { "findings" };
        assert_eq!(last["result"][problems], json!([]), "{path}: {last}");
    }
}

fn direct(a: &Caller, b: &Caller) -> ConversationId {
    ConversationId::direct(UserId::new(a.id).unwrap(), UserId::new(b.id).unwrap())
}

/// Texts of a direct conversation, oldest first.
async fn texts(reader: &Caller, peer: &Caller) -> Vec<String> {
    let page = reader.get(&format!("/api/v1/dialog/{}/list?limit=200", peer.id)).await.is(200);
    let mut texts: Vec<_> = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["text"].as_str().unwrap().to_owned())
        .collect();
    texts.reverse();
    texts
}

/// Talks until it is told to stop; how many messages were sent. Nothing may be refused.
fn talk(from: &Caller, to: &Caller, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<usize> {
    let (from, to, stop) = (from.clone(), to.clone(), Arc::clone(stop));
    tokio::spawn(async move {
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            from.say(&to, &format!("{sent}")).await;
            sent += 1;
        }
        sent
    })
}

async fn shard_of(server: &TestServer, conversation: ConversationId) -> u64 {
    let path = format!("/api/v1/admin/messages?conversation={conversation}&limit=1");
    operator(server, "GET", &path, Value::Null).await.is(200)["shard"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_comes_and_is_filled_while_people_talk_and_all_is_undone() {
    let server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    alice.say(&bob, "before").await;
    let added = post(&server, "", json!({"url": "embedded"}), 201).await;
    assert_eq!((&added["shard"], &added["kind"]), (&json!(4), &json!("embedded")));
    assert_eq!(added["units"], 0);

    let dry = post(&server, "/plan", json!({"add": 1, "dry_run": true}), 200).await;
    assert_eq!(dry["job_id"], Value::Null);
    assert_eq!(dry["units"], 16_384 / 5);
    assert_eq!(dry["shards"][4]["coming"], 16_384 / 5);
    assert_eq!(get(&server, "/jobs").await["jobs"], json!([]), "a dry run stores nothing");

    let planned = post(&server, "/plan", json!({"add": 1}), 201).await;
    assert_eq!(planned["moves"], dry["moves"]);
    let job = get(&server, &format!("/jobs/{}", planned["job_id"])).await;
    assert_eq!((&job["state"], &job["moves"]), (&json!("planned"), &json!(0)));

    let stop = Arc::new(AtomicBool::new(false));
    let talks = [talk(&alice, &bob, &stop), talk(&bob, &bob, &stop)];
    post(&server, &format!("/jobs/{}/apply", planned["job_id"]), Value::Null, 200).await;
    // A few of them are enough here.
    let path = format!("/jobs/{}", planned["job_id"]);
    let some = async { while get(&server, &path).await["moves"].as_u64().unwrap() < 5 {} };
    tokio::time::timeout(3 * PATIENCE, some).await.expect("moves are done");
    post(&server, &format!("/jobs/{}/pause", planned["job_id"]), Value::Null, 200).await;
    post(&server, &format!("/jobs/{}/resume", planned["job_id"]), Value::Null, 200).await;
    let aborted =
        post(&server, &format!("/jobs/{}/abort", planned["job_id"]), Value::Null, 200).await;
    assert_eq!(aborted["state"], "aborted");
    let wait = async { while get(&server, "").await["moves"].as_u64().unwrap() > 0 {} };
    tokio::time::timeout(3 * PATIENCE, wait).await.expect("what is under way ends");
    let job = get(&server, &path).await;
    assert!(job["moves"].as_u64().unwrap() >= 5 && job["freezes"].as_u64().unwrap() >= 5, "{job}");
    assert_eq!(job["refused"], 0, "{job}");
    assert_eq!(get(&server, "").await["shards"][4]["units"], job["units"]);

    let undo = post(&server, &format!("/jobs/{}/undo", planned["job_id"]), Value::Null, 201).await;
    let undone = over(&server, &undo).await;
    assert_eq!((&undone["state"], &undone["units"]), (&json!("done"), &job["units"]), "{undone}");
    stop.store(true, Ordering::Relaxed);
    let mut sent = Vec::new();
    for talk in talks {
        sent.push(talk.await.unwrap());
    }
    assert!(sent.iter().all(|sent| *sent > 0));
    let heard = texts(&bob, &alice).await;
    let expected: Vec<_> =
        ["before".to_owned()].into_iter().chain((0..sent[0]).map(|n| n.to_string())).collect();
    assert_eq!(heard, expected[expected.len().saturating_sub(200)..]);
    clean(&server).await;
    verified(&server).await;

    operator(&server, "DELETE", &format!("{SHARDS}/4"), Value::Null).await.is(204);
    assert_eq!(get(&server, "").await["shards"].as_array().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_moves_with_what_was_said_and_survives_restarts() {
    let mut server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    for text in ["one", "two", "three"] {
        alice.say(&bob, text).await;
    }
    post(&server, "", json!({"url": "embedded"}), 201).await;
    let pair = format!("{}:{}", alice.id, bob.id);
    let job = post(&server, "/move", json!({"pair": pair, "to": [4]}), 201).await;
    let done = over(&server, &job).await;
    assert_eq!((&done["state"], &done["units"]), (&json!("done"), &json!(1)), "{done}");
    let keys: Vec<_> = job.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = vec![
        "job_id",
        "state",
        "moves",
        "units",
        "rows",
        "bytes",
        "freezes",
        "freeze_ms",
        "refused",
        "seconds",
    ];
    expected.sort_unstable();
    assert_eq!(
        {
            let mut keys = keys;
            keys.sort_unstable();
            keys
        },
        expected
    );
    assert_eq!(shard_of(&server, direct(&alice, &bob)).await, 4);
    assert_eq!(texts(&bob, &alice).await, ["one", "two", "three"]);

    // Where it is already it stays, and that succeeds.
    let again = post(&server, "/move", json!({"pair": pair, "to": [4]}), 201).await;
    assert_eq!((&again["state"], &again["moves"]), (&json!("done"), &json!(0)));

    clean(&server).await;
    server.restart().await;
    assert_eq!(shard_of(&server, direct(&alice, &bob)).await, 4);
    alice.say(&bob, "four").await;
    assert_eq!(texts(&bob, &alice).await, ["one", "two", "three", "four"]);
    let overrides = get(&server, "/overrides").await;
    assert_eq!(overrides["conversations"][0]["shard"], 4);
    verified(&server).await;

    let undo = post(&server, &format!("/jobs/{}/undo", job["job_id"]), Value::Null, 201).await;
    assert_eq!(over(&server, &undo).await["state"], "done");
    assert_eq!(get(&server, "/overrides").await["conversations"], json!([]));
    assert_eq!(texts(&bob, &alice).await, ["one", "two", "three", "four"]);
    clean(&server).await;
    verified(&server).await;

    // A shard that is gone leaves nothing that a start stumbles over.
    operator(&server, "DELETE", &format!("{SHARDS}/4"), Value::Null).await.is(204);
    server.restart().await;
    assert_eq!(texts(&bob, &alice).await.len(), 4);
    let added = post(&server, "", json!({"url": "embedded"}), 201).await;
    assert_eq!(added["shard"], 5, "numbers are never reused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_user_is_isolated_and_brought_home() {
    let server = TestServer::start().await;
    let hot = Caller::new(&server, "hot").await;
    let mut peers = Vec::new();
    for n in 0..12 {
        let peer = Caller::new(&server, &format!("peer{n}")).await;
        hot.say(&peer, "hello").await;
        peers.push(peer);
    }
    // The list follows a moment after its conversations, and a user's slots are those of the list.
    let listed = async {
        let count = async || {
            hot.get("/api/v1/sync").await.is(200)["conversations"].as_array().map(Vec::len)
        };
        while count().await != Some(peers.len()) {}
    };
    tokio::time::timeout(PATIENCE, listed).await.expect("the list follows");
    post(&server, "", json!({"url": "embedded"}), 201).await;
    post(&server, "", json!({"url": "embedded"}), 201).await;
    let dry = json!({"user": "hot", "to": [4, 5], "dry_run": true});
    assert!(post(&server, "/move", dry, 200).await["moves"].as_u64().unwrap() > 2);
    assert_eq!(get(&server, "/overrides").await["users"], json!([]));

    let stop = Arc::new(AtomicBool::new(false));
    let talk = talk(&hot, &peers[0], &stop);
    let job = post(&server, "/move", json!({"user": "hot", "to": [4, 5]}), 201).await;
    let done = over(&server, &job).await;
    assert_eq!(done["state"], "done", "{done}");
    let overrides = get(&server, "/overrides").await;
    assert_eq!(overrides["users"][0]["user_id"], hot.id);
    assert_eq!(overrides["users"][0]["targets"], json!([4, 5]));
    for peer in &peers {
        let id = direct(&hot, peer);
        let target = 4 + u64::from(id.slot().get()) % 2;
        assert_eq!(shard_of(&server, id).await, target);
    }
    verified(&server).await;
    let undo = post(&server, &format!("/jobs/{}/undo", job["job_id"]), Value::Null, 201).await;
    let undone = over(&server, &undo).await;
    assert_eq!(undone["state"], "done", "{undone}");
    stop.store(true, Ordering::Relaxed);
    let sent = talk.await.unwrap();
    assert_eq!(get(&server, "/overrides").await["users"], json!([]));
    let heard = texts(&peers[0], &hot).await;
    assert_eq!(heard.len(), (sent + 1).min(200));
    clean(&server).await;
    verified(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_travel_to_postgresql_and_back_while_people_talk() {
    let postgres = tokio::task::block_in_place(ostracon_store_postgres::testing::Server::start);
    let url = tokio::task::block_in_place(|| postgres.url());
    let mut server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    alice.say(&bob, "before").await;
    let added = post(&server, "", json!({"url": url}), 201).await;
    assert_eq!((&added["shard"], &added["kind"]), (&json!(4), &json!("postgres")));
    // The same schema cannot be two shards; nothing is left of the attempt.
    let twice = format!("{url}?schema=shard_4");
    let refusal = operator(&server, "POST", SHARDS, json!({"url": twice})).await;
    assert!(refusal.text.contains("cannot be used"), "{}", refusal.text);
    assert_eq!(get(&server, "").await["shards"].as_array().unwrap().len(), 5);

    let stop = Arc::new(AtomicBool::new(false));
    let talk = talk(&alice, &bob, &stop);
    let slot = direct(&alice, &bob).slot().get();
    let there = json!({"slot": slot.to_string(), "to": [4]});
    let job = over(&server, &post(&server, "/move", there, 201).await).await;
    assert_eq!((&job["state"], &job["refused"]), (&json!("done"), &json!(0)), "{job}");
    assert_eq!(shard_of(&server, direct(&alice, &bob)).await, 4);
    let path = format!("/jobs/{}/undo", job["job_id"]);
    let undone = over(&server, &post(&server, &path, Value::Null, 201).await).await;
    assert_eq!(undone["state"], "done", "{undone}");
    stop.store(true, Ordering::Relaxed);
    let sent = talk.await.unwrap();
    let heard = texts(&bob, &alice).await;
    let expected: Vec<_> =
        ["before".to_owned()].into_iter().chain((0..sent).map(|n| n.to_string())).collect();
    assert_eq!(heard, expected[expected.len().saturating_sub(200)..]);
    clean(&server).await;
    verified(&server).await;
    server.restart().await;
    assert_eq!(get(&server, "").await["shards"][4]["kind"], "postgres");
    let dir = server.dir().join("backup");
    let backup =
        async || operator(&server, "POST", "/api/v1/admin/backup", json!({"dir": dir})).await.text;
    assert!(backup().await.contains("some shards are on PostgreSQL"));

    // One that is silent is named; of the others all is known.
    tokio::task::block_in_place(|| postgres.tell("kill"));
    let sharding = operator(&server, "GET", "/api/v1/admin/sharding", Value::Null).await.is(200);
    let shards = sharding["shards"].as_array().unwrap();
    let silent: Vec<_> = shards.iter().map(|shard| shard["error"].is_string()).collect();
    assert_eq!(silent, [false, false, false, false, true], "{sharding}");
    assert_eq!(shards.iter().map(|shard| shard["units"].as_u64().unwrap()).sum::<u64>(), 16_384);

    // With it goes what a back-up cannot copy. It must be there to say that all it had is told.
    tokio::task::block_in_place(|| postgres.tell("restart"));
    let goes = async {
        let path = format!("{SHARDS}/4");
        while operator(&server, "DELETE", &path, Value::Null).await.status != 204 {}
    };
    tokio::time::timeout(3 * PATIENCE, goes).await.expect("it serves again and goes");
    assert_eq!(get(&server, "").await["shards"].as_array().unwrap().len(), 4);
    let copied = backup().await;
    assert!(copied.contains("\"result\""), "{copied}");
}

#[tokio::test]
async fn what_cannot_be_is_refused_in_a_sentence() {
    let server = TestServer::start().await;
    let refused = async |method: &str, path: &str, body: Value, status: u16, needle: &str| {
        let path = format!("{SHARDS}{path}");
        let answer = operator(&server, method, &path, body).await;
        let text = answer.text.clone();
        answer.is(status);
        assert!(text.contains(needle), "{path}: {text}");
    };
    refused("POST", "/move", json!({"slot": "0..8", "to": [9]}), 422, "there is no shard 9").await;
    refused("POST", "/move", json!({"slot": "8..8", "to": [1]}), 422, "A..B").await;
    refused("POST", "/move", json!({"slot": "0..8", "to": [1, 2]}), 422, "name one shard").await;
    refused("POST", "/move", json!({"user": "nobody", "to": [1]}), 404, "No such user").await;
    let long = format!("{}5", "0".repeat(300_000));
    refused("POST", "/move", json!({"slot": long, "to": [1]}), 422, "more than 600").await;
    refused("POST", "/move", json!({"slot": "5\n\n", "to": [1]}), 422, "control").await;
    refused("POST", "/move", json!({"pair": "1", "to": [1]}), 422, "USER:USER").await;
    refused("POST", "/move", json!({"to": [1]}), 422, "exactly one").await;
    let group = ConversationId::new_group(1_700_000_000_000, [7; 10]).to_string();
    refused("POST", "/move", json!({"conversation": group, "to": [1]}), 404, "conversation").await;
    refused("POST", "/plan", json!({"add": 1}), 422, "shards add").await;
    refused("POST", "/plan", json!({}), 422, "exactly one").await;
    refused("POST", "/plan", json!({"drain": 77}), 404, "There is no shard 77").await;
    refused("POST", "/jobs/1/apply", Value::Null, 404, "There is no job 1").await;
    refused("DELETE", "/0", Value::Null, 409, "it is the home of 4096 units").await;
    refused("DELETE", "/77", Value::Null, 404, "There is no shard 77").await;
    refused("POST", "", json!({"url": "mysql://me:secret@db"}), 422, "postgres://").await;
    let postgres = json!({"url": "postgres://me:secret@127.0.0.1:1/db"});
    refused("POST", "", postgres.clone(), 409, "cannot be used").await;
    let answer = operator(&server, "POST", SHARDS, postgres).await;
    assert!(!answer.text.contains("secret"), "{}", answer.text);
    // Nothing of it was done.
    assert_eq!(get(&server, "").await["shards"].as_array().unwrap().len(), 4);

    for path in ["/jobs", "/../audit"] {
        let path = format!("{SHARDS}{path}").replace("shards/../", "");
        let odd = async |query: &str| {
            operator(&server, "GET", &format!("{path}?{query}"), Value::Null).await
        };
        odd("after=18446744073709551615").await.is(200);
        odd("limit=0").await.refused(422, "invalid");
        odd("limit=-1").await.refused(422, "invalid");
        odd("after=x").await.refused(422, "invalid");
    }
    refused("GET", "/jobs/18446744073709551615", Value::Null, 404, "There is no job").await;

    // A ghost may be counted in to see what it would bring.
    let dry = post(&server, "/plan", json!({"shards": 8, "dry_run": true}), 200).await;
    assert_eq!(dry["shards"].as_array().unwrap().len(), 8);
    assert_eq!(dry["units"], 8_192);
    let even = post(&server, "/plan", json!({"balance": true}), 200).await;
    assert_eq!((&even["moves"], &even["job_id"]), (&json!(0), &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_shard_can_go_and_everything_is_written_down() {
    let server = TestServer::start_with(|config| {
        let shard = |id| ostracon_server::config::Shard { id, ..Default::default() };
        config.shards = vec![shard(0), shard(1)];
    })
    .await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    alice.get(SHARDS).await.refused(403, "forbidden");
    alice.get("/api/v1/admin/audit").await.refused(403, "forbidden");
    let body = json!({"role": "admin"});
    operator(&server, "POST", "/api/v1/admin/users/alice/role", body).await.is(200);
    alice.say(&bob, "hello").await;
    // The whole of it is a long job: a part is moved by hand, the rest stays.
    let moved = alice.post(&format!("{SHARDS}/move"), json!({"slot": "0..16", "to": [1]})).await;
    let job = over(&server, &moved.is(201)).await;
    assert_eq!((&job["state"], &job["units"]), (&json!("done"), &json!(8)), "{job}");
    assert!(job["by"].as_str().unwrap().starts_with("alice"), "{job}");

    let drain = alice.post(&format!("{SHARDS}/0/drain"), Value::Null).await.is(201);
    assert_eq!(get(&server, "").await["shards"][0]["state"], "draining");
    let back = json!({"slot": "0..16", "to": [0]});
    let refusal = operator(&server, "POST", &format!("{SHARDS}/move"), back).await;
    assert!(refusal.text.contains("draining"), "{}", refusal.text);
    post(&server, &format!("/jobs/{}/abort", drain["job_id"]), Value::Null, 200).await;
    post(&server, "/0/accept", Value::Null, 200).await;
    // What is over is not begun again, and the attempt changes nothing.
    let apply = format!("{SHARDS}/jobs/{}/apply", drain["job_id"]);
    operator(&server, "POST", &apply, Value::Null).await.refused(409, "conflict");
    assert_eq!(get(&server, "").await["shards"][0]["state"], "accepting");

    let told = async {
        loop {
            let audit = alice.get("/api/v1/admin/audit?limit=100").await.is(200);
            let entries = audit["entries"].as_array().unwrap().clone();
            if entries.iter().any(|entry| entry["action"] == "job.done") {
                return entries;
            }
        }
    };
    let entries = tokio::time::timeout(PATIENCE, told).await.expect("ends of jobs are told");
    let find = |action: &str| {
        let found = entries.iter().find(|entry| entry["action"] == action);
        found.unwrap_or_else(|| panic!("{action}: {entries:?}")).clone()
    };
    assert_eq!(find("user.role")["who"], "local socket");
    assert_eq!(find("user.role")["detail"], "user → admin");
    let planned = entries.iter().rfind(|entry| entry["action"] == "job.plan").unwrap();
    assert_eq!(planned["who"], format!("alice (user {})", alice.id));
    assert_eq!(planned["from"], "127.0.0.1");
    assert_eq!(find("job.done")["who"], "server");
    assert_eq!(find("shard.state")["target"], "shard 0");
    let newest: Vec<_> = entries.iter().map(|entry| entry["audit_id"].as_u64().unwrap()).collect();
    assert!(newest.is_sorted_by(|a, b| a > b), "newest first");
    let one = alice.get("/api/v1/admin/audit?limit=1").await.is(200);
    assert_eq!(one["next"], one["entries"][0]["audit_id"]);
}

#[tokio::test]
async fn the_doctor_names_a_frozen_unit_and_thaws_it_when_asked() {
    use ostracon_domain::{Epoch, ShardId, UnitId};
    use ostracon_store::{Pair, UnitChange, UnitPhase};

    let server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    alice.say(&bob, "hello").await;
    let unit = UnitId(u32::from(direct(&alice, &bob).slot().get()));
    let home = ShardId(unit.0 % 4);
    let shard = server.with_engine(|engine| engine.shards().get(&home).cloned()).unwrap();
    let mut from = UnitPhase::Open;
    for (step, phase) in [(1, UnitPhase::Capturing), (2, UnitPhase::Frozen)] {
        let pair = Pair { lease: 1_000, step };
        let expect = Some((from, Epoch(1)));
        let change = UnitChange { unit, expect, phase, epoch: Epoch(1), pair };
        shard.set_unit_state(change).await.unwrap();
        from = phase;
    }
    let doctor = async |repair: bool| {
        let body = json!({"repair": repair});
        let answer = operator(&server, "POST", "/api/v1/admin/doctor", body).await;
        let last: Value = serde_json::from_str(answer.text.lines().last().unwrap()).unwrap();
        last["result"]["findings"].clone()
    };
    let found = doctor(false).await;
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    assert_eq!((&found[0]["kind"], &found[0]["unit"]), (&json!("not_served"), &json!(unit.0)));
    assert!(found[0]["repair"].as_str().unwrap().contains("frozen to open"), "{found}");
    assert_eq!(found[0]["outcome"], Value::Null);
    let repaired = doctor(true).await;
    assert_eq!(repaired[0]["outcome"], "done", "{repaired}");
    assert_eq!(doctor(false).await, json!([]));
    alice.say(&bob, "again").await;
}
