//! A user's own list.

use std::sync::Arc;

use ostracon_domain::{
    ConversationId, InboxEntry, UnitAt, UserId, UserRev, UserState, limits::LARGE_PER_USER_MAX,
};
use ostracon_store::{InboxChanges, InboxPage, InboxRows, Read};
use rusqlite::Connection;

use super::{Result, still, whole};
use crate::{overlay::Overlay, snapshot::Snapshot};

fn of_user<T>(
    overlay: &Overlay,
    snapshot: &Snapshot<'_>,
    at: UnitAt,
    user: UserId,
    work: impl FnOnce(Option<Arc<UserState>>) -> Result<T>,
) -> Result<Read<T>> {
    let fence = overlay.unit(at.unit);
    if !fence.is_some_and(|fence| fence.serves(at)) {
        return Ok(Read::Fenced(fence));
    }
    let state = snapshot.user(user)?;
    if state.as_ref().is_some_and(|state| state.unit != at.unit) {
        return Ok(Read::Fenced(fence));
    }
    Ok(still(overlay, at, Read::Rows(work(state)?)))
}

/// A page of the list.
pub(crate) fn inbox(
    overlay: &Overlay,
    conn: &Connection,
    at: UnitAt,
    user: UserId,
    page: InboxPage,
) -> Result<Read<InboxRows>> {
    let limit = page.limit as usize;
    whole(overlay, conn, |snapshot| {
        of_user(overlay, snapshot, at, user, |state| {
            let mut entries = snapshot.inbox_page(user, page.after, limit + 1)?;
            let more = entries.len() > limit;
            entries.truncate(limit);
            Ok(InboxRows { state, entries, more })
        })
    })
}

/// One entry of the list.
pub(crate) fn inbox_entry(
    overlay: &Overlay,
    conn: &Connection,
    at: UnitAt,
    user: UserId,
    conversation: ConversationId,
) -> Result<Read<Option<Arc<InboxEntry>>>> {
    whole(overlay, conn, |snapshot| {
        of_user(overlay, snapshot, at, user, |_| snapshot.inbox_entry(user, conversation))
    })
}

/// The large conversations of the list.
pub(crate) fn inbox_large(
    overlay: &Overlay,
    conn: &Connection,
    at: UnitAt,
    user: UserId,
) -> Result<Read<InboxRows>> {
    let limit = LARGE_PER_USER_MAX as usize;
    whole(overlay, conn, |snapshot| {
        of_user(overlay, snapshot, at, user, |state| {
            let mut entries = snapshot.inbox_large(user, limit + 1)?;
            let more = entries.len() > limit;
            entries.truncate(limit);
            Ok(InboxRows { state, entries, more })
        })
    })
}

/// What changed in the list.
pub(crate) fn inbox_changes(
    overlay: &Overlay,
    conn: &Connection,
    at: UnitAt,
    user: UserId,
    since: UserRev,
    limit: u32,
) -> Result<Read<InboxChanges>> {
    let limit = limit as usize;
    whole(overlay, conn, |snapshot| {
        of_user(overlay, snapshot, at, user, |state| {
            let mut entries = snapshot.inbox_since(user, since, limit + 1)?;
            let mut user_rev = state.as_ref().map_or(0, |state| state.user_rev);
            let mut more = false;
            if let Some(left_out) = entries.get(limit) {
                user_rev = user_rev.min(left_out.user_rev - 1);
                more = true;
            }
            entries.truncate(limit);
            Ok(InboxChanges { state, entries, user_rev, more })
        })
    })
}
