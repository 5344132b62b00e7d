//! Pages of messages and of members.

use ostracon_domain::{Access, AnnexKind, ConversationId, Seq, UnitAt, UserId, access};
use ostracon_store::{
    AnnexPage, AnnexRows, MembersPage, MembersRows, MessagePage, Messages, PagePosition, Place,
    Read,
};
use rusqlite::Connection;

use super::{Result, of_conversation, whole};
use crate::{
    overlay::Overlay,
    snapshot::{Noted, Snapshot},
};

/// A page of messages inside the reader's access.
pub(crate) fn messages(
    overlay: &Overlay,
    conn: &Connection,
    at: UnitAt,
    conversation: ConversationId,
    reader: UserId,
    page: MessagePage,
) -> Result<Read<Messages>> {
    whole(overlay, conn, |snapshot| {
        of_conversation(overlay, snapshot, at, conversation, |noted| {
            let member = snapshot.member(noted, reader)?;
            let mut hidden = Vec::new();
            let messages = match access(Some(&noted.row), member.as_deref()) {
                Ok(access) => {
                    let place = match page.position() {
                        Some(position) => find(snapshot, noted, access, position)?,
                        None => Place::message(0),
                    };
                    let span = page.span(place, access);
                    if span.is_empty() {
                        Vec::new()
                    } else {
                        let range = span.start..=span.end - 1;
                        let rows = snapshot.hidden(noted, member.as_deref(), range)?;
                        hidden.extend(rows.iter().map(|row| row.key.second));
                        snapshot.views(noted, span.start, span.end - 1)?
                    }
                }
                Err(_) => Vec::new(),
            };
            Ok(Messages { conversation: noted.row.clone(), member, messages, hidden })
        })
    })
}

/// Times and ids rise with seq, so a place is found by halving.
fn find(
    snapshot: &Snapshot<'_>,
    noted: &Noted,
    access: Access,
    position: PagePosition,
) -> Result<Place> {
    match position {
        PagePosition::Seq(seq) => Ok(Place::message(seq)),
        PagePosition::Time(time) => {
            let seq = first_where(access, |seq| {
                Ok(snapshot.message_place(noted, seq)?.is_some_and(|(at, _)| at >= time))
            })?;
            Ok(Place::before(seq))
        }
        PagePosition::Id(id) => {
            let seq = first_where(access, |seq| {
                Ok(snapshot.message_place(noted, seq)?.is_some_and(|(_, found)| found >= id.get()))
            })?;
            let here = seq <= access.to
                && snapshot.message_place(noted, seq)?.is_some_and(|(_, found)| found == id.get());
            Ok(if here { Place::message(seq) } else { Place::before(seq) })
        }
    }
}

/// The first readable seq for which the test holds, one past the last if for none.
pub(super) fn first_where(access: Access, holds: impl Fn(Seq) -> Result<bool>) -> Result<Seq> {
    let (mut first, mut end) = (access.from, access.to.saturating_add(1));
    while first < end {
        let middle = first + (end - first) / 2;
        if holds(middle)? {
            end = middle;
        } else {
            first = middle + 1;
        }
    }
    Ok(first)
}

/// A page of small rows inside the reader's access.
pub(crate) fn annexes(
    overlay: &Overlay,
    conn: &Connection,
    at: UnitAt,
    conversation: ConversationId,
    reader: UserId,
    page: AnnexPage,
) -> Result<Read<AnnexRows>> {
    whole(overlay, conn, |snapshot| {
        of_conversation(overlay, snapshot, at, conversation, |noted| {
            let member = snapshot.member(noted, reader)?;
            let mut answer = AnnexRows {
                conversation: noted.row.clone(),
                member,
                annexes: Vec::new(),
                messages: Vec::new(),
                more: false,
            };
            let Ok(access) = access(Some(&noted.row), answer.member.as_deref()) else {
                return Ok(answer);
            };
            let limit = page.limit as usize;
            let of = (page.kind, page.first);
            let readable = |seq: Seq| seq == 0 || access.covers(seq);
            // Kinds whose second part is the seq are cut beforehand.
            let range = match page.kind {
                AnnexKind::Edition | AnnexKind::Ban | AnnexKind::Invite => page.from..=page.to,
                _ => page.from.max(access.from)..=page.to.min(access.to),
            };
            let mut rows = snapshot.annexes(noted, of, range, page.descending, limit + 1)?;
            rows.retain(|row| readable(row.key.seq()));
            answer.more = rows.len() > limit;
            rows.truncate(limit);
            if page.with_messages {
                for row in &rows {
                    answer.messages.extend(snapshot.view(noted, row.key.seq())?);
                }
            }
            answer.annexes = rows;
            Ok(answer)
        })
    })
}

/// A page of member rows by user.
pub(crate) fn members(
    overlay: &Overlay,
    conn: &Connection,
    at: UnitAt,
    conversation: ConversationId,
    page: MembersPage,
) -> Result<Read<MembersRows>> {
    whole(overlay, conn, |snapshot| {
        of_conversation(overlay, snapshot, at, conversation, |noted| {
            member_page(snapshot, noted, page)
        })
    })
}

/// A page of member rows, whether the unit is served or not.
pub(crate) fn members_here(
    overlay: &Overlay,
    conn: &Connection,
    conversation: ConversationId,
    page: MembersPage,
) -> Result<Option<MembersRows>> {
    whole(overlay, conn, |snapshot| match snapshot.note(conversation)? {
        Some(noted) => Ok(Some(member_page(snapshot, &noted, page)?)),
        None => Ok(None),
    })
}

fn member_page(snapshot: &Snapshot<'_>, noted: &Noted, page: MembersPage) -> Result<MembersRows> {
    let limit = page.limit as usize;
    let mut members = snapshot.members_after(noted, page.after, limit + 1)?;
    let more = members.len() > limit;
    members.truncate(limit);
    Ok(MembersRows { conversation: noted.row.clone(), members, more })
}
