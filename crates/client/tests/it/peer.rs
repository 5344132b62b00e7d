//! The other side: accepts connections and plays what a test wants, byte for byte.

use futures_util::{SinkExt as _, StreamExt as _};
use ostracon_client::Address;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
    },
};

/// A listener on a port of its own.
pub(crate) struct Peer {
    listener: TcpListener,
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Method and path with query.
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

/// A connection that speaks HTTP.
pub(crate) struct Http<S>(BufReader<S>);

/// A connection that speaks frames.
pub(crate) struct Frames(WebSocketStream<TcpStream>);

impl Peer {
    pub(crate) async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn address(&self) -> Address {
        self.listener.local_addr().unwrap().to_string().parse().unwrap()
    }

    pub(crate) async fn accept(&self) -> TcpStream {
        self.listener.accept().await.unwrap().0
    }

    pub(crate) async fn http(&self) -> Http<TcpStream> {
        Http(BufReader::new(self.accept().await))
    }

    pub(crate) async fn frames(&self) -> Frames {
        let (frames, _) = self.frames_with_request().await;
        frames
    }

    /// A WebSocket, with path and headers of its opening.
    #[expect(clippy::result_large_err, reason = "the type that the library wants")]
    pub(crate) async fn frames_with_request(&self) -> (Frames, Vec<String>) {
        let mut seen = Vec::new();
        let look = |request: &Request, mut response: Response| {
            seen.push(request.uri().to_string());
            let headers = request.headers().iter();
            seen.extend(
                headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())),
            );
            if let Some(protocol) = request.headers().get("sec-websocket-protocol") {
                response.headers_mut().insert("sec-websocket-protocol", protocol.clone());
            }
            Ok::<Response, ErrorResponse>(response)
        };
        let socket = accept_hdr_async(self.accept().await, look).await.unwrap();
        (Frames(socket), seen)
    }
}

pub(crate) async fn unix_http(listener: &UnixListener) -> Http<UnixStream> {
    Http(BufReader::new(listener.accept().await.unwrap().0))
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Http<S> {
    /// The next request; `None` at the end of the connection.
    pub(crate) async fn asked(&mut self) -> Option<Asked> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await.unwrap() == 0 {
                return None;
            }
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let length = lines.iter().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse().unwrap())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body).await.unwrap();
        let line = lines.remove(0).trim_end_matches(" HTTP/1.1").to_owned();
        Some(Asked { line, headers: lines, body })
    }

    pub(crate) async fn answer(&mut self, status: &str, headers: &str, body: &Value) {
        let body = body.to_string();
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
        self.0.write_all(head.as_bytes()).await.unwrap();
        self.0.write_all(body.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }
}

impl Frames {
    pub(crate) async fn say(&mut self, frame: &Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    pub(crate) async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// The next text frame.
    pub(crate) async fn heard(&mut self) -> Value {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next message of any kind.
    pub(crate) async fn raw(&mut self) -> Message {
        self.0.next().await.unwrap().unwrap()
    }

    pub(crate) async fn hello(&mut self) {
        self.say(&json!({"type": "hello", "data": {
            "session_id": "s", "user_id": 1, "heartbeat_s": 30, "max_frame_bytes": 65536,
            "max_in_flight": 8, "server_time": 0, "user_rev": 0,
        }}))
        .await;
    }
}
