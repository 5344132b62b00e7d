//! The one thread that writes: it takes everything that waits, writes it at once, syncs once and
//! answers all. After a failed write or sync it never touches that file again.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
};

use super::{
    file::JournalFile,
    frame::{FRAME_HEAD, FrameHead, Position, frame_len},
    header::SegmentHeader,
    journal::{AppendError, ControlError, Pending, Shared, Status},
    recovery::Survey,
    segment,
    spare::Filler,
};

/// Bytes of frames written and synced together; what is more waits for the next sync.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// What the write buffer keeps between batches.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

pub(super) struct Writer {
    shared: Arc<Shared>,
    filler: Option<Filler>,
    /// `None` after a failure, until a resume.
    active: Option<Active>,
    end: Position,
    incarnation: u64,
    next_ordinal: u64,
    buffer: Vec<u8>,
    taken: Vec<Pending>,
}

struct Active {
    file: Arc<dyn JournalFile>,
    header: SegmentHeader,
    /// Bytes of frames that fit the part of the file that was zeroed ahead.
    capacity: u64,
}

impl Writer {
    /// Makes the recovered log durable and begins a segment behind it.
    pub(super) fn start(shared: Arc<Shared>, found: &Survey) -> io::Result<Writer> {
        let fs = shared.fs.clone();
        settle_tail(&shared, found)?;

        // Whether the header of an empty last segment ever reached the disk is not known, so the
        // new one takes its place in the chain instead of following it.
        let end = found.end();
        let (previous, previous_end) = match found.log.last() {
            Some(last) if last.end == last.header.start => {
                (last.header.previous, last.header.previous_end)
            }
            Some(last) => (last.header.ordinal, end),
            None => (0, end),
        };
        let header = SegmentHeader {
            ordinal: found.files.last().copied().unwrap_or(0) + 1,
            incarnation: found.incarnation() + 1,
            start: end,
            previous,
            previous_end,
        };
        let capacity = shared.options.inline_bytes();
        let file = segment::create(&*fs, &shared.options, &header, capacity)?;
        {
            let mut log = shared.log.lock();
            if log.back().is_some_and(|(last, end)| *end == last.start) {
                log.pop_back();
            }
            log.push_back((header, end));
        }
        let filler = if shared.options.prepare_ahead {
            Some(Filler::start(fs, shared.options.clone())?)
        } else {
            None
        };
        let writer = Writer {
            filler,
            active: Some(Active { file, header, capacity }),
            end,
            incarnation: header.incarnation,
            next_ordinal: header.ordinal + 1,
            buffer: Vec::new(),
            taken: Vec::new(),
            shared,
        };
        writer.remove_strays(0, header.ordinal)?;
        Ok(writer)
    }

    /// Runs until the journal is dropped.
    pub(super) fn run(mut self) {
        loop {
            let (rotations, resumes) = {
                let mut queue = self.shared.queue.lock();
                loop {
                    let work = !(queue.appends.is_empty()
                        && queue.rotations.is_empty()
                        && queue.resumes.is_empty());
                    if work {
                        break;
                    }
                    if queue.closing {
                        return;
                    }
                    queue.writer_waits = true;
                    self.shared.wake.wait(&mut queue);
                }
                // The two lists change places, so that neither is allocated anew.
                std::mem::swap(&mut queue.appends, &mut self.taken);
                (std::mem::take(&mut queue.rotations), std::mem::take(&mut queue.resumes))
            };
            if !self.taken.is_empty() {
                self.append_taken();
            }
            for answer in rotations {
                // Nobody waiting any more is fine.
                let _ = answer.send(self.rotate_asked());
            }
            for answer in resumes {
                let _ = answer.send(self.resume());
            }
        }
    }

    fn append_taken(&mut self) {
        let mut taken = std::mem::take(&mut self.taken);
        let bytes: usize = taken.iter().map(|one| one.payload.len() + FRAME_HEAD).sum();
        match self.commit(&mut taken) {
            Ok(()) => {
                let mut queue = self.shared.queue.lock();
                queue.bytes = queue.bytes.saturating_sub(bytes);
            }
            Err(error) => self.fail(&error, &mut taken),
        }
        taken.clear();
        self.taken = taken;
    }

