//! One shard's dispatcher: from a durable batch to everybody whom it concerns, in commit order.
//!
//! It never waits on a committer, nor on another shard. Its cursor passes a batch only when the list changes that follow from it are
//! committed, so that a crash repeats and never forgets; everything it does may be done twice.

use std::{slice, sync::Arc};

use metrics::Histogram;
use ostracon_domain::{
    Applied, Conversation, ConversationId, InboxChange, Member, Outcome, Row, Seq, UnitAt, UserId,
    limits::LARGE_ABOVE,
};
use ostracon_store::{Position, Shard, ShardError, Undispatched};
use rustc_hash::FxHashSet;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    aside::{Aside, Brought, LeftOver},
    audience::{Audience, Audiences, is_birth},
    batch_lists::{BatchLists, ListChange},
    committer::{Asker, Committed, Decided, Handed},
    connection::Connection,
    engine::Core,
    event::{self, Event, Frames},
    heat::Cost,
    limits::{AUDIENCES_MAX, LARGE_COALESCE, READ_RETRY},
    teller,
};

pub(crate) struct Dispatcher {
    shard: Arc<dyn Shard>,
    audiences: Audiences,
    /// Costs of the batch that is dispatched.
    costs: Vec<Cost>,
    /// Ends waiting for a shard that does not answer.
    stop: CancellationToken,
    /// What a crash may have left was done again.
    has_repeated: bool,
    /// Whether everything so far has reached the lanes, but for what is set aside: only then may the cursor follow.
    complete: bool,
    /// What a crash left and cannot be done again yet.
    aside: Aside,
    /// Where the cursor may go once nothing is set aside any more.
    held: Option<Position>,
    /// The newest batch that has been dispatched.
    last: Position,
    lost: Lost,
    /// Conversations whose damaged rows are in the log already.
    damaged: FxHashSet<ConversationId>,
    written: Written,
}

/// Commits without an answer, which may have been carried out. Nobody hands such a batch over: it has to be looked for.
#[derive(Default)]
struct Lost {
    /// There may be some behind the last batch and before the next.
    possible: bool,
    /// Nobody has looked for them yet.
    look: bool,
    /// Batches up to here were found, and told as well as they can be.
    told: Position,
}

/// The most batches that are read at once.
const AT_ONCE: u32 = 1_000;

/// New messages of each batch that has some, and the bytes of their texts.
struct Written {
    messages: Histogram,
    bytes: Histogram,
}

impl Written {
    fn of(shard: &dyn Shard) -> Self {
        let shard = shard.id().to_string();
        Self {
            messages: metrics::histogram!("commit_messages", "shard" => shard.clone()),
            bytes: metrics::histogram!("commit_message_bytes", "shard" => shard),
        }
    }

    fn count(&self, items: &[(Asker, Decided)]) {
        let (mut messages, mut bytes) = (0u32, 0);
        for (_, decided) in items {
            if let Decided::Done {
                outcome: Outcome::Sent { message, duplicate: false, .. }, ..
            } = decided
            {
                messages += 1;
                bytes += message.message.content.len();
            }
        }
        if messages > 0 {
            self.messages.record(messages);
            self.bytes.record(bytes as f64);
        }
    }
}

impl Dispatcher {
    pub(crate) fn new(shard: Arc<dyn Shard>, stop: CancellationToken) -> Self {
        Self {
            written: Written::of(&*shard),
            shard,
            audiences: Audiences::default(),
            costs: Vec::new(),
            stop,
            has_repeated: false,
            complete: true,
            aside: Aside::default(),
            held: None,
            last: 0,
            lost: Lost::default(),
            damaged: FxHashSet::default(),
        }
    }

    /// Repeats before anybody is served, if the shard answers; else [`run`](Self::run) does it first of all.
    pub(crate) async fn repeat_at_start(&mut self, core: &Arc<Core>) -> Result<(), ShardError> {
        match self.repeat(core).await {
            Err(ShardError::Unavailable(why)) => {
                tracing::warn!(shard = %self.shard.id(), why, "a shard does not answer; the others serve");
                Ok(())
            }
            repeated => repeated,
        }
    }

