//! All rows of a unit, page by page, each page one snapshot.

use std::{iter::Peekable, sync::Arc, vec::IntoIter};

use ostracon_domain::{
    Annex, Conversation, ConversationId, InboxEntry, Member, Message, Reaction, Row, Subject,
    UnitId, UserId, UserState,
};
use ostracon_store::{ScanCursor, ScanPage};
use uuid::Uuid;

use super::Result;
use crate::{
    read::column,
    session::{BEGIN_SNAPSHOT, Session},
    sql::{
        annex_columns, conversation_columns, inbox_columns, member_columns, message_columns,
        user_columns,
    },
    value,
};

const CONVERSATIONS: &str = concat!(
    "SELECT ",
    conversation_columns!(),
    " FROM conversation WHERE unit = $1 AND id > $2 ORDER BY id LIMIT $3"
);
const MEMBERS: &str = concat!(
    "SELECT ",
    member_columns!(),
    " FROM unnest($1::uuid[]) AS k (of) \
     CROSS JOIN LATERAL (SELECT * FROM member WHERE conversation = k.of OFFSET 0) AS m ORDER BY conversation, user_id"
);
// Each conversation's messages after a seq; the inner limit keeps a long one from being read whole.
const MESSAGES: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM unnest($1::uuid[], $2::bigint[]) AS k (of, after) CROSS JOIN LATERAL (SELECT * FROM message \
     WHERE conversation = k.of AND seq > k.after ORDER BY seq LIMIT $3) AS m ORDER BY conversation, seq LIMIT $3"
);
const REACTIONS: &str = "SELECT conversation, seq, user_id, emoji \
     FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS k (of, first, last) \
     CROSS JOIN LATERAL (SELECT * FROM reaction WHERE conversation = k.of AND seq BETWEEN k.first AND k.last OFFSET 0) AS r \
     ORDER BY conversation, seq, user_id, emoji";
const OWN_ANNEXES: &str = concat!(
    "SELECT ",
    annex_columns!(),
    " FROM unnest($1::uuid[]) AS k (of) \
     CROSS JOIN LATERAL (SELECT * FROM annex WHERE conversation = k.of AND kind >= 64 OFFSET 0) AS a \
     ORDER BY conversation, kind, first, second"
);
const ANNEXES: &str = concat!(
    "SELECT ",
    annex_columns!(),
    " FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS k (of, first_seq, last_seq) \
     CROSS JOIN LATERAL (SELECT * FROM annex WHERE conversation = k.of AND seq > 0 \
     AND seq BETWEEN k.first_seq AND k.last_seq AND kind < 64 OFFSET 0) AS a \
     ORDER BY conversation, seq, kind, first, second"
);
const USERS: &str = concat!(
    "SELECT ",
    user_columns!(),
    " FROM user_state WHERE unit = $1 AND user_id > $2 ORDER BY user_id LIMIT $3"
);
const INBOX: &str = concat!(
    "SELECT ",
    inbox_columns!(),
    " FROM unnest($1::bigint[]) AS k (who) \
     CROSS JOIN LATERAL (SELECT * FROM inbox WHERE user_id = k.who OFFSET 0) AS i ORDER BY user_id, conversation"
);

/// At most so many subjects are looked at for one page: most have few rows.
const SUBJECTS: usize = 256;

/// A page of about `limit` rows after a cursor.
pub(super) async fn scan(
    session: &Session,
    unit: UnitId,
    from: Option<ScanCursor>,
    limit: u32,
) -> Result<ScanPage> {
    let mut page = Page::new(session, unit, limit);
    session.plain(BEGIN_SNAPSHOT).await?;
    let next = page.fill(from).await?;
    session.plain("COMMIT").await?;
    Ok(ScanPage { rows: page.rows, next })
}

/// How many of these conversations a page of so many rows may take, by what their own rows tell of them; at least one.
/// What does not fit is not read: the messages of many long conversations would all be looked at for one page.
pub(super) fn fitting(found: &[Arc<Conversation>], room: usize) -> usize {
    let mut rows = 0u64;
    let full = found.iter().position(|row| {
        let before = rows;
        let messages = row.head_seq.saturating_sub(row.retained_from.saturating_sub(1));
        rows = rows.saturating_add(messages).saturating_add(u64::from(row.member_count) + 1);
        before >= room as u64
    });
    full.unwrap_or(found.len()).max(1).min(found.len())
}

