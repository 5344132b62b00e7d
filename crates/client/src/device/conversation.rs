//! One conversation of a device: its line of numbers, the highest rev heard of, what is loaded, and
//! the requests that keep it right. Frames and answers come in; what is due is asked by `react`.

use super::{
    Options,
    faults::{Fault, Faults},
    line::Line,
    members::{Marks, Members},
    output::{Answer, Asked, Desk, Event, Failure, Output, Request, RequestId},
    window::{Change, Page, Window},
};
use ostracon_domain::{ConversationId, History, Rev, Seq, UserId, UserRev};
use ostracon_proto::{
    Entry, ErrorCode, Member, Position,
    frame::InboxUpdated,
    rest::{self, Anchor, Changes, MessagePage},
};
use std::sync::Arc;

/// The conversation row as held.
pub(super) type Info = ostracon_proto::Conversation<'static>;

/// What a device knows of a conversation.
#[derive(Debug, Clone)]
pub(super) struct Conversation {
    pub(super) id: ConversationId,
    /// The line that every number here belongs to; none before the first was heard of.
    pub(super) history: Option<History>,
    /// The highest rev heard of, loaded or not.
    pub(super) heard: Rev,
    /// The messages, once a page was loaded.
    pub(super) window: Option<Window>,
    pub(super) members: Members,
    pub(super) info: Option<Info>,
    /// One's line of the chat list; none while the list does not name it.
    pub(super) line: Option<Line>,
    /// The user looks at it: it is loaded when it appears, or appears again.
    pub(super) open: bool,
    /// Heard of since the listing under way was asked for.
    pub(super) fresh: bool,
    /// The page wanted, also while it is under way.
    want: Option<Want>,
    page: Option<AskedPage>,
    changes: Option<AskedChanges>,
    members_due: Option<Option<String>>,
    members_asked: Option<RequestId>,
    /// Marks of others may have been missed.
    marks_due: bool,
    /// The server cannot bring one nearer to this rev; asked again when more is heard.
    stalled: Option<Rev>,
}

/// A page that somebody wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Newest,
    Around(Position),
    Before,
    After,
}

#[derive(Debug, Clone, Copy)]
struct AskedChanges {
    id: RequestId,
    since: Rev,
    /// What had been heard of when it was asked: the answer must reach it.
    heard: Rev,
}

#[derive(Debug, Clone, Copy)]
struct AskedPage {
    id: RequestId,
    anchor: Anchor,
    /// What had been heard of when it was asked: a refusal says nothing of what came later.
    heard: Rev,
}

impl Conversation {
    pub(super) fn new(id: ConversationId) -> Self {
        Self {
            id,
            history: None,
            heard: 0,
            window: None,
            members: Members::default(),
            info: None,
            line: None,
            open: false,
            fresh: false,
            want: None,
            page: None,
            changes: None,
            members_due: None,
            members_asked: None,
            marks_due: false,
            stalled: None,
        }
    }

    /// Whether everything heard of is held, and nothing is on its way.
    pub(super) fn is_level(&self) -> bool {
        let behind = self.window.as_ref().is_some_and(|window| {
            window.rev < self.heard || window.midway || window.held.is_some()
        });
        !behind && self.want.is_none() && self.members_due.is_none() && self.members_asked.is_none()
    }

    fn is_loading_or_loaded(&self) -> bool {
        self.window.is_some() || self.want.is_some()
    }

    /// A page is wanted. One at a time: false while another is on its way.
    pub(super) fn want(&mut self, want: Want) -> bool {
        let free = self.want.is_none() && self.window.as_ref().is_none_or(|w| w.held.is_none());
        let due = match (&self.window, want) {
            (None, Want::Newest | Want::Around(_)) => true,
            (Some(window), Want::Before) => window.lo > window.first_seq,
            (Some(window), Want::After) => !window.tail,
            _ => false,
        };
        if free && due {
            self.want = Some(want);
        }
        free && due
    }

    /// Forgets the messages; what was heard of stays.
    pub(super) fn close(&mut self, desk: &mut Desk) {
        self.cancel(desk);
        self.window = None;
        self.members = Members::default();
        self.want = None;
    }

    /// Another history: drop it, cancel its requests, load again what was loaded.
    fn drop_history(
        &mut self,
        history: Option<History>,
        rev: Rev,
        desk: &mut Desk,
        faults: Faults,
    ) {
        let keep = faults.has(Fault::KeepRequests);
        // What the line shows of it is gone as well, and the list may have told it already.
        let shown = self.open || self.line.is_some();
        let had = shown || self.is_loading_or_loaded() || self.page.is_some();
        self.history = history;
        self.heard = rev;
        self.window = None;
        self.members = Members::default();
        self.stalled = None;
        if let Some(line) = &mut self.line {
            line.drop_history();
        }
        if had && !(keep && self.page.is_some()) {
            self.want = Some(Want::Newest);
        }
        if !keep {
            self.cancel(desk);
        }
        desk.dropped(self.id);
        desk.changed(self.id);
    }

