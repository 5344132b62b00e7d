//! The full-text index of a shard, in two tables beside its rows: our own tokens as lexemes, found through a GIN index.

use std::sync::Arc;

use async_trait::async_trait;
use ostracon_domain::{ConversationId, History, MessageId};
use ostracon_store::{
    Hit, Indexed, SearchFor, SearchIndex, SearchStats, ShardError, Update, Wanted,
};
use rustc_hash::{FxHashMap, FxHashSet};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    error::PgError,
    pool::Database,
    read::column,
    session::Session,
    shard::in_session,
    value::{self, get},
};

type Result<T> = std::result::Result<T, PgError>;

/// Messages that are written in one transaction, unless one conversation brings more.
const MESSAGES_AT_ONCE: usize = 2_000;

const INDEXED: &str =
    "SELECT conversation, history, rev FROM search_conversation WHERE conversation = ANY ($1)";
const KNOWN: &str = "SELECT conversation, history, rev FROM search_conversation \
     WHERE conversation = ANY ($1) ORDER BY conversation FOR UPDATE";
const CONVERSATIONS: &str = "SELECT conversation, history, rev FROM search_conversation \
     WHERE conversation > $1 ORDER BY conversation LIMIT $2";
const FORGET: &str = "DELETE FROM search_message WHERE conversation = ANY ($1)";
const FORGET_POSITION: &str = "DELETE FROM search_conversation WHERE conversation = ANY ($1)";
const GONE_BELOW: &str = "DELETE FROM search_message s \
     USING unnest($1::uuid[], $2::bigint[]) AS g (conversation, below) \
     WHERE s.conversation = g.conversation AND s.seq < g.below";
const REMOVE: &str = "DELETE FROM search_message s \
     USING unnest($1::uuid[], $2::bigint[]) AS g (conversation, seq) \
     WHERE s.conversation = g.conversation AND s.seq = g.seq";
const WRITE: &str = "INSERT INTO search_message (conversation, seq, message_id, sender, attached, tokens) \
     SELECT conversation, seq, message_id, sender, attached, tokens::tsvector \
     FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::boolean[], $6::text[]) \
     AS n (conversation, seq, message_id, sender, attached, tokens) \
     ON CONFLICT (conversation, seq) DO UPDATE SET message_id = excluded.message_id, \
     sender = excluded.sender, attached = excluded.attached, tokens = excluded.tokens";
const NOTE: &str = "INSERT INTO search_conversation (conversation, history, rev) \
     SELECT conversation, history, rev FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) \
     AS n (conversation, history, rev) \
     ON CONFLICT (conversation) DO UPDATE SET \
     history = coalesce(excluded.history, search_conversation.history), \
     rev = coalesce(excluded.rev, search_conversation.rev)";
const SEARCH: &str = "SELECT s.message_id, s.conversation, s.seq \
     FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS w (conversation, low, high) \
     JOIN search_message s ON s.conversation = w.conversation AND s.seq BETWEEN w.low AND w.high \
     WHERE s.tokens @@ $4::text::tsquery AND s.message_id >= $5 AND s.message_id < $6 \
     AND ($7::bigint IS NULL OR s.sender = $7) AND (s.attached OR NOT $8) \
     ORDER BY s.message_id DESC LIMIT $9";
const HEADS: &str =
    "SELECT id, history, rev FROM conversation WHERE id > $1 AND kind >= 0 ORDER BY id LIMIT $2";
const STATS: &str = "SELECT (SELECT count(*) FROM search_conversation), \
     (SELECT count(*) FROM search_message), \
     pg_total_relation_size('search_conversation') + pg_total_relation_size('search_message')";

/// The index of a [`PostgresShard`](crate::PostgresShard).
pub(crate) struct PostgresSearch {
    database: Arc<Database>,
}

impl PostgresSearch {
    pub(crate) const fn new(database: Arc<Database>) -> Self {
        Self { database }
    }
}

#[async_trait]
impl SearchIndex for PostgresSearch {
    async fn indexed(
        &self,
        of: &[ConversationId],
    ) -> std::result::Result<Vec<Option<Indexed>>, ShardError> {
        let ids: Vec<Uuid> = of.iter().map(|id| value::uuid_of(*id)).collect();
        let rows = in_session!(self, |session| session.run(INDEXED, &[&ids]))?;
        let known = rows.iter().map(position).collect::<Result<FxHashMap<_, _>>>();
        let known = known.map_err(ShardError::from)?;
        Ok(of.iter().map(|id| known.get(id).copied().flatten()).collect())
    }

