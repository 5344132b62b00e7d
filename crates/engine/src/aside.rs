//! What a crash left and cannot be done again yet, because the conversation lives on another shard now, which does not
//! answer. It is tried again beside the dispatcher, whose cursor waits for it; nothing else does.

use std::{collections::BTreeSet, sync::Arc};

use ostracon_domain::{Conversation, ConversationId, Row, ShardId};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    audience::Audiences,
    dispatcher::{concerns_everybody, may_pass, put_lists},
    engine::Core,
    limits::{ASIDE_RETRY_MAX, HOME_PATIENCE, READ_RETRY},
};

/// A change of a conversation whose lists are to be brought up to date.
pub(crate) struct LeftOver {
    pub(crate) conversation: Arc<Conversation>,
    /// The members' rows that were written with it.
    pub(crate) members: Vec<Row>,
}

impl LeftOver {
    /// The changes in the rows of a batch, in order.
    pub(crate) fn of(rows: &[Row]) -> impl Iterator<Item = Self> {
        let is_member = |row: &&Row, id| matches!(row, Row::Member(row) if row.conversation == id);
        rows.iter().filter_map(move |row| {
            let Row::Conversation(conversation) = row else { return None };
            let id: ConversationId = conversation.id;
            let members = rows.iter().filter(|row| is_member(row, id)).cloned().collect();
            Some(Self { conversation: Arc::clone(conversation), members })
        })
    }
}

/// What became of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brought {
    /// It is in the lanes.
    Done,
    /// The shard of the conversation does not answer.
    Later,
    /// Its rows are damaged; that is in the log.
    Never,
}

/// Safe with one dispatcher; dropping it ends the trying.
#[derive(Default)]
pub(crate) struct Aside {
    waiting: Vec<LeftOver>,
    silent: BTreeSet<ShardId>,
    trying: JoinSet<bool>,
}

impl Aside {
    /// Whether nothing is set aside.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.trying.is_empty()
    }

    /// Sets something aside.
    pub(crate) fn put(&mut self, left: LeftOver) {
        self.waiting.push(left);
    }

    /// Brings lists up to date. Of a shard that did not answer nothing more is asked.
    pub(crate) async fn bring(&mut self, core: &Core, left: &LeftOver) -> Brought {
        bring(core, left, &mut self.silent).await
    }

    /// Begins to try again what was set aside.
    pub(crate) fn begin(&mut self, core: &Arc<Core>, stop: &CancellationToken) {
        if self.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.waiting);
        tracing::warn!(
            changes = waiting.len(),
            shards = ?self.silent,
            "a shard does not answer; lists that a crash left behind wait for it"
        );
        self.trying.spawn(bring_all(Arc::clone(core), waiting, stop.clone()));
    }

    /// Waits until all of it is done; `false` when some of it never will be.
    pub(crate) async fn done(&mut self) -> bool {
        matches!(self.trying.join_next().await, Some(Ok(true)))
    }
}

async fn bring_all(core: Arc<Core>, mut waiting: Vec<LeftOver>, stop: CancellationToken) -> bool {
    let mut pause = READ_RETRY;
    let mut all = true;
    while !waiting.is_empty() {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return false,
        }
        pause = (pause * 2).min(ASIDE_RETRY_MAX);
        let mut silent = BTreeSet::new();
        let mut later = Vec::new();
        for left in waiting {
            match bring(&core, &left, &mut silent).await {
                Brought::Done => {}
                Brought::Later => later.push(left),
                Brought::Never => all = false,
            }
        }
        waiting = later;
    }
    all
}

async fn bring(core: &Core, left: &LeftOver, silent: &mut BTreeSet<ShardId>) -> Brought {
    let LeftOver { conversation, members } = left;
    let id = conversation.id;
    let mut audiences = Audiences::default();
    if concerns_everybody(conversation, members) {
        let Ok((at, shard)) = core.place(id) else { return Brought::Later };
        if silent.contains(&shard) {
            return Brought::Later;
        }
        let Ok(home) = core.shard(shard) else { return Brought::Later };
        let learning = audiences.learn(&home, at, id, members);
        match tokio::time::timeout(HOME_PATIENCE, learning).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if !may_pass(&error) => {
                tracing::error!(%shard, conversation = %id, %error, "members cannot be read; lists are not brought up to date");
                return Brought::Never;
            }
            _ => {
                silent.insert(shard);
                return Brought::Later;
            }
        }
    }
    put_lists(core, audiences.get(id), conversation, members);
    Brought::Done
}
