//! Subjects of a unit at a glance: version and newest message.

use ostracon_domain::{Subject, UnitId};
use ostracon_store::{SubjectHead, SubjectVersion};
use uuid::Uuid;

use super::Result;
use crate::{
    read::column,
    session::{BEGIN_SNAPSHOT, Session},
    value,
};

const CONVERSATIONS: &str = "SELECT id, rev, mark_rev, head_seq FROM conversation \
     WHERE unit = $1 AND id > $2 ORDER BY id LIMIT $3";
const USERS: &str = "SELECT user_id, user_rev FROM user_state \
     WHERE unit = $1 AND user_id > $2 ORDER BY user_id LIMIT $3";

/// At most `limit` subjects after one, by subject: conversations, then users.
pub(super) async fn heads(
    session: &Session,
    unit: UnitId,
    after: Option<Subject>,
    limit: u32,
) -> Result<Vec<SubjectHead>> {
    let unit = i64::from(unit.0);
    let (after_conversation, after_user) = match after {
        None => (Uuid::nil(), 0),
        Some(Subject::Conversation(id)) => (value::uuid_of(id), 0),
        // All conversations stand before the first user.
        Some(Subject::User(user)) => (Uuid::max(), column(user.get())),
    };
    session.plain(BEGIN_SNAPSHOT).await?;
    let rows = session.run(CONVERSATIONS, &[&unit, &after_conversation, &i64::from(limit)]).await?;
    let mut heads = Vec::with_capacity(rows.len());
    for row in &rows {
        heads.push(SubjectHead {
            subject: Subject::Conversation(value::conversation_id(row, 0)?),
            version: SubjectVersion {
                rev: value::number(row, 1)?,
                mark_rev: value::number(row, 2)?,
            },
            head_seq: value::number(row, 3)?,
        });
    }
    let rest = i64::from(limit) - heads.len() as i64;
    if rest > 0 {
        for row in &session.run(USERS, &[&unit, &after_user, &rest]).await? {
            heads.push(SubjectHead {
                subject: Subject::User(value::user(row, 0)?),
                version: SubjectVersion { rev: value::number(row, 1)?, mark_rev: 0 },
                head_seq: 0,
            });
        }
    }
    session.plain("COMMIT").await?;
    Ok(heads)
}
