//! Requests that nobody honest sends.

use ostracon_proto::rest::OPERATIONS;
use ostracon_server::testing::TestServer;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::client::{Caller, PATIENCE};

#[tokio::test]
async fn every_call_of_the_table_is_there_and_asks_for_a_token() {
    let server = TestServer::start().await;
    let nobody = Caller::nobody(&server);
    for operation in OPERATIONS {
        let path = operation
            .path
            .replace("{user_id}", "1")
            .replace("{conversation_id}", "0190163d-8694-739b-aea5-966c26f8ad91")
            .replace("{seq}", "1")
            .replace("{emoji}", "x")
            .replace("{session_id}", "1")
            .replace("{subscription_id}", "1")
            .replace("{shard_id}", "1")
            .replace("{job_id}", "1")
            .replace("{invite_id}", "1")
            .replace("{token}", "1")
            .replace("{media_id}", "0123456789abcdef0123456789abcdef")
            .replace("{upload_id}", "0123456789abcdef0123456789abcdef");
        assert!(!path.contains('{'), "{path}");
        let answer = nobody.send(operation.method, &path, "").await;
        if operation.auth {
            let error = answer.refused(401, "unauthorized");
            assert!(error["message"].is_string() && error["details"].is_object());
        } else {
            assert!(
                ![401, 404, 405].contains(&answer.status.as_u16()),
                "{path}: {}",
                answer.status
            );
        }
    }
}

#[tokio::test]
async fn what_does_not_exist_is_said_in_json() {
    let server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    alice.get("/").await.refused(404, "not_found");
    alice.get("/api/v1/nothing").await.refused(404, "not_found");
    let answer = alice.delete("/api/v1/me").await;
    assert!(answer.headers["allow"].to_str().unwrap().contains("PATCH"));
    answer.refused(405, "bad_request");
    alice.get("/api/v1/ws").await.refused(400, "bad_request");
    for path in ["/api/v1/ws?token=x", "/api/v1/me?token=x"] {
        let token = alice.token.as_deref().unwrap();
        let path = path.replace("=x", &format!("={token}"));
        Caller::nobody(&server).get(&path).await.refused(401, "unauthorized");
    }
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_depth() {
    let server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    let send = format!("/api/v1/dialog/{}/send", alice.id);
    let big = format!("{{\"text\":\"{}\"}}", "x".repeat(3 << 20));
    alice.send("POST", &send, big).await.refused(413, "too_large");
    let deep = format!("{{\"text\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let answer = alice.send("POST", &send, deep).await;
    assert!([400, 422].contains(&answer.status.as_u16()), "{}", answer.text);
    for body in
        ["", "null", "[]", "\"x\"", "{", "{\"text\":", "\u{feff}{}", "{\"text\":\"\\ud800\"}"]
    {
        let answer = alice.send("POST", &send, body.to_owned()).await;
        assert!([400, 422].contains(&answer.status.as_u16()), "{body}: {}", answer.text);
    }
    alice.send("POST", &send, vec![0xff, 0xfe, 0x00]).await.refused(400, "bad_request");
    let huge = "{\"text\":\"x\",\"to\":99999999999999999999999}";
    alice.send("POST", &send, huge).await.refused(422, "invalid");
    // Fields that nobody knows are passed over.
    alice.post(&send, json!({"text": "x", "unknown": {"deep": [1]}})).await.is(201);
}

#[tokio::test]
async fn garbage_on_the_port_disturbs_nobody() {
    let server = TestServer::start().await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET / HTTP/1.1\r\nhost",
        b"\r\n\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        // Reset or closed: both are fine, as long as it ends.
        drop(read.unwrap());
    }
    Caller::nobody(&server).get("/healthz").await.is(200);
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let server = TestServer::start_with(|config| config.connections.request_head_s = 1).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: test\r\nx-slow: ").await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    drop(read.expect("it is closed"));
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}
