//! Files in messages: who may send them, who may read them, and when they go.

use serde_json::{Value, json};

use ostracon_server::testing::TestServer;

use crate::{
    client::{Caller, PATIENCE, operator},
    media::{files, get, picture, upload},
    shards,
};

async fn sent(caller: &Caller, to: u64, body: Value) -> Value {
    let entry = caller.post("/api/v1/conversations", json!({"type": "direct", "user_id": to}));
    let entry = entry.await.json();
    let path = crate::client::path_of(&entry["conversation"]);
    caller.post(&format!("{path}/messages"), body).await.is(201)
}

fn refs(media: &[&Value]) -> Value {
    media.iter().map(|media| json!({"media_id": media["media_id"]})).collect()
}

fn about(media: &Value) -> String {
    format!("/api/v1/media/{}", media["media_id"].as_str().unwrap())
}

fn path(message: &Value) -> String {
    format!("{}/messages/{}", crate::client::path_of(message), message["seq"])
}

#[tokio::test]
async fn a_picture_travels_with_a_message() {
    let server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    let bob = Caller::new(&server, "bob").await;
    let mut socket = bob.socket().await;
    let media = upload(&server, &alice, "a.png", "image/png", &picture(64, 48)).await.is(201);
    let refs = json!([{"media_id": media["media_id"]}]);
    let body = json!({"content": "", "type": "image", "client_id": "c", "attachments": refs});
    let message = sent(&alice, bob.id, body.clone()).await;
    assert_eq!(message["attachments"], json!([media]));

    let event = socket.next_of("new_message").await;
    assert_eq!(event["attachments"], json!([media]));
    let url = event["attachments"][0]["url"].as_str().unwrap();
    assert_eq!(get(&server, url, &[]).await.status, 200);
    // Again the same, and the same id with something else.
    let list = format!("{}/messages", crate::client::path_of(&message));
    assert_eq!(alice.post(&list, body).await.is(200)["seq"], message["seq"]);
    let other = json!({"content": "", "type": "image", "client_id": "c", "attachments": []});
    alice.post(&list, other).await.refused(409, "conflict");
    let page = bob.get(&list).await.is(200);
    assert_eq!(page["messages"][0]["attachments"], json!([media]));
    let about = format!("/api/v1/media/{}", media["media_id"].as_str().unwrap());
    assert_eq!(bob.get(&about).await.is(200), media);
}

#[tokio::test]
async fn only_what_one_may_read_is_sent() {
    let server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    let bob = Caller::new(&server, "bob").await;
    let carol = Caller::new(&server, "carol").await;
    let media = upload(&server, &alice, "a.txt", "text/plain", b"of alice").await.is(201);
    let refs = json!([{"media_id": media["media_id"]}]);
    let body = json!({"content": "look", "attachments": refs});
    let direct = carol.post("/api/v1/conversations", json!({"type": "direct", "user_id": bob.id}));
    let to_bob = crate::client::path_of(&direct.await.json()["conversation"]);
    let list = format!("{to_bob}/messages");
    carol.post(&list, body.clone()).await.refused(404, "not_found");
    bob.post(&list, body.clone()).await.refused(404, "not_found");
    for odd in [json!([{"media_id": "x"}]), json!([{"media_id": "0".repeat(32)}])] {
        let body = json!({"content": "x", "attachments": odd});
        alice.post("/api/v1/conversations", json!({"type": "direct", "user_id": bob.id})).await;
        let _ = sent(&alice, bob.id, json!({"content": "first"})).await;
        let entry = alice.get("/api/v1/conversations").await.is(200);
        let path = crate::client::path_of(&entry["conversations"][0]["conversation"]);
        alice.post(&format!("{path}/messages"), body).await.refused(404, "not_found");
    }
    let many: Vec<_> = (0..11).map(|_| json!({"media_id": media["media_id"]})).collect();
    carol.post(&list, json!({"content": "x", "attachments": many})).await.refused(422, "invalid");
    carol.post(&list, json!({"content": "", "type": "image"})).await.refused(422, "invalid");
    // Bob got it from alice: he may pass it on, then carol may too.
    sent(&alice, bob.id, body.clone()).await;
    server.settle_media().await;
    bob.post(&list, body.clone()).await.is(201);
    server.settle_media().await;
    let about = format!("/api/v1/media/{}", media["media_id"].as_str().unwrap());
    assert_eq!(carol.get(&about).await.is(200), media);
}

