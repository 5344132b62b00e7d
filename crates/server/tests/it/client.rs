//! The smallest HTTP and WebSocket client that the stories need.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ostracon_server::testing::TestServer;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest as _},
};

/// How long anything may take before a story has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        if self.text.is_empty() { Value::Null } else { self.json() }
    }

    /// A refusal with this status and code.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Value {
        let body = self.is(status);
        assert_eq!(body["error"]["code"], code, "{body}");
        body["error"].clone()
    }
}

/// One call on a connection of its own.
pub(crate) async fn raw<S>(stream: S, request: Request<Full<Bytes>>) -> Answer
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let call = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let response = sender.send_request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    };
    tokio::time::timeout(PATIENCE, call).await.unwrap()
}

pub(crate) fn request(
    method: &str,
    path: &str,
    token: Option<&str>,
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(path)
        .header("host", "test");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(Full::new(body.into())).unwrap()
}

/// Somebody who calls: a server and maybe a token.
#[derive(Clone)]
pub(crate) struct Caller {
    address: std::net::SocketAddr,
    pub(crate) token: Option<String>,
    pub(crate) id: u64,
}

impl Caller {
    pub(crate) fn nobody(server: &TestServer) -> Self {
        Self { address: server.address(), token: None, id: 0 }
    }

    pub(crate) async fn new(server: &TestServer, name: &str) -> Self {
        let (id, token) = server.user(name).await;
        Self { address: server.address(), token: Some(token), id: id.get() }
    }

    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same at another server.
    pub(crate) fn at(&self, server: &TestServer) -> Self {
        Self { address: server.address(), ..self.clone() }
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        raw(stream, request(method, path, self.token.as_deref(), body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, "").await
    }

    pub(crate) async fn put(&self, path: &str) -> Answer {
        self.send("PUT", path, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, body.to_string()).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send("PATCH", path, body.to_string()).await
    }

    /// Sends a text to a user; the dialog message.
    pub(crate) async fn say(&self, to: &Self, text: &str) -> Value {
        let path = format!("/api/v1/dialog/{}/send", to.id);
        self.post(&path, json!({"text": text})).await.is(201)
    }

    /// A new group with oneself as owner; its path.
    pub(crate) async fn group(&self, name: &str, members: &[&Self]) -> String {
        let ids: Vec<_> = members.iter().map(|member| member.id).collect();
        let body = json!({"type": "group", "name": name, "member_ids": ids});
        let entry = self.post("/api/v1/conversations", body).await.is(201);
        path_of(&entry["conversation"])
    }

    /// An open socket, after its `hello`.
    pub(crate) async fn socket(&self) -> Socket {
        let mut socket = self.connect(None).await.unwrap();
        let hello = socket.next().await;
        assert_eq!(hello["type"], "hello", "{hello}");
        assert_eq!(hello["data"]["user_id"], self.id);
        socket
    }

    pub(crate) async fn connect(&self, protocol: Option<&str>) -> Result<Socket, StatusCode> {
        let url = format!("ws://{}/api/v1/ws", self.address);
        let mut request = url.into_client_request().unwrap();
        let headers = request.headers_mut();
        if let Some(token) = &self.token {
            headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        if let Some(protocol) = protocol {
            headers.insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        connect(request).await
    }

    pub(crate) async fn connect_by_ticket(&self, ticket: &str) -> Result<Socket, StatusCode> {
        let url = format!("ws://{}/api/v1/ws?ticket={ticket}", self.address);
        connect(url.into_client_request().unwrap()).await
    }
}

async fn connect(request: Request<()>) -> Result<Socket, StatusCode> {
    use tokio_tungstenite::tungstenite::Error;
    match tokio_tungstenite::connect_async(request).await {
        Ok((stream, _)) => Ok(Socket(stream)),
        Err(Error::Http(response)) => Err(response.status()),
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn path_of(conversation: &Value) -> String {
    format!("/api/v1/conversations/{}", conversation["conversation_id"].as_str().unwrap())
}

pub(crate) struct Socket(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) async fn send(&mut self, kind: &str, id: u32, data: Value) {
        let frame = json!({"type": kind, "id": id, "data": data}).to_string();
        self.0.send(Message::text(frame)).await.unwrap();
    }

    pub(crate) async fn message(&mut self) -> Option<Message> {
        let next = tokio::time::timeout(PATIENCE, self.0.next()).await;
        next.expect("something arrives").and_then(Result::ok)
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match self.message().await {
                Some(Message::Text(text)) => return serde_json::from_str(&text).unwrap(),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("no frame: {other:?}"),
            }
        }
    }

    /// The data of the next frame of this type; others are passed over.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame["data"].clone();
            }
        }
    }

    /// The answer to a command.
    pub(crate) async fn ask(&mut self, kind: &str, id: u32, data: Value) -> Value {
        self.send(kind, id, data).await;
        loop {
            let frame = self.next().await;
            if frame["id"] == id {
                return frame;
            }
        }
    }

    /// Reads until the close frame; its code.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match self.message().await {
                Some(Message::Close(Some(frame))) => return frame.code.into(),
                Some(Message::Close(None)) => return 1005,
                Some(_) => {}
                None => return 1006,
            }
        }
    }
}

/// A call over the operator's socket.
pub(crate) async fn operator(server: &TestServer, method: &str, path: &str, body: Value) -> Answer {
    let stream = UnixStream::connect(server.admin_socket()).await.unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    raw(stream, request(method, path, None, body)).await
}
