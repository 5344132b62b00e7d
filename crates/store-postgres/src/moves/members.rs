//! Members of a conversation whose unit may be served elsewhere by now.

use ostracon_domain::ConversationId;
use ostracon_store::{MembersPage, MembersRows};

use super::Result;
use crate::{
    read::{MEMBERS_AFTER, room},
    session::{BEGIN_SNAPSHOT, Session},
    sql::CONVERSATION,
    value,
};

/// A page of member rows by user, without a fence.
pub(super) async fn members_here(
    session: &Session,
    id: ConversationId,
    page: MembersPage,
) -> Result<Option<MembersRows>> {
    let conversation = session.prepare(CONVERSATION).await?;
    let members = session.prepare(MEMBERS_AFTER).await?;
    let key = value::uuid_of(id);
    let (after, limit) = (page.after.map_or(0, |user| user.get() as i64), room(page.limit));
    let flight = tokio::join!(
        biased;
        session.plain(BEGIN_SNAPSHOT),
        async { session.query(&conversation, &[&key]).await },
        async { session.query(&members, &[&key, &after, &limit]).await },
        session.plain("COMMIT"),
    );
    flight.0?;
    let conversation = flight.1?.first().map(value::conversation).transpose()?;
    let mut members: Vec<_> = flight.2?.iter().map(value::member).collect::<Result<_>>()?;
    flight.3?;
    let more = members.len() > page.limit as usize;
    members.truncate(page.limit as usize);
    Ok(conversation.map(|conversation| MembersRows { conversation, members, more }))
}