    fn cancel(&mut self, desk: &mut Desk) {
        desk.cancel(self.changes.take().map(|asked| asked.id));
        desk.cancel(self.page.take().map(|asked| asked.id));
        desk.cancel(self.members_asked.take());
        self.members_due = None;
        self.marks_due = false;
    }

    /// A shared event: applied when it is the next, remembered in any case.
    pub(super) fn event(
        &mut self,
        history: History,
        rev: Rev,
        change: Change,
        desk: &mut Desk,
        faults: Faults,
    ) {
        self.fresh = true;
        if !self.same_line(history, faults) {
            self.drop_history(Some(history), rev, desk, faults);
            return;
        }
        self.history.get_or_insert(history);
        if let Some(window) = &mut self.window {
            if window.event(rev, change, faults) {
                desk.changed(self.id);
            }
        } else {
            self.appeared();
            if faults.has(Fault::Forget) {
                return;
            }
        }
        self.heard = self.heard.max(rev);
    }

    /// One that is looked at is loaded when it is heard of.
    fn appeared(&mut self) {
        if self.open {
            self.want(Want::Newest);
        }
    }

    /// One's own view moved on. True when the chat list must be asked for more.
    pub(super) fn inbox_updated(
        &mut self,
        frame: &InboxUpdated,
        desk: &mut Desk,
        faults: Faults,
    ) -> bool {
        self.fresh = true;
        desk.changed(self.id);
        if !self.same_line(frame.history, faults) {
            self.drop_history(Some(frame.history), frame.rev, desk, faults);
            self.line.iter_mut().for_each(|line| line.inbox_updated(frame));
            return true;
        }
        // Without its messages, the line's newest message is only known from events and the list.
        let missed = self.window.is_none() && frame.rev > self.heard;
        if self.window.is_some() || !faults.has(Fault::Forget) {
            self.heard = self.heard.max(frame.rev);
            self.history.get_or_insert(frame.history);
        }
        self.appeared();
        self.line.iter_mut().for_each(|line| line.inbox_updated(frame));
        (missed && !faults.has(Fault::Forget)) || self.line.is_none()
    }

    /// An entry of the chat list, read when one's own view was at `user_rev`.
    pub(super) fn entry(
        &mut self,
        entry: Entry<'static>,
        user_rev: UserRev,
        me: UserId,
        desk: &mut Desk,
        faults: Faults,
    ) {
        let history = entry.conversation.history;
        let rev = entry.conversation.rev;
        if self.same_line(history, faults) {
            self.history.get_or_insert(history);
            self.heard = self.heard.max(rev);
        } else {
            self.drop_history(Some(history), rev, desk, faults);
            // The entry has what the line shows.
            if !self.open && self.page.is_none() {
                self.want = None;
            }
        }
        self.members.mark(
            me,
            Marks {
                read_seq: entry.membership.read_seq,
                delivered_seq: entry.membership.delivered_seq,
                mark_rev: 0,
            },
        );
        let last = entry.last_message.map(|message| Arc::new(message.into_owned()));
        let old = self.line.take();
        let position = (rev, user_rev);
        self.line =
            Some(Line::new(old, entry.membership, entry.inbox, last, entry.unread, position));
        self.info(entry.conversation.into_owned());
        self.appeared();
        desk.changed(self.id);
    }

    /// The conversation row, in any order: the higher rev wins.
    pub(super) fn info(&mut self, info: Info) {
        let line = |held: &Info| (held.history == info.history).then_some(held.rev);
        if self.info.as_ref().and_then(line).is_none_or(|rev| rev <= info.rev) {
            self.info = Some(info);
        }
        self.retain();
    }

    /// What was removed is not held either.
    fn retain(&mut self) {
        let info = self.info.as_ref().filter(|info| Some(info.history) == self.history);
        let Some(from) = info.and_then(|info| info.retained_from) else { return };
        self.window.iter_mut().for_each(|window| window.retain(from));
        self.line.iter_mut().for_each(|line| line.retain(from));
    }

    /// One's own read mark moved.
    pub(super) fn read_up_to(&mut self, seq: Seq) {
        let newest = self.newest_seq();
        if let Some(line) = &mut self.line {
            line.read_up_to(seq, newest);
        }
    }

