//! Accounts, sessions, tickets, tokens of another system.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ostracon_engine::ManualClock;
use ostracon_server::{
    config::{JwtAlgorithm, Registration},
    testing::TestServer,
};
use serde_json::{Value, json};

use crate::client::{Caller, operator};

const NOW: i64 = 1_800_000_000_000;

#[tokio::test]
async fn signing_up_in_and_out() {
    let server = TestServer::start().await;
    let nobody = Caller::nobody(&server);
    let body =
        json!({"username": "Alice", "password": "correct horse", "display_name": "Alice A."});
    let signed = nobody.post("/api/v1/auth/register", body.clone()).await.is(201);
    assert_eq!(signed["user"]["username"], "alice");
    assert_eq!(signed["user"]["display_name"], "Alice A.");
    nobody.post("/api/v1/auth/register", body).await.refused(409, "conflict");

    let login = |name: &str, password: &str| {
        let (nobody, name, password) = (nobody.clone(), name.to_owned(), password.to_owned());
        async move {
            let body = json!({"username": name, "password": password, "device_name": "phone"});
            nobody.post("/api/v1/auth/login", body).await
        }
    };
    let wrong = login("alice", "wrong horse").await.refused(401, "unauthorized");
    assert_eq!(login("nobody", "wrong horse").await.refused(401, "unauthorized"), wrong);
    assert_eq!(login("!", "wrong horse").await.refused(401, "unauthorized"), wrong);
    let second = login("ALICE", "correct horse").await.is(200);
    let token = |signed: &Value| signed["token"].as_str().unwrap().to_owned();
    let (first, phone) = (nobody.with_token(&token(&signed)), nobody.with_token(&token(&second)));

    let sessions = first.get("/api/v1/auth/sessions").await.is(200);
    let sessions = sessions["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    assert_eq!(
        (&sessions[0]["device_name"], &sessions[0]["current"]),
        (&json!("phone"), &json!(false))
    );
    assert_eq!(sessions[1]["current"], true);

    // The phone's socket closes when its session is revoked, and its token is of no use at once.
    phone.get("/api/v1/me").await.is(200);
    let mut socket = phone.connect(None).await.unwrap();
    let id = second["session_id"].as_str().unwrap();
    first.delete(&format!("/api/v1/auth/sessions/{id}")).await.is(204);
    first.delete(&format!("/api/v1/auth/sessions/{id}")).await.refused(404, "not_found");
    assert_eq!(socket.closed().await, 4401);
    phone.get("/api/v1/me").await.refused(401, "unauthorized");
    assert!(phone.connect(None).await.is_err());

    first.post("/api/v1/auth/logout", json!({})).await.is(204);
    first.get("/api/v1/me").await.refused(401, "unauthorized");
}

#[tokio::test]
async fn what_is_no_name_or_password_is_said() {
    let server = TestServer::start().await;
    let nobody = Caller::nobody(&server);
    for (name, password, field) in [
        ("ab", "12345678", "username"),
        ("with space", "12345678", "username"),
        ("ünicode", "12345678", "username"),
        ("abc", "1234567", "password"),
    ] {
        let body = json!({"username": name, "password": password});
        let error = nobody.post("/api/v1/auth/register", body).await.refused(422, "invalid");
        assert_eq!(error["details"]["field"], field);
    }
    nobody.post("/api/v1/auth/login", json!([])).await.refused(400, "bad_request");
    nobody.send("POST", "/api/v1/auth/login", "{").await.refused(400, "bad_request");
    let closed = TestServer::start_with(|c| c.auth.registration = Registration::Closed).await;
    let body = json!({"username": "alice", "password": "correct horse"});
    let nobody = Caller::nobody(&closed);
    nobody.post("/api/v1/auth/register", body).await.refused(403, "forbidden");
}

