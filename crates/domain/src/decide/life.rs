//! How long messages live: timers of disappearing messages, retention, and what the server removes when it is due.

use std::{collections::BTreeSet, sync::Arc};

use super::{Context, delete};
use crate::{
    command::{ConversationCommand, LifeChange},
    conversation::{Conversation, ConversationKind},
    extra::Extra,
    id::{Millis, Seq},
    limits::{RETENTION_S, TIMER_S},
    outcome::Outcome,
    permission::{self, Permission},
    refusal::Refusal,
    slice::ConversationSlice,
};

/// Both people of a direct conversation may, and admins of a group. What is so already changes nothing. A timer is for
/// messages that are sent from now on; retention is for all.
pub(super) fn set(
    slice: &mut ConversationSlice,
    command: &ConversationCommand,
    change: LifeChange,
) -> Result<Outcome, Refusal> {
    let (conversation, member) = super::present(slice, command.actor)?;
    if conversation.kind == ConversationKind::Group {
        permission::check(&conversation, &member, Permission::ChangeSettings)?;
    }
    if change.timer_s.flatten().is_some_and(|seconds| !TIMER_S.contains(&seconds)) {
        return Err(Refusal::invalid("timer_s", "A timer has 5 seconds to 365 days."));
    }
    if change.retention_s.flatten().is_some_and(|seconds| !RETENTION_S.contains(&seconds)) {
        return Err(Refusal::invalid("retention_s", "Messages are kept a day to ten years."));
    }
    let mut changed = Conversation::clone(&conversation);
    Extra::change(&mut changed.extra, |extra| {
        extra.timer_s = change.timer_s.unwrap_or(extra.timer_s);
        extra.retention_s = change.retention_s.unwrap_or(extra.retention_s);
    });
    if changed == *conversation {
        return Ok(Outcome::Group { conversation, member });
    }
    changed.rev += 1;
    changed.info_rev = changed.rev;
    Ok(Outcome::Group { conversation: slice.put_conversation(changed), member })
}

/// When a message that is sent now under the conversation's timer disappears; notes that there are such messages.
pub(super) fn time(conversation: &mut Conversation, seq: Seq, now: Millis) -> Option<Millis> {
    let seconds = conversation.extra.as_ref()?.timer_s?;
    Extra::change(&mut conversation.extra, |extra| {
        extra.timed_from.get_or_insert(seq);
    });
    Some(now.saturating_add(i64::from(seconds) * 1_000))
}

/// Each one takes a rev. What is not due, or deleted already, stays as it is.
pub(super) fn expire(
    slice: &mut ConversationSlice,
    seqs: &[Seq],
    context: &Context<'_>,
) -> Result<Outcome, Refusal> {
    let conversation = present(slice)?;
    let mut changed = Conversation::clone(&conversation);
    let seqs: BTreeSet<Seq> = seqs.iter().copied().collect();
    for seq in seqs {
        let Some(view) = slice.message(seq).filter(|view| view.message.deleted.is_none()).cloned()
        else {
            continue;
        };
        let due = view.message.extra.as_ref().and_then(|extra| extra.expires_at);
        if due.is_some_and(|due| due <= context.now) {
            let by = view.message.sender;
            delete::bury(slice, &mut changed, view, (context.now, by), None);
        }
    }
    if changed.rev == conversation.rev {
        return Ok(Outcome::Swept { conversation });
    }
    Ok(Outcome::Swept { conversation: slice.put_conversation(changed) })
}

/// Takes a rev. Nothing is left of the messages, of their places neither.
pub(super) fn retain(slice: &mut ConversationSlice, from: Seq) -> Result<Outcome, Refusal> {
    let conversation = present(slice)?;
    let from = from.min(conversation.head_seq + 1);
    if from <= conversation.retained_from {
        return Ok(Outcome::Swept { conversation });
    }
    let mut changed = Arc::unwrap_or_clone(conversation);
    changed.retained_from = from;
    changed.rev += 1;
    changed.info_rev = changed.rev;
    if changed.extra.is_some() {
        Extra::change(&mut changed.extra, |extra| extra.pins.retain(|seq| *seq >= from));
    }
    slice.remove_messages(changed.id, from);
    Ok(Outcome::Swept { conversation: slice.put_conversation(changed) })
}

fn present(slice: &ConversationSlice) -> Result<Arc<Conversation>, Refusal> {
    let row = slice.conversation.as_ref().filter(|row| row.deleted_at.is_none());
    row.cloned().ok_or(Refusal::no_conversation())
}