#[tokio::test]
async fn a_deleted_message_takes_its_file_along() {
    let clock = std::sync::Arc::new(ostracon_engine::ManualClock::new(1_800_000_000_000));
    let mut server = TestServer::start_at(clock.clone(), |_| {}).await;
    let alice = Caller::new(&server, "alice").await;
    let bob = Caller::new(&server, "bob").await;
    let media = upload(&server, &alice, "a.txt", "text/plain", b"a secret").await.is(201);
    let unsent = upload(&server, &alice, "b.txt", "text/plain", b"never sent").await.is(201);
    let refs = json!([{"media_id": media["media_id"]}]);
    let body = json!({"content": "look", "attachments": refs});
    let first = sent(&alice, bob.id, body.clone()).await;
    let second = sent(&alice, bob.id, body).await;
    let url = media["url"].as_str().unwrap();

    // What a message uses stays, over a restart too; what none does goes after a day.
    clock.advance(86_400_001);
    server.restart().await;
    server.collect_media().await;
    assert_eq!(get(&server, url, &[]).await.status, 200);
    get(&server, unsent["url"].as_str().unwrap(), &[]).await.refused(404, "not_found");
    // While one message has it it stays; then it goes after five minutes.
    let alice = alice.at(&server);
    alice.delete(&format!("{}?for=everyone", path(&first))).await.is(200);
    server.collect_media().await;
    clock.advance(300_001);
    server.collect_media().await;
    assert_eq!(get(&server, url, &[]).await.status, 200);
    alice.delete(&format!("{}?for=everyone", path(&second))).await.is(200);
    server.collect_media().await;
    assert_eq!(files(&server).len(), 1);
    clock.advance(300_001);
    server.collect_media().await;
    get(&server, url, &[]).await.refused(404, "not_found");
    assert!(files(&server).is_empty());
}

#[tokio::test]
async fn a_file_is_for_those_who_may_read_its_message() {
    let server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    let bob = Caller::new(&server, "bob").await;
    let carol = Caller::new(&server, "carol").await;
    let group = alice.group("photos", &[&bob]).await;
    let list = format!("{group}/messages");
    let before = upload(&server, &alice, "1.txt", "text/plain", b"before").await.is(201);
    let after = upload(&server, &alice, "2.txt", "text/plain", b"after").await.is(201);
    let body = |media| json!({"content": "", "type": "file", "attachments": refs(&[media])});
    let first = alice.post(&list, body(&before)).await.is(201);
    server.settle_media().await;
    // A stranger is told what he would be told of any id.
    carol.get(&about(&before)).await.refused(404, "not_found");
    bob.get(&about(&before)).await.is(200);
    // Who left keeps what he could read.
    bob.delete(&format!("{group}/members/{}", bob.id)).await.is(200);
    alice.post(&list, body(&after)).await.is(201);
    server.settle_media().await;
    bob.get(&about(&before)).await.is(200);
    bob.get(&about(&after)).await.refused(404, "not_found");
    // Who deleted it for himself does not get it by this way any more.
    let own = upload(&server, &alice, "3.txt", "text/plain", b"hidden").await.is(201);
    let to_carol = sent(&alice, carol.id, body(&own)).await;
    server.settle_media().await;
    carol.get(&about(&own)).await.is(200);
    carol.delete(&format!("{}?for=me", path(&to_carol))).await.is(200);
    carol.get(&about(&own)).await.refused(404, "not_found");
    let page = carol.get(&format!("{}/messages", crate::client::path_of(&to_carol))).await.is(200);
    assert!(page["messages"][0].get("attachments").is_none(), "{page}");
    // Deleted for everybody, it is nobody's but its owner's.
    alice.delete(&format!("{}?for=everyone", path(&first))).await.is(200);
    server.settle_media().await;
    bob.get(&about(&before)).await.refused(404, "not_found");
    alice.get(&about(&before)).await.is(200);
}

#[tokio::test]
async fn an_edit_leaves_files_alone() {
    let server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    let bob = Caller::new(&server, "bob").await;
    let media = upload(&server, &alice, "a.txt", "text/plain", b"x").await.is(201);
    let body = json!({"content": "look", "attachments": refs(&[&media])});
    let message = sent(&alice, bob.id, body).await;
    let edited = alice.patch(&path(&message), json!({"content": ""})).await.is(200);
    assert_eq!((&edited["content"], &edited["attachments"]), (&json!(""), &json!([media])));
    let plain = sent(&alice, bob.id, json!({"content": "words"})).await;
    alice.patch(&path(&plain), json!({"content": ""})).await.refused(422, "invalid");
}

#[tokio::test]
async fn a_group_that_ends_takes_its_files_along() {
    let clock = std::sync::Arc::new(ostracon_engine::ManualClock::new(1_800_000_000_000));
    let server = TestServer::start_at(clock.clone(), |_| {}).await;
    let alice = Caller::new(&server, "alice").await;
    let bob = Caller::new(&server, "bob").await;
    let group = alice.group("for a while", &[&bob]).await;
    let media = upload(&server, &alice, "a.txt", "text/plain", b"a secret").await.is(201);
    let body = json!({"content": "", "type": "file", "attachments": refs(&[&media])});
    alice.post(&format!("{group}/messages"), body).await.is(201);
    // Not the day that an upload has, but its message is what keeps it.
    clock.advance(86_400_001);
    server.collect_media().await;
    assert_eq!(files(&server).len(), 1);
    alice.delete(&group).await.is(204);
    server.settle_media().await;
    bob.get(&about(&media)).await.refused(404, "not_found");
    clock.advance(300_001);
    server.collect_media().await;
    assert_eq!(files(&server).len(), 0);
}

