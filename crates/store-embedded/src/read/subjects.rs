//! Heads of a unit's subjects and what subjects became, overlay and tables together as of one moment, for a mover.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use ostracon_domain::{
    Annex, AnnexKey, ConversationId, InboxEntry, Member, Message, Reaction, Row, Seq, Subject,
    UnitId, UserId,
};
use ostracon_store::{SubjectHead, SubjectRows, SubjectVersion};
use rusqlite::Connection;

use super::{Result, TRIES};
use crate::{
    journal::Position,
    overlay::{Overlay, Waiting, WaitingConversation, WaitingUser},
    tables::{Key, TableReader},
};

/// Subjects that are read besides those asked for: some may have left the unit.
const SPARE: usize = 16;

/// The tables at a moment, and what `look` finds waiting at the same one.
///
/// `look` answers how far was evicted when it looked: if that is where it was before the tables were read, every row that
/// was acked is in one of the two, and no batch is torn.
fn at_a_moment<'a, T>(
    overlay: &Overlay,
    conn: &'a Connection,
    look: impl Fn(&TableReader<'a>) -> Result<(Position, T)>,
) -> Result<(TableReader<'a>, T)> {
    for _ in 0..TRIES {
        let before = overlay.evicted();
        let tables = TableReader::begin(conn)?;
        tables.pin()?;
        let (evicted, found) = look(&tables)?;
        if evicted == before {
            return Ok((tables, found));
        }
    }
    let _gate = overlay.hold();
    let tables = TableReader::begin(conn)?;
    tables.pin()?;
    let (_, found) = look(&tables)?;
    Ok((tables, found))
}

/// Subjects of a unit after one, by subject.
pub(crate) fn heads(
    overlay: &Overlay,
    conn: &Connection,
    unit: UnitId,
    after: Option<Subject>,
    limit: u32,
) -> Result<Vec<SubjectHead>> {
    let limit = limit as usize;
    let mut wanted = limit + SPARE;
    loop {
        let (_, (mut heads, complete)) = at_a_moment(overlay, conn, |tables| {
            let stored = tables.heads(unit, after, wanted)?;
            let complete = stored.len() < wanted;
            let (evicted, heads) = overlay.heads(unit, after, stored, complete);
            Ok((evicted, (heads, complete)))
        })?;
        if complete || heads.len() >= limit {
            heads.truncate(limit);
            return Ok(heads);
        }
        wanted *= 2;
    }
}

/// What subjects became since these versions; `None` for one that is not in the unit.
pub(crate) fn subjects_since(
    overlay: &Overlay,
    conn: &Connection,
    unit: UnitId,
    since: &[(Subject, SubjectVersion)],
) -> Result<Vec<Option<SubjectRows>>> {
    let (tables, waiting) = at_a_moment(overlay, conn, |_| Ok(overlay.waiting(since)))?;
    since
        .iter()
        .zip(waiting)
        .map(|((subject, since), waiting)| match (*subject, waiting) {
            (Subject::Conversation(id), Waiting::Conversation(waiting)) => {
                conversation_since(&tables, unit, id, *since, waiting)
            }
            (Subject::User(user), Waiting::User(waiting)) => {
                user_since(&tables, unit, user, *since, waiting)
            }
            _ => Ok(None),
        })
        .collect()
}

fn conversation_since(
    tables: &TableReader<'_>,
    unit: UnitId,
    id: ConversationId,
    since: SubjectVersion,
    waiting: WaitingConversation,
) -> Result<Option<SubjectRows>> {
    let stored = tables.conversation(id)?;
    let key = stored.as_ref().map(|(key, _)| *key);
    let own = waiting.row.clone().or_else(|| stored.map(|(_, row)| row));
    let Some(own) = own.filter(|own| own.unit == unit) else {
        return Ok(None);
    };
    let mut rows = vec![Row::Conversation(Arc::clone(&own))];
    if own.retained_from > 1 {
        rows.push(Row::MessagesGone { conversation: id, below: own.retained_from });
    }
    let mut members: BTreeMap<UserId, Arc<Member>> = BTreeMap::new();
    if let Some(key) = key {
        tables.members_since(key, id, since.rev, |row| {
            members.insert(row.user, row);
            true
        })?;
        let marks = tables.marks_since(key, id, since.mark_rev)?;
        members.extend(marks.into_iter().map(|row| (row.user, row)));
    }
    members.extend(waiting.members.iter().map(|row| (row.user, Arc::clone(row))));
    rows.extend(members.into_values().map(Row::Member));
    let mut annexes: BTreeMap<AnnexKey, Arc<Annex>> = BTreeMap::new();
    if let Some(key) = key {
        let stored = tables.annexes_on_their_own(key, id)?;
        annexes.extend(stored.into_iter().map(|row| (row.key, row)));
        annexes.retain(|key, _| waiting.annexes.leaves(key));
    }
    let newer = waiting.annexes.rows.iter().filter(|(key, _)| !key.kind.is_of_message());
    annexes.extend(newer.filter_map(|(key, row)| Some((*key, Arc::clone(row.as_ref()?)))));
    annexes.retain(|key, row| row.number > since.of_annex(key.kind));
    rows.extend(annexes.into_values().map(Row::Annex));
    messages_since(tables, key, id, since, waiting, &mut rows)?;
    Ok(Some(SubjectRows { rows, version: (&*own).into() }))
}

