//! What changed in a conversation after a rev: four sources, each in rev order, merged and cut.

use std::sync::Arc;

use ostracon_domain::{Access, Member, Message, Rev, Seq, UnitAt, access};
use ostracon_store::{Changes, ChangesSince, Read};
use rusqlite::Connection;

use super::{Result, messages::first_where, of_conversation, whole};
use crate::{
    overlay::Overlay,
    snapshot::{Noted, Snapshot},
};

/// So many possible inserts are simply walked over; more are worth halving.
const WALK: u64 = 64;

enum Changed {
    Info,
    Member(Arc<Member>),
    Message(Arc<Message>),
}

/// The changes of one conversation.
pub(crate) fn changes(
    overlay: &Overlay,
    conn: &Connection,
    at: UnitAt,
    since: ChangesSince,
) -> Result<Read<Changes>> {
    whole(overlay, conn, |snapshot| {
        of_conversation(overlay, snapshot, at, since.conversation, |noted| {
            collect(snapshot, noted, since)
        })
    })
}

fn collect(snapshot: &Snapshot<'_>, noted: &Noted, since: ChangesSince) -> Result<Changes> {
    let conversation = noted.row.clone();
    let member = snapshot.member(noted, since.reader)?;
    let mut answer = Changes {
        info_changed: false,
        member: member.clone(),
        messages: Vec::new(),
        members: Vec::new(),
        receipts: Vec::new(),
        hidden: Vec::new(),
        rev: conversation.rev,
        mark_rev: conversation.mark_rev,
        more: false,
        conversation,
    };
    let Some(member) = member else {
        return Ok(answer);
    };
    let access = access(Some(&noted.row), Some(&member)).ok();
    let sees_all = member.is_present() && access.is_some();
    // One more than wanted tells where the cut is.
    let room = since.limit as usize + 1;

    let mut changed: Vec<(Rev, Changed)> = Vec::new();
    if noted.row.info_rev > since.rev {
        changed.push((noted.row.info_rev, Changed::Info));
    }
    if sees_all {
        let members = snapshot.members_since(noted, since.rev, room)?;
        changed.extend(members.into_iter().map(|row| (row.rev, Changed::Member(row))));
    } else if member.rev > since.rev {
        changed.push((member.rev, Changed::Member(Arc::clone(&member))));
    }
    if let Some(access) = access.filter(|access| access.from <= access.to) {
        let first = first_inserted(snapshot, noted, access, since.rev)?;
        let readable = access.from..=access.to;
        let messages = snapshot.messages_since(noted, readable, first, since.rev, room)?;
        changed.extend(messages.into_iter().map(|(at, row)| (at, Changed::Message(row))));
    }
    changed.sort_by_key(|(rev, _)| *rev);
    if let Some((left_out, _)) = changed.get(since.limit as usize) {
        answer.rev = answer.rev.min(left_out - 1);
        answer.more = true;
    }
    changed.truncate(since.limit as usize);

    let mut messages = Vec::new();
    for (_, row) in changed {
        match row {
            Changed::Info => answer.info_changed = true,
            Changed::Member(row) => answer.members.push(row),
            Changed::Message(row) => messages.push(row),
        }
    }
    answer.messages = snapshot.views_of(noted, messages)?;
    if let Some(access) = access {
        answer.hidden = snapshot.hidden(noted, Some(&member), access.from..=access.to)?;
        answer.hidden.retain(|row| row.number > since.mark_rev);
    }
    if sees_all && !noted.row.large {
        answer.receipts = snapshot.marks_since(noted, since.mark_rev)?;
    } else if member.mark_rev > since.mark_rev {
        answer.receipts.push(member);
    }
    Ok(answer)
}

/// A seq below which nothing readable was inserted after a rev. Each insert took a rev, so it cannot lie deep.
fn first_inserted(
    snapshot: &Snapshot<'_>,
    noted: &Noted,
    access: Access,
    since: Rev,
) -> Result<Seq> {
    let revs = noted.row.rev.saturating_sub(since);
    let lowest = noted.row.head_seq.saturating_sub(revs) + 1;
    let rest = Access { from: access.from.max(lowest), ..access };
    if revs <= WALK {
        return Ok(rest.from);
    }
    first_where(rest, |seq| Ok(snapshot.created_rev(noted, seq)?.is_some_and(|rev| rev > since)))
}
