//! People who are away are told: a push service of the test's takes what is sent, checks who sends, and decrypts it as a browser would.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ostracon_server::{config::Webhook, testing::TestServer};
use p256::{
    PublicKey, SecretKey,
    ecdh::diffie_hellman,
    ecdsa::{Signature, VerifyingKey, signature::Verifier as _},
    elliptic_curve::sec1::ToEncodedPoint as _,
};
use ring::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hmac,
};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::client::{Caller, PATIENCE, operator};

/// What came in at an address.
#[derive(Debug, Clone)]
struct Received {
    at: String,
    headers: HeaderMap,
    body: Bytes,
}

struct Seen {
    come: UnboundedSender<Received>,
    /// What the next requests are answered; 201 without any.
    answers: Mutex<Vec<StatusCode>>,
}

/// A push service, and another system, on a port of its own.
struct Service {
    address: std::net::SocketAddr,
    seen: Arc<Seen>,
    received: UnboundedReceiver<Received>,
}

impl Service {
    async fn start() -> Self {
        async fn take(
            State(seen): State<Arc<Seen>>,
            Path(at): Path<String>,
            headers: HeaderMap,
            body: Bytes,
        ) -> StatusCode {
            let answer = seen.answers.lock().unwrap().pop().unwrap_or(StatusCode::CREATED);
            seen.come.send(Received { at, headers, body }).unwrap();
            answer
        }
        let (come, received) = unbounded_channel();
        let seen = Arc::new(Seen { come, answers: Mutex::default() });
        let router = Router::new().route("/{at}", post(take)).with_state(Arc::clone(&seen));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, seen, received }
    }

    fn answer_next(&self, status: u16) {
        self.seen.answers.lock().unwrap().push(StatusCode::from_u16(status).unwrap());
    }

    fn url(&self, at: &str) -> String {
        format!("http://{}/{at}", self.address)
    }

    /// The next that comes in.
    async fn next(&mut self) -> Received {
        self.next_within(PATIENCE).await.expect("nothing came")
    }

    async fn next_within(&mut self, patience: Duration) -> Option<Received> {
        tokio::time::timeout(patience, self.received.recv()).await.ok().flatten()
    }
}

/// A browser: its keys.
struct Browser {
    key: SecretKey,
    auth: [u8; 16],
}

impl Browser {
    fn new(n: u8) -> Self {
        Self { key: SecretKey::from_slice(&[n; 32]).unwrap(), auth: [n; 16] }
    }

    fn point(&self) -> Vec<u8> {
        self.key.public_key().to_encoded_point(false).as_bytes().to_vec()
    }

    /// What `PushSubscription.toJSON()` gives.
    fn subscription(&self, endpoint: &str) -> Value {
        let keys = json!({
            "p256dh": URL_SAFE_NO_PAD.encode(self.point()),
            "auth": URL_SAFE_NO_PAD.encode(self.auth),
        });
        json!({"endpoint": endpoint, "expirationTime": null, "keys": keys})
    }

    /// RFC 8291, the other way round.
    fn decrypted(&self, body: &[u8]) -> Value {
        let (salt, rest) = body.split_at(16);
        assert_eq!(rest[..5], [0, 0, 16, 0, 65]);
        let (theirs, record) = rest[5..].split_at(65);
        let point = PublicKey::from_sec1_bytes(theirs).unwrap();
        let shared = diffie_hellman(self.key.to_nonzero_scalar(), point.as_affine());
        let sign = |key: &[u8], parts: &[&[u8]]| {
            let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
            parts.iter().for_each(|part| context.update(part));
            context.sign().as_ref().to_vec()
        };
        let key = sign(&self.auth, &[shared.raw_secret_bytes()]);
        let input = sign(&key, &[b"WebPush: info\0", &self.point(), theirs, &[1]]);
        let key = sign(salt, &[&input]);
        let content = sign(&key, &[b"Content-Encoding: aes128gcm\0", &[1]]);
        let nonce = sign(&key, &[b"Content-Encoding: nonce\0", &[1]]);
        let opening = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &content[..16]).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(&nonce[..12]).unwrap();
        let mut record = record.to_vec();
        let plain = opening.open_in_place(nonce, Aad::empty(), &mut record).unwrap();
        let (last, plain) = plain.split_last().unwrap();
        assert_eq!(*last, 2, "the last record");
        serde_json::from_slice(plain).unwrap()
    }
}

