//! Conversations as one user's list shows them, and what is unread of them; many in one snapshot.

use ostracon_domain::{ConversationId, Member, Seq, UnitAt, UserId, access, unread::unread_floor};
use ostracon_store::{Overview, Read, Unread};
use rusqlite::Connection;

use super::{Result, of_conversation, whole};
use crate::{
    overlay::Overlay,
    snapshot::{Noted, Snapshot},
};

/// Answer n belongs to question n.
pub(crate) fn overviews(
    overlay: &Overlay,
    conn: &Connection,
    reader: UserId,
    wanted: &[(UnitAt, ConversationId)],
) -> Result<Vec<Read<Overview>>> {
    whole(overlay, conn, |snapshot| {
        wanted
            .iter()
            .map(|(at, id)| {
                of_conversation(overlay, snapshot, *at, *id, |noted| {
                    overview(snapshot, noted, reader)
                })
            })
            .collect()
    })
}

fn overview(snapshot: &Snapshot<'_>, noted: &Noted, reader: UserId) -> Result<Overview> {
    let member = snapshot.member(noted, reader)?;
    let last_message = match access(Some(&noted.row), member.as_deref()) {
        Ok(access) if access.from <= access.to => snapshot.view(noted, access.to)?,
        _ => None,
    };
    let uncounted = match &member {
        Some(member) => uncounted(snapshot, noted, member)?,
        None => 0,
    };
    let mentions = match &member {
        Some(member) => {
            let floor = unread_floor(&noted.row, member);
            snapshot.mentions(noted, member, floor + 1..=Seq::MAX)?
        }
        None => 0,
    };
    let last = last_message.as_ref().map(|view| view.message.seq);
    let last_hidden = match last {
        Some(seq) => !snapshot.hidden(noted, member.as_deref(), seq..=seq)?.is_empty(),
        None => false,
    };
    Ok(Overview {
        conversation: noted.row.clone(),
        member,
        last_message,
        last_hidden,
        uncounted,
        mentions,
    })
}

/// Answer n belongs to question n.
pub(crate) fn unread(
    overlay: &Overlay,
    conn: &Connection,
    wanted: &[(UnitAt, ConversationId, UserId)],
) -> Result<Vec<Read<Unread>>> {
    whole(overlay, conn, |snapshot| {
        wanted
            .iter()
            .map(|(at, id, user)| {
                of_conversation(overlay, snapshot, *at, *id, |noted| {
                    let member = snapshot.member(noted, *user)?;
                    let count = match &member {
                        Some(member) => {
                            let uncounted = uncounted(snapshot, noted, member)?;
                            ostracon_domain::unread(&noted.row, member, uncounted)
                        }
                        None => 0,
                    };
                    Ok(Unread { member, count })
                })
            })
            .collect()
    })
}

/// Messages above a member's floor that do not count, or that he has deleted for himself.
fn uncounted(snapshot: &Snapshot<'_>, noted: &Noted, member: &Member) -> Result<u64> {
    let floor = unread_floor(&noted.row, member);
    let hidden = snapshot.hidden(noted, Some(member), floor + 1..=Seq::MAX)?;
    let counted = hidden.iter().filter(|row| row.value.is_empty()).count();
    Ok(snapshot.uncounted(noted, floor + 1, noted.row.head_seq)? + counted as u64)
}