/// Rows of a unit that are being collected.
pub(super) struct Page<'a> {
    session: &'a Session,
    unit: UnitId,
    limit: usize,
    pub(super) rows: Vec<Row>,
}

impl<'a> Page<'a> {
    pub(super) fn new(session: &'a Session, unit: UnitId, limit: u32) -> Self {
        Self { session, unit, limit: (limit as usize).max(1), rows: Vec::new() }
    }

    fn room(&self) -> usize {
        self.limit.saturating_sub(self.rows.len())
    }

    async fn fill(&mut self, from: Option<ScanCursor>) -> Result<Option<ScanCursor>> {
        let mut after = Uuid::nil();
        match from {
            None => {}
            Some(ScanCursor { subject: Subject::User(done), .. }) => {
                return self.users(done.get()).await;
            }
            Some(ScanCursor { subject: Subject::Conversation(id), after_seq }) => {
                after = value::uuid_of(id);
                if let Some(seq) = after_seq {
                    let cursor = self.messages(&[(id, seq)], &[]).await?;
                    if cursor.is_some() {
                        return Ok(cursor);
                    }
                }
            }
        }
        loop {
            let wanted = self.room().clamp(1, SUBJECTS);
            let found: Vec<Arc<Conversation>> = self
                .session
                .run(CONVERSATIONS, &[&i64::from(self.unit.0), &after, &(wanted as i64)])
                .await?
                .iter()
                .map(value::conversation)
                .collect::<Result<_>>()?;
            let found = &found[..fitting(&found, self.room())];
            let Some(last) = found.last() else {
                return self.users(0).await;
            };
            if self.room() == 0 {
                let subject = ConversationId::from_u128(after.as_u128()).map(Subject::Conversation);
                return Ok(subject.ok().map(|subject| ScanCursor { subject, after_seq: None }));
            }
            after = value::uuid_of(last.id);
            let places: Vec<_> = found.iter().map(|row| (row.id, 0)).collect();
            let cursor = self.messages(&places, found).await?;
            if cursor.is_some() {
                return Ok(cursor);
            }
        }
    }

    /// Appends conversations, each with its members if its row is given, and messages after a seq; a cursor when the page
    /// is full before the end of the last of them.
    pub(super) async fn messages(
        &mut self,
        places: &[(ConversationId, u64)],
        own: &[Arc<Conversation>],
    ) -> Result<Option<ScanCursor>> {
        let ids: Vec<Uuid> = places.iter().map(|(id, _)| value::uuid_of(*id)).collect();
        let after: Vec<i64> = places.iter().map(|(_, seq)| column(*seq)).collect();
        let members: Vec<Arc<Member>> = if own.is_empty() {
            Vec::new()
        } else {
            let rows = self.session.run(MEMBERS, &[&ids]).await?;
            rows.iter().map(value::member).collect::<Result<_>>()?
        };
        let own_annexes: Vec<Arc<Annex>> = if own.is_empty() {
            Vec::new()
        } else {
            let rows = self.session.run(OWN_ANNEXES, &[&ids]).await?;
            rows.iter().map(value::annex).collect::<Result<_>>()?
        };
        // One more than there is room for tells whether a page ends inside a conversation.
        let limit = (self.room() + 1) as i64;
        let messages: Vec<Arc<Message>> = self
            .session
            .run(MESSAGES, &[&ids, &after, &limit])
            .await?
            .iter()
            .map(value::message)
            .collect::<Result<_>>()?;
        let (reactions, annexes) = self.attached(&messages).await?;
        let mut own_annexes = own_annexes.into_iter().peekable();
        let mut annexes = annexes.into_iter().peekable();
        let (mut members, mut messages, mut reactions) = (
            members.into_iter().peekable(),
            messages.into_iter().peekable(),
            reactions.into_iter().peekable(),
        );
        for (at, (id, seq)) in places.iter().enumerate() {
            // What was loaded reaches as far as the room that there was; the next page begins here.
            if at > 0 && self.room() == 0 {
                let subject = Subject::Conversation(places[at - 1].0);
                return Ok(Some(ScanCursor { subject, after_seq: None }));
            }
            if let Some(row) = own.get(at) {
                self.rows.push(Row::Conversation(Arc::clone(row)));
            }
            while let Some(row) = members.next_if(|row| row.conversation == *id) {
                self.rows.push(Row::Member(row));
            }
            while let Some(row) = own_annexes.next_if(|row| row.conversation == *id) {
                self.rows.push(Row::Annex(row));
            }
            let cut = self.messages_of(*id, *seq, &mut messages, &mut reactions, &mut annexes);
            if cut.is_some() {
                return Ok(cut);
            }
        }
        Ok(None)
    }

