//! What changed in a conversation after a rev: sources in rev order, merged and cut.

use std::sync::Arc;

use ostracon_domain::{Access, ConversationId, Member, Message, Rev, Seq, UnitAt, access};
use ostracon_store::{Changes, ChangesSince, Read};

use super::{
    Noted, Result,
    annexes::hidden,
    column,
    messages::{Rising, first_seq},
    note, room, rows_or_return, views_of,
};
use crate::{
    session::Session,
    sql::{member_columns, message_columns},
    value,
};

/// So many possible inserts are simply walked over; more are worth halving.
const WALK: u64 = 64;

const MEMBERS_SINCE: &str = concat!(
    "SELECT ",
    member_columns!(),
    " FROM member WHERE conversation = $1 AND rev > $2 ORDER BY rev LIMIT $3"
);
const MARKS_SINCE: &str = concat!(
    "SELECT ",
    member_columns!(),
    " FROM member WHERE conversation = $1 AND mark_rev > $2 ORDER BY mark_rev"
);
const INSERTED_SINCE: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM message WHERE conversation = $1 AND seq BETWEEN $2 AND $3 AND created_rev > $4 AND rev = created_rev \
     ORDER BY seq LIMIT $5"
);
const CHANGED_SINCE: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM message WHERE conversation = $1 AND rev > $4 AND rev > created_rev AND seq BETWEEN $2 AND $3 \
     ORDER BY rev LIMIT $5"
);

enum Changed {
    Info,
    Member(Arc<Member>),
    Message(Arc<Message>),
}

/// The changes of one conversation.
pub(crate) async fn changes(
    session: &Session,
    at: UnitAt,
    since: ChangesSince,
) -> Result<Read<Changes>> {
    let id = since.conversation;
    let noted = rows_or_return!(session, note(session, at, id, since.reader).await?);
    let answer = collect(session, noted, since).await?;
    session.plain("COMMIT").await?;
    Ok(Read::Rows(answer))
}

async fn collect(session: &Session, noted: Noted, since: ChangesSince) -> Result<Changes> {
    let Noted { conversation, member } = noted;
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
    let conversation = &answer.conversation;
    let Some(member) = member else {
        return Ok(answer);
    };
    let (id, key) = (conversation.id, value::uuid_of(conversation.id));
    let access = access(Some(conversation), Some(&member)).ok();
    let sees_all = member.is_present() && access.is_some();
    let (rev, mark_rev, room) = (column(since.rev), column(since.mark_rev), room(since.limit));

    if let Some(access) = access {
        let range = access.from..=access.to;
        answer.hidden = hidden(session, id, Some(&member), range).await?;
        answer.hidden.retain(|row| row.number > since.mark_rev);
    }
    let conversation = &answer.conversation;
    let mut changed: Vec<(Rev, Changed)> = Vec::new();
    if conversation.info_rev > since.rev {
        changed.push((conversation.info_rev, Changed::Info));
    }
    let mut receipts = Vec::new();
    if sees_all {
        let rows = session.run(MEMBERS_SINCE, &[&key, &rev, &room]).await?;
        for row in &rows {
            let row = value::member(row)?;
            changed.push((row.rev, Changed::Member(row)));
        }
        if !conversation.large && conversation.mark_rev > since.mark_rev {
            let rows = session.run(MARKS_SINCE, &[&key, &mark_rev]).await?;
            receipts = rows.iter().map(value::member).collect::<Result<_>>()?;
        }
    } else if member.rev > since.rev {
        changed.push((member.rev, Changed::Member(Arc::clone(&member))));
    }
    if (!sees_all || conversation.large) && member.mark_rev > since.mark_rev {
        receipts.push(member);
    }
    if let Some(access) = access.filter(|access| access.from <= access.to)
        && conversation.rev > since.rev
    {
        let first = column(
            first_inserted(session, id, access, conversation.rev, conversation.head_seq, since.rev)
                .await?,
        );
        let inserted = session.prepare(INSERTED_SINCE).await?;
        let edited = session.prepare(CHANGED_SINCE).await?;
        let (from, to) = (column(access.from), column(access.to));
        let (inserted, edited) = tokio::join!(
            biased;
            async { session.query(&inserted, &[&key, &first, &to, &rev, &room]).await },
            async { session.query(&edited, &[&key, &from, &to, &rev, &room]).await },
        );
        for row in inserted?.iter().chain(&edited?) {
            let row = value::message(row)?;
            changed.push((row.rev, Changed::Message(row)));
        }
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
    answer.messages = views_of(session, messages).await?;
    answer.receipts = receipts;
    Ok(answer)
}

/// A seq below which nothing readable was inserted after a rev. Each insert took a rev, so it cannot lie deep.
async fn first_inserted(
    session: &Session,
    id: ConversationId,
    access: Access,
    rev: Rev,
    head: Seq,
    since: Rev,
) -> Result<Seq> {
    let revs = rev.saturating_sub(since);
    let lowest = head.saturating_sub(revs) + 1;
    let rest = Access { from: access.from.max(lowest), ..access };
    if revs <= WALK {
        return Ok(rest.from);
    }
    first_seq(session, id, rest, Rising::CreatedRev, column(since.saturating_add(1))).await
}