    async fn conversations(
        &self,
        after: Option<ConversationId>,
        limit: u32,
    ) -> std::result::Result<Vec<(ConversationId, Option<Indexed>)>, ShardError> {
        let after = after.map_or(Uuid::nil(), value::uuid_of);
        let rows =
            in_session!(self, |session| session.run(CONVERSATIONS, &[&after, &i64::from(limit)]))?;
        Ok(rows.iter().map(position).collect::<Result<_>>()?)
    }

    async fn update(&self, updates: Vec<Update>) -> std::result::Result<(), ShardError> {
        // Each transaction has a conversation once: the second update rests on the first.
        let mut together = Vec::new();
        let mut named = FxHashSet::default();
        let mut messages = 0;
        for update in updates {
            let much = messages + update.documents.len() > MESSAGES_AT_ONCE;
            if !together.is_empty() && (much || named.contains(&update.conversation)) {
                let some = std::mem::take(&mut together);
                in_session!(self, |session| write(session, some))?;
                named.clear();
                messages = 0;
            }
            messages += update.documents.len();
            named.insert(update.conversation);
            together.push(update);
        }
        if together.is_empty() {
            return Ok(());
        }
        in_session!(self, |session| write(session, together))
    }

    async fn search(&self, wanted: SearchFor) -> std::result::Result<Vec<Hit>, ShardError> {
        if wanted.tokens.is_empty() || wanted.spans.is_empty() {
            return Ok(Vec::new());
        }
        in_session!(self, |session| search(session, &wanted))
    }

    async fn tend(&self) -> std::result::Result<bool, ShardError> {
        // The server does its own upkeep.
        Ok(false)
    }

    async fn clear(&self) -> std::result::Result<(), ShardError> {
        in_session!(self, |session| session.plain("TRUNCATE search_message, search_conversation"))
    }

    async fn stats(&self) -> std::result::Result<SearchStats, ShardError> {
        let rows = in_session!(self, |session| session.run(STATS, &[]))?;
        let row = rows.first().ok_or_else(|| ShardError::Unavailable("no counts".to_owned()))?;
        Ok(SearchStats {
            conversations: value::number(row, 0)?,
            messages: value::number(row, 1)?,
            bytes: value::number(row, 2)?,
        })
    }
}

fn position(row: &Row) -> Result<(ConversationId, Option<Indexed>)> {
    let history: Option<i64> = get(row, 1)?;
    let rev: Option<i64> = get(row, 2)?;
    let indexed = history.zip(rev).map(|(history, rev)| Indexed {
        history: History(history.cast_unsigned()),
        rev: rev.cast_unsigned(),
    });
    Ok((value::conversation_id(row, 0)?, indexed))
}

/// Conversations of the shard itself after one, by id.
pub(crate) async fn conversation_heads(
    session: &Session,
    after: Option<ConversationId>,
    limit: u32,
) -> Result<Vec<(ConversationId, Indexed)>> {
    let after = after.map_or(Uuid::nil(), value::uuid_of);
    let rows = session.run(HEADS, &[&after, &i64::from(limit)]).await?;
    let heads = rows.iter().map(|row| {
        let (id, indexed) = position(row)?;
        Ok((id, indexed.ok_or(PgError::Damaged("history"))?))
    });
    heads.collect()
}

/// What one transaction writes, as columns.
#[derive(Default)]
struct Columns {
    fresh: Vec<Uuid>,
    forgotten: Vec<Uuid>,
    gone: (Vec<Uuid>, Vec<i64>),
    removed: (Vec<Uuid>, Vec<i64>),
    positions: (Vec<Uuid>, Vec<Option<i64>>, Vec<Option<i64>>),
    conversation: Vec<Uuid>,
    seq: Vec<i64>,
    message_id: Vec<i64>,
    sender: Vec<i64>,
    attached: Vec<bool>,
    tokens: Vec<String>,
}

