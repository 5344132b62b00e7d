//! One open WebSocket: reads what is there, then writes what waits, flushing once for both.
//!
//! One task owns it. Nothing is buffered while it is idle but what the frame reader needs, so that many idle sockets
//! are cheap. Answers pending at a stop are sent before the close frame.

use std::{borrow::Cow, future::poll_fn, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use ostracon_engine::{Connection, Drained};
use ostracon_proto::{CloseCode, Encoding};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error as WsError, Message,
        protocol::{
            CloseFrame, Role, WebSocketConfig,
            frame::{
                Frame,
                coding::{CloseCode as WsCloseCode, Data, OpCode},
            },
        },
    },
};

use crate::{
    app::App,
    auth::{Checked, Identity},
};

/// Bytes read at once. It is held also while idle.
const READ_BUFFER: usize = 1 << 10;
/// Bytes gathered before they go to the socket; a flush sends less.
const WRITE_BUFFER: usize = 16 << 10;
/// Frames that are read before what waits is written.
const READS_AT_ONCE: usize = 64;
/// How long pending answers are waited for when the server stops.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// How often it is looked whether some are still pending.
const ANSWERS_LOOK: Duration = Duration::from_millis(10);
/// How long the client gets to take the close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// Bytes that are read and thrown away after the close frame, so that it is not lost in a reset.
const LINGER_BYTES: usize = 4 << 20;

/// How a socket ended.
enum End {
    /// The client closed it, or it broke.
    Gone,
    /// The server closes it.
    Closed(CloseCode, Cow<'static, str>),
}

impl End {
    const fn closed(code: CloseCode, reason: &'static str) -> Self {
        Self::Closed(code, Cow::Borrowed(reason))
    }
}

pub(super) struct Link {
    app: Arc<App>,
    connection: Registered,
    stream: WebSocketStream<TcpStream>,
    identity: Identity,
    opcode: OpCode,
    /// Frames since the last ping.
    frames: u32,
    /// Something was written that is not yet flushed.
    is_dirty: bool,
}

/// A connection that the engine knows; forgotten however its task ends.
struct Registered {
    app: Arc<App>,
    connection: Arc<Connection>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.app.engine.disconnect(&self.connection);
    }
}

impl Link {
    /// The whole life of a socket. What is not the long middle of it is boxed, so that an idle one is small.
    pub(super) async fn run(
        app: Arc<App>,
        caller: Checked,
        in_background: bool,
        encoding: Encoding,
        stream: TcpStream,
        begun: Vec<u8>,
    ) {
        let opening = Box::pin(Self::open(app, caller, in_background, encoding, stream, begun));
        let Some(mut link) = opening.await else {
            return;
        };
        let end = match link.serve().await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        Box::pin(link.end(end)).await;
    }

    /// Makes the socket known; `begun` is what was read behind the request already.
    async fn open(
        app: Arc<App>,
        caller: Checked,
        in_background: bool,
        encoding: Encoding,
        stream: TcpStream,
        begun: Vec<u8>,
    ) -> Option<Self> {
        let max = app.sockets.frame_bytes_max;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(WRITE_BUFFER)
            .max_write_buffer_size(usize::MAX)
            .max_message_size(Some(max))
            .max_frame_size(Some(max));
        let (role, config) = (Role::Server, Some(config));
        let identity = caller.identity;
        let mut stream = WebSocketStream::from_partially_read(stream, begun, role, config).await;
        let (user, session) = (identity.user, identity.session);
        let connected = if in_background {
            app.engine.connect_in_background(user, session, encoding).await
        } else {
            app.engine.connect(user, session, encoding).await
        };
        let connection = match connected {
            Ok(connection) => connection,
            Err(error) => {
                tracing::debug!(%error, "a WebSocket was not registered");
                let reason = Cow::Borrowed("try again");
                close(&mut stream, CloseCode::ServerError, reason).await;
                return None;
            }
        };
        // A stop closes all connections it finds; this one may have come after it looked.
        if app.is_stopping() {
            connection.close(CloseCode::GoingAway, "the server stops");
        }
        // The same for a session that was revoked after its token was checked.
        if !app.auth.is_still_good(&caller).await {
            connection.close(CloseCode::SignedOut, "signed out");
        }
        let connection = Registered { app: Arc::clone(&app), connection };
        Some(Self {
            app,
            connection,
            stream,
            identity,
            opcode: OpCode::Data(match encoding {
                Encoding::Json => Data::Text,
                Encoding::Cbor => Data::Binary,
            }),
            frames: 0,
            is_dirty: false,
        })
    }

