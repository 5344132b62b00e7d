//! The handle that shards, appliers, dispatchers and operators share.
//!
//! All state lives in `Shared`. `queue` and `log` are two locks, never held together and never
//! over I/O; only the writer thread adds to `log` and moves `synced`.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    thread::{Builder, JoinHandle},
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{oneshot, watch};

use super::{
    file::JournalFs,
    frame::{FRAME_HEAD, PAYLOAD_BYTES_MAX, Position},
    header::SegmentHeader,
    options::Options,
    reader::{Frames, ReadError},
    recovery::{Inspected, OpenError, inspect},
    segment,
    writer::Writer,
};

/// Bytes of payloads waiting or being written; more appends get `AppendError::Full`.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;

/// Why an append was not answered with a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The write or its sync failed: the outcome is unknown until the journal resumes or is opened
    /// again; after a resume the frame is certainly not in the log.
    #[error("the journal failed while writing; the outcome is unknown")]
    Failed,
    /// Refused before anything was written: the journal failed and was not resumed, or it was and
    /// the caller still rests on the time before, or it is closed.
    #[error("the journal is stopped")]
    Stopped,
    /// Refused before anything was written: too much is waiting. Try again later.
    #[error("too much is waiting for the journal")]
    Full,
    /// Refused before anything was written: longer than `PAYLOAD_BYTES_MAX`.
    #[error("longer than a journal frame can be")]
    TooLong,
}

/// Why a rotation or a resume did not happen. Both may be asked again.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The journal is stopped; resume it first.
    #[error("the journal is stopped")]
    Stopped,
    /// The new segment could not be made durable.
    #[error("a new journal segment cannot be made: {0}")]
    Io(#[from] io::Error),
}

/// Whether appends are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// They are.
    Running {
        /// Counts failures since the journal was opened.
        generation: u64,
    },
    /// They are refused until a resume succeeds.
    Failed {
        /// Counts failures since the journal was opened, this one included.
        generation: u64,
    },
}

impl Status {
    /// Counts failures since the journal was opened.
    pub fn generation(self) -> u64 {
        match self {
            Status::Running { generation } | Status::Failed { generation } => generation,
        }
    }

    /// Whether appends are taken.
    pub fn is_running(self) -> bool {
        matches!(self, Status::Running { .. })
    }
}

/// What opening a journal found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// There was no segment at all. Beside filled tables that means: the journal was taken away.
    pub fresh: bool,
    /// The first position still there. Whoever has applied less has lost something.
    pub oldest: Position,
    /// The end of the log. Whoever has applied more rests on another log.
    pub end: Position,
    /// Frames from `oldest` to `end`.
    pub frames: u64,
    /// The newest incarnation found; 0 in a fresh journal.
    pub incarnation: u64,
}

/// A segment as operators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentRange {
    /// Number of the segment; its file is named by it, in hexadecimal.
    pub ordinal: u64,
    /// The start or resume that wrote it.
    pub incarnation: u64,
    /// Position of its first frame.
    pub start: Position,
    /// Where its frames end; of the active one, where its synced frames end.
    pub end: Position,
    /// Whether it is being written.
    pub active: bool,
}

impl SegmentRange {
    pub(super) fn new(header: &SegmentHeader, end: Position, active: bool) -> SegmentRange {
        let SegmentHeader { ordinal, incarnation, start, .. } = *header;
        SegmentRange { ordinal, incarnation, start, end, active }
    }
}

/// An open journal. Dropping it writes what still waits and ends its threads.
pub struct Journal {
    shared: Arc<Shared>,
    /// Held while segments are removed, so that they go oldest first.
    removal: Mutex<()>,
    thread: Option<JoinHandle<()>>,
}

pub(super) struct Shared {
    pub(super) fs: Arc<dyn JournalFs>,
    pub(super) options: Options,
    pub(super) queue: Mutex<Queue>,
    pub(super) wake: Condvar,
    /// End of the synced log.
    pub(super) synced: AtomicU64,
    /// Segments of the log, oldest first, with their ends; the last one is active and its end
    /// stands in `synced`.
    pub(super) log: Mutex<VecDeque<(SegmentHeader, Position)>>,
    pub(super) status: watch::Sender<Status>,
}

