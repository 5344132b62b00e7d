//! Pages of messages and of members.

use ostracon_domain::{Access, ConversationId, UnitAt, UserId, access};
use ostracon_store::{MembersPage, MembersRows, MessagePage, Messages, PagePosition, Place, Read};

use super::{Result, annexes::hidden, column, judge, note, room, rows_or_return, views::views};
use crate::{
    session::{BEGIN_SNAPSHOT, Session},
    sql::{CONVERSATION, MESSAGES, UNIT, member_columns, message_columns},
    value,
};

const RANGE: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM message WHERE conversation = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq"
);
const REACTIONS_IN_RANGE: &str = "SELECT conversation, seq, user_id, emoji FROM reaction \
     WHERE conversation = $1 AND seq BETWEEN $2 AND $3";
const QUOTED_IN_RANGE: &str = "SELECT q.conversation, q.seq, q.sender, q.content \
     FROM message AS m JOIN message AS q ON q.conversation = m.conversation AND q.seq = m.reply_to \
     WHERE m.conversation = $1 AND m.seq BETWEEN $2 AND $3";
const FIRST_SEQ: &str = "SELECT first_seq($1, $2, $3, $4, $5)";
/// A page of members after a user.
pub(crate) const MEMBERS_AFTER: &str = concat!(
    "SELECT ",
    member_columns!(),
    " FROM member WHERE conversation = $1 AND user_id > $2 ORDER BY user_id LIMIT $3"
);

/// Which rising number of messages a place is looked up by.
#[derive(Clone, Copy)]
pub(super) enum Rising {
    Time = 0,
    Id = 1,
    CreatedRev = 2,
}

/// A page of messages inside the reader's access.
pub(crate) async fn messages(
    session: &Session,
    at: UnitAt,
    id: ConversationId,
    reader: UserId,
    page: MessagePage,
) -> Result<Read<Messages>> {
    let noted = rows_or_return!(session, note(session, at, id, reader).await?);
    let span = match access(Some(&noted.conversation), noted.member.as_deref()) {
        Ok(access) => {
            let place = match page.position() {
                Some(position) => find(session, id, access, position).await?,
                None => Place::message(0),
            };
            page.span(place, access)
        }
        Err(_) => 0..0,
    };
    let mut answer = Messages {
        conversation: noted.conversation,
        member: noted.member,
        messages: Vec::new(),
        hidden: Vec::new(),
    };
    if span.is_empty() {
        session.plain("COMMIT").await?;
        return Ok(Read::Rows(answer));
    }
    let hidden = hidden(session, id, answer.member.as_deref(), span.start..=span.end - 1).await?;
    answer.hidden = hidden.iter().map(|row| row.key.second).collect();
    let range = session.prepare(RANGE).await?;
    let reactions = session.prepare(REACTIONS_IN_RANGE).await?;
    let quoted = session.prepare(QUOTED_IN_RANGE).await?;
    let (key, first, last) = (value::uuid_of(id), column(span.start), column(span.end - 1));
    let flight = tokio::join!(
        biased;
        async { session.query(&range, &[&key, &first, &last]).await },
        async { session.query(&reactions, &[&key, &first, &last]).await },
        async { session.query(&quoted, &[&key, &first, &last]).await },
        session.plain("COMMIT"),
    );
    let rows = flight.0?.iter().map(value::message).collect::<Result<_>>()?;
    answer.messages = views(rows, &flight.1?, &flight.2?)?;
    flight.3?;
    Ok(Read::Rows(answer))
}

/// Times and ids rise with seq, so a place is found by halving.
async fn find(
    session: &Session,
    id: ConversationId,
    access: Access,
    position: PagePosition,
) -> Result<Place> {
    match position {
        PagePosition::Seq(seq) => Ok(Place::message(seq)),
        PagePosition::Time(time) => {
            Ok(Place::before(first_seq(session, id, access, Rising::Time, time).await?))
        }
        PagePosition::Id(wanted) => {
            let number = column(wanted.get());
            let seq = first_seq(session, id, access, Rising::Id, number).await?;
            let (of, at) = (vec![value::uuid_of(id)], vec![column(seq)]);
            let here = match session.run(MESSAGES, &[&of, &at]).await?.first() {
                Some(row) if seq <= access.to => value::message(row)?.message_id == wanted,
                _ => false,
            };
            Ok(if here { Place::message(seq) } else { Place::before(seq) })
        }
    }
}

/// The first readable seq at which a rising number is at least this, one past the last if at none.
pub(super) async fn first_seq(
    session: &Session,
    id: ConversationId,
    access: Access,
    what: Rising,
    wanted: i64,
) -> Result<u64> {
    if access.from > access.to {
        return Ok(access.from);
    }
    // One past the last must fit into the column too.
    let last = column(access.to).min(i64::MAX - 1);
    let rows = session
        .run(
            FIRST_SEQ,
            &[&value::uuid_of(id), &column(access.from), &last, &(what as i32), &wanted],
        )
        .await?;
    rows.first().map_or(Ok(access.from), |row| value::number(row, 0))
}

/// A page of member rows by user.
pub(crate) async fn members(
    session: &Session,
    at: UnitAt,
    id: ConversationId,
    page: MembersPage,
) -> Result<Read<MembersRows>> {
    let unit = session.prepare(UNIT).await?;
    let conversation = session.prepare(CONVERSATION).await?;
    let members = session.prepare(MEMBERS_AFTER).await?;
    let (unit_key, key) = (i64::from(at.unit.0), value::uuid_of(id));
    let (after, limit) = (page.after.map_or(0, |user| user.get() as i64), room(page.limit));
    let flight = tokio::join!(
        biased;
        session.plain(BEGIN_SNAPSHOT),
        async { session.query(&unit, &[&unit_key]).await },
        async { session.query(&conversation, &[&key]).await },
        async { session.query(&members, &[&key, &after, &limit]).await },
        session.plain("COMMIT"),
    );
    flight.0?;
    let fence = flight.1?.first().map(|row| value::unit_state(row, 0)).transpose()?;
    let conversation = flight.2?.first().map(value::conversation).transpose()?;
    let mut members: Vec<_> = flight.3?.iter().map(value::member).collect::<Result<_>>()?;
    flight.4?;
    let more = members.len() > page.limit as usize;
    members.truncate(page.limit as usize);
    Ok(match judge(fence, at, conversation, None) {
        Read::Rows(noted) => {
            Read::Rows(MembersRows { conversation: noted.conversation, members, more })
        }
        Read::Absent => Read::Absent,
        Read::Fenced(fence) => Read::Fenced(fence),
    })
}
