//! Files in messages: who may send which, and which messages use which, as the directory has it.
//!
//! Who sends a file first makes the directory keep it for a while; then the message is committed. That it is used is noted
//! when the message is dispatched, in order, by one task; the cursors of dispatchers wait for it, so that a crash repeats it
//! and never forgets it. Doing it twice is harmless.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{Attachment, Conversation, Message, Row, ShardId, UserId};
use ostracon_proto::frame::AttachmentRef;
use ostracon_store::{
    MessagePage, PagePosition, Position,
    directory::{MediaId, MediaRow, MediaUse, MessagesGone},
};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    addresses::Addresses,
    engine::{Core, Engine},
    error::EngineError,
    limits::{MEDIA_CHANGES_MAX, READ_RETRY},
};

/// Messages that are tried when somebody asks for a file that somebody else has uploaded.
const USES_TRIED: u32 = 64;
/// Changes written in one step.
const AT_ONCE: usize = 1_000;

/// What messages do to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Used(MediaUse),
    Gone(MessagesGone),
}

/// Changes on their way into the directory. Safe from any task; the lock is held for a few instructions.
pub(crate) struct MediaUses {
    state: Mutex<State>,
    wake: Notify,
    /// Changes that are written; rises.
    written: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Change>,
    /// Some are being written.
    busy: bool,
    /// Changes that were ever put in.
    count: u64,
    /// Positions of shards whose changes were all put in, and are all written.
    put: BTreeMap<ShardId, Position>,
    done: BTreeMap<ShardId, Position>,
}

impl MediaUses {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::default(), wake: Notify::new(), written: watch::Sender::new(0) }
    }

    /// Whether so much waits that nothing more may be committed.
    pub(crate) fn is_full(&self) -> bool {
        self.state.lock().waiting.len() >= MEDIA_CHANGES_MAX
    }

    /// Takes in what a batch has changed. Most have nothing.
    pub(crate) fn put(&self, rows: &[Row]) {
        let mut changes = Vec::new();
        for row in rows {
            match row {
                Row::Message(row) => of_message(row, &mut changes),
                Row::Conversation(row) => changes.extend(of_conversation(row)),
                _ => {}
            }
        }
        if changes.is_empty() {
            return;
        }
        let mut state = self.state.lock();
        state.count += changes.len() as u64;
        state.waiting.append(&mut changes);
        drop(state);
        self.wake.notify_one();
    }

    /// Notes that everything of a shard up to a position was put in.
    pub(crate) fn mark(&self, source: ShardId, position: Position) {
        let mut state = self.state.lock();
        state.put.insert(source, position);
        if state.waiting.is_empty() && !state.busy {
            state.done.insert(source, position);
        }
    }

    /// Everything of a shard up to here is written.
    pub(crate) fn done(&self, source: ShardId) -> Position {
        self.state.lock().done.get(&source).copied().unwrap_or(0)
    }

    /// Whether everything of a shard that was put in is written.
    pub(crate) fn is_done_with(&self, source: ShardId) -> bool {
        let state = self.state.lock();
        state.put.get(&source) == state.done.get(&source)
    }

    /// Returns when everything is written that was put in by now.
    pub(crate) async fn settled(&self) -> Result<(), EngineError> {
        let count = self.state.lock().count;
        let mut written = self.written.subscribe();
        // A lost sender means that the engine has stopped.
        written
            .wait_for(|written| *written >= count)
            .await
            .map_err(|_| EngineError::Unavailable)?;
        Ok(())
    }

    /// The task that writes.
    pub(crate) async fn run(core: Arc<Core>, stop: CancellationToken) {
        let this = &core.media_uses;
        loop {
            let (changes, marks) = this.take();
            if changes.is_empty() {
                tokio::select! {
                    () = this.wake.notified() => continue,
                    () = stop.cancelled() => return,
                }
            }
            while let Err(error) = write(&core, &changes).await {
                tracing::warn!(%error, "the use of files could not be noted; it is tried again");
                tokio::select! {
                    () = tokio::time::sleep(READ_RETRY) => {}
                    // The next start does it again.
                    () = stop.cancelled() => return,
                }
            }
            this.wrote(changes.len(), marks);
        }
    }

    fn take(&self) -> (Vec<Change>, BTreeMap<ShardId, Position>) {
        let mut state = self.state.lock();
        let changes: Vec<_> = if state.waiting.len() > AT_ONCE {
            state.waiting.drain(..AT_ONCE).collect()
        } else {
            std::mem::take(&mut state.waiting)
        };
        state.busy = !changes.is_empty();
        // What is taken is everything only if nothing is left.
        let marks = if state.waiting.is_empty() { state.put.clone() } else { BTreeMap::new() };
        (changes, marks)
    }

    fn wrote(&self, count: usize, marks: BTreeMap<ShardId, Position>) {
        let mut state = self.state.lock();
        state.busy = false;
        for (source, position) in marks {
            let done = state.done.entry(source).or_default();
            *done = position.max(*done);
        }
        if state.waiting.is_empty() {
            state.done = state.put.clone();
        }
        drop(state);
        self.written.send_modify(|written| *written += count as u64);
    }
}

