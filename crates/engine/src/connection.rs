//! One open socket of a session, as the engine sees it: who it is, what it still waits for, its outbox.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

use bytes::Bytes;
use ostracon_domain::UserId;
use ostracon_proto::{
    CloseCode, Encoding,
    frame::{FrameRef, Hello, ServerData, SyncRequired, encode},
};
use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

use crate::{
    addresses::Addresses,
    limits::IN_FLIGHT_MAX,
    outbox::{Drained, Outbox},
};

/// Why a connection is to be closed by the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The close code.
    pub code: CloseCode,
    /// The reason sent with it.
    pub reason: String,
}

/// One open socket. Safe from any task.
pub struct Connection {
    /// Unique in this process.
    pub id: u64,
    /// Whose.
    pub user: UserId,
    /// Of which session.
    pub session: u64,
    /// How its frames are written.
    pub encoding: Encoding,
    /// Where attached files are.
    pub(crate) addresses: Arc<dyn Addresses>,
    outbox: Outbox,
    in_flight: AtomicU32,
    closing: Mutex<Option<Closing>>,
    is_closing: AtomicBool,
    opened: Instant,
    /// When the client was last heard, milliseconds after the opening.
    heard_ms: AtomicU64,
    /// It counts among those that make its user online.
    pub(crate) is_present: AtomicBool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, user, session, .. } = self;
        f.debug_struct("Connection")
            .field("id", id)
            .field("user", user)
            .field("session", session)
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(crate) fn new(
        id: u64,
        user: UserId,
        session: u64,
        encoding: Encoding,
        outbox_events: u32,
        addresses: Arc<dyn Addresses>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            user,
            session,
            encoding,
            addresses,
            outbox: Outbox::new(outbox_events),
            in_flight: AtomicU32::new(0),
            closing: Mutex::default(),
            is_closing: AtomicBool::new(false),
            opened: Instant::now(),
            heard_ms: AtomicU64::new(0),
            is_present: AtomicBool::new(false),
        })
    }

    /// Moves every frame that waits to the end of `out`, in order; behind them `sync_required` when events were dropped.
    pub fn drain(&self, out: &mut Vec<Bytes>) -> Drained {
        let drained = self.outbox.drain(out);
        if drained == Drained::SyncRequired {
            out.push(encode::event(self.encoding, &SyncRequired {}));
        }
        drained
    }

    /// Waits until there may be something to drain, or the connection is to be closed.
    pub async fn filled(&self) {
        self.outbox.filled().await;
    }

    /// Notes that the client was heard now.
    pub fn hear(&self) {
        let ms = self.opened.elapsed().as_millis() as u64;
        self.heard_ms.fetch_max(ms, Ordering::Relaxed);
    }

    /// When the client was last heard, to the millisecond; at first, when the connection was made.
    pub fn heard_at(&self) -> Instant {
        self.opened + Duration::from_millis(self.heard_ms.load(Ordering::Relaxed))
    }

    /// Whether so many commands wait for an answer that the socket must not be read.
    pub fn is_saturated(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) >= IN_FLIGHT_MAX
    }

    /// Commands that wait for an answer.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Asks the socket to close; the first reason stands.
    pub fn close(&self, code: CloseCode, reason: impl Into<String>) {
        self.closing.lock().get_or_insert(Closing { code, reason: reason.into() });
        self.is_closing.store(true, Ordering::Release);
        self.outbox.wake();
    }

    /// Why the socket is to be closed, if it is.
    pub fn closing(&self) -> Option<Closing> {
        if !self.is_closing.load(Ordering::Acquire) {
            return None;
        }
        self.closing.lock().clone()
    }

    /// Queues the first frame. Events that came before it wait behind it: they are newer than what it says.
    pub(crate) fn hello(&self, hello: &Hello<'_>) {
        self.outbox.first(encode::event(self.encoding, hello));
    }

    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Queues the answer to a command that [began](Self::begin).
    pub(crate) fn finish<T: ServerData>(&self, id: Option<&FrameRef>, data: &T) {
        let frame = encode::answer(self.encoding, id, data);
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.outbox.answer(frame);
    }

    /// Ends a command that [began](Self::begin) and has no answer.
    pub(crate) fn forgo(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Queues an answer to a frame that never became a command.
    pub(crate) fn answer<T: ServerData>(&self, id: Option<&FrameRef>, data: &T) {
        self.outbox.answer(encode::answer(self.encoding, id, data));
    }

    /// Tells the client to ask what is new, because there is no event of it.
    pub(crate) fn missed(&self) {
        self.outbox.missed();
    }

    /// Queues an event that may be lost without a word.
    pub(crate) fn hint(&self, frame: &Bytes) {
        self.outbox.hint(frame);
    }

    pub(crate) fn events<'a>(&self, frames: impl IntoIterator<Item = &'a Bytes>) {
        self.outbox.events(frames);
    }
}
