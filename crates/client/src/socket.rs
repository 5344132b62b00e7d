//! The raw WebSocket: frames in and out, nothing kept. Buffers are small, so that one process can
//! hold many thousand sockets. Staying right over losses is the work of the device.

use crate::{
    address::Address,
    api::{ApiError, error::retry_after_ms},
    stream::Stream,
};
use bytes::Bytes;
use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use http::{HeaderValue, Request, header};
use ostracon_proto::{
    Encoding,
    close_code::{CloseCode, drain_delay},
    frame::{ClientFrame, FrameError, Received, ServerFrame},
};
use std::{fmt, time::Duration};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message as Raw,
        handshake::client::generate_key,
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode as RawCode},
    },
};

/// Bytes that one read of the operating system may bring.
const READ_BUFFER_BYTES: usize = 4 << 10;
/// Largest frame that is read; the connection ends at a larger one.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// How a socket proves who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A token, in the `Authorization` header.
    Token(String),
    /// A ticket for one use, in the query.
    Ticket(String),
}

/// Secrets never reach a log.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(…)",
            Self::Ticket(_) => "Ticket(…)",
        })
    }
}

/// Why a socket did not open, or ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SocketError {
    /// The server answered the opening with a refusal.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// Closed by the server, with a code and a reason.
    #[error("closed with {code}: {reason}")]
    Closed {
        /// Number of the close frame; 1005 when it had none.
        code: u16,
        /// Its reason.
        reason: String,
    },
    /// The connection broke.
    #[error("connection lost: {0}")]
    Lost(String),
    /// A frame that is none of this protocol.
    #[error("unreadable frame: {0}")]
    Unreadable(String),
}

impl SocketError {
    /// The close code, when it is one of this protocol.
    #[must_use]
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Closed { code, .. } => CloseCode::from_number(*code),
            _ => None,
        }
    }

    /// How long the server asked to stay away.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(error) => error.retry_after(),
            Self::Closed { reason, .. } => drain_delay(reason).map(Duration::from_millis),
            _ => None,
        }
    }

    fn lost(error: impl fmt::Display) -> Self {
        Self::Lost(error.to_string())
    }
}

/// An open socket.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<Stream>,
    encoding: Encoding,
}

/// The writing half of a socket.
#[derive(Debug)]
pub struct SocketWriter {
    sink: SplitSink<WebSocketStream<Stream>, Raw>,
    encoding: Encoding,
}

/// The reading half of a socket.
#[derive(Debug)]
pub struct SocketReader {
    stream: SplitStream<WebSocketStream<Stream>>,
}

impl Socket {
    /// Opens a socket. The first frame that it brings is `hello`.
    ///
    /// # Errors
    /// [`SocketError::Refused`] or [`SocketError::Lost`].
    pub async fn connect(
        address: &Address,
        credential: &Credential,
        encoding: Encoding,
    ) -> Result<Self, SocketError> {
        let request = request(address, credential, encoding).map_err(SocketError::lost)?;
        let stream = Stream::connect(address).await.map_err(SocketError::lost)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            // Nothing is held back: every flush writes all there is.
            .write_buffer_size(0)
            .max_message_size(Some(FRAME_BYTES_MAX))
            .max_frame_size(Some(FRAME_BYTES_MAX));
        match client_async_with_config(request, stream, Some(config)).await {
            Ok((stream, _)) => Ok(Self { stream, encoding }),
            Err(tungstenite::Error::Http(answer)) => {
                let (head, body) = answer.into_parts();
                let body = body.unwrap_or_default();
                let mut refusal = ApiError::refusal(head.status, &head.headers, &body);
                if let ApiError::Refused { error, .. } = &mut refusal {
                    error.retry_after_ms =
                        error.retry_after_ms.or_else(|| retry_after_ms(&head.headers));
                }
                Err(SocketError::Refused(refusal))
            }
            Err(error) => Err(SocketError::lost(error)),
        }
    }

    /// How its frames are written.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Sends a frame and flushes.
    ///
    /// # Errors
    /// [`SocketError::Lost`].
    pub async fn send(&mut self, frame: &ClientFrame<'_>) -> Result<(), SocketError> {
        self.send_raw(frame.encode(self.encoding)).await
    }

    /// Sends the bytes of a frame, written by [`ClientFrame::encode`] or by hand.
    ///
    /// # Errors
    /// [`SocketError::Lost`].
    pub async fn send_raw(&mut self, frame: impl Into<Bytes>) -> Result<(), SocketError> {
        let raw = raw(self.encoding, frame.into())?;
        self.stream.send(raw).await.map_err(SocketError::lost)
    }

    /// Takes a frame without flushing it.
    ///
    /// # Errors
    /// [`SocketError::Lost`].
    pub async fn feed_raw(&mut self, frame: impl Into<Bytes>) -> Result<(), SocketError> {
        let raw = raw(self.encoding, frame.into())?;
        self.stream.feed(raw).await.map_err(SocketError::lost)
    }

    /// Flushes what was fed.
    ///
    /// # Errors
    /// [`SocketError::Lost`].
    pub async fn flush(&mut self) -> Result<(), SocketError> {
        self.stream.flush().await.map_err(SocketError::lost)
    }

