//! Calls as bytes on a connection of their own, and what came back. Nothing is retried.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::world::within;

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The call, for the words of a failed test.
    pub(crate) call: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    /// The body, with the status that must be.
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.call, self.text());
        self.value()
    }

    /// The body of 200 or 201.
    #[track_caller]
    pub(crate) fn good(&self) -> Value {
        assert!(matches!(self.status, 200 | 201), "{}: {} {}", self.call, self.status, self.text());
        self.value()
    }

    /// The body of a refusal, with the code and the status that must be.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> Value {
        let body = self.is(status);
        assert_eq!(body["error"]["code"], code, "{}: {body}", self.call);
        body["error"].clone()
    }

    /// The code of a refusal, empty otherwise.
    pub(crate) fn code(&self) -> String {
        self.value()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(400).collect()
    }
}

/// A call with a JSON body; the path is that after `/api/v1`, or a whole one of the operator's.
pub(crate) async fn json(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> Reply {
    let body = body.map(|body| (Bytes::from(body.to_string()), "application/json"));
    bytes(address, method, path, token, body).await
}

/// A call with any body.
pub(crate) async fn bytes(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<(Bytes, &str)>,
) -> Reply {
    const WHOLE: [&str; 5] = ["/api/", "/healthz", "/readyz", "/metrics", "/openapi.json"];
    let whole = WHOLE.iter().any(|start| path.starts_with(start));
    let uri = if whole { path.to_owned() } else { format!("/api/v1{path}") };
    let mut request =
        Request::builder().method(method).uri(&uri).header(header::HOST, address.to_string());
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let (body, kind) = match body {
        Some((body, kind)) => (body, Some(kind)),
        None => (Bytes::new(), None),
    };
    if let Some(kind) = kind {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    send(address, request.body(Full::new(body)).unwrap()).await
}

/// Any request.
pub(crate) async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Reply {
    let call = format!("{} {}", request.method(), request.uri());
    let what = call.clone();
    let answer = async {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request).await;
        let (head, body) = answer.unwrap_or_else(|error| panic!("{call}: {error}")).into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        drop(sender);
        connection.abort();
        Reply { call, status: head.status.as_u16(), headers: head.headers, body }
    };
    within(&what, answer).await
}
