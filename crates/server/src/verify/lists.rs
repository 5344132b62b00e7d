//! Lists against conversations: every member has an entry that follows, and no entry stands for nothing.
//!
//! Entries follow a moment after their conversation. What is behind is remembered and read again later.

use std::{sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, try_join_all};
use ostracon_domain::{
    Conversation, ConversationId, History, InboxEntry, MarkRev, Member, Rev, ShardId, UnitAt,
    UserId,
};
use ostracon_store::{Read, ShardError};
use tokio::time::Instant;

use super::{
    Check, MOVE_PAUSE, MOVES_WITHIN, VerifyError,
    conversation::ConversationCheck,
    report::{ProblemKind, Problems},
    unit::UnitRead,
    user::UserCheck,
};

/// Entries read at the same time.
const AT_ONCE: usize = 8;
/// Entries compared in one question to a shard.
const PER_QUESTION: usize = 200;
/// Pause before what is behind is read again.
const PAUSE: Duration = Duration::from_millis(200);

/// What a user's entry of a conversation must have reached.
pub(super) struct Behind {
    shard: ShardId,
    user: UserId,
    conversation: ConversationId,
    history: History,
    rev: Rev,
    mark_rev: MarkRev,
    removed: bool,
    large: Option<bool>,
    view: (u64, Option<i64>),
}

impl Behind {
    fn of(shard: ShardId, conversation: &Conversation, member: &Member) -> Self {
        // Nothing is written on a send in a large group, and who has left follows no further.
        let follows =
            member.is_present() && !conversation.large && conversation.deleted_at.is_none();
        Self {
            shard,
            user: member.user,
            conversation: conversation.id,
            history: conversation.history,
            rev: if follows { conversation.rev } else { member.rev },
            mark_rev: if follows { conversation.mark_rev } else { member.mark_rev },
            removed: conversation.deleted_at.is_some() && member.is_present(),
            large: follows.then_some(conversation.large),
            view: (member.hidden_to, member.muted_until),
        }
    }

    /// Why the entry is not there yet, or none.
    fn lacks(&self, entry: Option<&InboxEntry>) -> Option<String> {
        let conversation = self.conversation;
        let Some(entry) = entry else {
            return Some(format!("the list lacks conversation {conversation}"));
        };
        let applied = entry.applied;
        let behind = applied.history != self.history
            || applied.rev < self.rev
            || applied.mark_rev < self.mark_rev;
        if behind {
            return Some(format!(
                "the entry of {conversation} stands at rev {} and mark_rev {}, its conversation at {} and {}",
                applied.rev, applied.mark_rev, self.rev, self.mark_rev
            ));
        }
        if self.removed && !entry.removed {
            return Some(format!("conversation {conversation} is deleted and still in the list"));
        }
        // What came meanwhile may have changed these.
        let same = applied.rev == self.rev && applied.mark_rev == self.mark_rev;
        let differs = same
            && ((entry.hidden_to, entry.muted_until) != self.view
                || self.large.is_some_and(|large| large != entry.large));
        differs.then(|| {
            format!("the entry of {conversation} mirrors what its member row does not say")
        })
    }
}

/// The entries of all members of a conversation.
pub(super) async fn of_members(
    check: &Check<'_>,
    shard: ShardId,
    of: &ConversationCheck,
    read: &mut UnitRead,
) -> Result<(), VerifyError> {
    let conversation = of.conversation();
    for members in of.members().chunks(AT_ONCE) {
        let mut questions: Vec<BoxFuture<'_, Result<Option<Behind>, VerifyError>>> = Vec::new();
        for member in members {
            let wanted = Behind::of(shard, conversation, member);
            questions.push(Box::pin(async move {
                let entry = entry(check, wanted.user, wanted.conversation).await?;
                Ok(wanted.lacks(entry.as_deref()).map(|_| wanted))
            }));
        }
        read.behind.extend(try_join_all(questions).await?.into_iter().flatten());
    }
    Ok(())
}