/// The claims of who sends, when the signature is right.
fn sender(headers: &HeaderMap, expected_key: &str) -> Value {
    let text = headers["authorization"].to_str().unwrap();
    let (token, key) = text.strip_prefix("vapid t=").unwrap().split_once(", k=").unwrap();
    assert_eq!(key, expected_key);
    let key = VerifyingKey::from_sec1_bytes(&URL_SAFE_NO_PAD.decode(key).unwrap()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    key.verify(signed.as_bytes(), &signature).unwrap();
    let claims = signed.split_once('.').unwrap().1;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

async fn server(change: impl FnOnce(&mut ostracon_server::Config)) -> TestServer {
    TestServer::start_with(|config| {
        config.push.private_addresses = true;
        config.push.delay_ms = 300;
        config.push.subject = "mailto:operator@chat.example".to_owned();
        change(config);
    })
    .await
}

async fn subscribed(user: &Caller, browser: &Browser, endpoint: &str) -> Value {
    user.post("/api/v1/push/subscriptions", browser.subscription(endpoint)).await.is(201)
}

async fn key(user: &Caller) -> String {
    user.get("/api/v1/push/vapid-key").await.is(200)["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn somebody_who_is_away_is_told_by_his_browser() {
    let mut service = Service::start().await;
    let mut server = server(|_| {}).await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let phone = Browser::new(7);
    let device = subscribed(&bob, &phone, &service.url("phone")).await;
    assert_eq!((&device["enabled"], &device["current"]), (&json!(true), &json!(true)));
    let sent = alice.say(&bob, "Lunch?").await;
    let received = service.next().await;
    assert_eq!(received.at, "phone");
    let claims = sender(&received.headers, &key(&bob).await);
    assert_eq!(claims["aud"], format!("http://{}", service.address));
    assert_eq!(claims["sub"], "mailto:operator@chat.example");
    let header = |name: &str| received.headers[name].to_str().unwrap().to_owned();
    assert_eq!(
        (header("content-encoding"), header("urgency")),
        ("aes128gcm".into(), "high".into())
    );
    assert!(header("ttl").parse::<u32>().unwrap() > 80_000);
    let told = phone.decrypted(&received.body);
    assert_eq!(told["conversation_id"], sent["conversation_id"]);
    assert_eq!(
        (&told["seq"], &told["body"], &told["unread"]),
        (&json!(1), &json!("Lunch?"), &json!(1))
    );
    assert_eq!((&told["title"], &told["sender"]["user_id"]), (&json!("alice"), &json!(alice.id)));

    // Over a restart the key and the device stay. The text may be left out, and a burst is one message.
    server.restart().await;
    let (alice, bob) = (alice.at(&server), bob.at(&server));
    bob.patch("/api/v1/push/settings", json!({"preview": false})).await.is(200);
    let before = key(&bob).await;
    for text in ["one", "two", "three"] {
        alice.say(&bob, text).await;
    }
    let received = service.next().await;
    sender(&received.headers, &before);
    let told = phone.decrypted(&received.body);
    assert_eq!((&told["seq"], &told["unread"]), (&json!(4), &json!(4)));
    assert!(told.get("body").is_none());

    // A device that is gone is forgotten.
    service.answer_next(410);
    alice.say(&bob, "four").await;
    service.next().await;
    let gone = async {
        while bob.get("/api/v1/push/subscriptions").await.is(200)["subscriptions"] != json!([]) {}
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the device is still there");
}

#[tokio::test]
async fn what_was_sent_before_a_crash_of_the_service_is_told_after_it() {
    let mut service = Service::start().await;
    let mut server = server(|config| config.push.delay_ms = 1_000).await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let phone = Browser::new(9);
    subscribed(&bob, &phone, &service.url("phone")).await;
    alice.say(&bob, "before the restart").await;
    server.restart().await;
    let received = service.next().await;
    assert_eq!(phone.decrypted(&received.body)["body"], "before the restart");
}

#[tokio::test]
async fn what_needs_no_telling_is_not_told() {
    let mut service = Service::start().await;
    let server = server(|_| {}).await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let carol = Caller::new(&server, "carol").await;
    let phone = Browser::new(8);
    let device = subscribed(&bob, &phone, &service.url("phone")).await;
    // What Carol says behind it is told; had Alice's message been told, it would have come first.
    let next = async |service: &mut Service, text: &str| {
        carol.say(&bob, text).await;
        let told = phone.decrypted(&service.next().await.body);
        assert_eq!(told["body"], text);
    };
    let sent = alice.say(&bob, "read elsewhere").await;
    let path = format!("/api/v1/conversations/{}", sent["conversation_id"].as_str().unwrap());
    bob.post(&format!("{path}/read"), json!({"seq": 1})).await.is(200);
    next(&mut service, "behind what is read").await;
    alice.say(&bob, "deleted").await;
    alice.delete(&format!("{path}/messages/2")).await.is(200);
    next(&mut service, "behind what is deleted").await;
    let inbox = format!("{path}/inbox");
    bob.patch(&inbox, json!({"muted_until": 9_000_000_000_000_u64})).await.is(200);
    alice.say(&bob, "muted").await;
    next(&mut service, "behind what is muted").await;
    bob.patch(&inbox, json!({"muted_until": null})).await.is(200);
    // Edited before it is told: as it is then.
    alice.say(&bob, "wrong").await;
    alice.patch(&format!("{path}/messages/4"), json!({"content": "right"})).await.is(200);
    let told = phone.decrypted(&service.next().await.body);
    assert_eq!((&told["seq"], &told["body"]), (&json!(4), &json!("right")));

    // A device that he looks at has it.
    let mut socket = bob.socket().await;
    alice.say(&bob, "on the screen").await;
    let mark = json!({"conversation_id": sent["conversation_id"], "seq": 5});
    socket.send("mark_delivered", 1, mark).await;
    while socket.next().await["type"] != "ok" {}
    let one = device["subscription_id"].as_str().unwrap();
    let status = async || operator(&server, "GET", "/api/v1/admin/push", Value::Null).await.is(200);
    let told = format!("/api/v1/push/subscriptions/{one}");
    bob.patch(&told, json!({"enabled": false})).await.is(200);
    alice.say(&bob, "switched off").await;
    let waits = async { while status().await["push"]["waiting"] != json!(0) {} };
    tokio::time::timeout(PATIENCE, waits).await.expect("it still waits");
    assert!(service.received.try_recv().is_err());
}

#[tokio::test]
async fn only_what_is_sound_is_taken() {
    let server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    let path = "/api/v1/push/subscriptions";
    let browser = Browser::new(3);
    for (endpoint, field) in [
        ("http://127.0.0.1:9/x", "endpoint"),
        ("https://127.0.0.1/x", "endpoint"),
        ("https://10.0.0.1/x", "endpoint"),
        ("http://push.example/x", "endpoint"),
        ("nonsense", "endpoint"),
    ] {
        let error = alice.post(path, browser.subscription(endpoint)).await.refused(422, "invalid");
        assert_eq!(error["details"]["field"], field, "{endpoint}");
    }
    let good = browser.subscription("https://push.example/x");
    for (name, value, field) in [
        ("p256dh", "AAAA", "keys.p256dh"),
        ("p256dh", &*URL_SAFE_NO_PAD.encode([4; 65]), "keys.p256dh"),
        ("auth", "AAAA", "keys.auth"),
        ("auth", "!", "keys.auth"),
    ] {
        let mut bad = good.clone();
        bad["keys"][name] = json!(value);
        let error = alice.post(path, bad).await.refused(422, "invalid");
        assert_eq!(error["details"]["field"], field, "{name} {value}");
    }
    alice.post(path, good.clone()).await.is(201);
    let listed = alice.get(path).await.is(200);
    assert_eq!(listed["subscriptions"][0]["service"], "push.example");
    assert!(!listed.to_string().contains("push.example/x"), "the address is a secret");
    let id = listed["subscriptions"][0]["subscription_id"].as_str().unwrap().to_owned();

    let bob = Caller::new(&server, "bob").await;
    let one = format!("{path}/{id}");
    bob.patch(&one, json!({"enabled": false})).await.refused(404, "not_found");
    bob.delete(&one).await.refused(404, "not_found");
    assert_eq!(bob.get(path).await.is(200)["subscriptions"], json!([]));
    alice.delete(&one).await.is(204);
    alice.delete(&one).await.refused(404, "not_found");

    let settings = "/api/v1/push/settings";
    assert_eq!(alice.get(settings).await.is(200), json!({"scope": "all", "preview": true}));
    let changed = alice.patch(settings, json!({"scope": "mentions"})).await.is(200);
    assert_eq!(changed, json!({"scope": "mentions", "preview": true}));
    alice.patch(settings, json!({"scope": "some"})).await.refused(422, "invalid");

    // It goes with its session.
    alice.post(path, good).await.is(201);
    let other =
        alice.with_token(&server.session(ostracon_domain::UserId::new(alice.id).unwrap()).await);
    assert_eq!(other.get(path).await.is(200)["subscriptions"][0]["current"], false);
    alice.post("/api/v1/auth/logout", json!({})).await.is(204);
    assert_eq!(other.get(path).await.is(200)["subscriptions"], json!([]));
}

#[tokio::test]
async fn push_can_be_switched_off() {
    let server = TestServer::start_with(|config| config.push.enabled = false).await;
    let alice = Caller::new(&server, "alice").await;
    alice.get("/api/v1/push/vapid-key").await.refused(403, "forbidden");
    let body = Browser::new(3).subscription("https://push.example/x");
    alice.post("/api/v1/push/subscriptions", body).await.refused(403, "forbidden");
}

#[tokio::test]
async fn other_systems_are_told() {
    const SECRET: &str = "0123456789abcdef";
    let mut service = Service::start().await;
    let url = service.url("hook");
    let server = server(|config| {
        config.webhooks = ["message.offline", "message.created", "user.created"]
            .map(|event| Webhook {
                name: event.replace('.', "-"),
                url: url.clone(),
                secret: SECRET.into(),
                events: vec![event.to_owned()],
            })
            .to_vec();
    })
    .await;
    let status = operator(&server, "GET", "/api/v1/admin/push", Value::Null).await.is(200);
    assert_eq!(status["webhooks"].as_array().unwrap().len(), 3);
    assert!(!status.to_string().contains(SECRET));
    // Where new users begin is found within moments.
    let mut early = 0;
    loop {
        early += 1;
        Caller::new(&server, &format!("early{early}")).await;
        let Some(received) = service.next_within(Duration::from_secs(5)).await else { continue };
        let body: Value = serde_json::from_slice(&received.body).unwrap();
        if body["data"]["username"] == format!("early{early}") {
            break;
        }
    }
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let sent = alice.say(&bob, "Anybody there?").await;
    let mut events = Vec::new();
    while events.len() < 4 {
        let received = service.next().await;
        let signed = received.headers["ostracon-signature"].to_str().unwrap();
        let (time, signature) = signed.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        let mut context =
            hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()));
        context.update(format!("{time}.").as_bytes());
        context.update(&received.body);
        let expected: String =
            context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(signature, expected);
        let body: Value = serde_json::from_slice(&received.body).unwrap();
        assert_eq!(body["id"], received.headers["ostracon-event-id"].to_str().unwrap());
        assert_eq!(body["type"], received.headers["ostracon-event"].to_str().unwrap());
        let is_early =
            body["data"]["username"].as_str().is_some_and(|name| name.starts_with("early"));
        if !is_early {
            events.push(body);
        }
    }
    let of = |kind: &str| -> Vec<&Value> {
        events.iter().filter(|event| event["type"] == kind).map(|event| &event["data"]).collect()
    };
    assert_eq!(of("user.created").len(), 2);
    let created = of("message.created");
    assert_eq!((created.len(), &created[0]["content"]), (1, &json!("Anybody there?")));
    assert_eq!(created[0]["conversation_id"], sent["conversation_id"]);
    let offline = of("message.offline");
    assert_eq!((offline.len(), &offline[0]["user"]["user_id"]), (1, &json!(bob.id)));
    assert_eq!(
        (&offline[0]["sender"]["user_id"], &offline[0]["unread"]),
        (&json!(alice.id), &json!(1))
    );
}

#[tokio::test]
async fn an_operator_sees_the_queue() {
    let mut service = Service::start().await;
    let server = server(|_| {}).await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let phone = Browser::new(5);
    subscribed(&bob, &phone, &service.url("phone")).await;
    let test = json!({"user": "bob"});
    let told = operator(&server, "POST", "/api/v1/admin/push/test", test).await.is(200);
    assert_eq!(told["devices"][0]["result"], "sent");
    let received = service.next().await;
    assert_eq!(phone.decrypted(&received.body)["body"], "Push works.");

    // A refusal that will not change is given up at the second look, and can be tried again.
    service.answer_next(503);
    service.answer_next(503);
    alice.say(&bob, "hello").await;
    service.next().await;
    let state = async || operator(&server, "GET", "/api/v1/admin/push", Value::Null).await.is(200);
    let waits = async { while state().await["push"]["waiting"] != json!(1) {} };
    tokio::time::timeout(PATIENCE, waits).await.expect("it does not wait");
    let dead = operator(&server, "GET", "/api/v1/admin/push/dead?of=push", Value::Null).await;
    assert_eq!(dead.is(200)["errands"], json!([]));
    operator(&server, "GET", "/api/v1/admin/push/dead?of=x", Value::Null)
        .await
        .refused(422, "invalid");
    let replayed =
        operator(&server, "POST", "/api/v1/admin/push/replay", json!({"of": "events"})).await;
    assert_eq!(replayed.is(200)["replayed"], 0);
}
