//! Conversations as one user's list shows them, many in one snapshot.

use ostracon_domain::{ConversationId, MessageView, UnitAt, UserId, access, unread::unread_floor};
use ostracon_store::{Overview, Read};
use rustc_hash::{FxHashMap, FxHashSet};
use uuid::Uuid;

use super::{
    Noted, Result,
    annexes::{Counted, hidden, hides},
    column, note_many, views_of,
};
use crate::{session::Session, sql::MESSAGES, value};

const UNCOUNTED: &str = "SELECT conversation, count(*) \
     FROM unnest($1::uuid[], $2::bigint[]) AS k (of, floor) \
     JOIN message ON conversation = k.of AND seq > k.floor AND uncounted GROUP BY conversation";

/// Answer n belongs to question n.
pub(crate) async fn overviews(
    session: &Session,
    reader: UserId,
    wanted: &[(UnitAt, ConversationId)],
) -> Result<Vec<Read<Overview>>> {
    let wanted: Vec<_> = wanted.iter().map(|(at, id)| (*at, *id, reader)).collect();
    let noted = note_many(session, &wanted).await?;
    let annexed = annexed(session, &noted).await?;
    let (last, uncounted) = details(session, &noted).await?;
    let overview = |read: Read<Noted>| match read {
        Read::Rows(Noted { conversation, member }) => Read::Rows(Overview {
            last_message: last.get(&conversation.id).cloned(),
            last_hidden: annexed.last_hidden.contains(&conversation.id),
            uncounted: annexed.hidden.get(&conversation.id).copied().unwrap_or(0)
                + uncounted.get(&conversation.id).copied().unwrap_or(0),
            mentions: annexed.mentions.get(&conversation.id).copied().unwrap_or(0),
            conversation,
            member,
        }),
        Read::Absent => Read::Absent,
        Read::Fenced(fence) => Read::Fenced(fence),
    };
    Ok(noted.into_iter().map(overview).collect())
}

type ByConversation<T> = FxHashMap<ConversationId, T>;

/// What small rows tell of conversations.
#[derive(Default)]
struct Annexed {
    /// Where the newest message is hidden.
    last_hidden: FxHashSet<ConversationId>,
    hidden: ByConversation<u64>,
    mentions: ByConversation<u64>,
}

/// Asks nothing where nobody hides and nobody is mentioned, as is normal.
async fn annexed(session: &Session, noted: &[Read<Noted>]) -> Result<Annexed> {
    let mut annexed = Annexed::default();
    let (mut hiding, mut mentioned) = (Counted::default(), Counted::default());
    let mut ids = Vec::with_capacity(noted.len());
    for (place, read) in noted.iter().enumerate() {
        let Read::Rows(Noted { conversation, member: Some(member) }) = read else {
            ids.push(None);
            continue;
        };
        ids.push(Some(conversation.id));
        let floor = unread_floor(conversation, member);
        if hides(member) {
            hiding.push(place, conversation, member, floor);
            if let Ok(access) = access(Some(conversation), Some(member)) {
                let last = access.to..=access.to;
                if !hidden(session, conversation.id, Some(member), last).await?.is_empty() {
                    annexed.last_hidden.insert(conversation.id);
                }
            }
        }
        if conversation.extra.as_ref().is_some_and(|extra| extra.mentioned) {
            mentioned.push(place, conversation, member, floor);
        }
    }
    let by_id = |counts: FxHashMap<usize, u64>| {
        let id = |(place, count): (usize, u64)| Some(((*ids.get(place)?)?, count));
        counts.into_iter().filter_map(id).collect()
    };
    annexed.hidden = by_id(hiding.hidden(session).await?);
    annexed.mentions = by_id(mentioned.mentions(session).await?);
    Ok(annexed)
}

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
