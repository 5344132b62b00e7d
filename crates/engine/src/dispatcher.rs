//! One shard's dispatcher: from a durable batch to everybody whom it concerns, in commit order.
//!
//! It never waits on a committer. Its cursor passes a batch only when the list changes that follow from it are
//! committed, so that a crash repeats and never forgets; everything it does may be done twice.

use std::sync::Arc;

use ostracon_domain::{
    Applied, Conversation, ConversationId, InboxChange, InboxEntry, Member, Outcome, Row, UnitAt,
    UserId, limits::LARGE_ABOVE,
};
use ostracon_proto::frame::InboxUpdated;
use ostracon_store::{Answer, Position, Shard, ShardError};
use tokio::sync::mpsc;

use crate::{
    audience::Audiences,
    committer::{Asker, Committed},
    connection::Connection,
    engine::Core,
    error::EngineError,
    event::{self, Event, Frames},
    limits::LARGE_COALESCE,
    view,
};

pub(crate) struct Dispatcher {
    shard: Arc<dyn Shard>,
    audiences: Audiences,
}

impl Dispatcher {
    pub(crate) fn new(shard: Arc<dyn Shard>) -> Self {
        Self { shard, audiences: Audiences::default() }
    }

    /// Repeats what may not have taken effect before a crash. Nobody is connected yet: only lists are brought up to date.
    pub(crate) async fn repeat(&mut self, core: &Arc<Core>) -> Result<(), ShardError> {
        const AT_ONCE: u32 = 1_000;
        let mut after = None;
        loop {
            let batches = self.shard.undispatched(after, AT_ONCE).await?;
            let Some(last) = batches.last() else {
                return Ok(());
            };
            after = Some(last.position);
            for batch in &batches {
                self.repeat_batch(core, &batch.rows).await?;
                self.mark(core, batch.position);
            }
        }
    }

    async fn repeat_batch(&mut self, core: &Arc<Core>, rows: &[Row]) -> Result<(), ShardError> {
        for conversation in rows.iter().filter_map(|row| match row {
            Row::Conversation(row) => Some(row),
            _ => None,
        }) {
            let of_it: Vec<Row> =
                rows.iter().filter(|row| belongs(row, conversation.id)).cloned().collect();
            let unit = conversation.unit;
            let Some(home) = core.map.load().home(unit) else {
                continue;
            };
            let at = UnitAt { unit, epoch: home.epoch };
            self.update_lists(core, at, conversation, &of_it).await?;
        }
        Ok(())
    }

    /// Runs until the committer is gone.
    pub(crate) async fn run(mut self, core: Arc<Core>, mut batches: mpsc::Receiver<Committed>) {
        while let Some(batch) = batches.recv().await {
            core.dispatch_gate.pass().await;
            for (asker, answer) in batch.items {
                match answer {
                    Answer::Done { outcome, rows } => {
                        self.done(&core, asker, outcome, rows).await;
                    }
                    Answer::Refused(refusal) => asker.reply.fail(refusal.into()),
                    Answer::Fenced(state) => {
                        tracing::warn!(?state, unit = asker.at.unit.0, "fenced");
                        asker.reply.fail(EngineError::Unavailable);
                    }
                }
            }
            self.mark(&core, batch.position);
        }
    }

    fn mark(&self, core: &Core, position: Position) {
        let source = self.shard.id();
        for lane in core.lanes.values() {
            lane.mark(source, position);
        }
    }

    async fn done(&mut self, core: &Arc<Core>, asker: Asker, outcome: Outcome, rows: Vec<Row>) {
        let conversation = rows.iter().rev().find_map(|row| match row {
            Row::Conversation(row) => Some(Arc::clone(row)),
            _ => None,
        });
        if let Some(conversation) = &conversation {
            let told = self.tell(core, &asker, conversation, &outcome, &rows).await;
            if let Err(error) = told {
                // The batch is durable; whoever misses an event finds it by its number.
                tracing::error!(%error, "members could not be told");
                self.audiences.forget(conversation.id);
            }
        } else if let Outcome::Inbox { entries } = &outcome {
            self.tell_user(core, &asker, entries).await;
        }
        asker.reply.done(outcome, conversation.as_ref());
    }

    /// Events to the members' connections, then changes of their lists.
    async fn tell(
        &mut self,
        core: &Arc<Core>,
        asker: &Asker,
        conversation: &Arc<Conversation>,
        outcome: &Outcome,
        rows: &[Row],
    ) -> Result<(), ShardError> {
        let origin = asker.reply.origin().map(|connection| connection.id);
        let events = event::events(outcome, rows, asker.private);
        if conversation.large {
            self.tell_large(core, asker.at, conversation, rows, &events, origin).await?;
        } else {
            // The rev that ends being large is told to each member, after what was held back.
            core.hub.large.end(conversation.id);
            let audience = self.audiences.after(&self.shard, asker.at, conversation, rows).await?;
            for event in &events {
                let mut frames = Frames::new(event, conversation);
                let gone = concerned(event).filter(|member| !member.is_present());
                let users = audience.present_at(event.seq()).chain(gone.map(|row| row.user));
                for user in users {
                    deliver(core, user, origin, &mut frames);
                }
            }
        }
        self.update_lists(core, asker.at, conversation, rows).await?;
        if let (true, Some(connection)) = (conversation.large, asker.reply.origin()) {
            // The answer must not overtake what is held back.
            if let Some(group) = core.hub.large.get(conversation.id) {
                group.flush_to(connection.id);
            }
        }
        Ok(())
    }

