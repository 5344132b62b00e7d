//! The first flight: the fence, the locks, and the rows that a batch needs.

use ostracon_domain::{ClientId, ConversationId, Seq, UserId};
use ostracon_store::{Missing, Order, WorkingSet};
use rustc_hash::{FxHashMap, FxHashSet};
use uuid::Uuid;

use crate::{
    error::PgError,
    fence::Units,
    pool::Server,
    read::views_of,
    session::Session,
    sql::{
        FENCE_LOCK, LOCK_SHARED, MEMBERS, MESSAGES, UNITS_SINCE, annex_columns,
        conversation_columns, inbox_columns, message_columns, user_columns,
    },
    value,
};

type Result<T> = std::result::Result<T, PgError>;

// A lock that had to wait gives the row as the other writer left it.
const LOCK_CONVERSATIONS: &str = concat!(
    "SELECT ",
    conversation_columns!(),
    " FROM conversation WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE"
);
const LOCK_USERS: &str = concat!(
    "SELECT ",
    user_columns!(),
    " FROM user_state WHERE user_id = ANY($1) ORDER BY user_id FOR NO KEY UPDATE"
);
const PROBES: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) AS k (of, who, what) \
     JOIN message ON conversation = k.of AND sender = k.who AND client_id = k.what"
);
const INBOX: &str = concat!(
    "SELECT ",
    inbox_columns!(),
    " FROM unnest($1::bigint[], $2::uuid[]) AS k (who, of) JOIN inbox ON user_id = k.who AND conversation = k.of"
);

const ANNEXES: &str = concat!(
    "SELECT ",
    annex_columns!(),
    " FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[]) AS k (of, what, one, two) \
     JOIN annex ON conversation = k.of AND kind = k.what AND first = k.one AND second = k.two"
);

/// What a batch runs on.
pub(super) struct Loaded {
    pub(super) set: WorkingSet,
    pub(super) units: Units,
}

/// What was there before the batch.
#[derive(Default)]
pub(super) struct Stored {
    /// Conversations with their newest message.
    pub(super) heads: FxHashMap<ConversationId, Seq>,
    pub(super) users: FxHashSet<UserId>,
}

/// Keys by kind, each kind in the order of [`Missing`], which is that of the locks.
#[derive(Default)]
struct Keys {
    conversations: Vec<Uuid>,
    members: (Vec<Uuid>, Vec<i64>),
    messages: (Vec<Uuid>, Vec<i64>),
    probes: (Vec<Uuid>, Vec<i64>, Vec<Vec<u8>>),
    annexes: (Vec<Uuid>, Vec<i16>, Vec<i64>, Vec<i64>),
    users: Vec<i64>,
    inbox: (Vec<i64>, Vec<Uuid>),
}

impl Keys {
    fn of(missing: &[Missing]) -> Self {
        let mut keys = Self::default();
        for row in missing {
            match row {
                Missing::Conversation(id) => keys.conversations.push(value::uuid_of(*id)),
                Missing::Member(id, user) => {
                    keys.members.0.push(value::uuid_of(*id));
                    keys.members.1.push(user.get() as i64);
                }
                Missing::Message(id, seq) => {
                    // No such number fits into the column, so there is no such message.
                    if let Ok(seq) = i64::try_from(*seq) {
                        keys.messages.0.push(value::uuid_of(*id));
                        keys.messages.1.push(seq);
                    }
                }
                Missing::Probe(id, sender, client_id) => {
                    keys.probes.0.push(value::uuid_of(*id));
                    keys.probes.1.push(sender.get() as i64);
                    keys.probes.2.push(value::stored_client_id(client_id));
                }
                Missing::Annex(id, key) => {
                    keys.annexes.0.push(value::uuid_of(*id));
                    keys.annexes.1.push(i16::from(key.kind as u8));
                    keys.annexes.2.push(key.first as i64);
                    keys.annexes.3.push(key.second as i64);
                }
                Missing::User(user) => keys.users.push(user.get() as i64),
                Missing::Inbox(user, id) => {
                    keys.inbox.0.push(user.get() as i64);
                    keys.inbox.1.push(value::uuid_of(*id));
                }
            }
        }
        keys
    }
}

