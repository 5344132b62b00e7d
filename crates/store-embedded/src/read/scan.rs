//! All rows of a unit, page by page, from the tables alone: whoever asks has waited until they know everything.

use std::sync::Arc;

use ostracon_domain::{ConversationId, Message, Reaction, Row, Seq, Subject, UnitId};
use ostracon_store::{ScanCursor, ScanPage};
use rusqlite::Connection;

use super::Result;
use crate::tables::{Key, TableReader};

/// A page of about `limit` rows after a cursor.
pub(crate) fn scan(
    conn: &Connection,
    unit: UnitId,
    from: Option<ScanCursor>,
    limit: u32,
) -> Result<ScanPage> {
    let mut page = Page {
        tables: TableReader::begin(conn)?,
        unit,
        limit: (limit as usize).max(1),
        rows: Vec::new(),
    };
    let next = page.fill(from)?;
    Ok(ScanPage { rows: page.rows, next })
}

struct Page<'a> {
    tables: TableReader<'a>,
    unit: UnitId,
    limit: usize,
    rows: Vec<Row>,
}

impl Page<'_> {
    const fn is_full(&self) -> bool {
        self.rows.len() >= self.limit
    }

    fn fill(&mut self, from: Option<ScanCursor>) -> Result<Option<ScanCursor>> {
        let mut conversation = None;
        let mut user = 0;
        match from {
            None => {}
            Some(ScanCursor { subject: Subject::User(done), .. }) => {
                user = done.get();
                return self.users(user);
            }
            Some(ScanCursor { subject: Subject::Conversation(id), after_seq }) => {
                conversation = Some(id);
                if let Some(seq) = after_seq
                    && let Some((key, _)) = self.tables.conversation(id)?
                    && let Some(cursor) = self.messages(key, id, seq)?
                {
                    return Ok(Some(cursor));
                }
            }
        }
        loop {
            if self.is_full() {
                return Ok(conversation
                    .map(|id| ScanCursor { subject: Subject::Conversation(id), after_seq: None }));
            }
            let Some((key, row)) = self.tables.conversation_of_unit(self.unit, conversation)?
            else {
                return self.users(user);
            };
            let id = row.id;
            self.rows.push(Row::Conversation(row));
            let members = self.tables.members_after(key, id, 0, usize::MAX >> 1)?;
            self.rows.extend(members.into_iter().map(Row::Member));
            let annexes = self.tables.annexes_on_their_own(key, id)?;
            self.rows.extend(annexes.into_iter().map(Row::Annex));
            if let Some(cursor) = self.messages(key, id, 0)? {
                return Ok(Some(cursor));
            }
            conversation = Some(id);
        }
    }

    /// Messages after a seq; a cursor when the page is full before the last of them.
    fn messages(&mut self, key: Key, id: ConversationId, after: u64) -> Result<Option<ScanCursor>> {
        let room = self.limit.saturating_sub(self.rows.len());
        let (rows, next) = messages_after(&self.tables, key, id, after, room)?;
        self.rows.extend(rows);
        Ok(next.map(|seq| ScanCursor { subject: Subject::Conversation(id), after_seq: Some(seq) }))
    }

    fn users(&mut self, mut after: u64) -> Result<Option<ScanCursor>> {
        loop {
            let Some(state) = self.tables.user_of_unit(self.unit, after)? else {
                return Ok(None);
            };
            let user = state.user;
            self.rows.push(Row::User(state));
            let entries = self.tables.inbox_of(user)?;
            self.rows.extend(entries.into_iter().map(Row::Inbox));
            after = user.get();
            if self.is_full() {
                return Ok(Some(ScanCursor { subject: Subject::User(user), after_seq: None }));
            }
        }
    }
}

/// At most `room` messages after a seq, each with its reactions and annexes, and the last of them if there are more.
pub(super) fn messages_after(
    tables: &TableReader<'_>,
    key: Key,
    id: ConversationId,
    after: Seq,
    room: usize,
) -> Result<(Vec<Row>, Option<Seq>)> {
    let mut messages: Vec<Arc<Message>> = Vec::new();
    tables.messages(key, id, after + 1, i64::MAX as u64, |row| {
        messages.push(row);
        messages.len() <= room
    })?;
    let more = messages.len() > room;
    messages.truncate(room);
    let last = messages.last().map_or(after, |row| row.seq);
    let reactions = if last > after { tables.reactions(key, after + 1, last)? } else { Vec::new() };
    let annexes = if last > after {
        tables.annexes_of_messages(key, id, after + 1, last)?
    } else {
        Vec::new()
    };
    let mut annexes = annexes.into_iter().peekable();
    let mut reactions = reactions.into_iter().peekable();
    let mut rows = Vec::with_capacity(messages.len());
    for row in messages {
        let of = row.seq;
        rows.push(Row::Message(row));
        while let Some((seq, user, emoji)) = reactions.next_if(|(seq, ..)| *seq <= of) {
            rows.push(Row::Reaction(Arc::new(Reaction { conversation: id, seq, user, emoji })));
        }
        while let Some(annex) = annexes.next_if(|row| row.key.seq() <= of) {
            rows.push(Row::Annex(annex));
        }
    }
    Ok((rows, more.then_some(last)))
}