    /// Repeats as soon as the shard answers; `false` when it was stopped before. Batches that were committed meanwhile are
    /// among them and are done once more in their own turn.
    async fn repeat_late(&mut self, core: &Arc<Core>) -> bool {
        while !self.has_repeated {
            let Err(error) = self.repeat(core).await else { break };
            if !may_pass(&error) {
                let shard = self.shard.id();
                tracing::error!(%shard, %error, "what a crash left could not be read");
                return false;
            }
            tokio::select! {
                () = tokio::time::sleep(READ_RETRY) => {}
                () = self.stop.cancelled() => return false,
            }
        }
        true
    }

    /// Repeats what may not have taken effect before a crash. Its events were for connections that are gone: only lists
    /// are brought up to date. Members are read where the conversation lives now; what lives on a shard that does not
    /// answer is set aside, and only the cursor waits for it.
    pub(crate) async fn repeat(&mut self, core: &Arc<Core>) -> Result<(), ShardError> {
        self.aside = Aside::default();
        self.held = None;
        let mut after = None;
        loop {
            let batches = self.shard.undispatched(after, AT_ONCE).await?;
            let Some(last) = batches.last() else {
                self.has_repeated = true;
                self.aside.begin(core, &self.stop);
                return Ok(());
            };
            after = Some(last.position);
            for Undispatched { position, rows } in &batches {
                core.away.iter().for_each(|away| away.note_rows(self.shard.id(), rows));
                for left in LeftOver::of(rows) {
                    self.repeat_one(core, left).await?;
                }
                core.media_uses.put(rows);
                self.last = self.last.max(*position);
                self.pass(core, *position);
            }
        }
    }

    async fn repeat_one(&mut self, core: &Arc<Core>, left: LeftOver) -> Result<(), ShardError> {
        let LeftOver { conversation, members } = &left;
        let id = conversation.id;
        match core.place(id) {
            Ok((at, home)) if home == self.shard.id() => {
                if concerns_everybody(conversation, members)
                    && let Err(error) = self.audiences.learn(&self.shard, at, id, members).await
                {
                    if may_pass(&error) {
                        return Err(error);
                    }
                    self.note_damage(id, &error);
                    self.complete = false;
                    return Ok(());
                }
                put_lists(core, self.audiences.get(id), conversation, members);
                self.forget_large(conversation);
            }
            _ => match self.aside.bring(core, &left).await {
                Brought::Done => {}
                Brought::Later => self.aside.put(left),
                Brought::Never => self.complete = false,
            },
        }
        Ok(())
    }

    /// Runs until the committer is gone.
    pub(crate) async fn run(mut self, core: Arc<Core>, mut handed: mpsc::Receiver<Handed>) {
        self.complete &= self.repeat_late(&core).await;
        loop {
            let next = tokio::select! {
                biased;
                next = handed.recv() => next,
                all = self.aside.done(), if !self.aside.is_empty() => {
                    self.complete &= all;
                    if let Some(position) = self.held.take().filter(|_| all) {
                        self.mark(&core, position);
                    }
                    continue;
                }
                () = tokio::time::sleep(READ_RETRY), if self.lost.look => {
                    core.dispatch_gate.pass().await;
                    self.look_for_lost(&core).await;
                    continue;
                }
            };
            let Some(next) = next else { return };
            core.dispatch_gate.pass().await;
            match next {
                Handed::Batch(batch) => self.dispatch(&core, batch).await,
                Handed::Unknown => self.may_be_lost(),
                Handed::Barrier(passed) => {
                    // Where nobody can tell what was committed, who asked is told so.
                    if !self.lost.possible || self.find_lost(&core, Position::MAX).await.is_ok() {
                        // Who asked may have gone away.
                        passed.send(()).ok();
                    }
                }
            }
        }
    }