/// Messages above a rev by seq, each with its reactions.
fn messages_since(
    tables: &TableReader<'_>,
    key: Option<Key>,
    id: ConversationId,
    since: SubjectVersion,
    waiting: WaitingConversation,
    rows: &mut Vec<Row>,
) -> Result<()> {
    let WaitingConversation {
        messages: newer,
        reactions: changed,
        gone_below,
        annexes: newer_annexes,
        ..
    } = waiting;
    let mut messages: BTreeMap<Seq, Arc<Message>> = BTreeMap::new();
    if let Some(key) = key {
        // Revs of inserts rise with seq: those inserted since are the newest, those changed have an index.
        tables.newest_messages(key, id, |row| {
            let is_new = row.created_rev > since.rev && row.seq >= gone_below;
            if is_new {
                messages.insert(row.seq, row);
            }
            is_new
        })?;
        if since.rev > 0 {
            tables.changed_since(key, id, since.rev, |row| {
                if row.seq >= gone_below {
                    messages.insert(row.seq, row);
                }
                true
            })?;
        }
    }
    messages.extend(newer);
    let mut reactions: BTreeMap<Seq, BTreeSet<(UserId, String)>> = BTreeMap::new();
    if let Some(key) = key {
        for (first, last) in runs(messages.keys().copied()) {
            for (seq, user, emoji) in tables.reactions(key, first, last)? {
                reactions.entry(seq).or_default().insert((user, emoji));
            }
        }
    }
    for (seq, user, emoji, there) in changed {
        let known = reactions.entry(seq).or_default();
        if there {
            known.insert((user, emoji));
        } else {
            known.remove(&(user, emoji));
        }
    }
    let mut annexes: BTreeMap<Seq, BTreeMap<AnnexKey, Arc<Annex>>> = BTreeMap::new();
    let mut attach = |row: Arc<Annex>| {
        annexes.entry(row.key.seq()).or_default().insert(row.key, row);
    };
    if let Some(key) = key {
        for (first, last) in runs(messages.keys().copied()) {
            let stored = tables.annexes_of_messages(key, id, first, last)?;
            stored.into_iter().filter(|row| newer_annexes.leaves(&row.key)).for_each(&mut attach);
        }
    }
    let of_messages = newer_annexes.rows.into_iter().filter(|(key, _)| key.kind.is_of_message());
    of_messages.filter_map(|(_, row)| row).for_each(attach);
    for (seq, message) in messages {
        rows.push(Row::Message(message));
        let of_it = reactions.remove(&seq).unwrap_or_default();
        rows.extend(of_it.into_iter().map(|(user, emoji)| {
            Row::Reaction(Arc::new(Reaction { conversation: id, seq, user, emoji }))
        }));
        let of_it = annexes.remove(&seq).unwrap_or_default();
        rows.extend(of_it.into_values().map(Row::Annex));
    }
    Ok(())
}

/// Rising numbers as ranges without gaps, both ends included.
fn runs(numbers: impl Iterator<Item = Seq>) -> Vec<(Seq, Seq)> {
    let mut runs: Vec<(Seq, Seq)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

fn user_since(
    tables: &TableReader<'_>,
    unit: UnitId,
    user: UserId,
    since: SubjectVersion,
    waiting: WaitingUser,
) -> Result<Option<SubjectRows>> {
    let own = match waiting.state {
        Some(state) => Some(state),
        None => tables.user_state(user)?,
    };
    let Some(own) = own.filter(|own| own.unit == unit) else {
        return Ok(None);
    };
    let mut entries: BTreeMap<ConversationId, Arc<InboxEntry>> = BTreeMap::new();
    tables.inbox_since(user, since.rev, |row| {
        entries.insert(row.conversation, row);
        true
    })?;
    entries.extend(waiting.entries.into_iter().map(|row| (row.conversation, row)));
    let version = (&*own).into();
    let mut rows = vec![Row::User(own)];
    rows.extend(entries.into_values().map(Row::Inbox));
    Ok(Some(SubjectRows { rows, version }))
}