impl Columns {
    fn add(&mut self, update: Update) {
        let id = value::uuid_of(update.conversation);
        if update.fresh {
            self.fresh.push(id);
            if update.indexed.is_none() && update.documents.is_empty() {
                self.forgotten.push(id);
                return;
            }
        }
        if update.gone_below > 1 {
            self.gone.0.push(id);
            self.gone.1.push(column(update.gone_below));
        }
        for seq in update.removed {
            self.removed.0.push(id);
            self.removed.1.push(column(seq));
        }
        for document in update.documents {
            self.conversation.push(id);
            self.seq.push(column(document.seq));
            self.message_id.push(column(document.message_id.get()));
            self.sender.push(column(document.sender.get()));
            self.attached.push(document.has_attachment);
            let mut lexemes = String::new();
            for token in &document.tokens {
                lexemes.push(' ');
                quote(token, &mut lexemes);
            }
            self.tokens.push(lexemes);
        }
        self.positions.0.push(id);
        self.positions.1.push(update.indexed.map(|indexed| indexed.history.0.cast_signed()));
        self.positions.2.push(update.indexed.map(|indexed| column(indexed.rev)));
    }
}

async fn write(session: &Session, mut updates: Vec<Update>) -> Result<()> {
    // In one order, so that two writers never wait for each other.
    updates.sort_by_key(|update| update.conversation);
    let ids: Vec<Uuid> = updates.iter().map(|update| value::uuid_of(update.conversation)).collect();
    session.plain("BEGIN").await?;
    let rows = session.run(KNOWN, &[&ids]).await?;
    let known = rows.iter().map(position).collect::<Result<FxHashMap<_, _>>>()?;
    let mut columns = Columns::default();
    for update in updates {
        let before = known.get(&update.conversation).copied().flatten();
        if update.fresh || !is_old(before, update.indexed) {
            columns.add(update);
        }
    }
    let Columns { fresh, forgotten, gone, removed, positions, .. } = &columns;
    if !fresh.is_empty() {
        session.run(FORGET, &[fresh]).await?;
        session.run(FORGET_POSITION, &[fresh]).await?;
    }
    if !forgotten.is_empty() {
        session.run(FORGET_POSITION, &[forgotten]).await?;
    }
    if !gone.0.is_empty() {
        session.run(GONE_BELOW, &[&gone.0, &gone.1]).await?;
    }
    if !removed.0.is_empty() {
        session.run(REMOVE, &[&removed.0, &removed.1]).await?;
    }
    if !columns.seq.is_empty() {
        let Columns { conversation, seq, message_id, sender, attached, tokens, .. } = &columns;
        session.run(WRITE, &[conversation, seq, message_id, sender, attached, tokens]).await?;
    }
    if !positions.0.is_empty() {
        session.run(NOTE, &[&positions.0, &positions.1, &positions.2]).await?;
    }
    session.plain("COMMIT").await
}

fn is_old(known: Option<Indexed>, update: Option<Indexed>) -> bool {
    match (known, update) {
        (Some(known), Some(update)) => known.history == update.history && update.rev < known.rev,
        _ => false,
    }
}

async fn search(session: &Session, wanted: &SearchFor) -> Result<Vec<Hit>> {
    let ids: Vec<Uuid> =
        wanted.spans.iter().map(|span| value::uuid_of(span.conversation)).collect();
    let low: Vec<i64> = wanted.spans.iter().map(|span| column(span.from)).collect();
    let high: Vec<i64> = wanted.spans.iter().map(|span| column(span.to)).collect();
    let sender = wanted.sender.map(|sender| column(sender.get()));
    let rows = session
        .run(
            SEARCH,
            &[
                &ids,
                &low,
                &high,
                &question(&wanted.tokens),
                &column(wanted.from),
                &column(wanted.below),
                &sender,
                &wanted.has_attachment,
                &i64::from(wanted.limit),
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let id = MessageId::new(value::number(row, 0)?);
            Ok(Hit {
                message_id: id.map_err(|_| PgError::Damaged("message id"))?,
                conversation: value::conversation_id(row, 1)?,
                seq: value::number(row, 2)?,
            })
        })
        .collect()
}

/// Tokens as a question of the server's.
fn question(tokens: &[Wanted]) -> String {
    let mut text = String::new();
    for wanted in tokens {
        if !text.is_empty() {
            text.push_str(" & ");
        }
        quote(&wanted.token, &mut text);
        if wanted.prefix {
            text.push_str(":*");
        }
    }
    text
}

/// A lexeme in quotation marks.
fn quote(token: &str, out: &mut String) {
    out.push('\'');
    for c in token.chars() {
        if matches!(c, '\'' | '\\') {
            out.push(c);
        }
        out.push(c);
    }
    out.push('\'');
}