    async fn dispatch(&mut self, core: &Arc<Core>, batch: Committed) {
        let Committed { position, items, more_may_be } = batch;
        if self.lost.possible {
            let changed = |decided: &Decided| matches!(decided, Decided::Done { rows, .. } if !rows.is_empty());
            let is_own = items.iter().any(|(_, decided)| changed(decided));
            // A batch that changed nothing has no place of its own.
            let before = if is_own { position.saturating_sub(1) } else { position };
            self.find_lost_before(core, before).await;
        }
        if more_may_be {
            self.may_be_lost();
        }
        self.written.count(&items);
        self.feed_search(core, &items);
        note_timers(core, &items);
        let was_told = position <= self.lost.told;
        let mut lists = BatchLists::of(&items);
        for (asker, decided) in items {
            match decided {
                Decided::Done { outcome, rows } => {
                    core.media_uses.put(&rows);
                    let told = self.done(core, &mut lists, asker, outcome, rows, was_told).await;
                    self.complete &= told;
                }
                Decided::Refused(refusal) => asker.reply.fail(refusal.into()),
            }
        }
        core.heat.add(self.costs.drain(..));
        self.last = self.last.max(position);
        self.pass(core, self.last);
    }

    /// Names the conversations that moved on to the shard's index, which reads them later.
    fn feed_search(&self, core: &Core, items: &[(Asker, Decided)]) {
        let Some(search) = &core.search else { return };
        search.traffic(items.len());
        let Some(feed) = search.known_feed(self.shard.id()) else { return };
        feed.note(items.iter().filter_map(|(_, decided)| match decided {
            Decided::Done { outcome: Outcome::Marked { .. }, .. } | Decided::Refused(_) => None,
            Decided::Done { rows, .. } => rows.iter().rev().find_map(|row| match row {
                Row::Conversation(row) => Some((row.id, row.rev)),
                _ => None,
            }),
        }));
    }

    const fn may_be_lost(&mut self) {
        self.lost.possible = true;
        self.lost.look = true;
    }

    /// Looks for what was committed without an answer, before anybody commits something else. What is not there yet may
    /// still come: whoever is dispatched next looks again.
    async fn look_for_lost(&mut self, core: &Arc<Core>) {
        match self.find_lost(core, Position::MAX).await {
            Err(error) if may_pass(&error) => {}
            // Else the next batch says what is wrong.
            _ => self.lost.look = false,
        }
    }

    /// Dispatches what was committed without an answer before a batch. Like members that cannot be read: nobody would make
    /// up for it later.
    async fn find_lost_before(&mut self, core: &Arc<Core>, up_to: Position) {
        while let Err(error) = self.find_lost(core, up_to).await {
            if !may_pass(&error) {
                let shard = self.shard.id();
                tracing::error!(%shard, %error, "what was committed without an answer could not be read");
                self.complete = false;
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(READ_RETRY) => {}
                () = self.stop.cancelled() => {
                    self.complete = false;
                    return;
                }
            }
        }
        self.lost.possible = false;
        self.lost.look = false;
    }

    /// Dispatches batches behind the last one, up to and including a position.
    async fn find_lost(&mut self, core: &Arc<Core>, up_to: Position) -> Result<(), ShardError> {
        loop {
            let batches = self.shard.undispatched(Some(self.last), AT_ONCE).await?;
            if batches.is_empty() {
                return Ok(());
            }
            for Undispatched { position, rows } in batches {
                if position > up_to {
                    return Ok(());
                }
                self.tell_lost(core, &rows).await;
                core.media_uses.put(&rows);
                self.last = position;
                self.lost.told = position;
                self.pass(core, position);
            }
        }
    }