/// A message uses what is attached to it, until it is a tombstone.
fn of_message(row: &Message, changes: &mut Vec<Change>) {
    let (conversation, seq) = (row.conversation, row.seq);
    if row.deleted.is_some() {
        changes.push(Change::Gone(MessagesGone { conversation, from: seq, to: seq }));
        return;
    }
    for attachment in row.attachments() {
        if let Ok(media) = attachment.media_id.parse() {
            changes.push(Change::Used(MediaUse { media, conversation, seq }));
        }
    }
}

/// Messages go with their conversation, and below what is retained.
fn of_conversation(row: &Conversation) -> Option<Change> {
    let gone = |to| Change::Gone(MessagesGone { conversation: row.id, from: 0, to });
    if row.deleted_at.is_some() {
        return Some(gone(u64::MAX));
    }
    let may_have_moved = row.info_rev == row.rev && row.retained_from > 1;
    may_have_moved.then(|| gone(row.retained_from - 1))
}

/// Writes changes in their order, as many of one kind together as stand beside each other.
async fn write(core: &Core, changes: &[Change]) -> Result<(), EngineError> {
    let keep_until = core.clock.now().saturating_add(core.media_kept_ms);
    let same = |a: &Change, b: &Change| std::mem::discriminant(a) == std::mem::discriminant(b);
    for run in changes.chunk_by(same) {
        let used: Vec<_> = run.iter().filter_map(Change::used).collect();
        let gone: Vec<_> = run.iter().filter_map(Change::gone).collect();
        if !used.is_empty() {
            core.directory.use_media(&used).await?;
        }
        if !gone.is_empty() {
            core.directory.unuse_media(&gone, keep_until).await?;
        }
    }
    Ok(())
}

impl Change {
    const fn used(&self) -> Option<MediaUse> {
        match self {
            Self::Used(one) => Some(*one),
            Self::Gone(_) => None,
        }
    }

    const fn gone(&self) -> Option<MessagesGone> {
        match self {
            Self::Gone(one) => Some(*one),
            Self::Used(_) => None,
        }
    }
}

impl Engine {
    /// Where attached files are.
    pub fn addresses(&self) -> &dyn Addresses {
        &*self.core().addresses
    }

    /// Returns when every use of a file by a message that was committed by now is in the directory.
    ///
    /// # Errors
    /// When a shard does not answer.
    pub async fn settle_media(&self) -> Result<(), EngineError> {
        for shard in self.shards().into_keys() {
            self.dispatch_barrier(shard).await?;
        }
        self.core().media_uses.settled().await
    }

    /// Files for a message of this user, kept until it is committed: only what he has uploaded or may read. None when one is
    /// another: whether that matters is for the rules to say, as the message may have been sent before.
    pub(crate) async fn attach(
        &self,
        user: UserId,
        refs: &[AttachmentRef<'_>],
    ) -> Result<Option<Vec<Attachment>>, EngineError> {
        let ids: Result<Vec<MediaId>, _> = refs.iter().map(|one| one.media_id.parse()).collect();
        let Ok(ids) = ids else { return Ok(None) };
        let core = self.core();
        let until = core.clock.now().saturating_add(core.media_kept_ms);
        let kept = core.directory.keep_media(&ids, until).await?;
        let mut attached = Vec::with_capacity(ids.len());
        for id in &ids {
            let Some(row) = kept.iter().find(|row| row.id == *id) else { return Ok(None) };
            if row.owner != user && !self.reads_message_with(user, *id).await? {
                return Ok(None);
            }
            attached.push(attachment(row));
        }
        Ok(Some(attached))
    }

    /// A file that somebody may read: his own, or one in a message that he may read.
    ///
    /// # Errors
    /// `NotFound` for any other.
    pub async fn readable_media(&self, user: UserId, id: MediaId) -> Result<MediaRow, EngineError> {
        let row = self.core().directory.media(&[id]).await?.pop().ok_or_else(no_media)?;
        if row.owner == user || self.reads_message_with(user, id).await? {
            Ok(row)
        } else {
            Err(no_media())
        }
    }

    async fn reads_message_with(&self, user: UserId, id: MediaId) -> Result<bool, EngineError> {
        for used in self.core().directory.media_uses(id, USES_TRIED).await? {
            let page = MessagePage::Around { position: PagePosition::Seq(used.seq), limit: 1 };
            match self.messages(user, used.conversation, page).await {
                Ok((found, access)) => {
                    let is_shown = |message: &Message| {
                        message.seq == used.seq
                            && message.deleted.is_none()
                            && access.covers(message.seq)
                            && found.hidden.binary_search(&message.seq).is_err()
                            && !access.withholds(message)
                    };
                    if found.messages.iter().any(|view| is_shown(&view.message)) {
                        return Ok(true);
                    }
                }
                // Another message may be one that he may read.
                Err(EngineError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

fn no_media() -> EngineError {
    ostracon_domain::Refusal::no_file().into()
}

fn attachment(row: &MediaRow) -> Attachment {
    Attachment {
        media_id: row.id.to_string(),
        mime: row.mime.clone(),
        size: row.object.size,
        width: row.width,
        height: row.height,
        duration_ms: row.duration_ms,
        thumbhash: row.thumbhash.clone(),
        name: row.name.clone(),
    }
}
