//! What subjects became since a version: for many of them in a few statements, all of one snapshot.
//!
//! What was inserted is a range of seqs: each insert took a rev, so no more were inserted than revs have passed. What was
//! changed before that range stands in a partial index. So the cost is that of the changes, not of the history; only
//! moved marks are looked for among all members of their conversation.

use std::{collections::BTreeMap, iter::Peekable, sync::Arc};

use ostracon_domain::{Row, Seq, Subject, UnitId};
use ostracon_store::{SubjectRows, SubjectVersion};
use tokio_postgres::Row as Found;
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
    " FROM conversation WHERE id = ANY($1) AND +unit = $2"
);
const USERS: &str =
    concat!("SELECT ", user_columns!(), " FROM user_state WHERE user_id = ANY($1) AND +unit = $2");
// Every row carries the number of its question at its end.
const MEMBERS: &str = concat!(
    "SELECT ",
    member_columns!(),
    ", n FROM unnest($1::bigint[], $2::uuid[], $3::bigint[]) AS k (n, of, after) \
     CROSS JOIN LATERAL (SELECT * FROM member WHERE conversation = k.of AND rev > k.after OFFSET 0) AS m ORDER BY n, user_id"
);
const MARKED: &str = concat!(
    "SELECT ",
    member_columns!(),
    ", n FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[]) AS k (n, of, after, marked) \
     CROSS JOIN LATERAL (SELECT * FROM member WHERE conversation = k.of AND (rev > k.after OR mark_rev > k.marked) OFFSET 0) AS m \
     ORDER BY n, user_id"
);
const MESSAGES: &str = concat!(
    "SELECT ",
    message_columns!(),
    ", n FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[]) AS k (n, of, after, low) \
     CROSS JOIN LATERAL (\
     SELECT * FROM message WHERE conversation = k.of AND seq > k.low AND rev > k.after \
     UNION ALL \
     SELECT * FROM message WHERE conversation = k.of AND rev > k.after AND rev > created_rev AND seq <= k.low) AS m \
     ORDER BY n, seq"
);
const REACTIONS: &str = "SELECT r.conversation, r.seq, r.user_id, r.emoji, n \
     FROM unnest($1::bigint[], $2::uuid[], $3::bigint[]) AS k (n, of, at) \
     CROSS JOIN LATERAL (SELECT * FROM reaction WHERE conversation = k.of AND seq = k.at OFFSET 0) AS r ORDER BY n, r.seq, r.user_id, r.emoji";
const ENTRIES: &str = concat!(
    "SELECT ",
    inbox_columns!(),
    ", n FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS k (n, who, after) \
     CROSS JOIN LATERAL (SELECT * FROM inbox WHERE user_id = k.who AND user_rev > k.after OFFSET 0) AS i ORDER BY n, conversation"
);

// Few conversations have any, and few of them many: those with numbers of their own are picked here.
const OWN_ANNEXES: &str = concat!(
    "SELECT ",
    annex_columns!(),
    ", n FROM unnest($1::bigint[], $2::uuid[]) AS k (n, of) \
     CROSS JOIN LATERAL (SELECT * FROM annex WHERE conversation = k.of AND kind >= 64 OFFSET 0) AS a \
     ORDER BY n, kind, first, second"
);
const ANNEXES: &str = concat!(
    "SELECT ",
    annex_columns!(),
    ", n FROM unnest($1::bigint[], $2::uuid[], $3::bigint[]) AS k (n, of, at) \
     CROSS JOIN LATERAL (SELECT * FROM annex WHERE conversation = k.of AND seq > 0 AND seq = k.at AND kind < 64 OFFSET 0) AS a \
     ORDER BY n, seq, kind, first, second"
);

/// Where the number of the question stands behind these columns.
const MEMBER_N: usize = 12;
const MESSAGE_N: usize = 20;
const REACTION_N: usize = 4;
const ENTRY_N: usize = 16;
const ANNEX_N: usize = 7;

/// Questions about conversations or users, column by column.
#[derive(Default)]
struct Asked<K> {
    number: Vec<i64>,
    key: Vec<K>,
    after: Vec<i64>,
    /// A second bound: a mark rev, or a seq.
    bound: Vec<i64>,
}