#[tokio::test]
async fn a_ticket_is_good_for_one_socket_and_thirty_seconds() {
    let clock = Arc::new(ManualClock::new(NOW));
    let server = TestServer::start_at(clock.clone(), |_| {}).await;
    let alice = Caller::new(&server, "alice").await;
    let ticket = || async {
        let answer = alice.post("/api/v1/auth/ticket", json!({})).await.is(200);
        answer["ticket"].as_str().unwrap().to_owned()
    };
    let first = ticket().await;
    alice.connect_by_ticket(&first).await.map(drop).unwrap();
    assert_eq!(alice.connect_by_ticket(&first).await.err().unwrap(), 401);
    let late = ticket().await;
    clock.advance(30_000);
    assert_eq!(alice.connect_by_ticket(&late).await.err().unwrap(), 401);
    assert_eq!(alice.connect_by_ticket("nonsense").await.err().unwrap(), 401);
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let clock = Arc::new(ManualClock::new(NOW));
    let server = TestServer::start_at(clock.clone(), |config| {
        config.auth.session_days = 1;
        config.connections.heartbeat_s = 1;
    })
    .await;
    let alice = Caller::new(&server, "alice").await;
    let mut socket = alice.socket().await;
    clock.advance(86_399_999);
    alice.get("/api/v1/me").await.is(200);
    clock.advance(1);
    alice.get("/api/v1/me").await.refused(401, "unauthorized");
    assert_eq!(socket.closed().await, 4401);
}

#[tokio::test]
async fn profiles_are_found_and_changed() {
    let server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let me = alice.get("/api/v1/me").await.is(200);
    assert_eq!(me["username"], "alice");
    let changed = alice.patch("/api/v1/me", json!({"display_name": "Alice Liddell"})).await.is(200);
    assert_eq!(changed["display_name"], "Alice Liddell");
    // What she lets others know is hers.
    let mut changed = changed;
    assert!(changed.as_object_mut().unwrap().remove("privacy").is_some());
    let seen = bob.get(&format!("/api/v1/users/{}", alice.id)).await.is(200);
    assert_eq!(seen, changed);
    let found = bob.get("/api/v1/users?query=alice").await.is(200);
    assert_eq!(found["users"], json!([changed]));
    let body = json!({"ids": [alice.id, 777], "external_ids": ["nobody"]});
    assert_eq!(bob.post("/api/v1/users/lookup", body).await.is(200)["users"], json!([changed]));
    let back = alice.patch("/api/v1/me", json!({"display_name": null})).await.is(200);
    assert_eq!(back["display_name"], "alice");
    alice.patch("/api/v1/me", json!({"display_name": "a\u{0}"})).await.refused(422, "invalid");
    bob.get("/api/v1/users/777").await.refused(404, "not_found");
    bob.get("/api/v1/users/x").await.refused(404, "not_found");
    bob.get("/api/v1/users").await.refused(422, "invalid");
}

fn jwt(key: &EncodingKey, algorithm: Algorithm, claims: Value) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), &claims, key).unwrap()
}

