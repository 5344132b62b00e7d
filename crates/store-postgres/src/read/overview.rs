//! Conversations as one user's list shows them, many in one snapshot.

use ostracon_domain::{
    ConversationId, MessageView, UnitAt, UnitId, UserId, access, unread::unread_floor,
};
use ostracon_store::{Overview, Read};
use rustc_hash::{FxHashMap, FxHashSet};
use uuid::Uuid;

use super::{Noted, Result, column, judge, views_of};
use crate::{
    session::{BEGIN_SNAPSHOT, Session},
    sql::{MESSAGES, conversation_columns, member_columns, unit_columns},
    value,
};

pub(super) const UNITS: &str =
    concat!("SELECT ", unit_columns!(), " FROM unit_state WHERE unit = ANY($1)");
pub(super) const CONVERSATIONS: &str =
    concat!("SELECT ", conversation_columns!(), " FROM conversation WHERE id = ANY($1)");
const MEMBERS: &str = concat!(
    "SELECT ",
    member_columns!(),
    " FROM unnest($1::uuid[]) AS k (of) JOIN member ON conversation = k.of AND user_id = $2"
);
const UNCOUNTED: &str = "SELECT conversation, count(*) \
     FROM unnest($1::uuid[], $2::bigint[]) AS k (of, floor) \
     JOIN message ON conversation = k.of AND seq > k.floor AND uncounted GROUP BY conversation";

/// Answer n belongs to question n.
pub(crate) async fn overviews(
    session: &Session,
    reader: UserId,
    wanted: &[(UnitAt, ConversationId)],
) -> Result<Vec<Read<Overview>>> {
    let units = session.prepare(UNITS).await?;
    let conversations = session.prepare(CONVERSATIONS).await?;
    let members = session.prepare(MEMBERS).await?;
    let unit_keys: Vec<i64> = wanted.iter().map(|(at, _)| i64::from(at.unit.0)).collect();
    let keys: Vec<Uuid> = wanted.iter().map(|(_, id)| value::uuid_of(*id)).collect();
    let user = reader.get() as i64;
    let flight = tokio::join!(
        biased;
        session.plain(BEGIN_SNAPSHOT),
        async { session.query(&units, &[&unit_keys]).await },
        async { session.query(&conversations, &[&keys]).await },
        async { session.query(&members, &[&keys, &user]).await },
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
        members.insert(row.conversation, row);
    }
    let fence = |unit: UnitId| units.get(&unit).copied();
    let noted: Vec<Read<Noted>> = wanted
        .iter()
        .map(|(at, id)| {
            let row = conversations.get(id).cloned();
            judge(fence(at.unit), *at, row, members.get(id).cloned())
        })
        .collect();
    let (last, uncounted) = details(session, &noted).await?;
    let overview = |read: Read<Noted>| match read {
        Read::Rows(Noted { conversation, member }) => Read::Rows(Overview {
            last_message: last.get(&conversation.id).cloned(),
            uncounted: uncounted.get(&conversation.id).copied().unwrap_or(0),
            conversation,
            member,
        }),
        Read::Absent => Read::Absent,
        Read::Fenced(fence) => Read::Fenced(fence),
    };
    Ok(noted.into_iter().map(overview).collect())
}

type ByConversation<T> = FxHashMap<ConversationId, T>;

/// Newest readable messages, and how many messages above the readers' floors do not count. Ends the snapshot.
async fn details(
    session: &Session,
    noted: &[Read<Noted>],
) -> Result<(ByConversation<MessageView>, ByConversation<u64>)> {
    let (mut last_of, mut last): (Vec<Uuid>, Vec<i64>) = Default::default();
    let (mut floor_of, mut floors): (Vec<Uuid>, Vec<i64>) = Default::default();
    let mut asked = FxHashSet::default();
    for read in noted {
        let Read::Rows(Noted { conversation, member }) = read else {
            continue;
        };
        // Who asks twice is counted once.
        if !asked.insert(conversation.id) {
            continue;
        }
        let key = value::uuid_of(conversation.id);
        if let Ok(access) = access(Some(conversation), member.as_deref())
            && access.from <= access.to
        {
            last_of.push(key);
            last.push(column(access.to));
        }
        if let Some(member) = member {
            floor_of.push(key);
            floors.push(column(unread_floor(conversation, member)));
        }
    }
    let messages = session.prepare(MESSAGES).await?;
    let counts = session.prepare(UNCOUNTED).await?;
    let (messages, counts) = tokio::join!(
        biased;
        async { session.query_keys(last.len(), &messages, &[&last_of, &last]).await },
        async { session.query_keys(floors.len(), &counts, &[&floor_of, &floors]).await },
    );
    let messages = messages?.iter().map(value::message).collect::<Result<_>>()?;
    let views = views_of(session, messages).await?;
    session.plain("COMMIT").await?;
    let views = views.into_iter().map(|view| (view.message.conversation, view)).collect();
    let counts = counts?
        .iter()
        .map(|row| Ok((value::conversation_id(row, 0)?, value::number(row, 1)?)))
        .collect::<Result<_>>()?;
    Ok((views, counts))
}