    /// Brings lists up to date with a batch that nobody handed over. What its commands answered is not known, so there
    /// are no events: whom it concerns is told to ask.
    async fn tell_lost(&mut self, core: &Arc<Core>, rows: &[Row]) {
        core.away.iter().for_each(|away| away.note_rows(self.shard.id(), rows));
        for row in rows {
            if let Row::Inbox(entry) = row {
                teller::tell(core, slice::from_ref(entry));
            }
        }
        for LeftOver { conversation, members } in LeftOver::of(rows) {
            let id = conversation.id;
            if let Some(feed) =
                core.search.as_ref().and_then(|search| search.known_feed(self.shard.id()))
            {
                feed.note([(id, conversation.rev)].into_iter());
            }
            let Ok((at, _)) = core.place(id) else {
                self.complete = false;
                continue;
            };
            if concerns_everybody(&conversation, &members) && !self.learn(at, id, &members).await {
                self.complete = false;
                continue;
            }
            core.typing.changed(id);
            let before = core.hub.large.get(id);
            self.update_lists(core, &conversation, &members);
            if conversation.large {
                self.tell_large(core, &conversation, &members, &[], None);
            } else {
                self.tell_members(core, &conversation, &[], None);
            }
            for row in &members {
                let Row::Member(member) = row else { continue };
                if conversation.large && member.is_present() {
                    subscribe(core, id, member.user, member.joined_seq);
                } else if conversation.large {
                    core.hub.large.leave(id, member.user);
                }
                core.hub.each(member.user, |connection| connection.missed());
            }
            if let Some(group) = core.hub.large.get(id).or(before) {
                group.missed();
            }
            if let Some(audience) = self.audiences.get(id) {
                for user in audience.listed(&conversation) {
                    core.hub.each(user, |connection| connection.missed());
                }
            }
            self.forget_large(&conversation);
        }
    }

    /// Lets the cursor follow to a batch, if everything up to there has reached the lanes.
    fn pass(&mut self, core: &Core, position: Position) {
        if !self.complete {
            return;
        }
        if self.aside.is_empty() {
            self.mark(core, position);
        } else {
            self.held = Some(position);
        }
    }

    fn mark(&self, core: &Core, position: Position) {
        let source = self.shard.id();
        // A lane that appears right now is marked here, or begins with this mark of the others.
        let _no_lane_appears = core.marking.lock();
        for lane in core.topology.load().all_lanes() {
            lane.mark(source, position);
        }
        core.media_uses.mark(source, position);
        core.away.iter().for_each(|away| away.mark(source, position));
    }

    /// Tells everybody whom a command concerns, unless they were told, then who asked; `false` when it could not tell
    /// the members.
    async fn done(
        &mut self,
        core: &Arc<Core>,
        lists: &mut BatchLists,
        asker: Asker,
        outcome: Outcome,
        rows: Vec<Row>,
        was_told: bool,
    ) -> bool {
        let conversation = rows.iter().rev().find_map(|row| match row {
            Row::Conversation(row) => Some(Arc::clone(row)),
            _ => None,
        });
        let mut told = true;
        if let Some(conversation) = &conversation {
            self.costs.push(Cost::of_write(asker.at.unit, conversation, &outcome));
            told = was_told || self.tell(core, lists, &asker, conversation, &outcome, &rows).await;
        } else if let Outcome::Inbox { entries } = &outcome {
            let users = entries.first().map(|entry| entry.user);
            self.costs.extend(users.map(|user| Cost::of_list(asker.at.unit, user)));
            teller::tell(core, entries);
        }
        if let (Some(connection), Some(id)) = (asker.reply.origin(), asker.conversation) {
            // The answer must not overtake what is held back.
            if let Some(group) = core.hub.large.get(id) {
                group.flush_to(connection.id);
            }
        }
        asker.reply.done(outcome, conversation.as_ref());
        told
    }

    /// Events to the members' connections, and changes of their lists; `false` when the members could
    /// not be read, or the engine stopped before they could be.
    async fn tell(
        &mut self,
        core: &Core,
        lists: &mut BatchLists,
        asker: &Asker,
        conversation: &Arc<Conversation>,
        outcome: &Outcome,
        rows: &[Row],
    ) -> bool {
        if concerns_everybody(conversation, rows)
            && !self.learn(asker.at, conversation.id, rows).await
        {
            return false;
        }
        if let (Some(away), Outcome::Sent { message, duplicate: false, .. }) = (&core.away, outcome)
        {
            let audience = self.audiences.get(conversation.id);
            away.note(self.shard.id(), conversation, &message.message, audience);
        }
        let origin = asker.reply.origin().map(|connection| connection.id);
        let events = event::events(outcome, rows, asker.told);
        if events.iter().any(Event::changes_members) {
            core.typing.changed(conversation.id);
        }
        if conversation.large {
            // Lists come first: a connection that is made right now finds the group there, or is found here.
            self.update_lists(core, conversation, rows);
            self.tell_large(core, conversation, rows, &events, origin);
        } else {
            self.tell_members(core, conversation, &events, origin);
            match lists.next(conversation.id) {
                ListChange::Last(last, rows) => self.update_lists(core, &last, &rows),
                ListChange::Done => {}
                ListChange::Own => self.update_lists(core, conversation, rows),
            }
        }
        self.forget_large(conversation);
        true
    }

