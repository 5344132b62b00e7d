//! Stores in throw-away folders, and what the tests say to them.

use std::{path::Path, sync::Arc};

use ostracon_domain::{
    Action, ClientId, Command, ConversationCommand, ConversationId, Epoch, Limits, MessageKind,
    Millis, NewMessage, Outcome, ShardId, UnitAt, UnitId, UserId,
};
use ostracon_store::{
    Answer, Batch, Commit, Ids, MessagePage, Messages, Order, Read, Shard, ShardError,
    memory::CountingIds,
};
use ostracon_store_embedded::{
    DataDir, EmbeddedOptions, EmbeddedShard, EmbeddedStore, journal::JournalFs,
};
use tempfile::TempDir;

pub(crate) const SHARD: ShardId = ShardId(0);
pub(crate) const CLUSTER: u128 = 77;
pub(crate) const NOW: Millis = 1_700_000_000_000;

/// One shard in a folder of its own.
pub(crate) struct Home {
    pub(crate) dir: TempDir,
    pub(crate) ids: Arc<dyn Ids>,
    /// A journal somewhere else than in the folder.
    pub(crate) journal: Option<Arc<dyn JournalFs>>,
    store: Option<EmbeddedStore>,
}

pub(crate) fn options(path: &Path, ids: &Arc<dyn Ids>) -> EmbeddedOptions {
    let dir = Arc::new(DataDir::open(path).unwrap());
    EmbeddedOptions::new(dir, CLUSTER, vec![SHARD], Arc::clone(ids))
}

impl Home {
    /// An empty shard that serves these units at epoch 1.
    pub(crate) async fn new(units: &[UnitId], ids: Arc<dyn Ids>) -> Self {
        Self::with_journal(units, ids, None).await
    }

    /// A shard for Alice and Bob, with a journal of its own kind.
    pub(crate) async fn of_pair(journal: Option<Arc<dyn JournalFs>>) -> Self {
        let units = [direct().slot().unit(), ALICE.slot().unit(), BOB.slot().unit()];
        Self::with_journal(&units, Arc::new(CountingIds::new(1, 1)), journal).await
    }

    async fn with_journal(
        units: &[UnitId],
        ids: Arc<dyn Ids>,
        journal: Option<Arc<dyn JournalFs>>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut home = Self { dir, ids, journal, store: None };
        home.reopen();
        home.store().format(SHARD, units.iter().map(|unit| (*unit, Epoch(1)))).await.unwrap();
        home
    }

    pub(crate) fn store(&self) -> &EmbeddedStore {
        self.store.as_ref().unwrap()
    }

    pub(crate) fn take_store(&mut self) -> EmbeddedStore {
        self.store.take().unwrap()
    }

    pub(crate) fn shard(&self) -> Arc<EmbeddedShard> {
        self.store().shard(SHARD).unwrap()
    }

    /// Dies without a word and starts again.
    pub(crate) fn reopen(&mut self) {
        self.store = None;
        let mut options = options(self.dir.path(), &self.ids);
        options.journal_fs = self.journal.clone();
        self.store = Some(EmbeddedStore::open(options).unwrap());
    }
}

pub(crate) const ALICE: UserId = user(1);
pub(crate) const BOB: UserId = user(2);

pub(crate) const fn user(id: u64) -> UserId {
    match UserId::new(id) {
        Ok(user) => user,
        Err(_) => panic!("not a user id"),
    }
}

pub(crate) fn direct() -> ConversationId {
    ConversationId::direct(ALICE, BOB)
}

pub(crate) fn home(id: ConversationId) -> UnitAt {
    UnitAt { unit: id.slot().unit(), epoch: Epoch(1) }
}

pub(crate) fn order(actor: UserId, action: Action) -> Order {
    Order {
        at: home(direct()),
        command: Command::Conversation(ConversationCommand {
            conversation: direct(),
            actor,
            action,
        }),
    }
}

/// A send; a retry has the same client id.
pub(crate) fn send(client_id: &str, text: &str) -> Order {
    order(
        ALICE,
        Action::Send(NewMessage {
            kind: MessageKind::Text,
            content: text.to_owned(),
            client_id: ClientId::new(client_id),
            payload_hash: 1,
            reply_to: None,
            mentions: Vec::new(),
            attachments: Some(Vec::new()),
        }),
    )
}

pub(crate) fn batch(orders: Vec<Order>) -> Batch {
    Batch { now: NOW, limits: Limits::default(), orders: Arc::new(orders) }
}

pub(crate) async fn commit(shard: &dyn Shard, orders: Vec<Order>) -> Result<Commit, ShardError> {
    shard.commit(batch(orders)).await
}

/// Sends one message; its seq, and whether it was there already.
pub(crate) async fn say(shard: &dyn Shard, client_id: &str) -> Result<(u64, bool), ShardError> {
    let commit = commit(shard, vec![send(client_id, client_id)]).await?;
    match &commit.answers[..] {
        [Answer::Done { outcome: Outcome::Sent { message, duplicate, .. }, .. }] => {
            Ok((message.message.seq, *duplicate))
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn newest(shard: &dyn Shard, limit: u32) -> Option<Messages> {
    let page = MessagePage::Newest { limit };
    match shard.messages(home(direct()), direct(), ALICE, page).await.unwrap() {
        Read::Rows(page) => Some(page),
        Read::Absent => None,
        Read::Fenced(state) => panic!("fenced: {state:?}"),
    }
}

/// The texts of the newest messages, oldest first.
pub(crate) async fn texts(shard: &dyn Shard) -> Vec<String> {
    let page = newest(shard, 1_000).await;
    page.map_or(Vec::new(), |page| {
        let texts = page.messages.iter();
        texts.map(|view| view.message.content.clone()).collect()
    })
}
