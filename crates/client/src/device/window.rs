//! The messages of one conversation that a device holds: an interval known complete, one's own rev,
//! and a page that waits until it has caught up. Owns the invariant of what is shown: between `lo`
//! and `hi` there is no gap, and no row is older than at the own rev.

use super::faults::{Fault, Faults};
use ostracon_domain::{MarkRev, Millis, Rev, Seq, UserId, message::excerpt};
use ostracon_proto::{
    Message,
    rest::{Anchor, Changes, MessagePage},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A message as it is shared between the device and those who look at it.
pub type Row = Arc<Message<'static>>;

/// What a device holds of a conversation's messages.
#[derive(Debug, Clone)]
pub(super) struct Window {
    /// Rows from `lo` on; those above `hi` lie beyond a gap and are not shown.
    pub(super) rows: BTreeMap<Seq, Row>,
    /// First seq of the interval; at least 1.
    pub(super) lo: Seq,
    /// Last seq of the interval; `lo - 1` when it is empty.
    pub(super) hi: Seq,
    /// Whether the interval ends at the newest message.
    pub(super) tail: bool,
    /// The own rev: what is held is at least the state of this change.
    pub(super) rev: Rev,
    /// All marks up to this one are known.
    pub(super) mark_rev: MarkRev,
    /// Inside a `changes` of several answers: what is held is the state of no rev.
    pub(super) midway: bool,
    /// A page older than the own rev, which is not shown yet.
    pub(super) held: Option<Page>,
    /// First seq that may be read at all.
    pub(super) first_seq: Seq,
    /// Everything below was removed.
    retained: Seq,
    /// Nothing is shown before this rev is reached: the first page was older than what was heard.
    pub(super) shown_from: Option<Rev>,
    /// Which rows quote a seq. May name rows that no longer do.
    replies: BTreeMap<Seq, BTreeSet<Seq>>,
    /// Messages that were deleted for oneself: later states of them show nothing either.
    hidden: BTreeSet<Seq>,
}

/// A page of messages: complete from `lo` to `hi` at its rev.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) rev: Rev,
    pub(super) lo: Seq,
    pub(super) hi: Seq,
    pub(super) rows: BTreeMap<Seq, Row>,
    pub(super) tail: bool,
    first_seq: Seq,
}

/// What an event did to the shared state.
#[derive(Debug)]
pub(super) enum Change {
    /// A message is as given now.
    Row(Row),
    /// A message was deleted.
    Deleted { seq: Seq, rev: Rev, at: Millis, by: UserId },
    /// A member, or the conversation itself: no message changed.
    Other,
}

impl Page {
    pub(super) fn read(answer: MessagePage<'static>, asked: Anchor) -> Self {
        let mut rows = BTreeMap::new();
        // Where an empty page stands follows from what was asked.
        let (mut lo, mut hi) = match asked {
            Anchor::Before(ostracon_proto::Position::Seq(seq)) => (seq, seq.saturating_sub(1)),
            Anchor::After(ostracon_proto::Position::Seq(seq)) => (seq + 1, seq),
            _ => (answer.head_seq + 1, answer.head_seq),
        };
        let mut whole = true;
        for message in answer.messages {
            let seq = message.seq;
            if rows.is_empty() {
                lo = seq;
            } else if seq != hi + 1 {
                whole = false;
                break;
            }
            hi = seq;
            rows.insert(seq, Arc::new(stored(message)));
        }
        Self {
            rev: answer.rev,
            lo,
            hi,
            rows,
            tail: whole && !answer.has_more_after,
            first_seq: answer.first_seq,
        }
    }

    fn is_empty(&self) -> bool {
        self.hi < self.lo
    }

    /// Brings the page nearer to the present.
    fn catch_up(&mut self, answer: &Changes<'static>, faults: Faults) {
        for message in &answer.messages {
            let seq = message.seq;
            requote(self.rows.values_mut(), message);
            if (self.lo..=self.hi).contains(&seq) {
                let newer = self.rows.get(&seq).is_none_or(|held| held.rev < message.rev);
                if newer || faults.has(Fault::Merge) {
                    self.rows.insert(seq, Arc::new(stored(message.clone())));
                }
            } else if self.tail && seq == self.hi + 1 {
                self.rows.insert(seq, Arc::new(stored(message.clone())));
                self.hi = seq;
            } else if self.tail && seq > self.hi {
                // A gap: the page no longer ends at the newest message.
                self.tail = false;
            }
        }
        self.rev = self.rev.max(answer.rev);
    }
}

