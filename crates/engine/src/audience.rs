//! Who is a member of a conversation as of the change that is being dispatched.
//!
//! A dispatcher keeps these lists by applying the stream it dispatches. A list that is not known is read from the shard,
//! which may be ahead of the stream: such rows are newer, and the seq of joining and leaving tells what they may get.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{Conversation, ConversationId, Member, Rev, Row, Seq, UnitAt, UserId};
use ostracon_store::{MembersPage, Read, Shard, ShardError};
use rustc_hash::FxHashMap;

use crate::limits::{AUDIENCES_MAX, MEMBERS_PER_READ};

/// The part of a member row that decides what it gets.
#[derive(Debug, Clone, Copy)]
struct Span {
    rev: Rev,
    joined_seq: Seq,
    left_seq: Option<Seq>,
}

/// The members of one conversation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Audience(BTreeMap<UserId, Span>);

impl Audience {
    fn take(&mut self, row: &Member) {
        let Member { rev, joined_seq, left_seq, .. } = *row;
        let span = Span { rev, joined_seq, left_seq };
        let known = self.0.entry(row.user).or_insert(span);
        if known.rev <= rev {
            *known = span;
        }
    }

    /// Those who are members now.
    pub(crate) fn present(&self) -> impl Iterator<Item = UserId> + '_ {
        self.0.iter().filter(|(_, span)| span.left_seq.is_none()).map(|(user, _)| *user)
    }

    /// Those who were members when a message took this seq and are members now.
    pub(crate) fn present_at(&self, seq: Option<Seq>) -> impl Iterator<Item = UserId> + '_ {
        let was = move |span: &Span| seq.is_none_or(|seq| span.joined_seq <= seq);
        self.0
            .iter()
            .filter(move |(_, span)| span.left_seq.is_none() && was(span))
            .map(|(user, _)| *user)
    }
}

/// The audiences one dispatcher knows.
#[derive(Debug, Default)]
pub(crate) struct Audiences(FxHashMap<ConversationId, Audience>);

impl Audiences {
    /// The audience after these rows, all of one command on this conversation.
    pub(crate) async fn after(
        &mut self,
        shard: &Arc<dyn Shard>,
        at: UnitAt,
        conversation: &Conversation,
        rows: &[Row],
    ) -> Result<&Audience, ShardError> {
        let id = conversation.id;
        let members = || {
            rows.iter().filter_map(|row| match row {
                Row::Member(row) => Some(&**row),
                _ => None,
            })
        };
        if !self.0.contains_key(&id) {
            if self.0.len() >= AUDIENCES_MAX {
                self.0.clear();
            }
            let born: Audience = {
                let mut audience = Audience::default();
                members().for_each(|row| audience.take(row));
                audience
            };
            // All members stand among the rows exactly when the conversation was born with them.
            let complete = born.0.len() == conversation.member_count as usize
                && born.0.values().all(|span| span.joined_seq == 1 && span.left_seq.is_none());
            let audience = if complete { born } else { load(shard, at, conversation.id).await? };
            self.0.insert(id, audience);
        }
        let audience = self.0.entry(id).or_default();
        members().for_each(|row| audience.take(row));
        Ok(audience)
    }

    pub(crate) fn forget(&mut self, id: ConversationId) {
        self.0.remove(&id);
    }
}

async fn load(
    shard: &Arc<dyn Shard>,
    at: UnitAt,
    id: ConversationId,
) -> Result<Audience, ShardError> {
    let mut audience = Audience::default();
    let mut after = None;
    loop {
        let page = MembersPage { after, limit: MEMBERS_PER_READ };
        let Read::Rows(page) = shard.members(at, id, page).await? else {
            return Ok(audience);
        };
        page.members.iter().for_each(|row| audience.take(row));
        after = page.members.last().map(|row| row.user);
        if !page.more || after.is_none() {
            return Ok(audience);
        }
    }
}
