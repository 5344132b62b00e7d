//! The spare segment: a thread that prepares the next file while the writer fills the current one.
//!
//! State is one enum behind a lock. The writer wants a spare, later takes what is ready of it and
//! waits for at most one chunk. A spare that fails is dropped: the writer then prepares a file
//! itself and sees the error, if it is still there.

use std::{
    io,
    sync::Arc,
    thread::{Builder, JoinHandle},
};

use parking_lot::{Condvar, Mutex};

use super::{
    file::{JournalFile, JournalFs},
    header::HEADER_BYTES,
    options::Options,
    segment,
};

/// A file with a blank header, zeroed and synced up to `bytes` bytes of frames.
pub(super) struct Spare {
    pub(super) ordinal: u64,
    pub(super) file: Arc<dyn JournalFile>,
    pub(super) bytes: u64,
}

enum State {
    Idle,
    Wanted(u64),
    Filling {
        enough: bool,
    },
    Ready(Spare),
    /// Not tried again before the writer came by.
    Failed,
    Closed,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

pub(super) struct Filler {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Filler {
    pub(super) fn start(fs: Arc<dyn JournalFs>, options: Options) -> io::Result<Filler> {
        let shared = Arc::new(Shared { state: Mutex::new(State::Idle), changed: Condvar::new() });
        let theirs = shared.clone();
        let thread = Builder::new()
            .name("journal-spare".into())
            .spawn(move || run(&theirs, &*fs, &options))?;
        Ok(Filler { shared, thread: Some(thread) })
    }

    /// Asks for a spare unless there is one; whether `ordinal` was taken for it.
    pub(super) fn want(&self, ordinal: u64) -> bool {
        let mut state = self.shared.state.lock();
        let idle = matches!(*state, State::Idle);
        if idle {
            *state = State::Wanted(ordinal);
            self.shared.changed.notify_all();
        }
        idle
    }

    /// The spare as far as it is ready.
    pub(super) fn take(&self) -> Option<Spare> {
        let mut state = self.shared.state.lock();
        loop {
            match std::mem::replace(&mut *state, State::Idle) {
                State::Filling { .. } => {
                    *state = State::Filling { enough: true };
                    self.shared.changed.wait(&mut state);
                }
                State::Ready(spare) => return Some(spare),
                State::Idle | State::Wanted(_) | State::Failed => return None,
                State::Closed => {
                    *state = State::Closed;
                    return None;
                }
            }
        }
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        // A spare left over is removed by the next start.
        self.take();
        *self.shared.state.lock() = State::Closed;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that prepares journal segments panicked");
        }
    }
}

fn run(shared: &Shared, fs: &dyn JournalFs, options: &Options) {
    loop {
        let ordinal = {
            let mut state = shared.state.lock();
            loop {
                match *state {
                    State::Wanted(ordinal) => {
                        *state = State::Filling { enough: false };
                        break ordinal;
                    }
                    State::Closed => return,
                    _ => shared.changed.wait(&mut state),
                }
            }
        };
        let done = match fill(shared, fs, options, ordinal) {
            Ok(spare) => State::Ready(spare),
            Err(error) => {
                tracing::warn!(segment = ordinal, %error, "cannot prepare a journal segment ahead");
                segment::discard(fs, ordinal);
                State::Failed
            }
        };
        *shared.state.lock() = done;
        shared.changed.notify_all();
    }
}

fn fill(shared: &Shared, fs: &dyn JournalFs, options: &Options, ordinal: u64) -> io::Result<Spare> {
    let file = fs.create(&segment::name_of(ordinal))?;
    let size = HEADER_BYTES + options.segment_bytes;
    file.allocate(size)?;
    let mut filled = 0;
    while filled < size {
        // Small syncs: the writer's own must not wait behind a whole segment of zeros.
        let to = filled.saturating_add(options.chunk_bytes).max(HEADER_BYTES + 1).min(size);
        segment::zero(&*file, filled, to)?;
        file.sync_data()?;
        filled = to;
        if matches!(*shared.state.lock(), State::Filling { enough: true }) {
            break;
        }
    }
    fs.sync_dir()?;
    Ok(Spare { ordinal, file, bytes: filled - HEADER_BYTES })
}
