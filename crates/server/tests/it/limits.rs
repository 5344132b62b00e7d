//! Rate limits and counts.

use ostracon_server::testing::TestServer;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::client::{Caller, PATIENCE};

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

/// Sends a request as raw bytes, all of it before anything of the answer is read; the answer.
async fn answer_to(server: &TestServer, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let whole = async {
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    tokio::time::timeout(PATIENCE, whole).await.unwrap()
}

#[tokio::test]
async fn who_sends_too_much_is_told_so_and_not_cut_off() {
    let server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    let head = |more: &str| {
        let token = alice.token.as_deref().unwrap();
        format!(
            "POST /api/v1/conversations HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             authorization: Bearer {token}\r\n{more}\r\n\r\n"
        )
    };
    let body = vec![b'x'; 8 << 20];
    let length = format!("content-length: {}", body.len());
    let told = answer_to(&server, &head(&length), &body).await;
    assert!(told.starts_with("HTTP/1.1 413") && told.contains("\"too_large\""), "{told}");

    let mut chunked = format!("{:x}\r\n", body.len()).into_bytes();
    chunked.extend(&body);
    chunked.extend(b"\r\n0\r\n\r\n");
    let told = answer_to(&server, &head("transfer-encoding: chunked"), &chunked).await;
    assert!(told.starts_with("HTTP/1.1 413") && told.contains("\"too_large\""), "{told}");

    // Who asks first sends nothing.
    let asking = format!("{length}\r\nexpect: 100-continue");
    let told = answer_to(&server, &head(&asking), b"").await;
    assert!(told.starts_with("HTTP/1.1 413") && told.contains("\"too_large\""), "{told}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_like_everything_else() {
    let server = TestServer::start().await;
    for head in [
        format!("GET /api/v1/me HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "b".repeat(1 << 20)),
        format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(1 << 20)),
        format!("GET /api/v1/me HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(200)),
    ] {
        let told = answer_to(&server, &head, b"").await;
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 431"), "{told}");
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["error"]["code"], "too_large", "{told}");
    }
}
