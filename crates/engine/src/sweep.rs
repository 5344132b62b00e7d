//! Removes messages that have lived long enough: those whose timer is over, and those beyond a retention.
//!
//! A table in memory says when something of which conversation is due; now and then all conversations are looked at, so that
//! nothing is forgotten by a restart. What is removed is decided by the rules, a bounded part at a time with a rest after
//! it; several nodes may do the same, the second finds nothing.

use std::{collections::BTreeSet, sync::Arc};

use ostracon_domain::{
    Action, Command, Conversation, ConversationCommand, ConversationId, Message, Millis, Row, Seq,
    ShardId, Subject, UserId, limits::RETRY_LIFE,
};
use ostracon_store::ScanCursor;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep, timeout},
};

use crate::{
    engine::{Core, Engine},
    error::EngineError,
    limits::{
        EXPIRE_AT_ONCE, SWEEP_AT_ONCE, SWEEP_FIRST, SWEEP_LAG, SWEEP_PASS_PERIOD, SWEEP_PERIOD,
        SWEEP_REST, SWEEP_ROWS, SWEEP_STEP_MAX, TIMETABLE_MAX,
    },
    reply::Reply,
};

/// When something is due. Bounded; what does not fit is found by looking at everything.
#[derive(Default)]
pub(crate) struct Timetable(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    by_time: BTreeSet<(Millis, ConversationId)>,
    of: FxHashMap<ConversationId, Next>,
}

/// The next thing that is due in a conversation.
#[derive(Debug, Clone, Copy)]
struct Next {
    /// `Millis::MAX`: nothing, as far as is known.
    at: Millis,
    /// Nothing below is due by a timer.
    from: Seq,
}

impl Timetable {
    /// Something from this seq on is due at this time.
    pub(crate) fn note(&self, id: ConversationId, at: Millis, from: Seq) {
        let mut entries = self.0.lock();
        let Entries { by_time, of } = &mut *entries;
        if of.len() >= TIMETABLE_MAX && !of.contains_key(&id) {
            return;
        }
        let next = of.entry(id).or_insert(Next { at: Millis::MAX, from });
        if at < next.at {
            by_time.remove(&(next.at, id));
            by_time.insert((at, id));
        }
        *next = Next { at: next.at.min(at), from: next.from.min(from) };
    }

    /// Takes what is due: each with the seq from which on it may be.
    fn take(&self, now: Millis, at_most: usize) -> Vec<(ConversationId, Seq)> {
        let mut entries = self.0.lock();
        let Entries { by_time, of } = &mut *entries;
        let due = by_time.iter().take_while(|(at, _)| *at <= now).take(at_most);
        let due: Vec<_> = due.copied().collect();
        let take = |(at, id)| {
            by_time.remove(&(at, id));
            Some((id, of.remove(&id)?.from))
        };
        due.into_iter().filter_map(take).collect()
    }

    fn knows(&self, id: ConversationId) -> bool {
        self.0.lock().of.contains_key(&id)
    }
}

/// Removes what is due, as long as the engine runs.
pub(crate) async fn run(core: Arc<Core>) {
    tokio::select! {
        () = core.stop_lanes.cancelled() => {}
        ((), ()) = async { tokio::join!(look_now_and_then(&core), look_at_the_table(&core)) } => {}
    }
}

async fn look_now_and_then(core: &Core) {
    // A start has enough to do.
    sleep(SWEEP_FIRST).await;
    loop {
        if let Err(error) = look_at_all(core, false).await {
            tracing::debug!(%error, "not every conversation was looked at for what has lived long enough");
        }
        sleep(SWEEP_PASS_PERIOD).await;
    }
}

async fn look_at_the_table(core: &Core) {
    loop {
        sleep(SWEEP_PERIOD).await;
        remove_due(core).await;
    }
}

async fn remove_due(core: &Core) {
    for (id, from) in core.timetable.take(core.clock.now(), SWEEP_AT_ONCE) {
        if let Err(error) = sweep(core, id, from).await {
            tracing::debug!(%error, "what has lived long enough is removed later");
            core.timetable.note(id, core.clock.now() + SWEEP_LAG, from);
        }
    }
}