#[tokio::test]
async fn files_are_found_by_their_names() {
    let server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    let bob = Caller::new(&server, "bob").await;
    let media = upload(&server, &alice, "harvest report.txt", "text/plain", b"x").await.is(201);
    let body = json!({"content": "", "type": "file", "attachments": refs(&[&media])});
    let message = sent(&alice, bob.id, body).await;
    sent(&alice, bob.id, json!({"content": "the report comes"})).await;
    let found = async |query: &str| {
        let found = bob.get(&format!("/api/v1/search?q={query}")).await.is(200);
        let hits = found["hits"].as_array().unwrap().clone();
        hits.into_iter().map(|mut hit| hit["message"].take()).collect::<Vec<_>>()
    };
    let both = async { while found("report").await.len() != 2 {} };
    tokio::time::timeout(PATIENCE, both).await.expect("both are indexed");
    let with_files = found("report&has=attachment").await;
    assert_eq!(with_files.len(), 1);
    assert_eq!(with_files[0]["attachments"], json!([media]));
    assert_eq!(found("harvest").await.len(), 1);
    alice.delete(&format!("{}?for=everyone", path(&message))).await.is(200);
    let gone = async { while !found("harvest").await.is_empty() {} };
    tokio::time::timeout(PATIENCE, gone).await.expect("its name goes with it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_moves_with_its_files() {
    let clock = std::sync::Arc::new(ostracon_engine::ManualClock::new(1_800_000_000_000));
    let server = TestServer::start_at(clock.clone(), |_| {}).await;
    let alice = Caller::new(&server, "alice").await;
    let bob = Caller::new(&server, "bob").await;
    let media = upload(&server, &alice, "a.png", "image/png", &picture(64, 48)).await.is(201);
    let body = json!({"content": "", "type": "image", "attachments": refs(&[&media])});
    let message = sent(&alice, bob.id, body).await;
    let to = json!({"pair": format!("{}:{}", alice.id, bob.id), "to": [4]});
    operator(&server, "POST", "/api/v1/admin/shards", json!({"url": "embedded"})).await.is(201);
    let job = operator(&server, "POST", "/api/v1/admin/shards/move", to).await.is(201);
    assert_eq!(shards::over(&server, &job).await["state"], "done");
    clock.advance(86_400_001);
    server.collect_media().await;
    let page = bob.get(&format!("{}/messages", crate::client::path_of(&message))).await.is(200);
    assert_eq!(page["messages"][0]["attachments"][0]["media_id"], media["media_id"]);
    let url = page["messages"][0]["attachments"][0]["url"].as_str().unwrap().to_owned();
    assert_eq!(get(&server, &url, &[]).await.status, 200);
    bob.get(&about(&media)).await.is(200);
    // And what is deleted there goes.
    alice.delete(&format!("{}?for=everyone", path(&message))).await.is(200);
    server.collect_media().await;
    clock.advance(300_001);
    server.collect_media().await;
    get(&server, &url, &[]).await.refused(404, "not_found");
    assert!(files(&server).is_empty());
}

#[tokio::test]
async fn a_backup_has_files_and_their_uses() {
    let clock = std::sync::Arc::new(ostracon_engine::ManualClock::new(1_800_000_000_000));
    let mut server = TestServer::start_at(clock.clone(), |_| {}).await;
    let alice = Caller::new(&server, "alice").await;
    let bob = Caller::new(&server, "bob").await;
    let media = upload(&server, &alice, "a.png", "image/png", &picture(64, 48)).await.is(201);
    let body = json!({"content": "", "type": "image", "attachments": refs(&[&media])});
    sent(&alice, bob.id, body).await;
    let backup = server.dir().join("backup");
    let body = json!({"dir": backup});
    let answer = operator(&server, "POST", "/api/v1/admin/backup", body).await;
    assert!(answer.text.contains("\"result\""), "{}", answer.text);
    server.stop().await;
    let restored = server.dir().join("restored");
    ostracon_server::offline::restore(&backup, &restored, &|_, _| {}).unwrap();
    server.config_mut().data_dir = restored;
    server.start_again().await;
    clock.advance(86_400_001);
    server.collect_media().await;
    let media = bob.at(&server).get(&about(&media)).await.is(200);
    for url in ["url", "thumbnail_url"] {
        let file = get(&server, media[url].as_str().unwrap(), &[]).await;
        assert_eq!(file.status, 200, "{url}");
    }
}
