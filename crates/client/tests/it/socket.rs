//! The raw socket: opening, both encodings, closing.

use crate::peer::Peer;
use ostracon_client::{Credential, Socket, SocketError, socket::decode};
use ostracon_proto::{
    CloseCode, Encoding, ErrorCode, cbor,
    frame::{ClientFrame, Command, FrameRef, ServerFrame},
};
use serde_json::json;
use std::time::Duration;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode as RawCode},
};

const BEAT: ClientFrame<'static> =
    ClientFrame { id: Some(FrameRef::number(5)), command: Command::Heartbeat };

#[tokio::test]
async fn text_frames_go_both_ways() {
    let peer = Peer::new().await;
    let address = peer.address();
    let serve = async {
        let (mut frames, opening) = peer.frames_with_request().await;
        assert_eq!(opening[0], "/api/v1/ws");
        for header in ["authorization: Bearer secret", "sec-websocket-protocol: ostracon.v1.json"] {
            assert!(opening.contains(&header.to_owned()), "{opening:?}");
        }
        frames.hello().await;
        assert_eq!(frames.heard().await, json!({"type": "heartbeat", "id": 5, "data": {}}));
    };
    let call = async {
        let credential = Credential::Token("secret".to_owned());
        let mut socket = Socket::connect(&address, &credential, Encoding::Json).await.unwrap();
        let hello = socket.next().await.unwrap();
        decode(Encoding::Json, &hello, |received| {
            assert!(matches!(received.frame, ServerFrame::Hello(hello) if hello.heartbeat_s == 30));
        })
        .unwrap();
        socket.send(&BEAT).await.unwrap();
    };
    tokio::join!(serve, call);
}

#[tokio::test]
async fn binary_frames_and_tickets() {
    let peer = Peer::new().await;
    let address = peer.address();
    let serve = async {
        let (mut frames, opening) = peer.frames_with_request().await;
        assert_eq!(opening[0], "/api/v1/ws?ticket=a%2Fb");
        let Message::Binary(bytes) = frames.raw().await else { panic!() };
        assert_eq!(cbor::to_json(&bytes).unwrap(), r#"{"type":"heartbeat","id":5,"data":{}}"#);
        frames.send(Message::binary(bytes)).await;
    };
    let call = async {
        let credential = Credential::Ticket("a/b".to_owned());
        let socket = Socket::connect(&address, &credential, Encoding::Cbor).await.unwrap();
        let (mut writer, mut reader) = socket.split();
        writer.send(&BEAT).await.unwrap();
        assert_eq!(reader.next().await.unwrap(), BEAT.encode(Encoding::Cbor));
    };
    tokio::join!(serve, call);
}

#[tokio::test]
async fn a_close_tells_its_code_and_delay() {
    let peer = Peer::new().await;
    let address = peer.address();
    let serve = async {
        let mut frames = peer.frames().await;
        let close = CloseFrame { code: RawCode::from(4503), reason: "retry_after_ms=1500".into() };
        frames.send(Message::Close(Some(close))).await;
    };
    let call = async {
        let credential = Credential::Token("t".to_owned());
        let mut socket = Socket::connect(&address, &credential, Encoding::Json).await.unwrap();
        let error = socket.next().await.unwrap_err();
        assert_eq!(error.close_code(), Some(CloseCode::Drained));
        assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)));
        assert!(matches!(socket.next().await.unwrap_err(), SocketError::Lost(_)));
    };
    tokio::join!(serve, call);
}

#[tokio::test]
async fn a_refused_opening_tells_why() {
    let peer = Peer::new().await;
    let address = peer.address();
    let serve = async {
        let mut http = peer.http().await;
        http.asked().await.unwrap();
        let refusal = json!({"error": {"code": "unauthorized", "message": "No."}});
        http.answer("401 Unauthorized", "", &refusal).await;
    };
    let call = async {
        let credential = Credential::Token("t".to_owned());
        let error = Socket::connect(&address, &credential, Encoding::Json).await.unwrap_err();
        let SocketError::Refused(refusal) = error else { panic!("{error:?}") };
        assert_eq!(refusal.code(), Some(ErrorCode::Unauthorized));
    };
    tokio::join!(serve, call);
}
