//! The operator's calls, over the socket and with the admin role; what anybody may ask.

use ostracon_server::{admin::types, testing::TestServer};
use serde_json::{Value, json};

use crate::client::{Caller, operator};

#[tokio::test]
async fn many_users_at_once() {
    let server = TestServer::start().await;
    let body = json!({"users": [{"username": "Named", "password": "correct horse"}], "count": 2_000, "prefix": "load-"});
    let made = operator(&server, "POST", "/api/v1/admin/users", body.clone()).await.is(201);
    let made: types::CreatedUsers = serde_json::from_value(made).unwrap();
    assert_eq!(made.users.len(), 2_001);
    assert_eq!(made.users[0].username.as_deref(), Some("named"));
    let last = Caller::nobody(&server).with_token(&made.users[2_000].token);
    assert_eq!(last.get("/api/v1/me").await.is(200)["username"], "load-2000");
    operator(&server, "POST", "/api/v1/admin/users", body).await.refused(409, "conflict");
    let body = json!({"count": 2_001, "prefix": "load-", "reuse": true});
    let again = operator(&server, "POST", "/api/v1/admin/users", body).await.is(201);
    assert_eq!(again["users"][0]["user_id"], made.users[1].user_id.get());
    let sign_in = json!({"username": "named", "password": "correct horse"});
    Caller::nobody(&server).post("/api/v1/auth/login", sign_in).await.is(200);

    let wrong = json!({"users": [{"username": "fine-one"}, {"username": "x"}]});
    let error =
        operator(&server, "POST", "/api/v1/admin/users", wrong).await.refused(422, "invalid");
    assert_eq!(error["details"]["field"], "users[1].username");
    let page =
        operator(&server, "GET", "/api/v1/admin/users?query=load-&limit=1000", Value::Null).await;
    let page: types::Users = serde_json::from_value(page.is(200)).unwrap();
    assert_eq!(page.users.len(), 1_000);
    let next = format!("/api/v1/admin/users?query=load-&limit=1000&after={}", page.next.unwrap());
    let page: types::Users =
        serde_json::from_value(operator(&server, "GET", &next, Value::Null).await.is(200)).unwrap();
    assert_eq!(page.users.len(), 1_000);
}