/// Looks at every conversation of every shard here, at all of them or at those of which it is not known when something is due.
async fn look_at_all(core: &Core, everything: bool) -> Result<(), EngineError> {
    let shards = core.topology.load().shards.clone();
    let mut outcome = Ok(());
    for (id, shard) in shards {
        let mut after = None;
        loop {
            let began = Instant::now();
            let heads = timeout(SWEEP_STEP_MAX, shard.conversation_heads(after, SWEEP_ROWS)).await;
            let heads = match heads {
                Ok(Ok(heads)) => heads,
                _ => {
                    outcome = Err(EngineError::Unavailable);
                    break;
                }
            };
            let Some((last, _)) = heads.last() else { break };
            after = Some(*last);
            let ids = heads.iter().map(|(id, _)| *id);
            let here: Vec<_> = ids.filter(|one| is_at(core, *one, id)).collect();
            if let Err(error) = look_at(core, &here, everything).await {
                outcome = Err(error);
            }
            // A fifth of a core at most.
            sleep(SWEEP_REST.max(began.elapsed() * 4)).await;
        }
    }
    outcome
}

fn is_at(core: &Core, id: ConversationId, shard: ShardId) -> bool {
    core.place(id).is_ok_and(|(_, home)| home == shard)
}

async fn look_at(core: &Core, ids: &[ConversationId], everything: bool) -> Result<(), EngineError> {
    for overview in core.overviews(nobody()?, ids).await?.into_iter().flatten() {
        let row = overview.conversation;
        let life = Life::of(core, &row);
        let is_old = life
            .retention
            .is_some_and(|retention| row.created_at.saturating_add(retention) <= core.clock.now());
        let is_timed = life.timed_from.is_some();
        if is_old || (is_timed && (everything || !core.timetable.knows(row.id))) {
            sweep(core, row.id, 0).await?;
            sleep(SWEEP_REST).await;
        }
    }
    Ok(())
}

/// How long messages of a conversation live.
#[derive(Debug, Clone, Copy)]
struct Life {
    /// Milliseconds after their sending.
    retention: Option<Millis>,
    /// The first message that may disappear by a timer.
    timed_from: Option<Seq>,
}

impl Life {
    fn of(core: &Core, row: &Conversation) -> Self {
        let own = row.extra.as_ref().and_then(|extra| extra.retention_s);
        let own = own.map(|seconds| i64::from(seconds) * 1_000);
        let retention = match (own, core.retention) {
            (Some(own), Some(all)) => Some(own.min(all)),
            (own, all) => own.or(all),
        };
        Self { retention, timed_from: row.extra.as_ref().and_then(|extra| extra.timed_from) }
    }

    /// When nothing needs to be left of a message; none: always something.
    fn end_of(&self, message: &Message) -> Option<Millis> {
        let retained = self.retention.map(|retention| message.created_at.saturating_add(retention));
        // Until then its client id is needed: the sender may ask what became of it.
        let retried = message.created_at.saturating_add(RETRY_LIFE);
        let is_gone = message.deleted.is_some() && self.timed_from.is_some();
        let timed = expires_at(message).or(is_gone.then_some(0)).map(|at| at.max(retried));
        retained.into_iter().chain(timed).min()
    }
}

fn expires_at(message: &Message) -> Option<Millis> {
    message.extra.as_ref()?.expires_at
}