    /// Learns who is a member. A shard that does not answer is asked again and again: its dispatcher has nothing
    /// better to do, and what it left out now nobody would make up for. Damaged rows are left to a person.
    async fn learn(&mut self, at: UnitAt, id: ConversationId, rows: &[Row]) -> bool {
        let mut said = false;
        while let Err(error) = self.audiences.learn(&self.shard, at, id, rows).await {
            if !may_pass(&error) {
                self.note_damage(id, &error);
                return false;
            }
            if !std::mem::replace(&mut said, true) {
                let shard = self.shard.id();
                tracing::error!(%shard, %error, "members could not be read; events wait until they can be");
            }
            tokio::select! {
                () = tokio::time::sleep(READ_RETRY) => {}
                () = self.stop.cancelled() => return false,
            }
        }
        true
    }

    fn note_damage(&mut self, conversation: ConversationId, error: &ShardError) {
        if self.damaged.len() >= AUDIENCES_MAX {
            self.damaged.clear();
        }
        if self.damaged.insert(conversation) {
            let shard = self.shard.id();
            tracing::error!(%shard, %conversation, %error, "members cannot be read; nobody is told of changes");
        }
    }

    fn tell_members(
        &self,
        core: &Core,
        conversation: &Arc<Conversation>,
        events: &[Event<'_>],
        origin: Option<u64>,
    ) {
        let may_have_been_large = conversation.info_rev == conversation.rev;
        if may_have_been_large || core.hub.large.get(conversation.id).is_some() {
            // The rev that ends being large is told to each member, after what was held back.
            core.hub.large.end(conversation.id);
        }
        let Some(audience) = self.audiences.get(conversation.id) else {
            return;
        };
        for event in events {
            let mut frames = Frames::new(event, conversation, &*core.addresses);
            if let Some(member) = event.only() {
                deliver(core, member.user, member.joined_seq, origin, &mut frames);
                continue;
            }
            for (user, joined_seq) in audience.present_at(conversation, event.seq()) {
                if event.only_for().is_some_and(|only| only != user) {
                    continue;
                }
                deliver(core, user, joined_seq, origin, &mut frames);
            }
            if let Some(gone) = concerned(event).filter(|member| !member.is_present()) {
                deliver(core, gone.user, gone.joined_seq, origin, &mut frames);
            }
        }
    }

    fn tell_large(
        &self,
        core: &Core,
        conversation: &Arc<Conversation>,
        rows: &[Row],
        events: &[Event<'_>],
        origin: Option<u64>,
    ) {
        let id = conversation.id;
        if became_large(conversation, rows)
            && let Some(audience) = self.audiences.get(id)
        {
            for (user, joined_seq) in audience.present(conversation) {
                subscribe(core, id, user, joined_seq);
            }
        }
        for event in events {
            if let Event::Receipt { member, .. } | Event::Hidden { member, .. } = event {
                // Marks of others are not shown in large groups, and what is private nowhere.
                let mut frames = Frames::new(event, conversation, &*core.addresses);
                deliver(core, member.user, member.joined_seq, origin, &mut frames);
                continue;
            }
            let member = concerned(event);
            if let Some(member) = member.filter(|member| member.is_present()) {
                subscribe(core, id, member.user, member.joined_seq);
            }
            if let Some(group) = core.hub.large.get(id)
                && group.hold(
                    conversation,
                    &mut Frames::new(event, conversation, &*core.addresses),
                    origin,
                )
            {
                tokio::spawn(async move {
                    tokio::time::sleep(LARGE_COALESCE).await;
                    group.flush();
                });
            }
            if let Some(member) = member.filter(|member| !member.is_present()) {
                core.hub.large.leave(id, member.user);
            }
        }
        if conversation.deleted_at.is_some() {
            core.hub.large.end(id);
        }
    }

    fn update_lists(&self, core: &Core, conversation: &Arc<Conversation>, rows: &[Row]) {
        put_lists(core, self.audiences.get(conversation.id), conversation, rows);
    }

    /// Nothing is kept of large groups, whose lists may be very long, nor of those that are gone.
    fn forget_large(&mut self, conversation: &Conversation) {
        if conversation.large || conversation.deleted_at.is_some() {
            self.audiences.forget(conversation.id);
        }
    }
}

/// Puts a change into the lanes of those whose lists it moves: all members, or in a large group those it names.
pub(crate) fn put_lists(
    core: &Core,
    audience: Option<&Audience>,
    conversation: &Arc<Conversation>,
    rows: &[Row],
) {
    let change = |row: Option<&Arc<Member>>| InboxChange {
        conversation: conversation.id,
        applied: Applied {
            history: conversation.history,
            rev: conversation.rev,
            mark_rev: conversation.mark_rev,
        },
        // What is said of somebody's leaving is not for him.
        last_seq: row.and_then(|row| row.left_seq).unwrap_or(conversation.head_seq),
        last_activity_at: conversation.last_activity_at,
        view: row.map(|row| (row.hidden_to, row.muted_until)),
        large: conversation.large,
        removed: conversation.deleted_at.is_some(),
    };
    for row in rows {
        if let Row::Member(row) = row {
            core.lists.put(core, row.user, change(Some(row)));
        }
    }
    if concerns_everybody(conversation, rows)
        && let Some(audience) = audience
    {
        for user in audience.listed(conversation) {
            core.lists.put(core, user, change(None));
        }
    }
}

/// Whether it is worth asking a shard again.
pub(crate) const fn may_pass(error: &ShardError) -> bool {
    matches!(error, ShardError::Unavailable(_) | ShardError::Busy)
}

/// Queues an event for every connection of a user but the one that made it.
fn deliver(
    core: &Core,
    user: UserId,
    joined_seq: Seq,
    origin: Option<u64>,
    frames: &mut Frames<'_>,
) {
    let marked = frames.event().marked();
    let hides_reads = marked.is_some_and(|marked| core.privacy.hides_reads(user, marked));
    core.hub.each(user, |connection: &Arc<Connection>| {
        if Some(connection.id) == origin {
            return;
        }
        let frame = if hides_reads {
            frames.without_reads(connection.encoding)
        } else {
            frames.get(user, joined_seq, connection.encoding)
        };
        connection.events([frame]);
    });
}

/// The member that a membership event is about.
fn concerned<'a>(event: &Event<'a>) -> Option<&'a Arc<Member>> {
    match event {
        Event::Member { member } => Some(member),
        _ => None,
    }
}

