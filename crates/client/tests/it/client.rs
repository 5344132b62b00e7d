//! The client that runs by itself: it comes back, sends again, and knows when to stop.

use crate::peer::{Frames, Peer};
use ostracon_client::{Client, Config, Event, Random};
use ostracon_domain::{ConversationId, UserId};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// No jitter at all, and client ids that count.
struct Counting(u64);

impl Random for Counting {
    fn next_u64(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

async fn start(peer: &Peer) -> Client {
    let mut config = Config::new(peer.address(), "secret");
    config.user = Some(UserId::new(1).unwrap());
    config.random = Box::new(Counting(0));
    Client::start(config).await.unwrap()
}

fn direct() -> ConversationId {
    ConversationId::direct(UserId::new(1).unwrap(), UserId::new(2).unwrap())
}

/// Greets, and answers the listing that follows; calls come over a connection of their own.
async fn greet(peer: &Peer, frames: &mut Frames) {
    frames.hello().await;
    let mut http = peer.http().await;
    let asked = http.asked().await.unwrap();
    assert!(asked.line.starts_with("GET /api/v1/sync"), "{asked:?}");
    let listing = json!({"conversations": [], "removed": [], "cursor": "c", "user_rev": 0,
        "more": false, "reset": false});
    http.answer("200 OK", "connection: close\r\n", &listing).await;
}

fn close(code: u16) -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::from(code), reason: "".into() }))
}

fn acked(frame: &Value, seq: u64) -> Value {
    let client_id = &frame["data"]["client_id"];
    let message = json!({"message_id": format!("{seq:019}"), "conversation_id": direct(), "seq": seq,
        "rev": seq, "content_rev": seq, "sender_id": 1, "type": "text", "timestamp": 1,
        "content": frame["data"]["content"], "client_id": client_id});
    json!({"type": "message_sent", "id": frame["id"], "data": {"message_id": message["message_id"],
        "conversation_id": direct(), "seq": seq, "rev": seq, "history": "0000000000000001",
        "timestamp": 1, "client_id": client_id, "message": message}})
}

#[tokio::test]
async fn it_comes_back_and_sends_again_under_the_same_client_id() {
    let peer = Peer::new().await;
    let client = start(&peer).await;
    let mut events = client.events();
    let mut frames = peer.frames().await;
    greet(&peer, &mut frames).await;
    let to = UserId::new(2).unwrap();
    let (conversation, first_id) = client.send(to, "one").await.unwrap();
    client.send(to, "two").await.unwrap();
    assert_eq!(conversation, direct());
    let first = frames.heard().await;
    assert_eq!(first["data"]["client_id"], Value::from(first_id));
    assert_eq!(first["data"]["to"], 2);
    // The node goes away without an answer.
    drop(frames);
    let mut frames = peer.frames().await;
    greet(&peer, &mut frames).await;
    let again = frames.heard().await;
    assert_eq!(again["data"], first["data"]);
    frames.say(&acked(&again, 1)).await;
    let second = frames.heard().await;
    assert_eq!(second["data"]["content"], "two");
    frames.say(&acked(&second, 2)).await;
    let mut seqs = Vec::new();
    while seqs.len() < 2 {
        if let Some(Event::Sent { seq, .. }) = events.next().await {
            seqs.push(seq);
        }
    }
    assert_eq!(seqs, [1, 2]);
}

#[tokio::test]
async fn it_stops_when_it_is_signed_out_and_goes_on_when_the_server_stops() {
    let peer = Peer::new().await;
    let client = start(&peer).await;
    let mut events = client.events();
    let mut frames = peer.frames().await;
    greet(&peer, &mut frames).await;
    frames.send(close(1001)).await;
    let mut frames = peer.frames().await;
    greet(&peer, &mut frames).await;
    frames.send(close(4401)).await;
    let mut seen = Vec::new();
    while seen.last() != Some(&Event::SignedOut) {
        let event = events.next().await.unwrap();
        if matches!(event, Event::Connected | Event::Disconnected | Event::SignedOut) {
            seen.push(event);
        }
    }
    let twice = [Event::Connected, Event::Disconnected];
    assert_eq!(seen, [&twice[..], &twice[..], &[Event::SignedOut]].concat());
    // What was loaded can still be looked at.
    assert_eq!(client.chat_list().await.unwrap(), []);
    client.stop();
    while events.next().await.is_some() {}
    assert!(client.chat_list().await.is_err());
}

#[tokio::test]
async fn a_refused_send_waits_and_is_tried_again() {
    let peer = Peer::new().await;
    let client = start(&peer).await;
    let mut frames = peer.frames().await;
    greet(&peer, &mut frames).await;
    client.send(direct(), "one").await.unwrap();
    client.send(direct(), "two").await.unwrap();
    let first = frames.heard().await;
    frames
        .say(&json!({"type": "error", "id": first["id"],
            "data": {"code": "busy", "message": "Full.", "retry_after_ms": 1}}))
        .await;
    let again = frames.heard().await;
    assert_eq!(again["data"], first["data"]);
    assert_ne!(again["id"], first["id"]);
    frames.say(&acked(&again, 1)).await;
    assert_eq!(frames.heard().await["data"]["content"], "two");
}

#[tokio::test]
async fn a_call_without_an_answer_is_made_again() {
    let peer = Peer::new().await;
    let client = start(&peer).await;
    let mut frames = peer.frames().await;
    frames.hello().await;
    // The connection of the first call closes in the middle of it.
    drop(peer.http().await);
    let mut http = peer.http().await;
    assert!(http.asked().await.unwrap().line.starts_with("GET /api/v1/sync"));
    let listing = json!({"conversations": [], "removed": [], "cursor": "c", "user_rev": 0,
        "more": false, "reset": false});
    http.answer("200 OK", "", &listing).await;
    client.level().await.unwrap();
}
