//! A user's own rows.

use std::collections::BTreeMap;

use super::room::{ALICE, Ids, Room, START, UNIT};
use crate::{
    Applied, Context, ConversationId, History, InboxAction, InboxChange, InboxCommand, InboxEntry,
    InboxSlice, Limits, Outcome, Refusal, RefusalCode, Row, decide_inbox,
};

/// Alice's list as a store would hold it.
struct List(InboxSlice, Ids);

impl List {
    fn new() -> Self {
        Self(InboxSlice::default(), Ids::new())
    }

    fn run(&mut self, action: InboxAction) -> Result<Vec<Row>, Refusal> {
        let mut slice = InboxSlice::default();
        slice.state = self.0.state.clone();
        slice.entries = self.0.entries.clone();
        let command = InboxCommand { user: ALICE, action };
        let limits = Limits::default();
        let mut context = Context { now: START, unit: UNIT, limits: &limits, ids: &mut self.1 };
        let outcome = decide_inbox(&mut slice, &command, &mut context)?;
        let rows = slice.clone().into_changes();
        let Outcome::Inbox { entries } = outcome else {
            panic!("not an inbox: {outcome:?}");
        };
        let changed: Vec<_> = rows
            .iter()
            .filter_map(|row| match row {
                Row::Inbox(entry) => Some(entry.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(entries, changed, "the answer is what has changed");
        let before = self.0.state.as_ref().map_or(0, |state| state.user_rev);
        let revs: Vec<u64> = changed.iter().map(|entry| entry.user_rev).collect();
        let expect: Vec<u64> = (before + 1..).take(revs.len()).collect();
        assert_eq!(revs, expect, "a number for each change");
        let now = slice.state.as_ref().map_or(0, |state| state.user_rev);
        assert_eq!(now, before + revs.len() as u64);
        assert_eq!(rows.len(), changed.len() + usize::from(!changed.is_empty()));
        (self.0.state, self.0.entries) = (slice.state, slice.entries);
        Ok(rows)
    }

    fn apply(&mut self, change: InboxChange) -> bool {
        !self.run(InboxAction::Apply(vec![change])).expect("never refused").is_empty()
    }

    fn entry(&self) -> &InboxEntry {
        &self.0.entries[&Room::group_id()]
    }
}

fn change(history: u64, rev: u64, mark_rev: u64) -> InboxChange {
    InboxChange {
        conversation: Room::group_id(),
        applied: Applied { history: History(history), rev, mark_rev },
        last_seq: rev / 2,
        last_activity_at: START + rev as i64,
        view: None,
        large: false,
        removed: false,
    }
}

#[test]
fn an_entry_follows_its_conversation_and_never_goes_back() {
    let mut list = List::new();
    assert!(list.apply(change(1, 4, 4)));
    let state = list.0.state.clone().expect("a state");
    assert_eq!((state.unit, state.slot, state.user_rev), (UNIT, ALICE.slot(), 1));
    assert!(list.apply(change(1, 6, 5)));
    for old in [change(1, 6, 5), change(1, 4, 4), change(1, 6, 0), change(1, 0, 5)] {
        assert!(!list.apply(old));
    }
    assert!(list.apply(change(1, 2, 9)));
    let entry = list.entry();
    assert_eq!((entry.applied.rev, entry.applied.mark_rev), (6, 9));
    assert_eq!((entry.last_seq, entry.last_activity_at), (3, START + 6));
    assert_eq!(list.0.state.as_ref().map(|state| state.history), Some(state.history));
}

#[test]
fn another_history_always_applies() {
    let mut list = List::new();
    let far = InboxChange { view: Some((9, Some(5))), large: true, ..change(1, 50, 50) };
    list.apply(far);
    let pin = InboxAction::Set {
        conversation: Room::group_id(),
        pinned: Some(true),
        archived: None,
        marked_unread: None,
        draft: None,
    };
    list.run(pin).expect("allowed");
    assert!(list.apply(change(2, 3, 1)));
    let entry = list.entry();
    assert_eq!(entry.applied, change(2, 3, 1).applied);
    assert_eq!((entry.last_seq, entry.large, entry.pinned), (1, false, true));
    assert_eq!((entry.hidden_to, entry.muted_until), (9, Some(5)), "until it says otherwise");
    let view = InboxChange { view: Some((0, None)), ..change(3, 1, 0) };
    assert!(list.apply(view));
    assert_eq!((list.entry().hidden_to, list.entry().muted_until), (0, None));
}

#[test]
fn an_older_change_brings_back_neither_view_nor_size() {
    let mut list = List::new();
    list.apply(InboxChange { view: Some((5, Some(7))), large: true, ..change(1, 10, 10) });
    let old = InboxChange { view: Some((1, None)), large: false, ..change(1, 9, 9) };
    assert!(!list.apply(old));
    list.apply(InboxChange { view: Some((6, None)), large: false, ..change(1, 11, 11) });
    let entry = list.entry();
    assert_eq!((entry.hidden_to, entry.muted_until, entry.large), (6, None, false));
}

#[test]
fn own_settings_need_an_entry_that_is_there() {
    let set = |pinned, archived, marked_unread| InboxAction::Set {
        conversation: Room::group_id(),
        pinned,
        archived,
        marked_unread,
        draft: None,
    };
    let mut list = List::new();
    let refusal = list.run(set(Some(true), None, None)).expect_err("no entry");
    assert_eq!(refusal.code, RefusalCode::NotFound);
    list.apply(change(1, 8, 8));
    list.run(set(Some(true), Some(true), Some(true))).expect("allowed");
    let entry = list.entry();
    assert!(entry.pinned && entry.marked_unread && entry.archived_seq == Some(4));
    list.apply(change(1, 9, 9));
    // Archived again: where it was archived first.
    assert!(list.run(set(None, Some(true), None)).expect("allowed").is_empty());
    assert_eq!(list.entry().archived_seq, Some(4));
    list.run(set(None, Some(false), None)).expect("allowed");
    assert_eq!((list.entry().archived_seq, list.entry().pinned), (None, true));
    list.apply(InboxChange { removed: true, ..change(1, 11, 9) });
    list.apply(change(1, 12, 9));
    assert!(list.entry().removed && list.entry().is_hidden());
    list.run(set(Some(false), None, None)).expect_err("gone");
}

#[test]
fn hidden_means_nothing_newer() {
    let mut list = List::new();
    list.apply(InboxChange { view: Some((4, None)), ..change(1, 8, 1) });
    assert!(list.entry().is_hidden());
    list.apply(change(1, 10, 1));
    assert!(!list.entry().is_hidden());
    // An empty conversation is not hidden by being empty.
    let mut list = List::new();
    list.apply(change(1, 0, 0));
    assert!(!list.entry().is_hidden());
}

#[test]
fn merging_first_gives_what_applying_one_by_one_gives() {
    let mut pieces = Vec::new();
    for history in [1, 1, 1, 2] {
        for (rev, mark) in [(3, 3), (5, 4), (4, 6)] {
            for view in [None, Some((rev, Some(mark as i64)))] {
                pieces.push(InboxChange {
                    view,
                    large: rev == 5,
                    removed: rev == 4 && history == 2,
                    ..change(history, rev, mark)
                });
            }
        }
    }
    // Changes in the order of their commits; one of the view has a mark rev of its own.
    let in_order = |a: &InboxChange, b: &InboxChange| {
        let rising = a.applied.rev <= b.applied.rev && a.applied.mark_rev <= b.applied.mark_rev;
        let own = b.view.is_none() || a.applied.mark_rev < b.applied.mark_rev;
        a.applied.history != b.applied.history || (rising && own)
    };
    let mut checked = 0;
    for a in &pieces {
        for b in pieces.iter().filter(|b| in_order(a, b)) {
            let (mut apart, mut together) = (List::new(), List::new());
            apart.apply(a.clone());
            apart.apply(b.clone());
            let mut merged = a.clone();
            merged.merge(b.clone());
            together.apply(merged);
            let strip = |list: &List| -> BTreeMap<ConversationId, InboxEntry> {
                let entries = list.0.entries.iter();
                entries.map(|(id, e)| (*id, InboxEntry { user_rev: 0, ..(**e).clone() })).collect()
            };
            assert_eq!(strip(&apart), strip(&together), "{a:?} then {b:?}");
            checked += 1;
        }
    }
    assert!(checked > 100);
}

#[test]
fn a_new_message_brings_an_archived_conversation_back_unless_it_is_silent() {
    let set = |archived| InboxAction::Set {
        conversation: Room::group_id(),
        pinned: None,
        archived: Some(archived),
        marked_unread: None,
        draft: None,
    };
    let mut list = List::new();
    list.apply(change(1, 8, 8));
    list.run(set(true)).expect("allowed");
    list.apply(change(1, 9, 8));
    assert_eq!(list.entry().archived_seq, Some(4), "no new message");
    list.apply(change(1, 10, 8));
    assert_eq!(list.entry().archived_seq, None);
    list.run(set(true)).expect("allowed");
    list.apply(InboxChange { view: Some((0, Some(START + 1_000_000))), ..change(1, 12, 9) });
    assert_eq!(list.entry().archived_seq, Some(5), "silent");
    list.apply(InboxChange { view: Some((0, Some(START - 1))), ..change(1, 14, 10) });
    assert_eq!(list.entry().archived_seq, None, "not silent any more");
}

#[test]
fn a_draft_is_kept_until_it_is_taken_away() {
    let draft = |text: Option<&str>| InboxAction::Set {
        conversation: Room::group_id(),
        pinned: None,
        archived: None,
        marked_unread: None,
        draft: Some(text.map(str::to_owned)),
    };
    let mut list = List::new();
    list.apply(change(1, 8, 8));
    list.run(draft(Some("beg"))).expect("allowed");
    assert!(list.run(draft(Some("beg"))).expect("allowed").is_empty());
    list.apply(change(1, 10, 8));
    assert_eq!(list.entry().extra.clone().and_then(|extra| extra.draft).as_deref(), Some("beg"));
    for long in ["x".repeat(10_001), "\0".to_owned()] {
        let refusal = list.run(draft(Some(&long))).expect_err("no text");
        assert_eq!((refusal.code, refusal.field), (RefusalCode::Invalid, Some("draft")));
    }
    list.run(draft(Some(""))).expect("allowed");
    assert!(list.entry().extra.is_none());
    assert!(list.run(draft(None)).expect("allowed").is_empty());
}