impl Window {
    /// Begins with a first page. `heard` is the highest rev heard of before.
    pub(super) fn new(page: Page, heard: Rev) -> Self {
        let mut window = Self {
            rows: BTreeMap::new(),
            lo: page.lo,
            hi: page.hi,
            tail: page.tail,
            rev: page.rev,
            hidden: BTreeSet::new(),
            mark_rev: 0,
            midway: false,
            held: None,
            first_seq: page.first_seq,
            retained: 0,
            shown_from: (heard > page.rev).then_some(heard),
            replies: BTreeMap::new(),
        };
        for row in page.rows.into_values() {
            window.insert(row);
        }
        window
    }

    /// Takes a later page: shown at once, or held back until it is as new as the own rev.
    pub(super) fn page(&mut self, page: Page, faults: Faults) {
        if page.rev < self.rev && !faults.has(Fault::PageOld) {
            self.held = Some(page);
        } else {
            self.show(page, faults);
        }
    }

    /// Takes the event of `rev`; false when it must be asked for instead.
    pub(super) fn event(&mut self, rev: Rev, change: Change, faults: Faults) -> bool {
        let next = rev == self.rev + 1 || (rev > self.rev && faults.has(Fault::Jump));
        let applied = next && self.apply(change, faults);
        if applied {
            self.reach(rev);
        }
        applied
    }

    /// Takes the answer of `changes` since `since`.
    pub(super) fn changes(&mut self, since: Rev, answer: Changes<'static>, faults: Faults) {
        if let Some(held) = &mut self.held
            && since <= held.rev
        {
            held.catch_up(&answer, faults);
        }
        for message in answer.messages {
            self.learn(Arc::new(stored(message)), faults);
        }
        if answer.rev > self.rev && since <= self.rev {
            self.reach(answer.rev);
        }
        self.mark_rev = self.mark_rev.max(answer.mark_rev);
        self.midway = answer.more && !faults.has(Fault::More);
        if let Some(held) =
            self.held.take_if(|held| held.rev >= self.rev || faults.has(Fault::Once))
        {
            self.show(held, faults);
        }
    }

    /// A message was deleted for oneself.
    pub(super) fn hide(&mut self, seq: Seq) {
        self.hidden.insert(seq);
        if let Some(row) = self.rows.get_mut(&seq) {
            hide(row);
        }
    }

    /// Messages below a seq were removed.
    pub(super) fn retain(&mut self, from: Seq) {
        if from <= self.retained {
            return;
        }
        self.retained = from;
        self.first_seq = self.first_seq.max(from);
        self.rows = self.rows.split_off(&from);
        self.rows.values_mut().for_each(|row| unquote(row, from));
        if self.lo < from {
            self.lo = from;
            self.hi = self.hi.max(from - 1);
        }
        self.extend();
    }

    /// From where the next `changes` is asked.
    pub(super) fn since(&self) -> Rev {
        self.held.as_ref().map_or(self.rev, |held| held.rev)
    }

    /// The rows to show, by rising seq.
    pub(super) fn shown(&self) -> impl DoubleEndedIterator<Item = &Row> {
        let hidden = self.shown_from.is_some() || self.hi < self.lo;
        let range = if hidden { 1..1 } else { self.lo..self.hi + 1 };
        self.rows.range(range).map(|(_, row)| row)
    }

    fn reach(&mut self, rev: Rev) {
        self.rev = rev;
        self.shown_from.take_if(|from| *from <= rev);
    }

    fn apply(&mut self, change: Change, faults: Faults) -> bool {
        match change {
            Change::Other => {}
            Change::Row(row) => self.learn(row, faults),
            Change::Deleted { seq, rev, at, by } => {
                let Some(held) = self.rows.get(&seq) else {
                    requote_deleted(self.rows.values_mut(), seq);
                    // Beyond a gap the row itself is needed; outside the interval it is not.
                    return seq < self.lo || !self.tail;
                };
                let message = Message::clone(held);
                self.learn(Arc::new(tombstone(message, rev, at, by)), faults);
            }
        }
        true
    }

