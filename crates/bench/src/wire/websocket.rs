//! A WebSocket client that does what a load tool needs: text frames out, text frames in.
//!
//! The mask is zero: the protocol demands one, and nothing here is worth hiding from a proxy.

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// One open socket.
pub(crate) struct WebSocket {
    stream: TcpStream,
    input: Vec<u8>,
    from: usize,
    output: Vec<u8>,
}

impl WebSocket {
    /// Connects a session's token; the first frame will be `hello`.
    pub(crate) async fn connect(address: &str, token: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET /api/v1/ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut input = Vec::with_capacity(1024);
        let end = loop {
            if let Some(end) = memchr::memmem::find(&input, b"\r\n\r\n") {
                break end + 4;
            }
            ensure!(stream.read_buf(&mut input).await? > 0, "closed during the handshake");
        };
        let status = String::from_utf8_lossy(&input[..end.min(64)]).into_owned();
        ensure!(status.starts_with("HTTP/1.1 101"), "no upgrade: {status}");
        Ok(Self { stream, input, from: end, output: Vec::new() })
    }

    /// Queues a text frame; [`flush`](Self::flush) writes it.
    pub(crate) fn push(&mut self, text: &[u8]) {
        self.output.push(TEXT);
        match text.len() {
            len @ 0..126 => self.output.push(0x80 | len as u8),
            len => {
                self.output.push(0x80 | 126);
                self.output.extend_from_slice(&(len as u16).to_be_bytes());
            }
        }
        self.output.extend_from_slice(&[0; 4]);
        self.output.extend_from_slice(text);
    }

    /// Writes what is queued.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output).await?;
            self.output.clear();
        }
        Ok(())
    }

    /// Reads once, at least one byte; frames are then taken with [`next`](Self::next).
    pub(crate) async fn fill(&mut self) -> Result<()> {
        if self.from > 0 {
            self.input.drain(..self.from);
            self.from = 0;
        }
        if self.input.capacity() - self.input.len() < 16 * 1024 && !self.input.is_empty() {
            self.input.reserve(64 * 1024);
        }
        let read = self.stream.read_buf(&mut self.input).await?;
        ensure!(read > 0, "the server closed the connection");
        Ok(())
    }

    /// The next whole text frame that was read; pings are answered with the next flush.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>> {
        loop {
            let rest = &self.input[self.from..];
            let (Some(&kind), Some(&short)) = (rest.first(), rest.get(1)) else { return Ok(None) };
            let (head, len) = match short {
                126 if rest.len() >= 4 => (4, usize::from(u16::from_be_bytes([rest[2], rest[3]]))),
                127 if rest.len() >= 10 => {
                    let mut len = [0; 8];
                    len.copy_from_slice(&rest[2..10]);
                    (10, usize::try_from(u64::from_be_bytes(len))?)
                }
                126 | 127 => return Ok(None),
                len => (2, usize::from(len)),
            };
            if rest.len() < head + len {
                return Ok(None);
            }
            let (begin, end) = (self.from + head, self.from + head + len);
            self.from = end;
            match kind {
                TEXT => return Ok(Some(&self.input[begin..end])),
                PING => {
                    let pong = [PONG, 0x80 | len as u8, 0, 0, 0, 0];
                    self.output.extend_from_slice(&pong);
                    self.output.extend_from_slice(&self.input[begin..end]);
                }
                CLOSE => {
                    let reason = self.input.get(begin + 2..end).unwrap_or_default();
                    bail!("the server closes: {}", String::from_utf8_lossy(reason));
                }
                _ => {}
            }
        }
    }

    /// Says good-bye; what still comes is not read.
    pub(crate) async fn leave(&mut self) -> Result<()> {
        const NORMAL: [u8; 2] = 1_000_u16.to_be_bytes();
        self.output.extend_from_slice(&[CLOSE, 0x80 | 2, 0, 0, 0, 0, NORMAL[0], NORMAL[1]]);
        self.flush().await
    }

    /// Reads until a frame has come and gives it to `take`.
    pub(crate) async fn frame<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> Result<T> {
        loop {
            if let Some(frame) = self.next()? {
                return Ok(take(frame));
            }
            self.flush().await?;
            self.fill().await?;
        }
    }
}