#[tokio::test]
async fn tokens_of_another_system_name_its_users() {
    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    let keys = tempfile::tempdir().unwrap();
    let key_file = keys.path().join("secret");
    std::fs::write(&key_file, SECRET).unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let server = TestServer::start_at(clock.clone(), |config| {
        config.jwt.algorithm = JwtAlgorithm::HS256;
        config.jwt.key_file = key_file.clone();
        config.jwt.issuer = "shop".to_owned();
        config.jwt.leeway_s = 0;
        config.connections.heartbeat_s = 1;
    })
    .await;
    let key = EncodingKey::from_secret(SECRET);
    let seconds = NOW / 1_000;
    let good = json!({"sub": "customer-7", "iss": "shop", "exp": seconds + 100, "name": "Seven"});
    let nobody = Caller::nobody(&server);
    let seven = nobody.with_token(&jwt(&key, Algorithm::HS256, good.clone()));
    let me = seven.get("/api/v1/me").await.is(200);
    assert_eq!((&me["external_id"], &me["display_name"]), (&json!("customer-7"), &json!("Seven")));
    assert_eq!(seven.get("/api/v1/me").await.is(200), me);
    let mut socket = seven.connect(None).await.unwrap();

    // Others name that user by the id of the other system.
    let bob = Caller::new(&server, "bob").await;
    let sent = bob.post("/api/v1/dialog/ext:customer-7/send", json!({"text": "hi"})).await.is(201);
    assert_eq!(sent["to_id"], me["user_id"]);
    seven.post("/api/v1/auth/logout", json!({})).await.refused(403, "forbidden");

    let change = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    let wrong_key = EncodingKey::from_secret(b"another secret of thirty-two byt");
    for token in [
        jwt(&key, Algorithm::HS256, change("exp", json!(seconds))),
        jwt(&key, Algorithm::HS256, change("exp", Value::Null)),
        jwt(&key, Algorithm::HS256, change("nbf", json!(seconds + 1))),
        jwt(&key, Algorithm::HS256, change("iss", json!("other"))),
        jwt(&key, Algorithm::HS256, change("iss", Value::Null)),
        jwt(&key, Algorithm::HS256, change("sub", json!(""))),
        jwt(&key, Algorithm::HS384, good.clone()),
        jwt(&wrong_key, Algorithm::HS256, good.clone()),
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.".to_owned(),
        "nonsense".to_owned(),
    ] {
        nobody.with_token(&token).get("/api/v1/me").await.refused(401, "unauthorized");
    }
    clock.advance(100_000);
    seven.get("/api/v1/me").await.refused(401, "unauthorized");
    assert_eq!(socket.closed().await, 4401);
}

#[tokio::test]
async fn every_algorithm_is_pinned_to_its_key() {
    for (algorithm, name) in [
        (JwtAlgorithm::RS256, "rs256"),
        (JwtAlgorithm::ES256, "es256"),
        (JwtAlgorithm::EdDSA, "eddsa"),
    ] {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/keys");
        let pem = |part: &str| std::fs::read(format!("{folder}/{name}.{part}.pem")).unwrap();
        let private = pem("private");
        let (alg, key) = match algorithm {
            JwtAlgorithm::RS256 => (Algorithm::RS256, EncodingKey::from_rsa_pem(&private)),
            JwtAlgorithm::ES256 => (Algorithm::ES256, EncodingKey::from_ec_pem(&private)),
            _ => (Algorithm::EdDSA, EncodingKey::from_ed_pem(&private)),
        };
        let server = TestServer::start_at(Arc::new(ManualClock::new(NOW)), |config| {
            config.jwt.algorithm = algorithm;
            config.jwt.key_file = format!("{folder}/{name}.public.pem").into();
            config.jwt.audience = "chat".to_owned();
            config.jwt.create_unknown_users = false;
        })
        .await;
        let claims = json!({"sub": "known", "aud": ["chat"], "exp": NOW / 1_000 + 60});
        let caller = Caller::nobody(&server).with_token(&jwt(&key.unwrap(), alg, claims.clone()));
        // Not created on sight here.
        caller.get("/api/v1/me").await.refused(401, "unauthorized");
        let body = json!({"users": [{"external_id": "known"}]});
        crate::client::operator(&server, "POST", "/api/v1/admin/users", body).await.is(201);
        assert_eq!(caller.get("/api/v1/me").await.is(200)["external_id"], "known");
        // The public key as a shared secret: the classic confusion.
        let confused = jwt(&EncodingKey::from_secret(&pem("public")), Algorithm::HS256, claims);
        let caller = caller.with_token(&confused);
        caller.get("/api/v1/me").await.refused(401, "unauthorized");
    }
}

fn b64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// A published Ed25519 key, from the end of its PEM.
fn published(id: &str) -> Value {
    use base64::Engine as _;
    let pem = include_str!("keys/eddsa.public.pem");
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    let point = b64(&der[der.len() - 32..]);
    json!({"kty": "OKP", "crv": "Ed25519", "x": point, "kid": id, "use": "sig", "alg": "EdDSA"})
}

