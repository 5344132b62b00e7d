//! A server as commands reach it. Calls that take long are answered with one JSON object a line, the result last.

use std::path::Path;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, body::Bytes, header};
use hyper_util::rt::TokioIo;
use ostracon_client::{Address, Api, Transport};
use ostracon_proto::ErrorBody;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

use crate::progress::Progress;

/// One line of an answer.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<T> {
    Progress { done: u64, total: u64, text: String },
    Result(T),
    Error(String),
}

/// Name of the operator's socket in a data directory.
const SOCKET: &str = "admin.sock";

/// Where a server is, and what it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) token: Option<String>,
}

impl Target {
    /// The server that uses a data directory.
    pub(crate) fn of_data_dir(dir: &Path) -> Self {
        Self { address: Address::unix(dir.join(SOCKET)), token: None }
    }

    /// Whether a server listens on the Unix socket.
    ///
    /// # Errors
    /// When this user may not use it.
    pub(crate) async fn is_there(&self) -> Result<bool> {
        let Transport::Unix(socket) = self.address.transport() else {
            return Ok(true);
        };
        match UnixStream::connect(socket).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                bail!("{}: only the server's own user may use it", socket.display())
            }
            Err(_) => Ok(false),
        }
    }

    /// Short calls to the same server.
    pub(crate) fn api(&self) -> Api {
        Api::new(self.address.clone(), self.token.as_deref())
    }

    /// Asks for work and waits for its result, showing progress.
    ///
    /// # Errors
    /// What the server says, or that it has gone away.
    pub(crate) async fn work<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        progress: &Progress,
    ) -> Result<T> {
        let body = serde_json::to_vec(body)?;
        match self.address.transport() {
            Transport::Unix(socket) => {
                let stream = UnixStream::connect(socket).await;
                let stream = stream.with_context(|| socket.display().to_string())?;
                self.ask(stream, path, body, progress).await
            }
            Transport::Tcp(host) => {
                let stream = TcpStream::connect(host).await.with_context(|| host.clone())?;
                self.ask(stream, path, body, progress).await
            }
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        path: &str,
        body: Vec<u8>,
        progress: &Progress,
    ) -> Result<T> {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::HOST, "ostracon")
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from(body)))?;
        let mut answer = sender.send_request(request).await?;
        if answer.status().as_u16() >= 400 {
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            match serde_json::from_slice::<ErrorBody>(&body) {
                Ok(ErrorBody { error }) => bail!("{}: {}", error.code, error.message),
                Err(_) => bail!("the server answered with status {status}"),
            }
        }
        let mut waiting = Vec::new();
        while let Some(frame) = answer.frame().await {
            let frame = frame.context("the server has gone away")?;
            waiting.extend_from_slice(frame.data_ref().map_or(&[], |bytes| bytes));
            while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = waiting.drain(..=end).collect();
                match serde_json::from_slice(&line).context("an answer that cannot be read")? {
                    Line::Progress { done, total, text } => progress.at(done, total, text),
                    Line::Result(result) => return Ok(result),
                    Line::Error(text) => bail!(text),
                }
            }
        }
        bail!("the server has gone away")
    }
}