#[tokio::test]
async fn an_admin_does_it_from_afar_and_others_do_not() {
    let server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let status = "/api/v1/admin/status";
    alice.get(status).await.refused(403, "forbidden");
    Caller::nobody(&server).get(status).await.refused(401, "unauthorized");
    let body = json!({"role": "admin"});
    operator(&server, "POST", "/api/v1/admin/users/alice/role", body).await.is(200);
    // The role counts at once, also for a token that was just used.
    let seen: types::Status = serde_json::from_value(alice.get(status).await.is(200)).unwrap();
    assert!(seen.resident_bytes > 0 && seen.process_id == std::process::id());

    let mut socket = bob.socket().await;
    let path = format!("/api/v1/admin/users/{}/password", bob.id);
    let set = alice.post(&path, json!({})).await.is(200);
    assert_eq!(socket.closed().await, 4401);
    bob.get("/api/v1/me").await.refused(401, "unauthorized");
    let sign_in = json!({"username": "bob", "password": set["password"]});
    bob.post("/api/v1/auth/login", sign_in).await.is(200);
    let token = alice
        .post("/api/v1/admin/users/name:bob/token", json!({"device_name": "bot"}))
        .await
        .is(200);
    bob.with_token(token["token"].as_str().unwrap()).get("/api/v1/me").await.is(200);
    alice.post("/api/v1/admin/users/nobody/token", json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn what_gives_somebody_power_is_written_down_without_secrets() {
    let mut server = TestServer::start().await;
    let post = async |path: &str, body: Value| {
        operator(&server, "POST", &format!("/api/v1/admin/{path}"), body).await
    };
    let made = post("users", json!({"count": 3, "prefix": "many-"})).await.is(201);
    let set = post("users/many-1/password", json!({})).await.is(200);
    let token = post("users/many-1/token", json!({})).await.is(200);
    post("backup", json!({"dir": server.dir().join("copy")})).await;
    let id = &set["user_id"];
    let expected = [
        ("server.backup", server.dir().join("copy").display().to_string()),
        ("user.token", format!("user {id}")),
        ("user.password", format!("user {id}")),
        ("user.create", format!("3 users from {} to {}", id, made["users"][2]["user_id"])),
    ];
    let read = async |server: &TestServer| {
        operator(server, "GET", "/api/v1/admin/audit", Value::Null).await.is(200)
    };
    let log = read(&server).await;
    let entries = log["entries"].as_array().unwrap();
    let told = entries.iter().map(|entry| (entry["action"].as_str().unwrap(), &entry["target"]));
    let told: Vec<_> = told.map(|(did, to)| (did, to.as_str().unwrap().to_owned())).collect();
    assert_eq!(told, expected);
    for secret in [&set["password"], &token["token"], &made["users"][0]["token"]] {
        assert!(!log.to_string().contains(secret.as_str().unwrap()), "{log}");
    }

    operator(&server, "POST", "/api/v1/admin/stop", Value::Null).await.is(202);
    server.restart().await;
    assert_eq!(read(&server).await["entries"][0]["action"], "server.stop");
}

#[tokio::test]
async fn what_was_deleted_is_read_only_where_it_is_kept() {
    let mut server = TestServer::start_with(|config| config.messages.keep_deleted = true).await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let first = alice.say(&bob, "a secret").await;
    alice.say(&bob, "again").await;
    let id = first["conversation_id"].as_str().unwrap().to_owned();
    let (path, messages) = (
        format!("/api/v1/admin/deleted?conversation={id}"),
        format!("/api/v1/conversations/{id}/messages"),
    );
    alice.delete(&format!("{messages}/1")).await.is(200);
    server.config_mut().messages.keep_deleted = false;
    server.restart().await;
    let (alice, bob) = (alice.at(&server), bob.at(&server));
    alice.delete(&format!("{messages}/2")).await.is(200);
    let found = operator(&server, "GET", &path, Value::Null).await.is(200);
    let found: types::DeletedMessages = serde_json::from_value(found).unwrap();
    assert_eq!(found.messages.len(), 1, "what was deleted while it was off is gone");
    assert_eq!((found.messages[0].seq, &*found.messages[0].content), (1, "a secret"));
    assert!(!bob.get(&messages).await.is(200).to_string().contains("secret"));
    let audit = operator(&server, "GET", "/api/v1/admin/audit", Value::Null).await.is(200);
    assert_eq!(audit["entries"][0]["action"], "messages.deleted");
    assert!(!audit.to_string().contains("secret"));
}

#[tokio::test]
async fn where_things_are() {
    let server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let first = alice.say(&bob, "hello").await;
    alice.say(&bob, "again").await;
    let id = first["conversation_id"].as_str().unwrap();
    let path = format!("/api/v1/admin/messages?conversation={id}");
    let places = operator(&server, "GET", &path, Value::Null).await.is(200);
    assert!(!places.to_string().contains("hello"), "{places}");
    let places: types::MessagePlaces = serde_json::from_value(places).unwrap();
    let seqs: Vec<_> = places.messages.iter().map(|place| place.seq).collect();
    assert_eq!((seqs, places.head_seq), (vec![1, 2], 2));
    let group = alice.group("G", &[&bob]).await;
    let id = group.rsplit('/').next().unwrap();
    operator(&server, "GET", &format!("/api/v1/admin/messages?conversation={id}"), Value::Null)
        .await
        .is(200);
    operator(&server, "GET", "/api/v1/admin/messages?conversation=x", Value::Null)
        .await
        .refused(404, "not_found");

    let sharding = operator(&server, "GET", "/api/v1/admin/sharding", Value::Null).await.is(200);
    let sharding: types::Sharding = serde_json::from_value(sharding).unwrap();
    assert_eq!(sharding.shards.iter().map(|shard| shard.units).sum::<u64>(), 16_384);
    assert_eq!(sharding.shards.iter().map(|shard| shard.conversations).sum::<u64>(), 2);
}

#[tokio::test]
async fn a_backup_is_made_while_it_runs() {
    let server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    alice.say(&bob, "keep this").await;
    let dir = server.dir().join("backup");
    let to = json!({"dir": dir});
    let answer = operator(&server, "POST", "/api/v1/admin/backup", to.clone()).await;
    let last: Value = serde_json::from_str(answer.text.lines().last().unwrap()).unwrap();
    assert!(last["result"]["bytes"].as_u64() > Some(0), "{last}");
    assert!(dir.join("directory.db").exists() && dir.join("shards/3.db").exists());
    let again = operator(&server, "POST", "/api/v1/admin/backup", to).await;
    assert!(again.text.contains("not empty"), "{}", again.text);
    let relative = operator(&server, "POST", "/api/v1/admin/backup", json!({"dir": "here"})).await;
    assert_eq!(relative.refused(422, "invalid")["details"]["field"], "dir");
}

#[tokio::test]
async fn what_anybody_may_ask() {
    let server = TestServer::start().await;
    let nobody = Caller::nobody(&server);
    assert_eq!(nobody.get("/healthz").await.is(200), json!({"status": "ok"}));
    let ready = nobody.get("/readyz").await.is(200);
    assert_eq!((&ready["ready"], &ready["shards"]["3"]), (&json!(true), &json!("ok")));
    assert_eq!(nobody.get("/openapi.json").await.is(200)["info"]["title"], "Ostracon");
    nobody.get("/metrics").await.refused(401, "unauthorized");
    let metrics = operator(&server, "GET", "/metrics", Value::Null).await;
    assert!(metrics.text.contains("http_call_seconds_bucket{le=\"0.001\"}"), "{}", metrics.text);
    assert!(metrics.text.contains("process_resident_memory_bytes"));
}

#[tokio::test]
async fn with_an_address_of_their_own_operators_are_not_beside_others() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = TestServer::start_with(|config| config.admin.listen = port.to_string()).await;
    let nobody = Caller::nobody(&server);
    nobody.get("/metrics").await.refused(404, "not_found");
    nobody.get("/api/v1/admin/status").await.refused(404, "not_found");
    operator(&server, "GET", "/api/v1/admin/status", Value::Null).await.is(200);
    let stream = tokio::net::TcpStream::connect(port).await.unwrap();
    let request = crate::client::request("GET", "/metrics", None, "");
    crate::client::raw(stream, request).await.text.contains("websockets");
}
