//! Conversations as one user's list shows them, many in one snapshot.

use ostracon_domain::{ConversationId, UnitAt, UserId, access, unread::unread_floor};
use ostracon_store::{Overview, Read};
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
        Some(member) => {
            let floor = unread_floor(&noted.row, member);
            snapshot.uncounted(noted, floor + 1, noted.row.head_seq)?
        }
        None => 0,
    };
    Ok(Overview { conversation: noted.row.clone(), member, last_message, uncounted })
}