    /// Writes, syncs and answers all, in as few batches as sizes allow.
    fn commit(&mut self, taken: &mut [Pending]) -> io::Result<()> {
        let seed = self.shared.options.store.seed();
        let mut from = 0;
        while from < taken.len() {
            let Some(active) = &self.active else {
                return Err(io::Error::other("no active segment"));
            };
            let used = self.end - active.header.start;
            let room = active.capacity.saturating_sub(used);
            self.buffer.clear();
            let mut to = from;
            while let Some(one) = taken.get_mut(to) {
                let need = self.buffer.len() + frame_len(one.payload.len());
                if need as u64 > room || (need > BATCH_BYTES_MAX && to > from) {
                    break;
                }
                let head = FrameHead {
                    payload: one.payload.len() as u32,
                    position: self.end + self.buffer.len() as u64,
                    // All earlier batches are synced, and this one begins where they end.
                    synced_through: self.end,
                    incarnation: active.header.incarnation,
                    shard: one.shard,
                };
                head.encode(seed, &one.payload, &mut self.buffer);
                one.end = self.end + self.buffer.len() as u64;
                to += 1;
            }
            if to == from {
                self.rotate(frame_len(taken[from].payload.len()) as u64)?;
                continue;
            }
            active.file.write_at(&self.buffer, active.header.offset_of(self.end))?;
            active.file.sync_data()?;
            self.end += self.buffer.len() as u64;
            self.shared.synced.store(self.end, Ordering::Release);
            for one in &mut taken[from..to] {
                if let Some(answer) = one.answer.take() {
                    let _ = answer.send(Ok(one.end));
                }
            }
            self.buffer.shrink_to(BUFFER_BYTES_KEPT);
            from = to;

            if let Some(filler) = &self.filler
                && (self.end - active.header.start) * 2 > active.capacity
                && filler.want(self.next_ordinal)
            {
                self.next_ordinal += 1;
            }
        }
        Ok(())
    }

    /// Stops the journal and tells everybody who waits. The order matters: who hears `Failed` and
    /// tries again must be refused.
    fn fail(&mut self, error: &io::Error, taken: &mut [Pending]) {
        self.active = None;
        let (waiting, status) = {
            let mut queue = self.shared.queue.lock();
            let status = Status::Failed { generation: queue.status.generation() + 1 };
            queue.status = status;
            queue.bytes = 0;
            (std::mem::take(&mut queue.appends), status)
        };
        tracing::error!(
            %error,
            synced = self.end,
            generation = status.generation(),
            "a journal write failed: appends are refused until the journal resumes"
        );
        self.shared.status.send_replace(status);
        let unanswered = taken.iter_mut().filter_map(|one| one.answer.take());
        for answer in unanswered.chain(waiting.into_iter().filter_map(|one| one.answer)) {
            let _ = answer.send(Err(AppendError::Failed));
        }
    }

    fn rotate_asked(&mut self) -> Result<Position, ControlError> {
        match &self.active {
            None => Err(ControlError::Stopped),
            Some(active) if active.header.start == self.end => Ok(self.end),
            Some(_) => self.rotate(0).map(|()| self.end).map_err(|error| {
                let told = io::Error::new(error.kind(), error.to_string());
                self.fail(&error, &mut []);
                ControlError::Io(told)
            }),
        }
    }