    async fn end(mut self, end: End) {
        if !self.identity.is_foreign() {
            let now = self.app.clock.now();
            self.app.auth.note_seen(self.identity.session, now);
        }
        match end {
            End::Gone => {
                // The answer to a close frame of the client waits in the stream; it goes if the socket takes it.
                drop(timeout(CLOSE_WAIT, self.stream.flush()).await);
            }
            End::Closed(code, reason) => {
                drop(timeout(LAST_ANSWERS, self.last_answers(code)).await);
                close(&mut self.stream, code, reason).await;
            }
        }
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        let every = self.app.sockets.heartbeat;
        let mut ping_at = Instant::now() + every;
        loop {
            self.write().await?;
            if let Some(closing) = self.connection.connection.closing() {
                return Err(End::Closed(closing.code, Cow::Owned(closing.reason)));
            }
            let connection = &self.connection.connection;
            tokio::select! {
                () = connection.filled() => {}
                message = self.stream.next(), if !connection.is_saturated() => {
                    self.read(message).await?;
                }
                () = sleep_until(ping_at) => {
                    self.ping().await?;
                    // Nobody is believed to be there for longer than the silence that is allowed.
                    let ends_at = self.connection.connection.heard_at() + self.app.sockets.silence;
                    ping_at = (Instant::now() + every).min(ends_at);
                }
            }
        }
    }

    /// Takes in a frame and those that are there already.
    async fn read(&mut self, first: Option<Result<Message, WsError>>) -> Result<(), End> {
        self.connection.connection.hear();
        self.take(first).await?;
        for _ in 1..READS_AT_ONCE {
            if self.connection.connection.is_saturated() {
                break;
            }
            let Some(next) = self.stream.next().now_or_never() else {
                break;
            };
            self.take(next).await?;
        }
        let max = self.app.sockets.frames_per_heartbeat;
        if max.is_some_and(|max| self.frames > max) {
            return Err(End::closed(CloseCode::Flooding, "too many frames"));
        }
        Ok(())
    }