fn subscribe(core: &Core, id: ConversationId, user: UserId, joined_seq: Seq) {
    core.hub.each(user, |connection| core.hub.large.subscribe(id, connection, joined_seq));
}

/// Notes when messages of a batch disappear, where they were sent under a timer.
fn note_timers(core: &Core, items: &[(Asker, Decided)]) {
    for (_, decided) in items {
        if let Decided::Done { outcome: Outcome::Sent { message, duplicate: false, .. }, .. } =
            decided
            && let Some(extra) = &message.message.extra
            && let Some(at) = extra.expires_at
        {
            core.timetable.note(message.message.conversation, at, message.message.seq);
        }
    }
}

/// Whether the change moves the lists of all members.
pub(crate) fn concerns_everybody(conversation: &Conversation, rows: &[Row]) -> bool {
    !conversation.large || conversation.deleted_at.is_some() || became_large(conversation, rows)
}

/// Whether this change made it large (or may have): it was born so, or members were added and without them it was not
/// above the bound.
fn became_large(conversation: &Conversation, rows: &[Row]) -> bool {
    let is_added = |row: &&Row| matches!(row, Row::Member(member) if member.is_present());
    let grew = || {
        let added = rows.iter().filter(is_added).count() as u32;
        added > 0 && conversation.member_count.saturating_sub(added) <= LARGE_ABOVE
    };
    let informed = conversation.info_rev == conversation.rev;
    conversation.large && (is_birth(conversation) || (informed && grew()))
}
