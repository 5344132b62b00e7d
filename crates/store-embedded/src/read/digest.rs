//! Digests of subjects, from the tables alone: whoever asks has waited until they know everything.

use ostracon_domain::{ConversationId, Row, Subject, UnitId};
use ostracon_store::{Digest, SubjectDigest, SubjectVersion};
use rusqlite::Connection;

use super::{Result, scan::messages_after};
use crate::tables::{Key, TableReader};

/// Messages that are held at a time.
const MESSAGES: usize = 2_000;

/// The digests of those subjects that are in the unit, all as of one moment.
pub(crate) fn digests(
    conn: &Connection,
    unit: UnitId,
    subjects: &[Subject],
) -> Result<Vec<SubjectDigest>> {
    let tables = TableReader::begin(conn)?;
    let mut digests = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let digest = match subject {
            Subject::Conversation(id) => match tables.conversation(*id)? {
                Some((key, own)) if own.unit == unit => {
                    let mut digest = Digest::new(*subject, SubjectVersion::from(&*own));
                    digest.add(&Row::Conversation(own));
                    add_conversation(&tables, key, *id, &mut digest)?;
                    digest
                }
                _ => continue,
            },
            Subject::User(user) => match tables.user_state(*user)? {
                Some(own) if own.unit == unit => {
                    let mut digest = Digest::new(*subject, SubjectVersion::from(&*own));
                    digest.add(&Row::User(own));
                    for entry in tables.inbox_of(*user)? {
                        digest.add(&Row::Inbox(entry));
                    }
                    digest
                }
                _ => continue,
            },
        };
        digests.push(digest.finish());
    }
    Ok(digests)
}

fn add_conversation(
    tables: &TableReader<'_>,
    key: Key,
    id: ConversationId,
    digest: &mut Digest,
) -> Result<()> {
    for member in tables.members_after(key, id, 0, usize::MAX >> 1)? {
        digest.add(&Row::Member(member));
    }
    for annex in tables.annexes_on_their_own(key, id)? {
        digest.add(&Row::Annex(annex));
    }
    let mut after = Some(0);
    while let Some(seq) = after {
        let (rows, next) = messages_after(tables, key, id, seq, MESSAGES)?;
        rows.iter().for_each(|row| digest.add(row));
        after = next;
    }
    Ok(())
}
