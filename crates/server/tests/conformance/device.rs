//! One WebSocket, by hand: what was sent, what came back and in which order. It follows none of the
//! rules of a good client; a [`Replica`](crate::replica::Replica) does.

use std::{collections::VecDeque, net::SocketAddr};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, header};
use ostracon_proto::{Encoding, cbor};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, Message, handshake::client::generate_key},
};

use crate::world::within;

pub(crate) struct Device {
    /// Data of the first frame.
    pub(crate) hello: Value,
    pub(crate) stream: WebSocketStream<TcpStream>,
    encoding: Encoding,
    next_id: u64,
    /// Frames that nobody has asked for yet, in the order of their arrival.
    waiting: VecDeque<Value>,
    /// Every frame, in the order of arrival.
    pub(crate) log: Vec<Value>,
    /// Whether events are kept; a device that only speaks throws them away.
    pub(crate) keeps_events: bool,
}

/// The request that opens a socket.
pub(crate) fn opening(
    address: SocketAddr,
    path: &str,
    token: Option<&str>,
    subprotocol: Option<&str>,
) -> Request<()> {
    let mut request = Request::builder()
        .uri(format!("ws://{address}{path}"))
        .header(header::HOST, address.to_string())
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key());
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if let Some(name) = subprotocol {
        request = request.header(header::SEC_WEBSOCKET_PROTOCOL, name);
    }
    request.body(()).unwrap()
}

impl Device {
    pub(crate) async fn connect(address: SocketAddr, token: &str) -> Self {
        Self::open(address, token, Encoding::Json).await
    }

    pub(crate) async fn open(address: SocketAddr, token: &str, encoding: Encoding) -> Self {
        let request = opening(address, "/api/v1/ws", Some(token), Some(encoding.subprotocol()));
        match Self::try_open(address, request, encoding).await {
            Ok(device) => device,
            Err(error) => panic!("the socket did not open: {error}"),
        }
    }

