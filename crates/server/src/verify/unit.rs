//! One unit, page by page: splits the stream of rows into conversations and users and has each checked.

use ostracon_domain::{Row, ShardId, UnitId};

use super::{
    Check, VerifyError,
    conversation::ConversationCheck,
    lists::{self, Behind},
    report::{Counts, ProblemKind, Problems},
    user::UserCheck,
};

/// Rows on a page, about.
pub(super) const PAGE_ROWS: u32 = 2_000;

/// What reading a unit found.
pub(super) struct UnitRead {
    pub(super) counts: Counts,
    pub(super) problems: Problems,
    pub(super) behind: Vec<Behind>,
}

enum Subject {
    None,
    Conversation(Box<ConversationCheck>),
    User(Box<UserCheck>),
}

/// Reads and checks a unit of the shard that is its home.
pub(super) async fn read(
    check: &Check<'_>,
    shard: ShardId,
    unit: UnitId,
) -> Result<UnitRead, VerifyError> {
    let mut read =
        UnitRead { counts: Counts::default(), problems: Problems::default(), behind: Vec::new() };
    let Some(store) = check.shards.get(&shard) else { return Ok(read) };
    let mut subject = Subject::None;
    let mut from = None;
    loop {
        let page = store.scan_unit(unit, from, PAGE_ROWS).await?;
        check.rows_read(page.rows.len());
        for row in &page.rows {
            read.counts.row(row);
            if let Some(text) = check.journal.newer_than(shard, row) {
                read.problems.add(ProblemKind::Journal, shard, subject_of(row), text);
            }
            match row {
                Row::Conversation(row) => {
                    finish(check, shard, subject, &mut read).await?;
                    let placed = check.map().unit_of(row.id) == unit;
                    let next = ConversationCheck::new(row, unit, placed);
                    subject = Subject::Conversation(Box::new(next));
                }
                Row::User(row) => {
                    finish(check, shard, subject, &mut read).await?;
                    let placed = check.map().unit_of_user(row.user) == unit;
                    subject = Subject::User(Box::new(UserCheck::new(row, unit, placed)));
                }
                row => {
                    let taken = match &mut subject {
                        Subject::Conversation(check) => check.row(row),
                        Subject::User(check) => check.row(row),
                        Subject::None => false,
                    };
                    if !taken {
                        let text = "a row follows what it does not belong to".to_owned();
                        read.problems.add(ProblemKind::Placement, shard, subject_of(row), text);
                    }
                }
            }
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    finish(check, shard, subject, &mut read).await?;
    Ok(read)
}

async fn finish(
    check: &Check<'_>,
    shard: ShardId,
    subject: Subject,
    read: &mut UnitRead,
) -> Result<(), VerifyError> {
    match subject {
        Subject::None => {}
        Subject::Conversation(of) => {
            let name = format!("conversation {}", of.conversation().id);
            lists::of_members(check, shard, &of, read).await?;
            for (kind, text) in of.end() {
                read.problems.add(kind, shard, name.clone(), text);
            }
        }
        Subject::User(of) => {
            let name = format!("user {}", of.user());
            lists::of_user(check, shard, &of, read).await?;
            for (kind, text) in of.end() {
                read.problems.add(kind, shard, name.clone(), text);
            }
        }
    }
    Ok(())
}

fn subject_of(row: &Row) -> String {
    match row {
        Row::Conversation(row) => format!("conversation {}", row.id),
        Row::Member(row) => format!("conversation {}", row.conversation),
        Row::Message(row) => format!("conversation {}", row.conversation),
        Row::Reaction(row) | Row::ReactionGone(row) => format!("conversation {}", row.conversation),
        Row::Annex(row) | Row::AnnexGone(row) => format!("conversation {}", row.conversation),
        Row::MessagesGone { conversation, .. } | Row::AnnexesGone { conversation, .. } => {
            format!("conversation {conversation}")
        }
        Row::User(row) => format!("user {}", row.user),
        Row::Inbox(row) => format!("user {}", row.user),
    }
}