    /// Merges a page that is not older than the own rev.
    fn show(&mut self, mut page: Page, faults: Faults) {
        if page.lo < self.retained {
            page.rows = page.rows.split_off(&self.retained);
            page.lo = self.retained;
            page.hi = page.hi.max(self.retained - 1);
        }
        page.first_seq = page.first_seq.max(self.retained);
        if page.is_empty() {
            if page.tail && page.lo == self.hi + 1 {
                self.tail = true;
            }
            if page.lo == self.lo {
                self.first_seq = page.first_seq;
            }
            return;
        }
        if page.lo > self.hi + 1 || page.hi + 1 < self.lo {
            return;
        }
        self.tail |= page.tail && page.hi >= self.hi;
        self.lo = self.lo.min(page.lo);
        self.hi = self.hi.max(page.hi);
        self.first_seq = page.first_seq;
        for (seq, row) in page.rows {
            let newer = self.rows.get(&seq).is_none_or(|held| held.rev < row.rev);
            if newer || faults.has(Fault::Merge) {
                self.requote(&row);
                self.insert(row);
            }
        }
        self.extend();
        if faults.has(Fault::PageRev) && page.rev > self.rev {
            self.rev = page.rev;
        }
    }

    /// Takes a state of a message, unless a newer one is held.
    fn learn(&mut self, row: Row, faults: Faults) {
        let seq = row.seq;
        let newer = self.rows.get(&seq).is_none_or(|held| held.rev < row.rev);
        if !newer && !faults.has(Fault::Merge) {
            return;
        }
        self.requote(&row);
        if seq < self.lo || (seq > self.hi + 1 && !self.tail) {
            return;
        }
        self.insert(row);
        if faults.has(Fault::ShowAll) {
            self.hi = self.hi.max(seq);
        }
        self.extend();
    }

    fn extend(&mut self) {
        while self.rows.contains_key(&(self.hi + 1)) {
            self.hi += 1;
        }
    }

    fn insert(&mut self, mut row: Row) {
        if self.hidden.contains(&row.seq) {
            hide(&mut row);
        }
        unquote(&mut row, self.retained);
        if let Some(quoted) = row.reply_to.as_ref().map(|reply| reply.seq) {
            self.replies.entry(quoted).or_default().insert(row.seq);
            if let Some(held) = self.rows.get(&quoted) {
                requote([&mut row], held);
            }
        }
        self.rows.insert(row.seq, row);
    }

    /// What replies show of a message follows its newest known state.
    fn requote(&mut self, message: &Message<'_>) {
        for seq in self.replies.get(&message.seq).into_iter().flatten() {
            requote(self.rows.get_mut(seq), message);
        }
    }
}

/// As rows are kept: what only events carry is left out.
pub(super) fn stored(message: Message<'static>) -> Message<'static> {
    Message { history: None, mark_rev: None, ..message }
}

fn tombstone(message: Message<'static>, rev: Rev, at: Millis, by: UserId) -> Message<'static> {
    Message {
        rev,
        content_rev: rev,
        content: None,
        edited_at: None,
        deleted_at: Some(at),
        deleted_by: Some(by),
        reply_to: None,
        mentions: Vec::new(),
        attachments: Vec::new(),
        reactions: Vec::new(),
        pinned_at: None,
        expires_at: None,
        ..message
    }
}

/// Of a removed message nothing is quoted.
fn unquote(row: &mut Row, retained: Seq) {
    if row.reply_to.as_ref().is_some_and(|reply| reply.seq < retained) {
        Arc::make_mut(row).reply_to = None;
    }
}

fn requote<'a>(rows: impl IntoIterator<Item = &'a mut Row>, quoted: &Message<'_>) {
    if quoted.withheld {
        return;
    }
    let text = excerpt(quoted.content.as_deref().unwrap_or_default());
    set_excerpt(rows, quoted.seq, &text);
}

fn requote_deleted<'a>(rows: impl IntoIterator<Item = &'a mut Row>, seq: Seq) {
    set_excerpt(rows, seq, "");
}

fn set_excerpt<'a>(rows: impl IntoIterator<Item = &'a mut Row>, seq: Seq, text: &str) {
    for row in rows {
        let stale =
            row.reply_to.as_ref().is_some_and(|reply| reply.seq == seq && reply.excerpt != text);
        if stale && let Some(reply) = &mut Arc::make_mut(row).reply_to {
            reply.excerpt = Cow::Owned(text.to_owned());
        }
    }
}

/// Takes away what one has deleted for oneself; its place and its quotes stay.
pub(super) fn hide(row: &mut Row) {
    if row.hidden {
        return;
    }
    let row = Arc::make_mut(row);
    row.hidden = true;
    row.content = None;
    row.reply_to = None;
    row.mentions = Vec::new();
    row.attachments = Vec::new();
    row.reactions = Vec::new();
}
