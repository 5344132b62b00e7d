//! What is unread: many conversations, each for a user of its own, in one snapshot.

use ostracon_domain::{ConversationId, UnitAt, UserId, unread::unread_floor};
use ostracon_store::{Read, Unread};
use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::{
    Noted, Result,
    annexes::{Counted, hides},
    column, note_many,
};
use crate::{session::Session, value};

/// Lateral and behind an offset: no plan can begin with the table.
const UNCOUNTED: &str = "SELECT k.place, n.number FROM unnest($1::bigint[], $2::uuid[], $3::bigint[]) AS k (place, of, floor), \
     LATERAL (SELECT count(*) AS number FROM message WHERE conversation = k.of AND seq > k.floor AND uncounted OFFSET 0) AS n \
     WHERE n.number > 0";

/// Answer n belongs to question n.
pub(crate) async fn unread(
    session: &Session,
    wanted: &[(UnitAt, ConversationId, UserId)],
) -> Result<Vec<Read<Unread>>> {
    let noted = note_many(session, wanted).await?;
    let hidden = hidden(session, &noted).await?;
    let uncounted = uncounted(session, &noted).await?;
    let answer = |(place, read): (usize, Read<Noted>)| match read {
        Read::Rows(Noted { conversation, member }) => {
            let number = |counts: &FxHashMap<usize, u64>| counts.get(&place).copied();
            let uncounted = number(&uncounted).unwrap_or(0) + number(&hidden).unwrap_or(0);
            let count = member
                .as_deref()
                .map_or(0, |member| ostracon_domain::unread(&conversation, member, uncounted));
            Read::Rows(Unread { member, count })
        }
        Read::Absent => Read::Absent,
        Read::Fenced(fence) => Read::Fenced(fence),
    };
    Ok(noted.into_iter().enumerate().map(answer).collect())
}

/// How many messages above each member's floor he has hidden, by place. Most members have hidden nothing.
async fn hidden(session: &Session, noted: &[Read<Noted>]) -> Result<FxHashMap<usize, u64>> {
    let mut counted = Counted::default();
    for (place, read) in noted.iter().enumerate() {
        if let Read::Rows(Noted { conversation, member: Some(member) }) = read
            && hides(member)
        {
            counted.push(place, conversation, member, unread_floor(conversation, member));
        }
    }
    counted.hidden(session).await
}

/// How many messages above each member's floor do not count, by place, where there are any. Ends the snapshot.
async fn uncounted(session: &Session, noted: &[Read<Noted>]) -> Result<FxHashMap<usize, u64>> {
    let (mut places, mut keys, mut floors) = (Vec::<i64>::new(), Vec::<Uuid>::new(), Vec::new());
    for (place, read) in noted.iter().enumerate() {
        if let Read::Rows(Noted { conversation, member: Some(member) }) = read {
            let floor = unread_floor(conversation, member);
            // Nothing is above it for who has read everything.
            if floor < conversation.head_seq {
                places.push(place as i64);
                keys.push(value::uuid_of(conversation.id));
                floors.push(column(floor));
            }
        }
    }
    let counts = session.prepare(UNCOUNTED).await?;
    let (counted, ended) = tokio::join!(
        biased;
        async { session.query_keys(keys.len(), &counts, &[&places, &keys, &floors]).await },
        session.plain("COMMIT"),
    );
    let rows = counted?;
    ended?;
    let count = |row| Ok((value::number(row, 0)? as usize, value::number(row, 1)?));
    rows.iter().map(count).collect()
}