    /// Seq of the newest message heard of.
    pub(super) fn newest_seq(&self) -> Seq {
        let listed = self.line.as_ref().and_then(|line| line.last_message.as_ref());
        let held = self.window.as_ref().filter(|window| window.tail).map(|window| window.hi);
        listed.map_or(0, |row| row.seq).max(held.unwrap_or_default())
    }

    /// The first page begins what is held; a later one joins it.
    fn page(
        &mut self,
        answer: MessagePage<'static>,
        asked: Anchor,
        desk: &mut Desk,
        options: Options,
        faults: Faults,
    ) {
        self.want = None;
        let (history, rev) = (answer.history, answer.rev);
        if !self.same_line(history, faults) {
            self.want = Some(Want::Newest);
            self.drop_history(None, 0, desk, faults);
            return;
        }
        let page = Page::read(answer, asked);
        if let Some(line) = &mut self.line
            && let Some(last) = page.rows.values().next_back().filter(|_| page.tail)
        {
            line.learn(Arc::clone(last));
        }
        desk.changed(self.id);
        match &mut self.window {
            Some(window) => window.page(page, faults),
            None if matches!(asked, Anchor::Before(_) | Anchor::After(_)) => {
                self.want = Some(Want::Newest);
            }
            // Only its line of the list was wanting.
            None if !self.open => {}
            None => {
                self.window = Some(Window::new(page, self.heard));
                self.history = Some(history);
                self.heard = self.heard.max(rev);
                if options.members && self.info.as_ref().is_none_or(|info| !info.large) {
                    self.members_due = Some(None);
                }
            }
        }
        self.retain();
    }

    fn changed(
        &mut self,
        asked: AskedChanges,
        answer: Changes<'static>,
        me: UserId,
        desk: &mut Desk,
        faults: Faults,
    ) {
        if answer.reset {
            self.drop_history(None, 0, desk, faults);
            return;
        }
        let Some(window) = &mut self.window else { return };
        if self.history != Some(answer.history) {
            return;
        }
        if !answer.more && answer.rev <= asked.since && answer.rev < asked.heard {
            // It was asked after that rev was heard of, and says that there is nothing up to it.
            self.stalled = Some(self.heard);
            window.shown_from = None;
        }
        for member in &answer.members {
            self.members.learn(member.clone());
        }
        for receipt in &answer.receipts {
            self.members.receipt(receipt);
        }
        let hidden: Vec<Seq> = answer.hidden.iter().map(|one| one.seq).collect();
        let (info, rev) = (answer.conversation.clone(), answer.rev);
        let last = answer.messages.iter().max_by_key(|message| message.seq);
        if let (Some(line), Some(last)) = (&mut self.line, last) {
            line.learn(Arc::new(last.clone()));
        }
        window.changes(asked.since, answer, faults);
        for seq in hidden {
            window.hide(seq);
            self.line.iter_mut().for_each(|line| line.hide(seq));
        }
        self.heard = self.heard.max(rev);
        if let Some(info) = info {
            self.info(info);
        }
        let own = self.members.marks_of(me).read_seq;
        if own > 0 {
            self.read_up_to(own);
        }
        if let Some(row) = self.members.row(me).cloned() {
            self.own_member(&row, desk);
        }
        desk.changed(self.id);
    }

    /// One's own membership is so now. Who comes back may not read what was said meanwhile: what is
    /// held would keep that gap for ever, so it is loaded again.
    pub(super) fn own_member(&mut self, row: &Member, desk: &mut Desk) {
        if let Some(line) = &mut self.line {
            line.own_member(row);
        }
        let apart = |window: &Window| window.tail && row.joined_seq > window.hi + 1;
        if row.left_seq.is_none() && self.window.as_ref().is_some_and(apart) {
            self.close(desk);
            self.want = Some(Want::Newest);
        }
    }

    /// Takes the answer to one of its requests.
    pub(super) fn answer(
        &mut self,
        id: RequestId,
        answer: Answer,
        me: UserId,
        desk: &mut Desk,
        options: Options,
        faults: Faults,
    ) {
        match answer {
            Answer::Page(page) => {
                if let Some(asked) = self.page.take_if(|asked| asked.id == id) {
                    self.page(page, asked.anchor, desk, options, faults);
                }
            }
            Answer::Changes(changes) => {
                if let Some(asked) = self.changes.take_if(|asked| asked.id == id) {
                    self.changed(asked, changes, me, desk, faults);
                }
            }
            Answer::Members(rest::Members { members, next_cursor }) => {
                self.members_asked.take_if(|asked| *asked == id);
                for member in members {
                    self.members.learn(member);
                }
                self.members_due = next_cursor.map(Some);
                desk.changed(self.id);
            }
            Answer::Sync(_) => {}
        }
    }

