//! Small rows of conversations: pages of them, and what a reader has hidden or is mentioned in.

use std::{ops::RangeInclusive, sync::Arc};

use ostracon_domain::{
    Annex, AnnexKind, Conversation, ConversationId, Member, Seq, UnitAt, UserId, access,
};
use ostracon_store::{AnnexPage, AnnexRows, Read};
use rustc_hash::FxHashMap;
use uuid::Uuid;

use super::{Result, column, note, room, rows_or_return, views_of};
use crate::{
    session::Session,
    sql::{MESSAGES, annex_columns},
    value,
};

const RISING: &str = concat!(
    "SELECT ",
    annex_columns!(),
    " FROM annex WHERE conversation = $1 AND kind = $2 AND first = $3 AND second BETWEEN $4 AND $5 \
     AND (seq = 0 OR seq BETWEEN $6 AND $7) ORDER BY second LIMIT $8"
);
const FALLING: &str = concat!(
    "SELECT ",
    annex_columns!(),
    " FROM annex WHERE conversation = $1 AND kind = $2 AND first = $3 AND second BETWEEN $4 AND $5 \
     AND (seq = 0 OR seq BETWEEN $6 AND $7) ORDER BY second DESC LIMIT $8"
);
const HIDDEN: &str = concat!(
    "SELECT ",
    annex_columns!(),
    " FROM annex WHERE conversation = $1 AND kind = $2 AND first = $3 AND second BETWEEN $4 AND $5 ORDER BY second"
);
/// Of each place: messages that mention the user or everybody, without those that the user has hidden.
const MENTIONS: &str = "SELECT k.place, n.number FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[]) \
     AS k (place, of, who, floor), \
     LATERAL (SELECT count(DISTINCT a.second) AS number FROM annex AS a \
     WHERE a.conversation = k.of AND a.kind = $5 AND a.first IN (0, k.who) AND a.second > k.floor \
     AND NOT EXISTS (SELECT FROM annex AS h WHERE h.conversation = k.of AND h.kind = $6 AND h.first = k.who \
     AND h.second = a.second) OFFSET 0) AS n WHERE n.number > 0";
/// Of each place: messages above a floor that count and that the user has hidden.
const HIDDEN_COUNTS: &str = "SELECT k.place, n.number FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[]) \
     AS k (place, of, who, floor), \
     LATERAL (SELECT count(*) AS number FROM annex WHERE conversation = k.of AND kind = $5 AND first = k.who \
     AND second > k.floor AND length(value) = 0 OFFSET 0) AS n WHERE n.number > 0";

const fn number_of(kind: AnnexKind) -> i16 {
    kind as u8 as i16
}

/// A page of small rows inside the reader's access.
pub(crate) async fn annexes(
    session: &Session,
    at: UnitAt,
    id: ConversationId,
    reader: UserId,
    page: AnnexPage,
) -> Result<Read<AnnexRows>> {
    let noted = rows_or_return!(session, note(session, at, id, reader).await?);
    let access = access(Some(&noted.conversation), noted.member.as_deref());
    let mut answer = AnnexRows {
        conversation: noted.conversation,
        member: noted.member,
        annexes: Vec::new(),
        messages: Vec::new(),
        more: false,
    };
    if let Ok(access) = access {
        let key = value::uuid_of(id);
        let sql = if page.descending { FALLING } else { RISING };
        let (kind, first) = (number_of(page.kind), column(page.first));
        let (from, to) = (column(page.from), column(page.to));
        let (low, high, room) = (column(access.from), column(access.to), room(page.limit));
        let rows = session.run(sql, &[&key, &kind, &first, &from, &to, &low, &high, &room]).await?;
        answer.annexes = rows.iter().map(value::annex).collect::<Result<_>>()?;
        answer.more = answer.annexes.len() > page.limit as usize;
        answer.annexes.truncate(page.limit as usize);
        if page.with_messages && !answer.annexes.is_empty() {
            answer.messages = messages_of(session, id, &answer.annexes).await?;
        }
    }
    session.plain("COMMIT").await?;
    Ok(Read::Rows(answer))
}

async fn messages_of(
    session: &Session,
    id: ConversationId,
    annexes: &[Arc<Annex>],
) -> Result<Vec<ostracon_domain::MessageView>> {
    let mut seqs: Vec<i64> = annexes.iter().map(|row| column(row.key.seq())).collect();
    seqs.sort_unstable();
    seqs.dedup();
    let of = vec![value::uuid_of(id); seqs.len()];
    let rows = session.run(MESSAGES, &[&of, &seqs]).await?;
    let rows = rows.iter().map(value::message).collect::<Result<_>>()?;
    let views = views_of(session, rows).await?;
    let views: FxHashMap<Seq, _> = views.into_iter().map(|view| (view.message.seq, view)).collect();
    Ok(annexes.iter().filter_map(|row| views.get(&row.key.seq()).cloned()).collect())
}

/// Whether there may be anything that this member has hidden.
pub(super) fn hides(member: &Member) -> bool {
    member.extra.as_ref().is_some_and(|extra| extra.hides)
}

/// What a member has deleted for himself in a range of seqs, both ends included, by seq.
pub(super) async fn hidden(
    session: &Session,
    id: ConversationId,
    member: Option<&Member>,
    range: RangeInclusive<Seq>,
) -> Result<Vec<Arc<Annex>>> {
    let Some(member) = member.filter(|member| hides(member)) else {
        return Ok(Vec::new());
    };
    let (key, user) = (value::uuid_of(id), member.user.get() as i64);
    let (first, last) = (column(*range.start()), column(*range.end()));
    let kind = number_of(AnnexKind::Hidden);
    let rows = session.run(HIDDEN, &[&key, &kind, &user, &first, &last]).await?;
    rows.iter().map(value::annex).collect()
}

/// Members whose hidden messages or mentions above their floor are to be counted, by place.
#[derive(Default)]
pub(super) struct Counted {
    places: Vec<i64>,
    keys: Vec<Uuid>,
    users: Vec<i64>,
    floors: Vec<i64>,
}

impl Counted {
    pub(super) fn push(&mut self, place: usize, of: &Conversation, member: &Member, floor: Seq) {
        self.places.push(place as i64);
        self.keys.push(value::uuid_of(of.id));
        self.users.push(member.user.get() as i64);
        self.floors.push(column(floor));
    }

    /// Hidden messages that count, where there are any.
    pub(super) async fn hidden(&self, session: &Session) -> Result<FxHashMap<usize, u64>> {
        if self.places.is_empty() {
            return Ok(FxHashMap::default());
        }
        let Self { places, keys, users, floors } = self;
        let kind = number_of(AnnexKind::Hidden);
        counts(&session.run(HIDDEN_COUNTS, &[places, keys, users, floors, &kind]).await?)
    }

    /// Mentions, where there are any.
    pub(super) async fn mentions(&self, session: &Session) -> Result<FxHashMap<usize, u64>> {
        if self.places.is_empty() {
            return Ok(FxHashMap::default());
        }
        let Self { places, keys, users, floors } = self;
        let (kind, hidden) = (number_of(AnnexKind::Mention), number_of(AnnexKind::Hidden));
        counts(&session.run(MENTIONS, &[places, keys, users, floors, &kind, &hidden]).await?)
    }
}

fn counts(rows: &[tokio_postgres::Row]) -> Result<FxHashMap<usize, u64>> {
    rows.iter().map(|row| Ok((value::number(row, 0)? as usize, value::number(row, 1)?))).collect()
}