pub(super) struct Queue {
    pub(super) appends: Vec<Pending>,
    /// Payload bytes in `appends` and in the writer's hands.
    pub(super) bytes: usize,
    pub(super) rotations: Vec<oneshot::Sender<Result<Position, ControlError>>>,
    pub(super) resumes: Vec<oneshot::Sender<Result<(), ControlError>>>,
    pub(super) status: Status,
    pub(super) closing: bool,
    pub(super) writer_waits: bool,
}

pub(super) struct Pending {
    pub(super) shard: u32,
    pub(super) payload: Bytes,
    pub(super) end: Position,
    pub(super) answer: Option<oneshot::Sender<Result<Position, AppendError>>>,
}

/// The answer to an append: the end of its frame, once it is synced. Dropping it changes nothing.
#[must_use = "an append counts only once it is answered"]
pub struct Append(Answer);

enum Answer {
    Refused(AppendError),
    Waiting(oneshot::Receiver<Result<Position, AppendError>>),
}

impl Append {
    /// Waits without a runtime. Must not be called inside one.
    pub fn wait(self) -> Result<Position, AppendError> {
        match self.0 {
            Answer::Refused(error) => Err(error),
            Answer::Waiting(answer) => answer.blocking_recv().unwrap_or(Err(AppendError::Failed)),
        }
    }
}

impl Future for Append {
    type Output = Result<Position, AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Answer::Refused(error) => Poll::Ready(Err(*error)),
            Answer::Waiting(answer) => {
                Pin::new(answer).poll(cx).map(|answer| answer.unwrap_or(Err(AppendError::Failed)))
            }
        }
    }
}

impl Journal {
    /// Recovers what the directory holds and starts a new segment behind it. Blocking.
    pub fn open(
        fs: Arc<dyn JournalFs>,
        options: Options,
    ) -> Result<(Journal, Recovered), OpenError> {
        let inspected = inspect(fs, options)?;
        let recovered = inspected.recovered();
        Ok((inspected.start()?, recovered))
    }

    pub(super) fn start(found: Inspected) -> io::Result<Journal> {
        let Inspected { fs, options, survey } = found;
        let end = survey.end();
        let status = Status::Running { generation: 0 };
        let shared = Arc::new(Shared {
            fs,
            options,
            queue: Mutex::new(Queue {
                appends: Vec::new(),
                bytes: 0,
                rotations: Vec::new(),
                resumes: Vec::new(),
                status,
                closing: false,
                writer_waits: false,
            }),
            wake: Condvar::new(),
            synced: AtomicU64::new(end),
            log: Mutex::new(survey.log.iter().map(|part| (part.header, part.end)).collect()),
            status: watch::Sender::new(status),
        });
        let writer = Writer::start(shared.clone(), &survey)?;
        let thread = Builder::new().name("journal".into()).spawn(move || writer.run())?;
        Ok(Journal { shared, removal: Mutex::new(()), thread: Some(thread) })
    }

    /// Puts a payload at the end of the log; its place is settled by this call, not by polling.
    /// Answered only when it is synced, with the position where its frame ends.
    pub fn append(&self, shard: u32, payload: impl Into<Bytes>) -> Append {
        self.enqueue(None, shard, payload.into())
    }

    /// As `append`, but refused (`Stopped`) when the journal failed since `generation`: for a
    /// caller whose decision rests on what it had appended before.
    pub fn append_in(&self, generation: u64, shard: u32, payload: impl Into<Bytes>) -> Append {
        self.enqueue(Some(generation), shard, payload.into())
    }

