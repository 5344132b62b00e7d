//! Who may sign up, accounts that are out of use, and devices that are signed out.

use ostracon_server::{
    config::{JwtAlgorithm, Registration},
    testing::TestServer,
};
use serde_json::{Value, json};

use crate::client::{Caller, operator};

async fn get(server: &TestServer, path: &str) -> Value {
    operator(server, "GET", path, Value::Null).await.is(200)
}

#[tokio::test]
async fn who_was_invited_signs_up() {
    let server = TestServer::start_with(|c| c.auth.registration = Registration::Invite).await;
    let nobody = Caller::nobody(&server);
    let sign_up = async |name: &str, invite: Value| {
        let body = json!({"username": name, "password": "correct horse", "invite": invite});
        nobody.post("/api/v1/auth/register", body).await
    };
    sign_up("alice", Value::Null).await.refused(403, "forbidden");
    sign_up("alice", json!("inv_nonsense")).await.refused(403, "forbidden");

    let path = "/api/v1/admin/invites";
    for (wrong, field) in [
        (json!({"uses": 0}), "uses"),
        (json!({"days": 3_651}), "days"),
        (json!({"note": "two\nlines"}), "note"),
    ] {
        let error = operator(&server, "POST", path, wrong).await.refused(422, "invalid");
        assert_eq!(error["details"]["field"], field);
    }
    let two = json!({"uses": 2, "note": "friends"});
    let made = operator(&server, "POST", path, two).await.is(201);
    let code = &made["code"];
    assert!(code.as_str().unwrap().starts_with("inv_"));
    let listed = get(&server, path).await;
    assert_eq!(
        (&listed["invites"][0]["note"], &listed["invites"][0]["uses_left"]),
        (&json!("friends"), &json!(2))
    );
    assert!(listed["invites"][0].get("code").is_none());

    sign_up("alice", code.clone()).await.is(201);
    sign_up("alice", code.clone()).await.refused(409, "conflict");
    sign_up("bob", code.clone()).await.is(201);
    sign_up("carol", code.clone()).await.refused(403, "forbidden");
    assert_eq!(get(&server, path).await["invites"], json!([]));

    let made = operator(&server, "POST", path, json!({"days": 0})).await.is(201);
    assert!(made["expires_at"].is_null());
    let one = format!("{path}/{}", made["invite_id"]);
    operator(&server, "DELETE", &one, Value::Null).await.is(204);
    operator(&server, "DELETE", &one, Value::Null).await.refused(404, "not_found");
    sign_up("carol", made["code"].clone()).await.refused(403, "forbidden");

    // What makes accounts possible is written down, without the codes.
    let audit = get(&server, "/api/v1/admin/audit").await;
    let text = audit.to_string();
    assert!(text.contains("invite.create") && text.contains("invite.revoke"), "{text}");
    assert!(!text.contains(code.as_str().unwrap()));
}

#[tokio::test]
async fn nobody_is_signed_in_to_an_account_that_is_out_of_use() {
    let server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    alice.post(&format!("/api/v1/dialog/{}/send", bob.id), json!({"text": "hi"})).await.is(201);
    let mut socket = alice.socket().await;
    let ticket = alice.post("/api/v1/auth/ticket", json!({})).await.is(200);
    let set = async |call: &str| {
        operator(&server, "POST", &format!("/api/v1/admin/users/alice/{call}"), json!({})).await
    };
    assert_eq!(set("deactivate").await.is(200)["active"], false);
    assert_eq!(socket.closed().await, 4401);
    alice.get("/api/v1/me").await.refused(401, "unauthorized");
    let by_ticket = alice.connect_by_ticket(ticket["ticket"].as_str().unwrap()).await;
    assert_eq!(by_ticket.err().map(|status| status.as_u16()), Some(401));
    set("token").await.refused(409, "conflict");
    set("password").await.is(200);

    // What she said stays.
    let list = bob.get(&format!("/api/v1/dialog/{}/list", alice.id)).await.is(200);
    assert_eq!(list["messages"][0]["text"], "hi");

    let body = json!({"password": "another horse"});
    operator(&server, "POST", "/api/v1/admin/users/alice/password", body).await.is(200);
    let login = async |password: &str| {
        let body = json!({"username": "alice", "password": password});
        alice.post("/api/v1/auth/login", body).await
    };
    login("another horse").await.refused(403, "forbidden");
    login("wrong horse").await.refused(401, "unauthorized");
    assert_eq!(set("activate").await.is(200)["active"], true);
    login("another horse").await.is(200);

    // Nobody puts himself out.
    operator(&server, "POST", "/api/v1/admin/users/bob/role", json!({"role": "admin"}))
        .await
        .is(200);
    bob.post("/api/v1/admin/users/bob/deactivate", json!({})).await.refused(409, "conflict");
    bob.post("/api/v1/admin/users/nobody/deactivate", json!({})).await.refused(404, "not_found");
}

#[tokio::test]
async fn tokens_of_another_system_are_of_no_use_for_an_account_that_is_out_of_use() {
    use jsonwebtoken::{EncodingKey, Header, encode};
    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    let keys = tempfile::tempdir().unwrap();
    let key_file = keys.path().join("secret");
    std::fs::write(&key_file, SECRET).unwrap();
    let server = TestServer::start_with(|config| {
        config.jwt.algorithm = JwtAlgorithm::HS256;
        config.jwt.key_file = key_file.clone();
    })
    .await;
    let claims = json!({"sub": "customer-7", "exp": 4_000_000_000_u64});
    let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).unwrap();
    let seven = Caller::nobody(&server).with_token(&token);
    seven.get("/api/v1/me").await.is(200);
    let mut socket = seven.connect(None).await.unwrap();
    let ticket = seven.post("/api/v1/auth/ticket", json!({})).await.is(200);
    let path = "/api/v1/admin/users/ext:customer-7";
    operator(&server, "POST", &format!("{path}/deactivate"), json!({})).await.is(200);
    assert_eq!(socket.closed().await, 4401);
    seven.get("/api/v1/me").await.refused(401, "unauthorized");
    let by_ticket = seven.connect_by_ticket(ticket["ticket"].as_str().unwrap()).await;
    assert_eq!(by_ticket.err().map(|status| status.as_u16()), Some(401));
    operator(&server, "POST", &format!("{path}/activate"), json!({})).await.is(200);
    seven.get("/api/v1/me").await.is(200);
}

#[tokio::test]
async fn all_other_devices_are_signed_out_at_once() {
    let server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    let token = async || {
        let made = operator(&server, "POST", "/api/v1/admin/users/alice/token", json!({})).await;
        alice.with_token(made.is(200)["token"].as_str().unwrap())
    };
    let (phone, tablet) = (token().await, token().await);
    let mut socket = phone.socket().await;
    let ended = alice.delete("/api/v1/auth/sessions").await.is(200);
    assert_eq!(ended["revoked"], 2);
    assert_eq!(socket.closed().await, 4401);
    tablet.get("/api/v1/me").await.refused(401, "unauthorized");
    alice.get("/api/v1/me").await.is(200);
    assert_eq!(alice.delete("/api/v1/auth/sessions").await.is(200)["revoked"], 0);
}