    async fn take(&mut self, message: Option<Result<Message, WsError>>) -> Result<(), End> {
        self.frames = self.frames.saturating_add(1);
        let is_text = self.opcode == OpCode::Data(Data::Text);
        match message {
            Some(Ok(Message::Text(text))) if is_text => self.receive(text.as_bytes()).await,
            Some(Ok(Message::Binary(bytes))) if !is_text => self.receive(&bytes).await,
            Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                let reason = "a frame of the wrong kind for this sub-protocol";
                return Err(End::closed(CloseCode::Unparsable, reason));
            }
            // Its pong is written with the next flush.
            Some(Ok(Message::Ping(_))) => self.is_dirty = true,
            Some(Ok(Message::Pong(_) | Message::Frame(_))) => {}
            Some(Ok(Message::Close(_))) | None => return Err(End::Gone),
            Some(Err(WsError::Capacity(_))) => {
                return Err(End::closed(CloseCode::FrameTooLarge, "a frame is too large"));
            }
            Some(Err(WsError::Protocol(_) | WsError::Utf8(_))) => {
                return Err(End::closed(CloseCode::Unparsable, "not a WebSocket frame"));
            }
            Some(Err(_)) => return Err(End::Gone),
        }
        Ok(())
    }

    async fn receive(&self, frame: &[u8]) {
        self.app.engine.receive(&self.connection.connection, frame).await;
    }

    /// Writes everything that waits, then flushes once.
    async fn write(&mut self) -> Result<(), End> {
        let mut frames = Vec::new();
        while self.connection.connection.drain(&mut frames) != Drained::Empty {
            for frame in frames.drain(..) {
                self.room().await?;
                let message = Message::Frame(Frame::message(frame, self.opcode, true));
                self.stream.start_send_unpin(message).map_err(|_| End::Gone)?;
                self.is_dirty = true;
            }
        }
        if std::mem::take(&mut self.is_dirty) {
            self.flush().await?;
        }
        Ok(())
    }

    /// Waits until the socket takes a frame; the timer is only made when it does not at once.
    async fn room(&mut self) -> Result<(), End> {
        let stream = &mut self.stream;
        let ready = poll_fn(|cx| stream.poll_ready_unpin(cx)).now_or_never();
        match ready {
            Some(ready) => ready.map_err(|_| End::Gone),
            None => {
                let ready = poll_fn(|cx| stream.poll_ready_unpin(cx));
                unstalled(self.app.sockets.write_stall, ready).await
            }
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        match self.stream.flush().now_or_never() {
            Some(flushed) => flushed.map_err(|_| End::Gone),
            None => unstalled(self.app.sockets.write_stall, self.stream.flush()).await,
        }
    }

    /// Once a heartbeat: is the client still there, is the session still good.
    async fn ping(&mut self) -> Result<(), End> {
        let now = Instant::now();
        self.frames = 0;
        if now.duration_since(self.connection.connection.heard_at()) >= self.app.sockets.silence {
            return Err(End::closed(CloseCode::NoHeartbeat, "nothing was heard"));
        }
        if self.identity.has_ended(self.app.clock.now()) {
            return Err(End::closed(CloseCode::SignedOut, "the session has ended"));
        }
        self.room().await?;
        let ping = Message::Ping(Bytes::new());
        self.stream.start_send_unpin(ping).map_err(|_| End::Gone)?;
        self.is_dirty = true;
        Ok(())
    }

    /// Sends what waits; when the server stops, also the answers that are still to come.
    async fn last_answers(&mut self, code: CloseCode) -> Result<(), End> {
        let connection = Arc::clone(&self.connection.connection);
        // An answer is queued before it stops counting as pending: the write after the count was 0 has them all.
        while code == CloseCode::GoingAway && connection.in_flight() > 0 {
            self.write().await?;
            // The count falls without a wake-up.
            drop(timeout(ANSWERS_LOOK, connection.filled()).await);
        }
        self.write().await
    }
}

async fn unstalled(
    max: Duration,
    write: impl Future<Output = Result<(), WsError>>,
) -> Result<(), End> {
    match timeout(max, write).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => {
            tracing::debug!("a client takes nothing any more");
            Err(End::Gone)
        }
    }
}

/// Says why, and lets the client read it: what it still sends is thrown away for a while.
async fn close(stream: &mut WebSocketStream<TcpStream>, code: CloseCode, reason: Cow<'_, str>) {
    let frame =
        CloseFrame { code: WsCloseCode::from(code.number()), reason: reason.as_ref().into() };
    let farewell = async {
        let sent = async {
            stream.send(Message::Close(Some(frame))).await.ok()?;
            stream.get_mut().shutdown().await.ok()
        };
        if sent.await.is_none() {
            return;
        }
        let (mut waste, mut left) = (vec![0; 4 << 10], LINGER_BYTES);
        while let Ok(read @ 1..) = stream.get_mut().read(&mut waste).await {
            left = left.saturating_sub(read);
            if left == 0 {
                return;
            }
        }
    };
    drop(timeout(CLOSE_WAIT, Box::pin(farewell)).await);
}