    async fn tell_large(
        &mut self,
        core: &Arc<Core>,
        at: UnitAt,
        conversation: &Arc<Conversation>,
        rows: &[Row],
        events: &[Event<'_>],
        origin: Option<u64>,
    ) -> Result<(), ShardError> {
        let id = conversation.id;
        if became_large(conversation, rows) {
            let audience = self.audiences.after(&self.shard, at, conversation, rows).await?;
            for user in audience.present() {
                core.hub.each(user, |connection| core.hub.large.subscribe(id, connection));
            }
        }
        for event in events {
            if let Event::Receipt { member } = event {
                // Marks of others are not shown in large groups.
                deliver(core, member.user, origin, &mut Frames::new(event, conversation));
                continue;
            }
            if let Event::Member { member } = event {
                core.hub.each(member.user, |connection| {
                    if member.is_present() {
                        core.hub.large.subscribe(id, connection);
                    }
                });
            }
            if let Some(group) = core.hub.large.get(id) {
                let mut frames = Frames::new(event, conversation);
                if group.hold(&mut frames, event.owner(), origin) {
                    tokio::spawn(async move {
                        tokio::time::sleep(LARGE_COALESCE).await;
                        group.flush();
                    });
                }
            }
            if let Some(member) = concerned(event).filter(|member| !member.is_present()) {
                core.hub.each(member.user, |connection| core.hub.large.unsubscribe(id, connection));
            }
        }
        Ok(())
    }

    /// Puts the change into the lanes of those whose lists it moves: all members, or in a large group those it names.
    async fn update_lists(
        &mut self,
        core: &Arc<Core>,
        at: UnitAt,
        conversation: &Arc<Conversation>,
        rows: &[Row],
    ) -> Result<(), ShardError> {
        let members = rows.iter().filter_map(|row| match row {
            Row::Member(row) => Some(row),
            _ => None,
        });
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
        for row in members.clone() {
            put(core, row.user, change(Some(row)));
        }
        let everybody = !conversation.large
            || conversation.deleted_at.is_some()
            || became_large(conversation, rows);
        if everybody {
            let audience = self.audiences.after(&self.shard, at, conversation, rows).await?;
            for user in audience.present() {
                put(core, user, change(None));
            }
        }
        if conversation.large {
            // Nothing is kept of large groups: their lists may be very long.
            self.audiences.forget(conversation.id);
        }
        Ok(())
    }

    /// Tells a user's connections that entries of the list moved on.
    async fn tell_user(&self, core: &Arc<Core>, asker: &Asker, entries: &[Arc<InboxEntry>]) {
        let Some(first) = entries.first() else { return };
        let user = first.user;
        let newest = entries.iter().map(|entry| entry.user_rev).max().unwrap_or(0);
        core.hub.heard_of(user, newest);
        if !core.hub.is_online(user) {
            return;
        }
        let ids: Vec<ConversationId> = entries.iter().map(|entry| entry.conversation).collect();
        let shown = match core.overviews(user, &ids).await {
            Ok(shown) => shown,
            Err(error) => {
                // The heartbeat tells the user rev: nobody misses more than promptness.
                tracing::warn!(%error, "unread could not be counted");
                return;
            }
        };
        let origin = asker.reply.origin().map(|connection| connection.id);
        for (entry, overview) in entries.iter().zip(shown) {
            let unread = overview.as_ref().and_then(|rows| {
                let member = rows.member.as_deref()?;
                Some(ostracon_domain::unread(&rows.conversation, member, rows.uncounted))
            });
            let member = overview.as_ref().and_then(|rows| rows.member.as_deref());
            let updated = InboxUpdated {
                conversation_id: entry.conversation,
                history: entry.applied.history,
                rev: entry.applied.rev,
                mark_rev: entry.applied.mark_rev,
                user_rev: entry.user_rev,
                unread: unread.unwrap_or(0),
                inbox: Some(view::inbox(Some(entry), member)),
            };
            core.hub.each(user, |connection| {
                if Some(connection.id) != origin {
                    connection.events([&event::plain(connection.encoding, &updated)]);
                }
            });
        }
    }
}

/// Queues an event for every connection of a user but the one that made it.
fn deliver(core: &Core, user: UserId, origin: Option<u64>, frames: &mut Frames<'_>) {
    core.hub.each(user, |connection: &Arc<Connection>| {
        if Some(connection.id) != origin {
            connection.events([frames.get(user, connection.encoding)]);
        }
    });
}

fn put(core: &Core, user: UserId, change: InboxChange) {
    let Ok((_, shard)) = core.place_user(user) else {
        return;
    };
    if let Some(lane) = core.lanes.get(&shard) {
        lane.put(user, change, core.hub.is_online(user));
    }
}

/// The member that a membership event is about.
fn concerned<'a>(event: &Event<'a>) -> Option<&'a Arc<Member>> {
    match event {
        Event::Member { member } => Some(member),
        _ => None,
    }
}

fn belongs(row: &Row, id: ConversationId) -> bool {
    match row {
        Row::Member(row) => row.conversation == id,
        _ => false,
    }
}

/// Whether this change made it large (or may have): members were added, and without them it was not above the bound.
fn became_large(conversation: &Conversation, rows: &[Row]) -> bool {
    let added =
        rows.iter().filter(|row| matches!(row, Row::Member(member) if member.is_present())).count()
            as u32;
    let visible = conversation.info_rev == conversation.rev || conversation.info_rev == 1;
    conversation.large
        && visible
        && added > 0
        && conversation.member_count.saturating_sub(added) <= LARGE_ABOVE
}
