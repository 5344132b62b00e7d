//! Rate limits and counts.

use ostracon_server::testing::TestServer;
use serde_json::json;

use crate::client::Caller;

#[tokio::test]
async fn an_allowance_is_told_and_ends() {
    let server = TestServer::start_with(|config| {
        config.rate_limits.enabled = true;
        config.rate_limits.burst = 8;
        config.rate_limits.per_second = 4;
    })
    .await;
    let alice = Caller::new(&server, "alice").await;
    let first = alice.get("/api/v1/me").await;
    assert_eq!(first.headers["ratelimit-limit"], "8");
    assert!(first.headers.contains_key("ratelimit-remaining"));
    assert!(first.headers.contains_key("ratelimit-reset"));
    let mut last = first;
    for _ in 0..20 {
        last = alice.get("/api/v1/me").await;
        if last.status == 429 {
            break;
        }
    }
    assert_eq!(last.headers["ratelimit-limit"], "8");
    assert_eq!(last.headers["ratelimit-remaining"], "0");
    assert!(last.headers.contains_key("retry-after"));
    let error = last.refused(429, "rate_limited");
    assert!(error["retry_after_ms"].as_u64().unwrap() > 0);

    // On the socket as well; far beyond it the client is cut off.
    let bob = Caller::new(&server, "bob").await;
    let mut socket = bob.socket().await;
    for n in 0..700 {
        let frame =
            json!({"type": "mark_read", "id": n, "data": {"conversation_id": "x", "seq": 1}});
        let frame = tokio_tungstenite::tungstenite::Message::text(frame.to_string());
        if futures_util::SinkExt::send(&mut socket.0, frame).await.is_err() {
            break;
        }
    }
    assert_eq!(socket.closed().await, 4429);
}

#[tokio::test]
async fn guessing_passwords_is_slow() {
    let server = TestServer::start_with(|config| {
        config.rate_limits.enabled = true;
        config.rate_limits.sign_ins_per_minute = 2;
    })
    .await;
    let nobody = Caller::nobody(&server);
    let body = json!({"username": "alice", "password": "guessed it"});
    for _ in 0..2 {
        nobody.post("/api/v1/auth/login", body.clone()).await.refused(401, "unauthorized");
    }
    nobody.post("/api/v1/auth/login", body).await.refused(429, "rate_limited");
    let other = json!({"username": "bob", "password": "guessed it"});
    nobody.post("/api/v1/auth/login", other).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn there_are_only_so_many_sockets() {
    let server = TestServer::start_with(|config| config.limits.connections_max = 3).await;
    let alice = Caller::new(&server, "alice").await;
    let sockets = [alice.socket().await, alice.socket().await];
    // The third place is needed for the handshake itself.
    drop(sockets);
    alice.get("/healthz").await.is(200);
}

#[tokio::test]
async fn a_group_has_its_bound() {
    let server = TestServer::start_with(|config| config.limits.group_members_max = 2).await;
    let alice = Caller::new(&server, "alice").await;
    let (bob, carol) = (Caller::new(&server, "bob").await, Caller::new(&server, "carol").await);
    let path = alice.group("G", &[&bob]).await;
    let body = json!({"user_ids": [carol.id]});
    alice.post(&format!("{path}/members"), body).await.refused(409, "conflict");
}