impl<K> Asked<K> {
    fn push(&mut self, number: usize, key: K, after: u64, bound: u64) {
        self.number.push(number as i64);
        self.key.push(key);
        self.after.push(column(after));
        self.bound.push(column(bound));
    }
}

/// Rows of a statement that come in the order of questions.
struct Numbered<'r> {
    rows: Peekable<std::slice::Iter<'r, Found>>,
    at: usize,
}

impl<'r> Numbered<'r> {
    fn new(rows: &'r [Found], at: usize) -> Self {
        Self { rows: rows.iter().peekable(), at }
    }

    /// The next row, if it answers this question.
    fn next_of(&mut self, question: usize) -> Result<Option<&'r Found>> {
        match self.rows.peek() {
            Some(row) if value::get::<i64>(row, self.at)? == question as i64 => {
                Ok(self.rows.next())
            }
            _ => Ok(None),
        }
    }
}

/// Answer n belongs to question n.
pub(super) async fn subjects_since(
    session: &Session,
    unit: UnitId,
    since: &[(Subject, SubjectVersion)],
) -> Result<Vec<Option<SubjectRows>>> {
    let unit = i64::from(unit.0);
    let (mut ids, mut users) = (Vec::<Uuid>::new(), Vec::<i64>::new());
    for (subject, _) in since {
        match subject {
            Subject::Conversation(id) => ids.push(value::uuid_of(*id)),
            Subject::User(user) => users.push(user.get() as i64),
        }
    }
    let (of_ids, of_users) = (session.prepare(CONVERSATIONS).await?, session.prepare(USERS).await?);
    let flight = tokio::join!(
        biased;
        session.plain(BEGIN_SNAPSHOT),
        async { session.query_keys(ids.len(), &of_ids, &[&ids, &unit]).await },
        async { session.query_keys(users.len(), &of_users, &[&users, &unit]).await },
    );
    flight.0?;
    let mut conversations = BTreeMap::new();
    for row in &flight.1? {
        let row = value::conversation(row)?;
        conversations.insert(row.id, row);
    }
    let mut states = BTreeMap::new();
    for row in &flight.2? {
        let row = value::user_state(row)?;
        states.insert(row.user, row);
    }

    let mut joined = Asked::<Uuid>::default();
    let mut marked = Asked::<Uuid>::default();
    let mut written = Asked::<Uuid>::default();
    let mut listed = Asked::<i64>::default();
    let mut annexed = Asked::<Uuid>::default();
    for (number, (subject, since)) in since.iter().enumerate() {
        match subject {
            Subject::Conversation(id) => {
                let Some(row) = conversations.get(id) else { continue };
                let key = value::uuid_of(*id);
                if row.mark_rev > since.mark_rev {
                    marked.push(number, key, since.rev, since.mark_rev);
                } else if row.rev > since.rev {
                    joined.push(number, key, since.rev, 0);
                }
                annexed.push(number, key, 0, 0);
                if row.rev > since.rev {
                    let low = row.head_seq.saturating_sub(row.rev - since.rev);
                    written.push(number, key, since.rev, low);
                }
            }
            Subject::User(user) => {
                let Some(row) = states.get(user) else { continue };
                if row.user_rev > since.rev {
                    listed.push(number, user.get() as i64, since.rev, 0);
                }
            }
        }
    }
    let of_members = session.prepare(MEMBERS).await?;
    let of_marked = session.prepare(MARKED).await?;
    let of_messages = session.prepare(MESSAGES).await?;
    let of_entries = session.prepare(ENTRIES).await?;
    let of_own = session.prepare(OWN_ANNEXES).await?;
    let flight = tokio::join!(
        biased;
        async {
            let Asked { number, key, after, .. } = &joined;
            session.query_keys(key.len(), &of_members, &[number, key, after]).await
        },
        async {
            let Asked { number, key, after, bound } = &marked;
            session.query_keys(key.len(), &of_marked, &[number, key, after, bound]).await
        },
        async {
            let Asked { number, key, after, bound } = &written;
            session.query_keys(key.len(), &of_messages, &[number, key, after, bound]).await
        },
        async {
            let Asked { number, key, after, .. } = &listed;
            session.query_keys(key.len(), &of_entries, &[number, key, after]).await
        },
        async {
            let Asked { number, key, .. } = &annexed;
            session.query_keys(key.len(), &of_own, &[number, key]).await
        },
    );
    let (members, with_marks, messages, entries) = (flight.0?, flight.1?, flight.2?, flight.3?);
    let own_annexes = flight.4?;
    let mut reacted = Asked::<Uuid>::default();
    for row in &messages {
        let number = value::get::<i64>(row, MESSAGE_N)? as usize;
        reacted.push(number, value::get(row, 0)?, value::number(row, 1)?, 0);
    }
    let of_reactions = session.prepare(REACTIONS).await?;
    let of_annexes = session.prepare(ANNEXES).await?;
    let flight = tokio::join!(
        biased;
        async {
            let Asked { number, key, after, .. } = &reacted;
            session.query_keys(key.len(), &of_reactions, &[number, key, after]).await
        },
        async {
            let Asked { number, key, after, .. } = &reacted;
            session.query_keys(key.len(), &of_annexes, &[number, key, after]).await
        },
        session.plain("COMMIT"),
    );
    let (reactions, annexes) = (flight.0?, flight.1?);
    flight.2?;

    let mut members = Numbered::new(&members, MEMBER_N);
    let mut with_marks = Numbered::new(&with_marks, MEMBER_N);
    let mut messages = Numbered::new(&messages, MESSAGE_N);
    let mut reactions = Numbered::new(&reactions, REACTION_N);
    let mut entries = Numbered::new(&entries, ENTRY_N);
    let mut own_annexes = Numbered::new(&own_annexes, ANNEX_N);
    let mut annexes = Numbered::new(&annexes, ANNEX_N);
    let mut answers = Vec::with_capacity(since.len());
    for (number, (subject, version)) in since.iter().enumerate() {
        let mut rows = Vec::new();
        let reached = match subject {
            Subject::Conversation(id) => {
                let Some(own) = conversations.get(id) else {
                    answers.push(None);
                    continue;
                };
                rows.push(Row::Conversation(Arc::clone(own)));
                if own.retained_from > 1 {
                    rows.push(Row::MessagesGone { conversation: *id, below: own.retained_from });
                }
                for source in [&mut members, &mut with_marks] {
                    while let Some(row) = source.next_of(number)? {
                        rows.push(Row::Member(value::member(row)?));
                    }
                }
                while let Some(row) = own_annexes.next_of(number)? {
                    let row = value::annex(row)?;
                    if row.number > version.of_annex(row.key.kind) {
                        rows.push(Row::Annex(row));
                    }
                }
                while let Some(row) = messages.next_of(number)? {
                    let message = value::message(row)?;
                    let seq = message.seq;
                    rows.push(Row::Message(message));
                    reactions_of(&mut reactions, number, seq, &mut rows)?;
                    annexes_of(&mut annexes, number, seq, &mut rows)?;
                }
                SubjectVersion::from(&**own)
            }
            Subject::User(user) => {
                let Some(own) = states.get(user) else {
                    answers.push(None);
                    continue;
                };
                rows.push(Row::User(Arc::clone(own)));
                while let Some(row) = entries.next_of(number)? {
                    rows.push(Row::Inbox(value::inbox_entry(row)?));
                }
                SubjectVersion::from(&**own)
            }
        };
        answers.push(Some(SubjectRows { rows, version: reached }));
    }
    Ok(answers)
}

/// Appends the annexes of a message.
fn annexes_of(
    annexes: &mut Numbered<'_>,
    question: usize,
    seq: Seq,
    rows: &mut Vec<Row>,
) -> Result<()> {
    while let Some(row) = annexes.rows.peek() {
        let here =
            value::get::<i64>(row, ANNEX_N)? == question as i64 && value::number(row, 4)? == seq;
        if !here {
            break;
        }
        rows.push(Row::Annex(value::annex(row)?));
        annexes.rows.next();
    }
    Ok(())
}

/// Appends the reactions to a message.
fn reactions_of(
    reactions: &mut Numbered<'_>,
    question: usize,
    seq: Seq,
    rows: &mut Vec<Row>,
) -> Result<()> {
    while let Some(row) = reactions.rows.peek() {
        let here =
            value::get::<i64>(row, REACTION_N)? == question as i64 && value::number(row, 1)? == seq;
        if !here {
            break;
        }
        let row = value::reaction(row)?;
        rows.push(Row::Reaction(Arc::new(row)));
        reactions.rows.next();
    }
    Ok(())
}
