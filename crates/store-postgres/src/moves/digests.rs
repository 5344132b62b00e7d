//! Digests of subjects: rows are read page by page out of one snapshot and hashed here, a page in memory at a time.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{Conversation, Row, Subject, UnitId};
use ostracon_store::{Digest, ScanCursor, SubjectDigest, SubjectVersion};
use uuid::Uuid;

use super::{
    Result,
    scan::{Page, fitting},
};
use crate::{
    pool::Database,
    session::{BEGIN_SNAPSHOT, Session},
    sql::{conversation_columns, user_columns},
    value,
};

const CONVERSATIONS: &str = concat!(
    "SELECT ",
    conversation_columns!(),
    " FROM conversation WHERE id = ANY($1) AND +unit = $2 ORDER BY id"
);
const USERS: &str = concat!(
    "SELECT ",
    user_columns!(),
    " FROM user_state WHERE user_id = ANY($1) AND +unit = $2 ORDER BY user_id"
);

/// Rows of a page.
const ROWS: u32 = 2_000;
/// Subjects whose own rows are read at once.
const SUBJECTS: usize = 256;

/// Digests in the order of the question; what is not there is left out.
pub(super) async fn digests(
    database: &Database,
    unit: UnitId,
    subjects: &[Subject],
) -> Result<Vec<SubjectDigest>> {
    let session = database.timed(database.session()).await?;
    let done = work(database, &session, unit, subjects).await;
    session.end(done).await
}

async fn work(
    database: &Database,
    session: &Session,
    unit: UnitId,
    subjects: &[Subject],
) -> Result<Vec<SubjectDigest>> {
    let mut hashing = Hashing {
        database,
        page: Page::new(session, unit, ROWS),
        current: None,
        done: BTreeMap::new(),
    };
    let (mut ids, mut users) = (Vec::<Uuid>::new(), Vec::<i64>::new());
    for subject in subjects {
        match subject {
            Subject::Conversation(id) => ids.push(value::uuid_of(*id)),
            Subject::User(user) => users.push(user.get() as i64),
        }
    }
    database.timed(session.plain(BEGIN_SNAPSHOT)).await?;
    let unit = i64::from(unit.0);
    for ids in ids.chunks(SUBJECTS) {
        let found = database.timed(session.run(CONVERSATIONS, &[&ids, &unit])).await?;
        let found = found.iter().map(value::conversation).collect::<Result<Vec<_>>>()?;
        hashing.conversations(&found).await?;
    }
    for users in users.chunks(SUBJECTS) {
        let states = database.timed(session.run(USERS, &[&users, &unit])).await?;
        let states = states.iter().map(value::user_state).collect::<Result<Vec<_>>>()?;
        database.timed(hashing.page.entries(&states)).await?;
        hashing.take();
    }
    hashing.end_one();
    database.timed(session.plain("COMMIT")).await?;
    Ok(subjects.iter().filter_map(|subject| hashing.done.get(subject).copied()).collect())
}

/// Digests that are made, and the one that is being made.
struct Hashing<'a> {
    database: &'a Database,
    page: Page<'a>,
    current: Option<Digest>,
    done: BTreeMap<Subject, SubjectDigest>,
}

impl Hashing<'_> {
    /// All pages of these, which stand in the order of their ids.
    async fn conversations(&mut self, mut rest: &[Arc<Conversation>]) -> Result<()> {
        while !rest.is_empty() {
            let (some, later) = rest.split_at(fitting(rest, ROWS as usize));
            let places: Vec<_> = some.iter().map(|row| (row.id, 0)).collect();
            let mut cursor = self.database.timed(self.page.messages(&places, some)).await?;
            rest = later;
            self.take();
            while let Some(ScanCursor { subject: Subject::Conversation(id), after_seq }) = cursor {
                cursor = None;
                if let Some(seq) = after_seq {
                    cursor = self.database.timed(self.page.messages(&[(id, seq)], &[])).await?;
                    self.take();
                }
                if cursor.is_none() {
                    // The page was full before the end of those that were to be on it.
                    let after = some.partition_point(|row| row.id <= id);
                    let left = &some[after..];
                    if !left.is_empty() {
                        let places: Vec<_> = left.iter().map(|row| (row.id, 0)).collect();
                        cursor = self.database.timed(self.page.messages(&places, left)).await?;
                        self.take();
                    }
                }
            }
        }
        Ok(())
    }

    /// Hashes what is on the page, and empties it.
    fn take(&mut self) {
        for row in std::mem::take(&mut self.page.rows) {
            let begins = match &row {
                Row::Conversation(own) => {
                    Some((Subject::Conversation(own.id), SubjectVersion::from(&**own)))
                }
                Row::User(own) => Some((Subject::User(own.user), SubjectVersion::from(&**own))),
                _ => None,
            };
            if let Some((subject, version)) = begins {
                self.end_one();
                self.current = Some(Digest::new(subject, version));
            }
            if let Some(digest) = &mut self.current {
                digest.add(&row);
            }
        }
    }

    fn end_one(&mut self) {
        if let Some(digest) = self.current.take() {
            let digest = digest.finish();
            self.done.insert(digest.subject, digest);
        }
    }
}