    /// Begins the next segment, with room for a frame of `room` bytes at least.
    fn rotate(&mut self, room: u64) -> io::Result<()> {
        let spare = self.filler.as_ref().and_then(Filler::take);
        let ordinal = match &spare {
            Some(spare) if spare.bytes >= room => spare.ordinal,
            _ => self.take_ordinal(),
        };
        let previous = self.shared.log.lock().back().map_or(0, |(last, _)| last.ordinal);
        let header = SegmentHeader {
            ordinal,
            incarnation: self.incarnation,
            start: self.end,
            previous,
            previous_end: self.end,
        };
        let active = match spare {
            Some(spare) if spare.ordinal == ordinal => {
                spare.file.write_at(&header.encode(self.shared.options.store), 0)?;
                spare.file.sync_data()?;
                Active { file: spare.file, header, capacity: spare.bytes }
            }
            unfit => {
                if let Some(spare) = unfit {
                    segment::discard(&*self.shared.fs, spare.ordinal);
                }
                self.prepare(header, room)?
            }
        };
        self.enter(active);
        Ok(())
    }

    /// Begins a segment of a new incarnation behind the synced log.
    fn resume(&mut self) -> Result<(), ControlError> {
        if self.active.is_some() {
            return Ok(());
        }
        if let Some(spare) = self.filler.as_ref().and_then(Filler::take) {
            segment::discard(&*self.shared.fs, spare.ordinal);
        }
        // Risen even when the attempt fails: its header may have reached the disk.
        self.incarnation += 1;
        let previous = self.shared.log.lock().back().map_or(0, |(last, _)| last.ordinal);
        let header = SegmentHeader {
            ordinal: self.take_ordinal(),
            incarnation: self.incarnation,
            start: self.end,
            previous,
            previous_end: self.end,
        };
        let active = self.prepare(header, 0)?;
        // Only from the oldest on: what lies before is being removed by somebody else.
        let oldest = self.shared.log.lock().front().map_or(0, |(first, _)| first.ordinal);
        self.remove_strays(oldest, header.ordinal)?;
        self.enter(active);
        let status = {
            let mut queue = self.shared.queue.lock();
            let generation = queue.status.generation();
            queue.status = Status::Running { generation };
            queue.status
        };
        tracing::info!(synced = self.end, incarnation = self.incarnation, "the journal goes on");
        self.shared.status.send_replace(status);
        Ok(())
    }

    fn prepare(&self, header: SegmentHeader, room: u64) -> io::Result<Active> {
        let capacity = self.shared.options.inline_bytes().max(room);
        let file = segment::create(&*self.shared.fs, &self.shared.options, &header, capacity)?;
        Ok(Active { file, header, capacity })
    }

    fn enter(&mut self, active: Active) {
        let mut log = self.shared.log.lock();
        if let Some((_, end)) = log.back_mut() {
            *end = self.end;
        }
        log.push_back((active.header, self.end));
        self.active = Some(active);
    }

    fn take_ordinal(&mut self) -> u64 {
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        ordinal
    }

    /// Removes files that are not part of the log: unused ones, and ones that a header has cut
    /// away. Those must be gone before older segments go, or they would look like a hole.
    fn remove_strays(&self, from: u64, newest: u64) -> io::Result<()> {
        let fs = &*self.shared.fs;
        for ordinal in segment::list(fs)? {
            let part = ordinal == newest
                || self.shared.log.lock().iter().any(|(part, _)| part.ordinal == ordinal);
            if ordinal >= from && !part {
                segment::remove(fs, ordinal)?;
            }
        }
        Ok(())
    }
}

/// Makes the recovered log durable. Its last frames may be in memory only (the process died between
/// write and sync), or even be known to the kernel as written although their sync had failed; so
/// everything not proven synced is written again, with the same bytes, and synced.
fn settle_tail(shared: &Shared, found: &Survey) -> io::Result<()> {
    let Some(last) = found.log.last().filter(|last| last.end > found.proven) else {
        return Ok(());
    };
    let file = shared.fs.open(&segment::name_of(last.header.ordinal))?;
    let mut at = last.header.offset_of(found.proven.max(last.header.start));
    let end = last.header.offset_of(last.end);
    let mut bytes = vec![0; BUFFER_BYTES_KEPT.min((end - at) as usize)];
    while at < end {
        let part = bytes.len().min((end - at) as usize);
        let got = file.read_at(&mut bytes[..part], at)?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.write_at(&bytes[..got], at)?;
        at += got as u64;
    }
    file.sync_data()?;
    shared.fs.sync_dir()
}