/// Begins the transaction; what it returns stays true until its end.
pub(super) async fn load(
    session: &Session,
    server: &Server,
    orders: &[Order],
) -> Result<(Loaded, Stored)> {
    let mut set = WorkingSet::default();
    let missing = set.missing(orders);
    let keys = Keys::of(&missing);
    let mut units = server.fence.known();

    let lock = session.prepare(LOCK_SHARED).await?;
    let fence = session.prepare(UNITS_SINCE).await?;
    let conversations = session.prepare(LOCK_CONVERSATIONS).await?;
    let users = session.prepare(LOCK_USERS).await?;
    let members = session.prepare(MEMBERS).await?;
    let messages = session.prepare(MESSAGES).await?;
    let probes = session.prepare(PROBES).await?;
    let inbox = session.prepare(INBOX).await?;
    // Planned only on connections that ever need it.
    let annexes = match keys.annexes.0.is_empty() {
        true => None,
        false => Some(session.prepare(ANNEXES).await?),
    };
    let (version, lock_key) = (units.version, server.lock_key());

    let flight = tokio::join!(
        biased;
        session.plain("BEGIN"),
        async { session.query(&lock, &[&FENCE_LOCK, &lock_key]).await },
        async { session.query(&fence, &[&version]).await },
        async {
            let ids = &keys.conversations;
            session.query_keys(ids.len(), &conversations, &[ids]).await
        },
        async { session.query_keys(keys.users.len(), &users, &[&keys.users]).await },
        async {
            let (of, who) = &keys.members;
            session.query_keys(of.len(), &members, &[of, who]).await
        },
        async {
            let (of, seq) = &keys.messages;
            session.query_keys(of.len(), &messages, &[of, seq]).await
        },
        async {
            let (of, who, what) = &keys.probes;
            session.query_keys(of.len(), &probes, &[of, who, what]).await
        },
        async {
            let (who, of) = &keys.inbox;
            session.query_keys(who.len(), &inbox, &[who, of]).await
        },
        async {
            let (of, what, one, two) = &keys.annexes;
            match &annexes {
                Some(annexes) => {
                    session.query_keys(of.len(), annexes, &[of, what, one, two]).await
                }
                None => Ok(Vec::new()),
            }
        },
    );
    // The first failure in order is the reason of all later ones.
    flight.0?;
    flight.1?;
    let changed = flight.2?;
    let changed: Result<Vec<_>> = changed
        .iter()
        .map(|row| Ok((value::get::<i64>(row, 0)?, value::unit_state(row, 1)?)))
        .collect();
    units.learn(changed?);

    let mut stored = Stored::default();
    let mut found_conversations = FxHashMap::default();
    for row in &flight.3? {
        let row = value::conversation(row)?;
        stored.heads.insert(row.id, row.head_seq);
        found_conversations.insert(row.id, row);
    }
    let mut found_users = FxHashMap::default();
    for row in &flight.4? {
        let row = value::user_state(row)?;
        stored.users.insert(row.user);
        found_users.insert(row.user, row);
    }
    let mut found_members = FxHashMap::default();
    for row in &flight.5? {
        let row = value::member(row)?;
        found_members.insert((row.conversation, row.user), row);
    }
    let (message_rows, probe_rows) = (flight.6?, flight.7?);
    let mut found_inbox = FxHashMap::default();
    for row in &flight.8? {
        let row = value::inbox_entry(row)?;
        found_inbox.insert((row.user, row.conversation), row);
    }
    let mut found_annexes = FxHashMap::default();
    for row in &flight.9? {
        let row = value::annex(row)?;
        found_annexes.insert((row.conversation, row.key), row);
    }
    let mut messages: Vec<_> = message_rows.iter().map(value::message).collect::<Result<_>>()?;
    let probes: Vec<_> = probe_rows.iter().map(value::message).collect::<Result<_>>()?;
    let sent: FxHashMap<(ConversationId, UserId, ClientId), Seq> = probes
        .iter()
        .filter_map(|row| Some(((row.conversation, row.sender, row.client_id.clone()?), row.seq)))
        .collect();
    messages.extend(probes);
    let views: FxHashMap<_, _> = views_of(session, messages)
        .await?
        .into_iter()
        .map(|view| ((view.message.conversation, view.message.seq), view))
        .collect();

    for row in missing {
        match row {
            Missing::Conversation(id) => {
                set.know_conversation(id, found_conversations.get(&id).cloned());
            }
            Missing::Member(id, user) => {
                set.know_member(id, user, found_members.get(&(id, user)).cloned());
            }
            Missing::Message(id, seq) => set.know_message(id, seq, views.get(&(id, seq)).cloned()),
            Missing::Probe(id, sender, client_id) => {
                let key = (id, sender, client_id);
                let view = sent.get(&key).and_then(|seq| views.get(&(id, *seq)).cloned());
                set.know_probe(id, sender, key.2, view);
            }
            Missing::Annex(id, key) => {
                set.know_annex(id, key, found_annexes.get(&(id, key)).cloned());
            }
            Missing::User(user) => set.know_user(user, found_users.get(&user).cloned()),
            Missing::Inbox(user, id) => {
                set.know_inbox(user, id, found_inbox.get(&(user, id)).cloned());
            }
        }
    }
    Ok((Loaded { set, units }, stored))
}