/// The conversations of all entries of a user.
pub(super) async fn of_user(
    check: &Check<'_>,
    shard: ShardId,
    of: &UserCheck,
    read: &mut UnitRead,
) -> Result<(), VerifyError> {
    let name = format!("user {}", of.user());
    for entries in of.entries().chunks(PER_QUESTION) {
        // One version of the map for all shards: a unit that moves meanwhile answers that it is not there.
        let map = check.map();
        for (home, store) in check.shards {
            let here: Vec<_> = entries
                .iter()
                .filter_map(|entry| {
                    let unit = map.unit_of(entry.conversation);
                    let place = map.home(unit)?;
                    (place.shard == *home).then_some((entry, UnitAt { unit, epoch: place.epoch }))
                })
                .collect();
            if here.is_empty() {
                continue;
            }
            let wanted: Vec<_> = here.iter().map(|(entry, at)| (*at, entry.conversation)).collect();
            let answers = store.overviews(of.user(), &wanted).await?;
            for ((entry, _), answer) in here.into_iter().zip(answers) {
                if let Some(text) = wrong(entry, answer) {
                    read.problems.add(ProblemKind::List, shard, name.clone(), text);
                }
            }
        }
    }
    Ok(())
}

/// What is wrong with an entry, given its conversation as read after it.
fn wrong(entry: &InboxEntry, answer: Read<ostracon_store::Overview>) -> Option<String> {
    let id = entry.conversation;
    let Read::Rows(overview) = answer else {
        return Some(format!("the list names conversation {id}, which is not where the map says"));
    };
    let conversation = &overview.conversation;
    let ahead = entry.applied.history == conversation.history
        && (entry.applied.rev > conversation.rev || entry.applied.mark_rev > conversation.mark_rev);
    if ahead {
        return Some(format!("the entry of {id} is ahead of its conversation"));
    }
    match &overview.member {
        None => {
            Some(format!("the list names conversation {id}, of which the user never was a member"))
        }
        Some(_) if entry.removed && conversation.deleted_at.is_none() => {
            Some(format!("the list has lost conversation {id}, which is still there"))
        }
        Some(_) => None,
    }
}

/// Reads again what was behind until it has followed, or the time is over.
pub(super) async fn wait(
    check: &Check<'_>,
    mut behind: Vec<Behind>,
    within: Duration,
    problems: &mut Problems,
) -> Result<(), VerifyError> {
    let deadline = Instant::now() + within;
    while !behind.is_empty() {
        let is_last = Instant::now() >= deadline;
        let mut still = Vec::new();
        for wanted in behind {
            let entry = entry(check, wanted.user, wanted.conversation).await?;
            let Some(text) = wanted.lacks(entry.as_deref()) else { continue };
            if is_last && !superseded(check, &wanted).await? {
                let subject = format!("user {}", wanted.user);
                problems.add(ProblemKind::List, wanted.shard, subject, text);
            } else if !is_last {
                still.push(wanted);
            }
        }
        behind = still;
        if !behind.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}

/// Whether the conversation or the membership has become another one since: then nothing is known of this one.
async fn superseded(check: &Check<'_>, wanted: &Behind) -> Result<bool, VerifyError> {
    let map = check.map();
    let unit = map.unit_of(wanted.conversation);
    let Some(home) = map.home(unit) else { return Ok(false) };
    let Some(shard) = check.shards.get(&home.shard) else { return Ok(false) };
    let at = UnitAt { unit, epoch: home.epoch };
    let answers = shard.overviews(wanted.user, &[(at, wanted.conversation)]).await?;
    let Some(Read::Rows(now)) = answers.into_iter().next() else { return Ok(false) };
    let Some(member) = &now.member else { return Ok(false) };
    let fresh = Behind::of(wanted.shard, &now.conversation, member);
    Ok((fresh.history, fresh.rev, fresh.mark_rev) != (wanted.history, wanted.rev, wanted.mark_rev))
}

/// A user's entry, where the user lives by now: a unit on the move is waited for.
async fn entry(
    check: &Check<'_>,
    user: UserId,
    conversation: ConversationId,
) -> Result<Option<Arc<InboxEntry>>, VerifyError> {
    let deadline = Instant::now() + MOVES_WITHIN;
    let mut map = check.map();
    loop {
        let unit = map.unit_of_user(user);
        let place = map.home(unit).and_then(|home| {
            let shard = check.shards.get(&home.shard)?;
            Some((UnitAt { unit, epoch: home.epoch }, shard))
        });
        let Some((at, shard)) = place else { return Ok(None) };
        match shard.inbox_entry(at, user, conversation).await? {
            Read::Rows(entry) => return Ok(entry),
            Read::Absent => return Ok(None),
            Read::Fenced(state) if Instant::now() >= deadline => {
                return Err(ShardError::Unexpected(state).into());
            }
            Read::Fenced(_) => {}
        }
        tokio::time::sleep(MOVE_PAUSE).await;
        map = Arc::clone(&check.look().await?.map);
    }
}
