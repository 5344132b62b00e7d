//! One shard's dispatcher: from a durable batch to everybody whom it concerns, in commit order.
//!
//! It never waits on a committer, nor on another shard. Its cursor passes a batch only when the list changes that follow from it are
//! committed, so that a crash repeats and never forgets; everything it does may be done twice.

use std::sync::Arc;

use metrics::Histogram;
use ostracon_domain::{
    Applied, Conversation, ConversationId, InboxChange, Member, Outcome, Row, Seq, UnitAt, UserId,
    limits::LARGE_ABOVE,
};
use ostracon_store::{Position, Shard, ShardError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    audience::{Audiences, is_birth},
    batch_lists::{BatchLists, ListChange},
    committer::{Asker, Committed, Decided, Handed},
    connection::Connection,
    engine::Core,
    event::{self, Event, Frames},
    heat::Cost,
    limits::{LARGE_COALESCE, READ_RETRY},
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
    written: Written,
}

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
        }
    }

    /// Repeats before anybody is served, if the shard answers; else [`run`](Self::run) does it first of all.
    pub(crate) async fn repeat_at_start(&mut self, core: &Core) -> Result<(), ShardError> {
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
    async fn repeat_late(&mut self, core: &Core) -> bool {
        while !self.has_repeated {
            let Err(error) = self.repeat(core).await else { break };
            if !matches!(error, ShardError::Unavailable(_)) {
                tracing::error!(%error, "what a crash left could not be read");
            }
            tokio::select! {
                () = tokio::time::sleep(READ_RETRY) => {}
                () = self.stop.cancelled() => return false,
            }
        }
        true
    }

    /// Repeats what may not have taken effect before a crash. Its events were for connections that are gone: only lists
    /// are brought up to date. Members are read where the conversation lives now.
    pub(crate) async fn repeat(&mut self, core: &Core) -> Result<(), ShardError> {
        const AT_ONCE: u32 = 1_000;
        let mut after = None;
        loop {
            let batches = self.shard.undispatched(after, AT_ONCE).await?;
            let Some(last) = batches.last() else {
                self.has_repeated = true;
                return Ok(());
            };
            after = Some(last.position);
            for batch in &batches {
                self.repeat_batch(core, &batch.rows).await?;
                self.mark(core, batch.position);
            }
        }
    }

    async fn repeat_batch(&mut self, core: &Core, rows: &[Row]) -> Result<(), ShardError> {
        for conversation in rows.iter().filter_map(|row| match row {
            Row::Conversation(row) => Some(row),
            _ => None,
        }) {
            let id = conversation.id;
            let of_it: Vec<Row> =
                rows.iter().filter(|row| is_member_of(row, id)).cloned().collect();
            let home =
                core.place(id).ok().and_then(|(at, shard)| Some((at, core.shard(shard).ok()?)));
            let Some((at, home)) = home else { continue };
            if concerns_everybody(conversation, &of_it) {
                self.audiences.learn(&home, at, id, &of_it).await?;
            }
            self.update_lists(core, conversation, &of_it);
            self.forget_large(conversation);
        }
        Ok(())
    }

    /// Runs until the committer is gone.
    pub(crate) async fn run(mut self, core: Arc<Core>, mut handed: mpsc::Receiver<Handed>) {
        // Whether everything so far has reached the lanes: only then may the cursor follow.
        let mut complete = self.repeat_late(&core).await;
        while let Some(next) = handed.recv().await {
            core.dispatch_gate.pass().await;
            let Committed { position, items } = match next {
                Handed::Batch(batch) => batch,
                Handed::Barrier(passed) => {
                    // Who asked may have gone away.
                    passed.send(()).ok();
                    continue;
                }
            };
            self.written.count(&items);
            let mut lists = BatchLists::of(&items);
            for (asker, decided) in items {
                match decided {
                    Decided::Done { outcome, rows } => {
                        complete &= self.done(&core, &mut lists, asker, outcome, rows).await;
                    }
                    Decided::Refused(refusal) => asker.reply.fail(refusal.into()),
                }
            }
            core.heat.add(self.costs.drain(..));
            if complete {
                self.mark(&core, position);
            }
        }
    }

    fn mark(&self, core: &Core, position: Position) {
        let source = self.shard.id();
        // A lane that appears right now is marked here, or begins with this mark of the others.
        let _no_lane_appears = core.marking.lock();
        for lane in core.topology.load().all_lanes() {
            lane.mark(source, position);
        }
    }

    /// Tells everybody whom a command concerns, then who asked; `false` when it could not tell the members.
    async fn done(
        &mut self,
        core: &Arc<Core>,
        lists: &mut BatchLists,
        asker: Asker,
        outcome: Outcome,
        rows: Vec<Row>,
    ) -> bool {
        let conversation = rows.iter().rev().find_map(|row| match row {
            Row::Conversation(row) => Some(Arc::clone(row)),
            _ => None,
        });
        let mut told = true;
        if let Some(conversation) = &conversation {
            self.costs.push(Cost::of_write(asker.at.unit, conversation, &outcome));
            told = self.tell(core, lists, &asker, conversation, &outcome, &rows).await;
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

    /// Events to the members' connections, and changes of their lists; `false` when the engine stopped before the
    /// members could be read.
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
        let origin = asker.reply.origin().map(|connection| connection.id);
        let events = event::events(outcome, rows, asker.private);
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
    /// better to do, and what it left out now nobody would make up for.
    async fn learn(&mut self, at: UnitAt, id: ConversationId, rows: &[Row]) -> bool {
        let mut said = false;
        while let Err(error) = self.audiences.learn(&self.shard, at, id, rows).await {
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
            let mut frames = Frames::new(event, conversation);
            for (user, joined_seq) in audience.present_at(conversation, event.seq()) {
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
            if let Event::Receipt { member } = event {
                // Marks of others are not shown in large groups.
                let mut frames = Frames::new(event, conversation);
                deliver(core, member.user, member.joined_seq, origin, &mut frames);
                continue;
            }
            let member = concerned(event);
            if let Some(member) = member.filter(|member| member.is_present()) {
                subscribe(core, id, member.user, member.joined_seq);
            }
            if let Some(group) = core.hub.large.get(id)
                && group.hold(conversation, &mut Frames::new(event, conversation), origin)
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

    /// Puts the change into the lanes of those whose lists it moves: all members, or in a large group those it names.
    fn update_lists(&self, core: &Core, conversation: &Arc<Conversation>, rows: &[Row]) {
        let change = |row: Option<&Arc<Member>>| InboxChange {
            conversation: conversation.id,
            applied: Applied {
                history: conversation.history,
                rev: conversation.rev,
                mark_rev: conversation.mark_rev,
            },
            last_seq: conversation.head_seq,
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
            && let Some(audience) = self.audiences.get(conversation.id)
        {
            for user in audience.listed(conversation) {
                core.lists.put(core, user, change(None));
            }
        }
    }

    /// Nothing is kept of large groups, whose lists may be very long, nor of those that are gone.
    fn forget_large(&mut self, conversation: &Conversation) {
        if conversation.large || conversation.deleted_at.is_some() {
            self.audiences.forget(conversation.id);
        }
    }
}

/// Queues an event for every connection of a user but the one that made it.
fn deliver(
    core: &Core,
    user: UserId,
    joined_seq: Seq,
    origin: Option<u64>,
    frames: &mut Frames<'_>,
) {
    core.hub.each(user, |connection: &Arc<Connection>| {
        if Some(connection.id) != origin {
            connection.events([frames.get(user, joined_seq, connection.encoding)]);
        }
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

fn is_member_of(row: &Row, id: ConversationId) -> bool {
    matches!(row, Row::Member(row) if row.conversation == id)
}

/// Whether the change moves the lists of all members.
fn concerns_everybody(conversation: &Conversation, rows: &[Row]) -> bool {
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
