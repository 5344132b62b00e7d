//! The read methods: each one snapshot (REPEATABLE READ), which the fence is part of.

mod annexes;
mod changes;
mod inbox;
mod messages;
mod overview;
mod unread;
mod views;

use std::sync::Arc;

use ostracon_domain::{Conversation, ConversationId, Member, UnitAt, UserId};
use ostracon_store::{Read, UnitState};
use rustc_hash::FxHashMap;
use uuid::Uuid;

use crate::{
    error::PgError,
    session::{BEGIN_SNAPSHOT, Session},
    sql::{CONVERSATION, MEMBER, MEMBERS, UNIT, conversation_columns, unit_columns},
    value,
};

pub(crate) use annexes::annexes;
pub(crate) use changes::changes;
pub(crate) use inbox::{inbox, inbox_changes, inbox_entry, inbox_large};
pub(crate) use messages::{MEMBERS_AFTER, members, messages};
pub(crate) use overview::overviews;
pub(crate) use unread::unread;
pub(crate) use views::views_of;

type Result<T> = std::result::Result<T, PgError>;

const UNITS: &str = concat!("SELECT ", unit_columns!(), " FROM unit_state WHERE unit = ANY($1)");
const CONVERSATIONS: &str =
    concat!("SELECT ", conversation_columns!(), " FROM conversation WHERE id = ANY($1)");

/// One more than a limit, to see whether there is more.
pub(crate) fn room(limit: u32) -> i64 {
    i64::from(limit) + 1
}

/// A number as a column holds it; larger ones than it can hold are the largest.
pub(crate) fn column(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What a read of a conversation begins with.
struct Noted {
    conversation: Arc<Conversation>,
    member: Option<Arc<Member>>,
}

/// Begins a snapshot and judges the fence and the row's unit.
async fn note(
    session: &Session,
    at: UnitAt,
    id: ConversationId,
    reader: UserId,
) -> Result<Read<Noted>> {
    let unit = session.prepare(UNIT).await?;
    let conversation = session.prepare(CONVERSATION).await?;
    let member = session.prepare(MEMBER).await?;
    let (unit_key, key, user) = (i64::from(at.unit.0), value::uuid_of(id), reader.get() as i64);
    let flight = tokio::join!(
        biased;
        session.plain(BEGIN_SNAPSHOT),
        async { session.query(&unit, &[&unit_key]).await },
        async { session.query(&conversation, &[&key]).await },
        async { session.query(&member, &[&key, &user]).await },
    );
    flight.0?;
    let fence = flight.1?.first().map(|row| value::unit_state(row, 0)).transpose()?;
    let conversation = flight.2?.first().map(value::conversation).transpose()?;
    let member = flight.3?.first().map(value::member).transpose()?;
    Ok(judge(fence, at, conversation, member))
}

/// Begins a snapshot and judges many conversations, each for a reader of its own; answer n belongs to question n.
async fn note_many(
    session: &Session,
    wanted: &[(UnitAt, ConversationId, UserId)],
) -> Result<Vec<Read<Noted>>> {
    let units = session.prepare(UNITS).await?;
    let conversations = session.prepare(CONVERSATIONS).await?;
    let members = session.prepare(MEMBERS).await?;
    let unit_keys: Vec<i64> = wanted.iter().map(|(at, ..)| i64::from(at.unit.0)).collect();
    let keys: Vec<Uuid> = wanted.iter().map(|(_, id, _)| value::uuid_of(*id)).collect();
    let readers: Vec<i64> = wanted.iter().map(|(.., reader)| reader.get() as i64).collect();
    let flight = tokio::join!(
        biased;
        session.plain(BEGIN_SNAPSHOT),
        async { session.query(&units, &[&unit_keys]).await },
        async { session.query(&conversations, &[&keys]).await },
        async { session.query(&members, &[&keys, &readers]).await },
    );
    flight.0?;
    let mut units = FxHashMap::default();
    for row in &flight.1? {
        let state = value::unit_state(row, 0)?;
        units.insert(state.unit, state);
    }
    let mut conversations = FxHashMap::default();
    for row in &flight.2? {
        let row = value::conversation(row)?;
        conversations.insert(row.id, row);
    }
    let mut members = FxHashMap::default();
    for row in &flight.3? {
        let row = value::member(row)?;
        members.insert((row.conversation, row.user), row);
    }
    let judged = wanted.iter().map(|(at, id, reader)| {
        let (row, member) = (conversations.get(id).cloned(), members.get(&(*id, *reader)).cloned());
        judge(units.get(&at.unit).copied(), *at, row, member)
    });
    Ok(judged.collect())
}

/// The fence and the row's-unit check.
fn judge(
    fence: Option<UnitState>,
    at: UnitAt,
    conversation: Option<Arc<Conversation>>,
    member: Option<Arc<Member>>,
) -> Read<Noted> {
    match conversation {
        _ if !fence.is_some_and(|fence| fence.serves(at)) => Read::Fenced(fence),
        None => Read::Absent,
        Some(row) if row.unit != at.unit => Read::Fenced(fence),
        Some(conversation) => Read::Rows(Noted { conversation, member }),
    }
}

/// Answers early when there is nothing to read.
macro_rules! rows_or_return {
    ($session:expr, $read:expr) => {
        match $read {
            ostracon_store::Read::Rows(rows) => rows,
            ostracon_store::Read::Absent => {
                $session.plain("COMMIT").await?;
                return Ok(ostracon_store::Read::Absent);
            }
            ostracon_store::Read::Fenced(fence) => {
                $session.plain("COMMIT").await?;
                return Ok(ostracon_store::Read::Fenced(fence));
            }
        }
    };
}
use rows_or_return;
