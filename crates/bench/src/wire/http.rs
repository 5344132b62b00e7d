//! An HTTP/1.1 client on one keep-alive connection, for answers with a length.

use anyhow::{Context, Result, ensure};
use memchr::memmem;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// One keep-alive connection.
pub(crate) struct Http {
    stream: Box<dyn Stream>,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// An answer; the body stays in the connection's buffer.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Http {
    /// Over TCP.
    pub(crate) async fn tcp(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: Box::new(stream), input: Vec::new(), output: Vec::new() })
    }

    /// Over the admin socket.
    pub(crate) async fn unix(path: &std::path::Path) -> Result<Self> {
        let stream = UnixStream::connect(path)
            .await
            .with_context(|| format!("no server listens on {}", path.display()))?;
        Ok(Self { stream: Box::new(stream), input: Vec::new(), output: Vec::new() })
    }

    /// Asks and reads the whole answer.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        body: &[u8],
    ) -> Result<Answer<'_>> {
        self.ask_as(method, path, token, "application/json", body).await
    }

    /// The same with a body of another type.
    pub(crate) async fn ask_as(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        kind: &str,
        body: &[u8],
    ) -> Result<Answer<'_>> {
        self.output.clear();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.output.extend_from_slice(head.as_bytes());
        self.output.extend_from_slice(body);
        self.stream.write_all(&self.output).await?;
        self.input.clear();
        let head_end = loop {
            if let Some(end) = memmem::find(&self.input, b"\r\n\r\n") {
                break end + 4;
            }
            ensure!(self.stream.read_buf(&mut self.input).await? > 0, "closed by the server");
        };
        let status = std::str::from_utf8(self.input.get(9..12).unwrap_or_default())?.parse()?;
        let length = content_length(&self.input[..head_end]).unwrap_or(0);
        while self.input.len() < head_end + length {
            ensure!(self.stream.read_buf(&mut self.input).await? > 0, "closed by the server");
        }
        Ok(Answer { status, body: &self.input[head_end..head_end + length] })
    }
}

fn content_length(head: &[u8]) -> Option<usize> {
    let lower = head.to_ascii_lowercase();
    super::field::number(&lower, b"content-length: ").and_then(|len| usize::try_from(len).ok())
}