    fn messages_of(
        &mut self,
        id: ConversationId,
        after: u64,
        messages: &mut Peekable<IntoIter<Arc<Message>>>,
        reactions: &mut Peekable<IntoIter<Reaction>>,
        annexes: &mut Peekable<IntoIter<Arc<Annex>>>,
    ) -> Option<ScanCursor> {
        let mut last = after;
        while messages.peek().is_some_and(|row| row.conversation == id) {
            if self.room() == 0 {
                return Some(ScanCursor {
                    subject: Subject::Conversation(id),
                    after_seq: Some(last),
                });
            }
            let row = messages.next()?;
            last = row.seq;
            self.rows.push(Row::Message(row));
            while let Some(row) = reactions.next_if(|row| row.conversation == id && row.seq == last)
            {
                self.rows.push(Row::Reaction(Arc::new(row)));
            }
            let of_it = |row: &Arc<Annex>| row.conversation == id && row.key.seq() == last;
            while let Some(row) = annexes.next_if(of_it) {
                self.rows.push(Row::Annex(row));
            }
        }
        None
    }

    /// Reactions and annexes of messages.
    async fn attached(
        &self,
        messages: &[Arc<Message>],
    ) -> Result<(Vec<Reaction>, Vec<Arc<Annex>>)> {
        let (mut ids, mut first, mut last) =
            (Vec::<Uuid>::new(), Vec::<i64>::new(), Vec::<i64>::new());
        for row in messages {
            let (id, seq) = (value::uuid_of(row.conversation), column(row.seq));
            match (ids.last(), last.last_mut()) {
                (Some(known), Some(end)) if *known == id => *end = seq,
                _ => {
                    ids.push(id);
                    first.push(seq);
                    last.push(seq);
                }
            }
        }
        if ids.is_empty() {
            return Ok(Default::default());
        }
        let reactions = self.session.run(REACTIONS, &[&ids, &first, &last]).await?;
        let annexes = self.session.run(ANNEXES, &[&ids, &first, &last]).await?;
        Ok((
            reactions.iter().map(value::reaction).collect::<Result<_>>()?,
            annexes.iter().map(value::annex).collect::<Result<_>>()?,
        ))
    }

    async fn users(&mut self, mut after: u64) -> Result<Option<ScanCursor>> {
        loop {
            if self.room() == 0 && after > 0 {
                return Ok(user_cursor(after));
            }
            let wanted = self.room().clamp(1, SUBJECTS) as i64;
            let states = self
                .session
                .run(USERS, &[&i64::from(self.unit.0), &column(after), &wanted])
                .await?
                .iter()
                .map(value::user_state)
                .collect::<Result<Vec<_>>>()?;
            if states.is_empty() {
                return Ok(None);
            }
            let last = states.last().map_or(after, |row| row.user.get());
            match self.entries(&states).await? {
                Some(full) => return Ok(user_cursor(full)),
                None => after = last,
            }
        }
    }

    /// Appends users, each with the entries of its list; the last one that fits, when the page is full before the end.
    pub(super) async fn entries(&mut self, states: &[Arc<UserState>]) -> Result<Option<u64>> {
        let users: Vec<i64> = states.iter().map(|row| row.user.get() as i64).collect();
        let entries: Vec<Arc<InboxEntry>> = self
            .session
            .run(INBOX, &[&users])
            .await?
            .iter()
            .map(value::inbox_entry)
            .collect::<Result<_>>()?;
        let mut entries = entries.into_iter().peekable();
        let mut last = None;
        for state in states {
            if self.room() == 0 && last.is_some() {
                return Ok(last);
            }
            last = Some(state.user.get());
            self.rows.push(Row::User(Arc::clone(state)));
            while let Some(row) = entries.next_if(|row| row.user == state.user) {
                self.rows.push(Row::Inbox(row));
            }
        }
        Ok(None)
    }
}

fn user_cursor(after: u64) -> Option<ScanCursor> {
    let user = UserId::new(after).ok()?;
    Some(ScanCursor { subject: Subject::User(user), after_seq: None })
}