    /// Sends a WebSocket message of any kind; for tests of bad clients.
    ///
    /// # Errors
    /// [`SocketError::Lost`].
    pub async fn send_message(&mut self, message: Raw) -> Result<(), SocketError> {
        self.stream.send(message).await.map_err(SocketError::lost)
    }

    /// The bytes of the next frame; pings are answered meanwhile. Nothing is lost when this future
    /// is dropped. After an error the socket is at its end.
    ///
    /// # Errors
    /// [`SocketError::Closed`] or [`SocketError::Lost`].
    pub async fn next(&mut self) -> Result<Bytes, SocketError> {
        next(&mut self.stream).await
    }

    /// Closes with a code (1000 is a plain good-bye) and waits until the server has done so too.
    ///
    /// # Errors
    /// [`SocketError::Lost`] when the server does not answer the close.
    pub async fn close(mut self, code: u16, reason: &str) -> Result<(), SocketError> {
        let frame = CloseFrame { code: RawCode::from(code), reason: reason.into() };
        self.stream.close(Some(frame)).await.map_err(SocketError::lost)?;
        loop {
            match self.next().await {
                Ok(_) => {}
                Err(SocketError::Closed { .. }) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Two halves for two tasks. The reading half must be read for pings to be answered.
    #[must_use]
    pub fn split(self) -> (SocketWriter, SocketReader) {
        let (sink, stream) = self.stream.split();
        let writer = SocketWriter { sink, encoding: self.encoding };
        (writer, SocketReader { stream })
    }
}

impl SocketWriter {
    /// Sends a frame and flushes.
    ///
    /// # Errors
    /// [`SocketError::Lost`].
    pub async fn send(&mut self, frame: &ClientFrame<'_>) -> Result<(), SocketError> {
        self.feed_raw(frame.encode(self.encoding)).await?;
        self.flush().await
    }

    /// Takes the bytes of a frame without flushing them.
    ///
    /// # Errors
    /// [`SocketError::Lost`].
    pub async fn feed_raw(&mut self, frame: impl Into<Bytes>) -> Result<(), SocketError> {
        let raw = raw(self.encoding, frame.into())?;
        self.sink.feed(raw).await.map_err(SocketError::lost)
    }

    /// Flushes what was fed.
    ///
    /// # Errors
    /// [`SocketError::Lost`].
    pub async fn flush(&mut self) -> Result<(), SocketError> {
        self.sink.flush().await.map_err(SocketError::lost)
    }
}

impl SocketReader {
    /// As [`Socket::next`].
    ///
    /// # Errors
    /// [`SocketError::Closed`] or [`SocketError::Lost`].
    pub async fn next(&mut self) -> Result<Bytes, SocketError> {
        next(&mut self.stream).await
    }
}

/// Reads the bytes of a frame and hands the result to `with`.
///
/// # Errors
/// [`SocketError::Unreadable`].
pub fn decode<T>(
    encoding: Encoding,
    frame: &[u8],
    with: impl FnOnce(Received<'_>) -> T,
) -> Result<T, SocketError> {
    let unreadable = |error: FrameError| SocketError::Unreadable(error.to_string());
    let text = encoding.text(frame).map_err(unreadable)?;
    ServerFrame::decode(&text).map(with).map_err(unreadable)
}

async fn next(
    stream: &mut (impl futures_util::Stream<Item = Result<Raw, tungstenite::Error>> + Unpin),
) -> Result<Bytes, SocketError> {
    loop {
        match stream.next().await {
            Some(Ok(Raw::Text(text))) => return Ok(text.into()),
            Some(Ok(Raw::Binary(bytes))) => return Ok(bytes),
            Some(Ok(Raw::Close(frame))) => {
                let (code, reason) = frame.map_or((RawCode::Status, String::new()), |frame| {
                    (frame.code, frame.reason.to_string())
                });
                return Err(SocketError::Closed { code: code.into(), reason });
            }
            Some(Ok(Raw::Ping(_) | Raw::Pong(_) | Raw::Frame(_))) => {}
            Some(Err(error)) => return Err(SocketError::lost(error)),
            None => return Err(SocketError::Lost("the connection ended".to_owned())),
        }
    }
}

fn raw(encoding: Encoding, frame: Bytes) -> Result<Raw, SocketError> {
    Ok(match encoding {
        Encoding::Json => Raw::Text(frame.try_into().map_err(SocketError::lost)?),
        Encoding::Cbor => Raw::Binary(frame),
    })
}

fn request(
    address: &Address,
    credential: &Credential,
    encoding: Encoding,
) -> Result<Request<()>, http::Error> {
    let mut path = address.path("/api/v1/ws");
    let mut authorization = None;
    match credential {
        Credential::Token(token) => {
            authorization = Some(HeaderValue::try_from(format!("Bearer {token}"))?);
        }
        Credential::Ticket(ticket) => {
            path.push_str("?ticket=");
            path.extend(form_urlencoded::byte_serialize(ticket.as_bytes()));
        }
    }
    let mut request = Request::builder()
        .uri(format!("ws://{}{path}", address.host()))
        .header(header::HOST, address.host())
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key())
        .header(header::SEC_WEBSOCKET_PROTOCOL, encoding.subprotocol());
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    request.body(())
}