#[tokio::test]
async fn keys_that_another_system_publishes_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let publish = |keys: Value| std::fs::write(&file, json!({"keys": keys}).to_string()).unwrap();
    let unusable = json!({"kty": "something", "kid": "new"});
    let secret = json!({"kty": "oct", "k": b64(b"0123456789abcdef0123456789abcdef"), "kid": "s"});
    publish(json!([unusable, secret, published("old"), published("other")]));
    let clock = Arc::new(ManualClock::new(NOW));
    let server = TestServer::start_at(clock.clone(), |config| {
        config.jwt.algorithm = JwtAlgorithm::EdDSA;
        config.jwt.key_set = file.to_str().unwrap().to_owned();
    })
    .await;
    let key = EncodingKey::from_ed_pem(include_bytes!("keys/eddsa.private.pem")).unwrap();
    let claims = json!({"sub": "known", "exp": 4_000_000_000_u64});
    let call = async |id: Option<&str>| {
        let header = Header { kid: id.map(str::to_owned), ..Header::new(Algorithm::EdDSA) };
        let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
        Caller::nobody(&server).with_token(&token).get("/api/v1/me").await
    };
    call(Some("old")).await.is(200);
    // Two keys, and it names none; a secret is no public key; nobody reads the set again for each made-up name.
    call(None).await.refused(401, "unauthorized");
    call(Some("s")).await.refused(401, "unauthorized");
    publish(json!([published("new")]));
    call(Some("new")).await.refused(401, "unauthorized");
    clock.advance(5_000);
    call(Some("new")).await.is(200);
    call(None).await.is(200);
    clock.advance(60_000);
    call(Some("old")).await.refused(401, "unauthorized");
    // What cannot be read leaves the keys as they are.
    std::fs::write(&file, "{").unwrap();
    clock.advance(400_000);
    call(Some("other")).await.refused(401, "unauthorized");
    call(Some("new")).await.is(200);
}

#[tokio::test]
async fn a_set_of_keys_is_read_from_its_address_as_it_changes() {
    use axum::{Json, Router, routing::get};
    let keys = Arc::new(std::sync::Mutex::new(json!([published("first")])));
    let shown = Arc::clone(&keys);
    let page = move || {
        let keys = shown.lock().unwrap().clone();
        async move { Json(json!({ "keys": keys })) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        axum::serve(listener, Router::new().route("/keys", get(page))).await.unwrap();
    });
    let server = TestServer::start_with(|config| {
        config.jwt.algorithm = JwtAlgorithm::EdDSA;
        config.jwt.key_set = format!("http://{address}/keys");
    })
    .await;
    let key = EncodingKey::from_ed_pem(include_bytes!("keys/eddsa.private.pem")).unwrap();
    let claims = json!({"sub": "known", "exp": 4_000_000_000_u64});
    let header = Header { kid: Some("first".to_owned()), ..Header::new(Algorithm::EdDSA) };
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    Caller::nobody(&server).with_token(&token).get("/api/v1/me").await.is(200);
}

#[tokio::test]
async fn the_oldest_of_too_many_sessions_ends() {
    let clock = Arc::new(ManualClock::new(NOW));
    let server = TestServer::start_at(clock.clone(), |_| {}).await;
    let alice = Caller::new(&server, "alice").await;
    let mut oldest = alice.socket().await;
    let sign_in = async || {
        clock.advance(1);
        let path = format!("/api/v1/admin/users/{}/token", alice.id);
        let signed = operator(&server, "POST", &path, json!({})).await.is(200);
        alice.with_token(signed["token"].as_str().unwrap())
    };
    for _ in 1..100 {
        sign_in().await;
    }
    alice.get("/api/v1/me").await.is(200);
    let newest = sign_in().await;
    assert_eq!(oldest.closed().await, 4401);
    alice.get("/api/v1/me").await.refused(401, "unauthorized");
    let sessions = newest.get("/api/v1/auth/sessions").await.is(200);
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 100);
}