/// Removes what is over of one conversation, and notes when it is to be looked at again. Timers are looked at from a seq on.
async fn sweep(core: &Core, id: ConversationId, from: Seq) -> Result<(), EngineError> {
    let Some(overview) = core.overviews(nobody()?, &[id]).await?.pop().flatten() else {
        return Ok(());
    };
    let row = overview.conversation;
    let life = Life::of(core, &row);
    if row.deleted_at.is_some() || (life.retention.is_none() && life.timed_from.is_none()) {
        return Ok(());
    }
    let (first, ends_at) = remove_front(core, id, life, row.retained_from.max(1)).await?;
    let Some(timed_from) = life.timed_from else { return Ok(()) };
    let (mut at, mut hint) = (ends_at.unwrap_or(Millis::MAX), None);
    let mut next = timed_from.max(from).max(first);
    loop {
        let page = read(core, id, next).await?;
        let now = core.clock.now();
        let live = page.messages.iter().filter(|message| message.deleted.is_none());
        let timed = live.filter_map(|message| Some((message.seq, expires_at(message)?)));
        let (over, later): (Vec<_>, Vec<_>) = timed.partition(|(_, due)| *due <= now);
        for seqs in over.chunks(EXPIRE_AT_ONCE) {
            let seqs = seqs.iter().map(|(seq, _)| *seq).collect();
            submit(core, id, Action::Expire { seqs }).await?;
            sleep(SWEEP_REST).await;
        }
        for (seq, due) in later {
            at = at.min(due);
            hint.get_or_insert(seq);
        }
        next = page.messages.last().map_or(next, |message| message.seq + 1);
        if !page.more {
            break;
        }
        sleep(SWEEP_REST).await;
    }
    if next <= row.head_seq {
        // The newest messages are not in what is scanned yet.
        at = at.min(core.clock.now() + SWEEP_LAG);
    }
    core.timetable.note(id, at, hint.unwrap_or(next));
    Ok(())
}

/// Removes messages from the front as long as they are over; the first seq that stays, and when that one is over.
async fn remove_front(
    core: &Core,
    id: ConversationId,
    life: Life,
    mut first: Seq,
) -> Result<(Seq, Option<Millis>), EngineError> {
    loop {
        let page = read(core, id, first).await?;
        let now = core.clock.now();
        let is_over = |message: &&Arc<Message>| life.end_of(message).is_some_and(|end| end <= now);
        let over = page.messages.iter().take_while(is_over).count();
        if let Some(last) = page.messages[..over].last() {
            first = last.seq + 1;
            submit(core, id, Action::Retain { from: first }).await?;
            sleep(SWEEP_REST).await;
        }
        if let Some(stays) = page.messages.get(over) {
            return Ok((first, life.end_of(stays)));
        }
        if !page.more {
            return Ok((first, None));
        }
    }
}

struct Page {
    messages: Vec<Arc<Message>>,
    more: bool,
}

/// Messages from a seq on, as far as they are in the tables.
async fn read(core: &Core, id: ConversationId, from: Seq) -> Result<Page, EngineError> {
    let (at, shard) = core.place(id)?;
    let subject = Subject::Conversation(id);
    let cursor = ScanCursor { subject, after_seq: Some(from.saturating_sub(1)) };
    let shard = core.shard(shard)?;
    let scan = shard.scan_unit(at.unit, Some(cursor), SWEEP_ROWS);
    let page = timeout(SWEEP_STEP_MAX, scan).await.map_err(|_| EngineError::Unavailable)??;
    let own = |row: Row| match row {
        Row::Message(message) if message.conversation == id => Some(message),
        _ => None,
    };
    let more = page.next.is_some_and(|next| next.subject == subject && next.after_seq.is_some());
    Ok(Page { messages: page.rows.into_iter().filter_map(own).collect(), more })
}

async fn submit(
    core: &Core,
    conversation: ConversationId,
    action: Action,
) -> Result<(), EngineError> {
    let (answer, waiting) = oneshot::channel();
    let command = ConversationCommand { conversation, actor: nobody()?, action };
    core.submit(Command::Conversation(command), Reply::Call(answer));
    waiting.await.map_err(|_| EngineError::Unavailable)??;
    Ok(())
}

/// Who is in no conversation.
fn nobody() -> Result<UserId, EngineError> {
    UserId::new((1 << 53) - 1).map_err(|_| EngineError::Internal)
}

impl Engine {
    /// Removes everything that has lived long enough by now. It happens by itself; this is for who does not want to wait.
    ///
    /// # Errors
    /// When a shard does not answer; the others were looked at.
    pub async fn sweep(&self) -> Result<(), EngineError> {
        look_at_all(self.core(), true).await
    }
}

#[cfg(test)]
mod tests;