    /// Opens with any request; `Err` holds the status of a refusal.
    pub(crate) async fn try_open(
        address: SocketAddr,
        request: Request<()>,
        encoding: Encoding,
    ) -> Result<Self, tungstenite::Error> {
        let stream = within("a connection", TcpStream::connect(address)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (stream, _) = within("the upgrade", client_async(request, stream)).await?;
        let mut device = Self {
            hello: Value::Null,
            stream,
            encoding,
            next_id: 1,
            waiting: VecDeque::new(),
            log: Vec::new(),
            keeps_events: true,
        };
        let first = within("hello", device.read()).await.expect("hello");
        assert_eq!(first["type"], "hello", "{first}");
        device.hello = first["data"].clone();
        Ok(device)
    }

    /// The next frame; `Err` is the close code and its reason, 1006 for a torn connection.
    async fn read(&mut self) -> Result<Value, (u16, String)> {
        loop {
            let bytes: Bytes = match self.stream.next().await {
                Some(Ok(Message::Text(text))) => {
                    assert_eq!(self.encoding, Encoding::Json);
                    text.into()
                }
                Some(Ok(Message::Binary(bytes))) => {
                    assert_eq!(self.encoding, Encoding::Cbor);
                    cbor::to_json(&bytes).expect("CBOR").into()
                }
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map_or((1005, String::new()), |frame| {
                        (frame.code.into(), frame.reason.to_string())
                    }));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Err(error)) => return Err((1006, error.to_string())),
                None => return Err((1006, String::new())),
            };
            let is = |kind: &str| bytes.starts_with(format!("{{\"type\":\"{kind}\"").as_bytes());
            if !self.keeps_events && (is("new_message") || is("inbox_updated")) {
                continue;
            }
            let frame: Value = serde_json::from_slice(&bytes).expect("a frame is JSON");
            self.log.push(frame.clone());
            return Ok(frame);
        }
    }

    /// The first frame that fits, of those that came and those to come; others keep waiting.
    pub(crate) async fn frame(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.waiting.iter().position(&fits) {
            return self.waiting.remove(at).unwrap();
        }
        let wait = async {
            loop {
                match self.read().await {
                    Ok(frame) if fits(&frame) => return frame,
                    Ok(frame) => self.waiting.push_back(frame),
                    Err(end) => panic!("waited for {what}, the socket closed: {end:?}"),
                }
            }
        };
        within(what, wait).await
    }

    /// Sends a command without waiting; the reference of its answer.
    pub(crate) async fn tell(&mut self, kind: &str, data: Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send_json(&json!({"type": kind, "id": id, "data": data})).await;
        id
    }

    /// Sends any JSON as one frame.
    pub(crate) async fn send_json(&mut self, frame: &Value) {
        let message = match self.encoding {
            Encoding::Json => Message::text(frame.to_string()),
            Encoding::Cbor => {
                let mut bytes = Vec::new();
                cbor::from_json(frame.to_string().as_bytes(), &mut bytes).unwrap();
                Message::binary(bytes)
            }
        };
        self.send(message).await;
    }

    /// Sends any message.
    pub(crate) async fn send(&mut self, message: Message) {
        within("a frame to be sent", self.stream.send(message)).await.unwrap();
    }

    /// The answer to a command.
    pub(crate) async fn answer(&mut self, id: u64) -> Value {
        self.frame(&format!("the answer to {id}"), |frame| frame["id"] == id).await
    }

    /// A command with its answer, whatever it is.
    pub(crate) async fn ask(&mut self, kind: &str, data: Value) -> Value {
        let id = self.tell(kind, data).await;
        self.answer(id).await
    }

    /// The data of the answer to a command that must be taken.
    pub(crate) async fn good(&mut self, kind: &str, data: Value) -> Value {
        let said = data.to_string();
        let answer = self.ask(kind, data).await;
        assert_ne!(answer["type"], "error", "{kind} {said}: {answer}");
        answer["data"].clone()
    }

    /// The data of the `error` that a command must get.
    pub(crate) async fn refused(&mut self, kind: &str, data: Value, code: &str) -> Value {
        let said = data.to_string();
        let answer = self.ask(kind, data).await;
        assert_eq!(answer["data"]["code"], code, "{kind} {said}: {answer}");
        assert_eq!(answer["type"], "error");
        answer["data"].clone()
    }

    /// Sends text; the data of `message_sent`.
    pub(crate) async fn say(&mut self, conversation: &str, text: &str) -> Value {
        self.good("send_message", json!({"conversation_id": conversation, "content": text})).await
    }

    /// The data of the next event of a kind.
    pub(crate) async fn event(&mut self, kind: &str) -> Value {
        self.event_where(kind, |_| true).await
    }

    /// The data of the next event of a kind that fits.
    pub(crate) async fn event_where(&mut self, kind: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let event = self.frame(kind, |frame| {
            frame["type"] == kind && frame.get("id").is_none() && fits(&frame["data"])
        });
        event.await["data"].clone()
    }

    /// The next new message with this text.
    pub(crate) async fn hears(&mut self, text: &str) -> Value {
        self.event_where("new_message", |message| message["content"] == text).await
    }

    /// The data of every frame of a kind so far.
    pub(crate) fn seen(&self, kind: &str) -> Vec<&Value> {
        self.log.iter().filter(|frame| frame["type"] == kind).map(|frame| &frame["data"]).collect()
    }

    /// Everything that came before this answer is in the log.
    pub(crate) async fn heartbeat(&mut self) -> Value {
        self.good("heartbeat", json!({})).await
    }

    /// Reads until the server closes; code and reason.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        let wait = async {
            loop {
                if let Err(end) = self.read().await {
                    return end;
                }
            }
        };
        within("the server to close", wait).await
    }

    /// A plain good-bye.
    pub(crate) async fn leave(mut self) {
        let _ = self.stream.close(None).await;
        self.closed().await;
    }
}