    fn enqueue(&self, generation: Option<u64>, shard: u32, payload: Bytes) -> Append {
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Append(Answer::Refused(AppendError::TooLong));
        }
        let (answer, waiting) = oneshot::channel();
        let cost = payload.len() + FRAME_HEAD;
        let mut queue = self.shared.queue.lock();
        let current = generation.is_none_or(|mine| mine == queue.status.generation());
        if !queue.status.is_running() || !current {
            return Append(Answer::Refused(AppendError::Stopped));
        }
        if queue.bytes + cost > QUEUE_BYTES_MAX {
            return Append(Answer::Refused(AppendError::Full));
        }
        queue.bytes += cost;
        queue.appends.push(Pending { shard, payload, end: 0, answer: Some(answer) });
        self.shared.wake_writer(queue);
        Append(Answer::Waiting(waiting))
    }

    /// End of the synced log: every append answered so far ends at or before it.
    pub fn synced(&self) -> Position {
        self.shared.synced.load(Ordering::Acquire)
    }

    /// Whether appends are taken.
    pub fn status(&self) -> Status {
        self.shared.queue.lock().status
    }

    /// Tells of every change of the status.
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.shared.status.subscribe()
    }

    /// Begins a new segment behind everything appended so far and answers with its start. Does
    /// nothing when the active segment is empty.
    pub fn rotate(&self) -> impl Future<Output = Result<Position, ControlError>> + Send + 'static {
        let (answer, waiting) = oneshot::channel();
        let mut queue = self.shared.queue.lock();
        queue.rotations.push(answer);
        self.shared.wake_writer(queue);
        async move { waiting.await.unwrap_or(Err(ControlError::Stopped)) }
    }

    /// Takes appends again after a failure, in a new segment that declares the log to end at
    /// `synced()`. By then every caller must have dropped what it had not seen answered. Does
    /// nothing when the journal runs.
    pub fn resume(&self) -> impl Future<Output = Result<(), ControlError>> + Send + 'static {
        let (answer, waiting) = oneshot::channel();
        let mut queue = self.shared.queue.lock();
        queue.resumes.push(answer);
        self.shared.wake_writer(queue);
        async move { waiting.await.unwrap_or(Err(ControlError::Stopped)) }
    }

    /// The first position still there.
    pub fn oldest(&self) -> Position {
        self.shared.log.lock().front().map_or(0, |(header, _)| header.previous_end)
    }

    /// The segments of the log, oldest first.
    pub fn segments(&self) -> Vec<SegmentRange> {
        // Read before the log: the active segment never ends before what was synced then.
        let synced = self.synced();
        let log = self.shared.log.lock();
        let mut segments: Vec<_> =
            log.iter().map(|(header, end)| SegmentRange::new(header, *end, false)).collect();
        if let Some(active) = segments.last_mut() {
            active.active = true;
            active.end = synced.max(active.start);
        }
        segments
    }

    /// Removes the segments that lie wholly before `position`, never the active one, and answers
    /// how many went. Blocking. On an error the rest stays and may be asked for again.
    pub fn remove_before(&self, position: Position) -> io::Result<usize> {
        let _alone = self.removal.lock();
        let mut removed = 0;
        loop {
            let oldest = {
                let mut log = self.shared.log.lock();
                let done = log.len() < 2 || log.front().is_none_or(|(_, end)| *end > position);
                if done { None } else { log.pop_front() }
            };
            let Some(oldest) = oldest else {
                return Ok(removed);
            };
            // Each removal is made durable before the next: a power cut must not leave a hole.
            if let Err(error) = segment::remove(&*self.shared.fs, oldest.0.ordinal) {
                self.shared.log.lock().push_front(oldest);
                return Err(error);
            }
            removed += 1;
        }
    }

    /// The synced frames from `from`, which must be a frame's border, up to now.
    pub fn replay_from(&self, from: Position) -> Result<Frames, ReadError> {
        let to = self.synced();
        let log = self.shared.log.lock();
        let oldest = log.front().map_or(0, |(header, _)| header.previous_end);
        let last = log.len().saturating_sub(1);
        let parts = log
            .iter()
            .enumerate()
            .map(|(at, (header, end))| (*header, if at == last { to } else { *end }));
        Frames::new(
            self.shared.fs.clone(),
            self.shared.options.store.seed(),
            parts,
            oldest,
            from,
            to,
        )
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock();
        queue.closing = true;
        self.shared.wake_writer(queue);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the journal thread panicked");
        }
    }
}

impl Shared {
    /// Wakes the writer if it sleeps; a busy one looks at the queue by itself.
    fn wake_writer(&self, mut queue: parking_lot::MutexGuard<'_, Queue>) {
        let waits = std::mem::take(&mut queue.writer_waits);
        drop(queue);
        if waits {
            self.wake.notify_one();
        }
    }
}
