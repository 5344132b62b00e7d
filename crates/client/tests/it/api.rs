//! Calls: paths, headers, connections kept, refusals.

use crate::peer::{Peer, unix_http};
use ostracon_client::{Address, Api, ApiError};
use ostracon_domain::{ConversationId, UserId};
use ostracon_proto::{
    ErrorCode, Position, UserRef,
    frame::OutgoingMessage,
    rest::{Anchor, MessagesQuery},
};
use serde_json::json;
use std::time::Duration;
use tokio::net::UnixListener;

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

#[tokio::test]
async fn a_call_carries_its_token_and_keeps_its_connection() {
    let peer = Peer::new().await;
    let api = Api::new(peer.address(), Some("secret"));
    let calls = tokio::spawn(async move {
        let profile = api.me().await.unwrap();
        let found = api.user(&UserRef::External("a/b".to_owned())).await.unwrap();
        (profile, found)
    });
    let mut http = peer.http().await;
    let profile = json!({"user_id": 7, "username": "alice", "display_name": "Alice"});
    let first = http.asked().await.unwrap();
    assert_eq!(first.line, "GET /api/v1/me");
    assert!(first.headers.contains(&"authorization: Bearer secret".to_owned()), "{first:?}");
    http.answer("200 OK", "", &profile).await;
    let second = http.asked().await.unwrap();
    assert_eq!(second.line, "GET /api/v1/users/ext%3Aa%2Fb");
    http.answer("200 OK", "", &profile).await;
    let (one, other) = calls.await.unwrap();
    assert_eq!((one.user_id, one), (user(7), other));
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_is_replaced() {
    let peer = Peer::new().await;
    let api = Api::new(peer.address(), None);
    let serve = async {
        for _ in 0..2 {
            let mut http = peer.http().await;
            http.asked().await.unwrap();
            http.answer("200 OK", "", &json!({"total": 3, "conversations": {}})).await;
            // Dropped here: the idle connection closes.
        }
    };
    let call = async {
        for _ in 0..2 {
            assert_eq!(api.unread().await.unwrap().total, 3);
        }
    };
    tokio::join!(serve, call);
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let peer = Peer::new().await;
    let api = Api::new(peer.address(), None);
    let conversation = ConversationId::direct(user(1), user(2));
    let message = OutgoingMessage { client_id: Some("c".into()), ..OutgoingMessage::text("hi") };
    let serve = async {
        let mut http = peer.http().await;
        let asked = http.asked().await.unwrap();
        assert_eq!(asked.line, format!("POST /api/v1/conversations/{conversation}/messages"));
        let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
        assert_eq!(body["client_id"], "c");
        let refusal = json!({"error": {"code": "busy", "message": "Full."}});
        http.answer("503 Service Unavailable", "retry-after: 2\r\n", &refusal).await;
        http.asked().await.unwrap();
    };
    let call = async {
        let error = api.send(conversation, &message).await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::Busy));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
        assert!(error.retryable());
        // The second call gets no answer at all.
        let error = api.send(conversation, &message).await.unwrap_err();
        assert!(matches!(error, ApiError::Transport(_)) && error.retryable(), "{error:?}");
    };
    tokio::join!(serve, call);
}

#[tokio::test]
async fn pages_are_asked_by_position() {
    let peer = Peer::new().await;
    let api = Api::new(peer.address(), None);
    let conversation = ConversationId::direct(user(1), user(2));
    let anchors = [
        (Anchor::Newest, ""),
        (Anchor::Before(Position::Seq(9)), "&before=9"),
        (Anchor::After(Position::Time(1_500_000_000_000)), "&after=1500000000000"),
    ];
    for (anchor, expect) in anchors {
        let query = MessagesQuery { limit: 5, anchor, min_rev: None };
        let serve = async {
            let mut http = peer.http().await;
            let line = http.asked().await.unwrap().line;
            let path = format!("GET /api/v1/conversations/{conversation}/messages");
            assert_eq!(line, format!("{path}?limit=5{expect}"));
            let refusal =
                json!({"error": {"code": "not_found", "message": "No such conversation."}});
            http.answer("404 Not Found", "connection: close\r\n", &refusal).await;
        };
        let call = api.messages(conversation, &query);
        let ((), answer) = tokio::join!(serve, call);
        let error = answer.unwrap_err();
        assert!(!error.retryable() && error.code() == Some(ErrorCode::NotFound));
    }
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let api = Api::new(Address::unix(&path), None);
    let serve = async {
        let mut http = unix_http(&listener).await;
        assert_eq!(http.asked().await.unwrap().line, "POST /api/v1/admin/users");
        http.answer("201 Created", "", &json!({"n": 1})).await;
    };
    let body = json!({"username": "alice"});
    let call = api.call(http::Method::POST, "/api/v1/admin/users", Some(&body));
    let ((), answer) = tokio::join!(serve, call);
    let answer = answer.unwrap();
    assert_eq!(answer.status, 201);
    assert_eq!(answer.read::<serde_json::Value>().unwrap(), json!({"n": 1}));
}
