//! A user's own rows: following conversations, and the user's own settings of an entry.

use super::{Context, text};
use crate::{
    command::{InboxAction, InboxChange, InboxCommand},
    extra::Extra,
    id::Millis,
    inbox::InboxEntry,
    outcome::Outcome,
    refusal::Refusal,
    slice::InboxSlice,
};

/// Decides a command on a user's own rows. Each changed entry takes a user rev.
pub fn decide_inbox(
    slice: &mut InboxSlice,
    command: &InboxCommand,
    context: &mut Context<'_>,
) -> Result<Outcome, Refusal> {
    let history = match &slice.state {
        Some(state) => state.history,
        None => context.ids.history(),
    };
    let mut state = slice.state_or_new(command.user, context.unit, history);
    let mut entries = Vec::new();
    let mut put = |slice: &mut InboxSlice, entry: InboxEntry| {
        state.user_rev += 1;
        entries.push(slice.put_entry(InboxEntry { user_rev: state.user_rev, ..entry }));
    };
    match &command.action {
        InboxAction::Apply(changes) => {
            for change in changes {
                let known = slice.entries.get(&change.conversation).map(|entry| &**entry);
                if let Some(entry) = follow(known, command, change, context.now) {
                    put(slice, entry);
                }
            }
        }
        InboxAction::Set { conversation, pinned, archived, marked_unread, draft } => {
            if let Some(Some(draft)) = draft {
                text::check_draft(draft)?;
            }
            let known = slice
                .entries
                .get(conversation)
                .filter(|entry| !entry.removed)
                .ok_or(Refusal::no_conversation())?;
            let mut entry = InboxEntry::clone(known);
            entry.pinned = pinned.unwrap_or(entry.pinned);
            entry.marked_unread = marked_unread.unwrap_or(entry.marked_unread);
            entry.archived_seq = match archived {
                Some(true) => Some(entry.archived_seq.unwrap_or(entry.last_seq)),
                Some(false) => None,
                None => entry.archived_seq,
            };
            if let Some(draft) = draft {
                let draft = draft.clone().filter(|text| !text.is_empty());
                Extra::change(&mut entry.extra, |extra| extra.draft = draft);
            }
            if entry != **known {
                put(slice, entry);
            }
        }
    }
    if !entries.is_empty() {
        slice.put_state(state);
    }
    Ok(Outcome::Inbox { entries })
}

/// The entry after a change, or none if it knows all of it already. Another history always applies.
fn follow(
    known: Option<&InboxEntry>,
    command: &InboxCommand,
    change: &InboxChange,
    now: Millis,
) -> Option<InboxEntry> {
    let fresh = InboxEntry {
        user: command.user,
        conversation: change.conversation,
        applied: change.applied,
        last_seq: change.last_seq,
        last_activity_at: change.last_activity_at,
        hidden_to: 0,
        muted_until: None,
        archived_seq: None,
        marked_unread: false,
        pinned: false,
        large: change.large,
        removed: change.removed,
        extra: None,
        user_rev: 0,
    };
    let Some(known) = known else {
        let (hidden_to, muted_until) = change.view.unwrap_or_default();
        return Some(InboxEntry { hidden_to, muted_until, ..fresh });
    };
    let mut entry = if known.applied.history == change.applied.history {
        InboxEntry {
            last_seq: known.last_seq.max(change.last_seq),
            last_activity_at: known.last_activity_at.max(change.last_activity_at),
            applied: crate::Applied {
                rev: known.applied.rev.max(change.applied.rev),
                mark_rev: known.applied.mark_rev.max(change.applied.mark_rev),
                ..change.applied
            },
            large: if change.applied.rev >= known.applied.rev { change.large } else { known.large },
            removed: known.removed || change.removed,
            ..known.clone()
        }
    } else {
        InboxEntry {
            applied: change.applied,
            last_seq: change.last_seq,
            last_activity_at: change.last_activity_at,
            large: change.large,
            removed: change.removed,
            ..known.clone()
        }
    };
    // An older change must not bring back an older view.
    let newer_view = known.applied.history != change.applied.history
        || change.applied.mark_rev > known.applied.mark_rev;
    if let Some((hidden_to, muted_until)) = change.view
        && newer_view
    {
        entry.hidden_to = hidden_to;
        entry.muted_until = muted_until;
    }
    // A new message brings an archived conversation back, unless it is silent.
    let is_muted = entry.muted_until.is_some_and(|until| until > now);
    if entry.last_seq > known.last_seq && !is_muted {
        entry.archived_seq = entry.archived_seq.filter(|seq| *seq >= entry.last_seq);
    }
    (entry != *known).then_some(entry)
}
