//! What hands commits over: one dispatcher for each shard, in the order of its log, and one lane for each user's list.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ostracon_domain::{
    Applied, Command, Conversation, ConversationId, InboxAction, InboxChange, InboxCommand,
    Outcome, Row, UserId,
};
use ostracon_store::{Shard, memory::MemoryShard};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::sleep};

use crate::{
    ground::Ground,
    router::{Reply, Router},
};

/// Changes of users' lists that are on their way.
pub(crate) struct Lanes {
    ground: Arc<Ground>,
    routers: Vec<Arc<Router>>,
    members: BTreeMap<ConversationId, Vec<UserId>>,
    lanes: BTreeMap<UserId, Lane>,
}

#[derive(Default)]
struct Lane {
    due: Mutex<BTreeMap<ConversationId, InboxChange>>,
    busy: Mutex<bool>,
    work: Notify,
}

impl Lanes {
    pub(crate) fn new(
        ground: &Arc<Ground>,
        routers: &[Arc<Router>],
        talks: &[(ConversationId, Vec<UserId>)],
        users: &[UserId],
    ) -> Arc<Self> {
        Arc::new(Self {
            ground: Arc::clone(ground),
            routers: routers.to_vec(),
            members: talks.iter().cloned().collect(),
            lanes: users.iter().map(|user| (*user, Lane::default())).collect(),
        })
    }

    pub(crate) fn start(self: &Arc<Self>) {
        for user in self.lanes.keys().copied() {
            let lanes = Arc::clone(self);
            tokio::spawn(async move { lanes.follow(user).await });
        }
        for shard in self.ground.shards.values() {
            let (lanes, shard) = (Arc::clone(self), Arc::clone(shard));
            tokio::spawn(async move { lanes.dispatch(&shard).await });
        }
    }

    /// Whether nothing is on its way.
    pub(crate) fn are_empty(&self) -> bool {
        self.lanes.values().all(|lane| lane.due.lock().is_empty() && !*lane.busy.lock())
    }

    async fn dispatch(&self, shard: &MemoryShard) {
        let random = &self.ground.random;
        loop {
            let long = random.percent(1);
            let pause = if long { random.between(20, 120) } else { random.between(1, 6) };
            sleep(Duration::from_millis(pause)).await;
            let Ok(batches) = shard.undispatched(None, 32).await else { continue };
            for batch in batches {
                for row in &batch.rows {
                    if let Err(why) = self.ground.oracle.handed(row) {
                        self.ground
                            .fail(format!("shard {}: {why}", ostracon_store::Shard::id(shard)));
                    }
                    if let Row::Conversation(row) = row {
                        self.tell(row);
                    }
                }
                drop(shard.dispatched(batch.position).await);
            }
        }
    }

    fn tell(&self, row: &Conversation) {
        let applied = Applied { history: row.history, rev: row.rev, mark_rev: row.mark_rev };
        let change = InboxChange {
            conversation: row.id,
            applied,
            last_seq: row.head_seq,
            last_activity_at: row.last_activity_at,
            view: None,
            large: false,
            removed: false,
        };
        for user in self.members.get(&row.id).into_iter().flatten() {
            let Some(lane) = self.lanes.get(user) else { continue };
            let mut due = lane.due.lock();
            match due.get_mut(&row.id) {
                Some(known) => known.merge(change.clone()),
                None => {
                    due.insert(row.id, change.clone());
                }
            }
            drop(due);
            lane.work.notify_one();
        }
    }

    async fn follow(&self, user: UserId) {
        let Some(lane) = self.lanes.get(&user) else { return };
        loop {
            let changes: Vec<InboxChange> = {
                let due = std::mem::take(&mut *lane.due.lock());
                *lane.busy.lock() = !due.is_empty();
                due.into_values().collect()
            };
            if changes.is_empty() {
                lane.work.notified().await;
                // Some at once.
                sleep(Duration::from_millis(self.ground.random.between(5, 40))).await;
                continue;
            }
            loop {
                let Some(router) = self.ground.random.pick(&self.routers) else { return };
                let action = InboxAction::Apply(changes.clone());
                let reply = router.submit(Command::Inbox(InboxCommand { user, action })).await;
                match reply.unwrap_or(Reply::Unknown) {
                    Reply::Done(Outcome::Inbox { entries }) => {
                        self.ground.oracle.entries(user, &entries);
                        break;
                    }
                    Reply::Unknown => sleep(Duration::from_millis(10)).await,
                    other => {
                        self.ground.fail(format!("the list of {user}: {other:?}"));
                        return;
                    }
                }
            }
            *lane.busy.lock() = false;
        }
    }
}
