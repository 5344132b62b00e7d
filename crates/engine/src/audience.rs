//! Who is a member of a conversation as of the change that is being dispatched.
//!
//! A dispatcher keeps these lists by applying the stream it dispatches. A list that is not known is read from the shard,
//! which may be ahead of the stream: such rows are newer, and the seq of joining and leaving tells what they may get.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{
    Conversation, ConversationId, HistoryFor, Member, Rev, Row, Seq, UnitAt, UserId,
};
use ostracon_store::{MembersPage, Shard, ShardError};
use rustc_hash::FxHashMap;

use crate::limits::{AUDIENCES_MAX, MEMBERS_PER_READ};

/// The part of a member row that decides what it gets.
#[derive(Debug, Clone, Copy)]
struct Span {
    rev: Rev,
    joined_seq: Seq,
    left_seq: Option<Seq>,
}

/// The members of one conversation, former ones included.
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

    /// Those whose lists the change moves: the members, and when it is gone also who was one.
    pub(crate) fn listed(&self, conversation: &Conversation) -> impl Iterator<Item = UserId> {
        let gone = conversation.deleted_at.is_some();
        let listed = self.0.iter().filter(move |(_, span)| gone || span.left_seq.is_none());
        listed.map(|(user, _)| *user)
    }

    /// Those who are members as of the change, each with the seq of joining.
    pub(crate) fn present(
        &self,
        conversation: &Conversation,
    ) -> impl Iterator<Item = (UserId, Seq)> {
        let (rev, head_seq) = (conversation.rev, conversation.head_seq);
        // A row that is ahead of the stream and begins behind its head has not joined yet.
        let to_come = move |span: &Span| span.rev > rev && span.joined_seq > head_seq;
        self.0
            .iter()
            .filter(move |(_, span)| span.left_seq.is_none() && !to_come(span))
            .map(|(user, span)| (*user, span.joined_seq))
    }

    /// Those of them who may learn of the message with this seq, and when they joined; all without one.
    pub(crate) fn present_at(
        &self,
        conversation: &Conversation,
        seq: Option<Seq>,
    ) -> impl Iterator<Item = (UserId, Seq)> {
        let all = conversation.settings.history_for == HistoryFor::All;
        self.present(conversation)
            .filter(move |(_, joined)| all || seq.is_none_or(|seq| *joined <= seq))
    }
}

/// The audiences one dispatcher knows, each with the unit and epoch under which it was learnt: while a unit was away,
/// others came and went.
#[derive(Debug, Default)]
pub(crate) struct Audiences(FxHashMap<ConversationId, (UnitAt, Audience)>);

impl Audiences {
    /// Learns the audience after these rows of this conversation; it is read from the shard that holds it if it is not
    /// known. After an error nothing has changed.
    pub(crate) async fn learn(
        &mut self,
        shard: &Arc<dyn Shard>,
        at: UnitAt,
        id: ConversationId,
        rows: &[Row],
    ) -> Result<(), ShardError> {
        if self.0.get(&id).is_none_or(|(known, _)| *known != at) {
            let audience = if born(rows) { Audience::default() } else { load(shard, id).await? };
            if self.0.len() >= AUDIENCES_MAX {
                self.0.clear();
            }
            self.0.insert(id, (at, audience));
        }
        let (_, audience) = self.0.entry(id).or_insert_with(|| (at, Audience::default()));
        for row in rows {
            if let Row::Member(row) = row {
                audience.take(row);
            }
        }
        Ok(())
    }

    pub(crate) fn get(&self, id: ConversationId) -> Option<&Audience> {
        self.0.get(&id).map(|(_, audience)| audience)
    }

    pub(crate) fn forget(&mut self, id: ConversationId) {
        self.0.remove(&id);
    }
}

/// Whether this row is the conversation's first: then all its members stand beside it.
pub(crate) fn is_birth(row: &Conversation) -> bool {
    // Behind it there may be what the server says of it.
    let said = row.head_seq.min(1);
    row.mark_rev == 0 && row.info_rev == 1 && row.rev == u64::from(row.member_count) + 1 + said
}

fn born(rows: &[Row]) -> bool {
    rows.iter().any(|row| matches!(row, Row::Conversation(row) if is_birth(row)))
}

/// Reads who is a member. Not behind the fence: what a shard committed is dispatched, also when its unit is frozen or
/// has left.
async fn load(shard: &Arc<dyn Shard>, id: ConversationId) -> Result<Audience, ShardError> {
    let mut audience = Audience::default();
    let mut after = None;
    loop {
        let page = MembersPage { after, limit: MEMBERS_PER_READ };
        let Some(page) = shard.members_here(id, page).await? else {
            return Ok(audience);
        };
        page.members.iter().for_each(|row| audience.take(row));
        after = page.members.last().map(|row| row.user);
        if !page.more || after.is_none() {
            return Ok(audience);
        }
    }
}
