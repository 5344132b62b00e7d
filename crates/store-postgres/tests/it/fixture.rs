//! Shards in schemas of their own, and what the tests say to them.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU32, Ordering},
};

use ostracon_domain::{
    Action, ClientId, Command, ConversationCommand, ConversationId, Epoch, Limits, MessageKind,
    Millis, NewMessage, Outcome, ShardId, UnitAt, UnitId, UserId,
};
use ostracon_store::{
    Answer, Batch, Commit, Ids, MessagePage, Messages, Order, Read, Shard, ShardError,
    memory::CountingIds,
};
use ostracon_store_postgres::{PostgresOptions, PostgresShard, testing::Server};

pub(crate) const SHARD: ShardId = ShardId(3);
pub(crate) const CLUSTER: u128 = 77;
pub(crate) const NOW: Millis = 1_700_000_000_000;
pub(crate) const ALICE: UserId = user(1);
pub(crate) const BOB: UserId = user(2);

pub(crate) const fn user(id: u64) -> UserId {
    match UserId::new(id) {
        Ok(user) => user,
        Err(_) => panic!("not a user id"),
    }
}

/// The server that all tests share which leave it alone. It ends when this process does: its input ends then.
pub(crate) fn shared_url() -> &'static str {
    static SHARED: OnceLock<(Server, String)> = OnceLock::new();
    let (_, url) = SHARED.get_or_init(|| {
        let server = Server::start();
        let url = server.url();
        (server, url)
    });
    url
}

/// Ids of a node of its own.
pub(crate) fn ids(node: u16) -> Arc<dyn Ids> {
    Arc::new(CountingIds::new(node, 1))
}

/// Options of a schema that no test has used yet, on this server.
pub(crate) fn options_on(url: &str, ids: Arc<dyn Ids>) -> PostgresOptions {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let url = format!("{url}?schema=test_{number}");
    let mut options = PostgresOptions::new(&url, CLUSTER, SHARD, ids).unwrap();
    // Many shards share one server here.
    options.access.connections = 4;
    options
}

pub(crate) fn options() -> PostgresOptions {
    options_on(shared_url(), ids(1))
}

/// Makes a shard that serves these units at epoch 1.
pub(crate) async fn formatted(options: &PostgresOptions, units: &[UnitId]) -> Arc<PostgresShard> {
    let units = units.iter().map(|unit| (*unit, Epoch(1)));
    PostgresShard::format(options, units.collect::<Vec<_>>()).await.unwrap();
    open(options).await
}

pub(crate) async fn open(options: &PostgresOptions) -> Arc<PostgresShard> {
    Arc::new(PostgresShard::connect(options.clone()).await.unwrap())
}

pub(crate) fn direct() -> ConversationId {
    ConversationId::direct(ALICE, BOB)
}

pub(crate) fn units() -> [UnitId; 3] {
    [direct().slot().unit(), ALICE.slot().unit(), BOB.slot().unit()]
}

pub(crate) fn home(id: ConversationId) -> UnitAt {
    UnitAt { unit: id.slot().unit(), epoch: Epoch(1) }
}

pub(crate) fn order_in(conversation: ConversationId, actor: UserId, action: Action) -> Order {
    Order {
        at: home(conversation),
        command: Command::Conversation(ConversationCommand { conversation, actor, action }),
    }
}

/// A send; a retry has the same client id.
pub(crate) fn send_in(conversation: ConversationId, actor: UserId, client_id: &str) -> Order {
    order_in(
        conversation,
        actor,
        Action::Send(NewMessage {
            kind: MessageKind::Text,
            content: client_id.to_owned(),
            client_id: ClientId::new(client_id),
            payload_hash: 1,
            reply_to: None,
            mentions: Vec::new(),
            attachments: Some(Vec::new()),
        }),
    )
}

pub(crate) async fn commit(shard: &dyn Shard, orders: Vec<Order>) -> Result<Commit, ShardError> {
    shard.commit(Batch { now: NOW, limits: Limits::default(), orders: Arc::new(orders) }).await
}

/// The seq of a send, and whether it was there already.
pub(crate) fn sent(answer: &Answer) -> (u64, bool) {
    match answer {
        Answer::Done { outcome: Outcome::Sent { message, duplicate, .. }, .. } => {
            (message.message.seq, *duplicate)
        }
        other => panic!("{other:?}"),
    }
}

/// Sends one message from Alice to Bob.
pub(crate) async fn say(shard: &dyn Shard, client_id: &str) -> Result<(u64, bool), ShardError> {
    let commit = commit(shard, vec![send_in(direct(), ALICE, client_id)]).await?;
    Ok(sent(&commit.answers[0]))
}

pub(crate) async fn newest(
    shard: &dyn Shard,
    conversation: ConversationId,
    reader: UserId,
) -> Option<Messages> {
    let page = MessagePage::Newest { limit: 100_000 };
    match shard.messages(home(conversation), conversation, reader, page).await.unwrap() {
        Read::Rows(page) => Some(page),
        Read::Absent => None,
        Read::Fenced(state) => panic!("fenced: {state:?}"),
    }
}

/// The texts of all messages between Alice and Bob, oldest first.
pub(crate) async fn texts(shard: &dyn Shard) -> Vec<String> {
    newest(shard, direct(), ALICE).await.map_or(Vec::new(), |page| {
        page.messages.iter().map(|view| view.message.content.clone()).collect()
    })
}
