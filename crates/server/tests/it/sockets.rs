//! The WebSocket.

use futures_util::SinkExt as _;
use ostracon_server::testing::TestServer;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::client::Caller;

#[tokio::test]
async fn a_message_goes_to_every_device_but_the_one_that_sent_it() {
    let server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let (mut phone, mut desk) = (alice.socket().await, alice.socket().await);
    let mut other = bob.socket().await;

    let data = json!({"to": bob.id, "content": "hi", "client_id": "c1"});
    let answer = phone.ask("send_message", 1, data.clone()).await;
    assert_eq!(answer["type"], "message_sent", "{answer}");
    let sent = &answer["data"];
    assert_eq!((&sent["seq"], &sent["client_id"]), (&json!(1), &json!("c1")));

    let mine = desk.next_of("new_message").await;
    assert_eq!(mine["message_id"], sent["message_id"]);
    assert_eq!(mine["client_id"], "c1");
    let theirs = other.next_of("new_message").await;
    assert_eq!(theirs["content"], "hi");
    assert!(theirs.get("client_id").is_none(), "{theirs}");

    let again = phone.ask("send_message", 2, data).await;
    assert_eq!(again["data"]["message_id"], sent["message_id"]);
    let seq = json!({"conversation_id": sent["conversation_id"], "seq": 1});
    assert_eq!(other.ask("mark_read", 3, seq).await["type"], "ok");
    assert_eq!(phone.next_of("receipt").await["read_seq"], 1);
}

#[tokio::test]
async fn a_burst_is_answered_in_order() {
    let server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let (mut sender, mut receiver) = (alice.socket().await, bob.socket().await);
    for n in 1..=1_000 {
        let data = json!({"to": bob.id, "content": format!("{n}")});
        let frame = json!({"type": "send_message", "id": n, "data": data}).to_string();
        sender.0.feed(Message::text(frame)).await.unwrap();
    }
    sender.0.flush().await.unwrap();
    for n in 1..=1_000 {
        let answer = sender.next().await;
        let answer = if answer["type"] == "inbox_updated" { sender.next().await } else { answer };
        assert_eq!((&answer["id"], &answer["data"]["seq"]), (&json!(n), &json!(n)), "{answer}");
    }
    for n in 1..=1_000 {
        assert_eq!(receiver.next_of("new_message").await["content"], n.to_string());
    }
}

#[tokio::test]
async fn both_sub_protocols_say_the_same() {
    let server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    let mut socket = alice.connect(Some("unknown, ostracon.v1.cbor")).await.unwrap();
    let Some(Message::Binary(hello)) = socket.message().await else {
        panic!("no binary frame");
    };
    let text = ostracon_proto::Encoding::Cbor.text(&hello).unwrap().into_owned();
    assert!(text.contains("\"hello\""), "{text}");
    // Text where the sub-protocol says binary.
    socket.send("heartbeat", 1, json!({})).await;
    assert_eq!(socket.closed().await, 4400);

    let mut socket = alice.connect(Some("ostracon.v1.json")).await.unwrap();
    assert_eq!(socket.next().await["type"], "hello");
    socket.0.send(Message::binary(vec![0xa0])).await.unwrap();
    assert_eq!(socket.closed().await, 4400);
}

#[tokio::test]
async fn what_is_no_command_is_answered_and_what_is_no_frame_closes() {
    let server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    let mut socket = alice.socket().await;
    let answer = socket.ask("dance", 1, json!({})).await;
    assert_eq!(
        (&answer["type"], &answer["data"]["code"]),
        (&json!("error"), &json!("bad_request"))
    );
    socket.0.send(Message::text("[1]")).await.unwrap();
    assert_eq!(socket.next_of("error").await["code"], "bad_request");
    let answer = socket.ask("heartbeat", 2, json!({})).await;
    assert_eq!(answer["type"], "heartbeat");
    socket.0.send(Message::text("{half")).await.unwrap();
    assert_eq!(socket.closed().await, 4400);

    let mut socket = alice.socket().await;
    socket.0.send(Message::text("x".repeat(70_000))).await.unwrap();
    assert_eq!(socket.closed().await, 4413);
}

#[tokio::test]
async fn silence_is_noticed_and_pings_are_heard() {
    let server = TestServer::start_with(|config| {
        config.connections.heartbeat_s = 1;
        config.connections.silence_s = 2;
    })
    .await;
    let alice = Caller::new(&server, "alice").await;
    // This client answers pings only while it reads; a raw socket never does.
    let mut silent = raw_socket(&server, alice.token.as_deref().unwrap()).await;
    let code = read_close(&mut silent).await;
    assert_eq!(code, 4408);
}

/// A WebSocket by hand, so that nothing answers pings.
async fn raw_socket(server: &TestServer, token: &str) -> tokio::net::TcpStream {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "GET /api/v1/ws HTTP/1.1\r\nhost: test\r\nauthorization: bearer {token}\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
    stream
}

/// Reads unmasked frames until a close frame; its code.
async fn read_close(stream: &mut tokio::net::TcpStream) -> u16 {
    use tokio::io::AsyncReadExt as _;
    let read = async {
        loop {
            let (first, second) =
                (stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap());
            let length = match second {
                126 => u64::from(stream.read_u16().await.unwrap()),
                127 => stream.read_u64().await.unwrap(),
                n => u64::from(n),
            };
            let mut payload = vec![0; length as usize];
            stream.read_exact(&mut payload).await.unwrap();
            if first == 0x88 {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    };
    tokio::time::timeout(crate::client::PATIENCE, read).await.unwrap()
}