    /// A request has no answer. True when the conversation is not there for this user.
    pub(super) fn failed(&mut self, asked: Asked, failure: &Failure, desk: &mut Desk) -> bool {
        let unanswered = matches!(failure, Failure::Again);
        let (members, heard) = match asked {
            Asked::Changes(_) => {
                // It may have been asked for marks, which no rev tells of.
                self.marks_due |= unanswered;
                (false, self.changes.take().map(|asked| asked.heard))
            }
            Asked::Page(_) => (false, self.page.take().map(|asked| asked.heard)),
            Asked::Members(_) => {
                self.members_asked = None;
                (true, None)
            }
            Asked::Sync => return false,
        };
        let Failure::Refused(error) = failure else {
            if members {
                self.members_due = Some(None);
            }
            return false;
        };
        let lost =
            matches!(error.code, ErrorCode::NotFound | ErrorCode::NotMember | ErrorCode::Forbidden);
        if lost && heard.is_some_and(|heard| self.heard > heard) {
            // Refused before what was heard since: it may be there (again).
            return false;
        }
        if !members {
            // Not asked again before something new is heard.
            self.want = None;
            self.stalled = Some(self.heard);
        }
        desk.push(Output::Notify(Event::Refused {
            conversation: self.id,
            error: (**error).clone(),
        }));
        lost && !members
    }

    /// After a reconnect, or when events were dropped: marks of others are asked for where they are
    /// looked at, and what the server could not tell before is asked again.
    pub(super) fn catch_up(&mut self, options: Options) {
        self.marks_due = options.marks && self.window.is_some();
        self.stalled = None;
    }

    /// Asks what is due now.
    pub(super) fn react(&mut self, desk: &mut Desk, options: Options) {
        let id = self.id;
        if self.changes.is_none()
            && let Some(window) = &self.window
        {
            let behind = window.held.is_some() || window.midway || window.rev < self.heard;
            if (behind && self.stalled != Some(self.heard)) || self.marks_due {
                self.marks_due = false;
                let since = window.since();
                let request = Request::Changes {
                    conversation: id,
                    since_rev: since,
                    since_mark: window.mark_rev,
                    history: self.history,
                    limit: options.changes_limit,
                };
                self.changes = Some(AskedChanges {
                    id: desk.ask(Asked::Changes(id), request),
                    since,
                    heard: self.heard,
                });
            }
        }
        if self.page.is_none()
            && let Some(want) = self.want
        {
            let anchor = self.anchor(want);
            let request = Request::Page { conversation: id, anchor, limit: options.page_limit };
            let asked = desk.ask(Asked::Page(id), request);
            self.page = Some(AskedPage { id: asked, anchor, heard: self.heard });
        }
        if self.members_asked.is_none()
            && let Some(cursor) = self.members_due.take()
        {
            let request = Request::Members { conversation: id, cursor };
            self.members_asked = Some(desk.ask(Asked::Members(id), request));
        }
    }

    /// Where a wanted page lies; next to what is held, or the newest when nothing is.
    fn anchor(&mut self, want: Want) -> Anchor {
        match (&self.window, want) {
            (Some(window), Want::Before) => Anchor::Before(Position::Seq(window.lo)),
            (Some(window), Want::After) => Anchor::After(Position::Seq(window.hi)),
            (_, Want::Around(position)) => Anchor::Around(position),
            _ => {
                self.want = Some(Want::Newest);
                Anchor::Newest
            }
        }
    }

    fn same_line(&self, history: History, faults: Faults) -> bool {
        self.history.is_none_or(|own| own == history) || faults.has(Fault::History)
    }
}

#[cfg(test)]
impl Conversation {
    /// The requests under way: changes, page. For tests that compare whole states.
    pub(super) fn under_way(&self) -> (Option<RequestId>, Option<RequestId>) {
        (self.changes.map(|asked| asked.id), self.page.map(|asked| asked.id))
    }

    /// What decides about later requests, besides what is open to the module.
    pub(super) fn intent(&self) -> Intent {
        Intent {
            want: self.want.map(|want| match want {
                Want::Newest => 0,
                Want::Around(_) => 1,
                Want::Before => 2,
                Want::After => 3,
            }),
            marks_due: self.marks_due,
            stalled: self.stalled,
            asked: self.changes.map(|asked| (asked.since, asked.heard)),
        }
    }
}

/// See [`Conversation::intent`].
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Intent {
    pub(super) want: Option<u8>,
    marks_due: bool,
    stalled: Option<Rev>,
    asked: Option<(Rev, Rev)>,
}
