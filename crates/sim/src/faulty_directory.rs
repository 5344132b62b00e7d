//! The directory as one node reaches it: every call of a coordinator goes over a [`Link`].

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use ostracon_domain::{
    MapChange, Millis, PlacementMap, Privacy, PushSetting, ShardId, UnitId, UserId,
};
use ostracon_store::{
    Accounts, Audit, Cluster, DirectoryError, Errands, Invites, MediaIndex, Moves, People, Push,
    Sessions,
    directory::{
        AccountRole, AuditEntry, AuditRow, ContentHash, Errand, ErrandEnd, ErrandSort, ErrandStats,
        Garbage, Invite, JobRow, JobState, MediaId, MediaObject, MediaRow, MediaTotals, MediaUse,
        MessagesGone, MoveLost, MovePhase, MoveRefusal, MoveRow, NewErrand, NewInvite, NewJob,
        NewSession, NewSubscription, NewUser, NodeLease, Person, Progress, Session, ShardAdmission,
        ShardRow, Subscription, User,
    },
    memory::directory::MemoryDirectory,
};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    ground::Ground,
    link::{DIRECTORY, Link},
    weather::Caller,
};

type Result<T> = std::result::Result<T, DirectoryError>;

/// Until when nobody reaches the directory.
pub(crate) struct Outage(Mutex<Instant>);

impl Outage {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    pub(crate) fn lasts(&self, length: Duration) {
        *self.0.lock() = Instant::now() + length;
    }

    fn is_on(&self) -> bool {
        *self.0.lock() > Instant::now()
    }
}

pub(crate) struct FaultyDirectory {
    pub(crate) link: Link,
    pub(crate) outage: Arc<Outage>,
}

fn no_answer<T, E: From<DirectoryError>>(
    answer: Option<std::result::Result<T, E>>,
) -> std::result::Result<T, E> {
    answer.unwrap_or_else(|| Err(DirectoryError::Unavailable("no answer".to_owned()).into()))
}

/// Over the link, with a directory that may be out when the request arrives.
macro_rules! ask {
    ($self:ident, $step:expr, $caller:expr, |$directory:ident $(, $name:ident)*| $call:expr) => {{
        let (ground, outage) = (Arc::clone(&$self.link.ground), Arc::clone(&$self.outage));
        no_answer($self.link.call($step, $caller, DIRECTORY, move || {
            let (ground, outage) = (Arc::clone(&ground), Arc::clone(&outage));
            $(let $name = $name.clone();)*
            Box::pin(async move {
                if outage.is_on() {
                    return Err(DirectoryError::Unavailable("out".to_owned()).into());
                }
                let $directory = &*ground.directory;
                $call.await
            })
        }).await)
    }};
}

/// The caller of a new map remembers it, so that routers need not copy it.
async fn learn(ground: &Ground) {
    if let Ok(map) = ground.directory.map().await {
        ground.set_map(map);
    }
}

#[async_trait]
impl Cluster for FaultyDirectory {
    async fn cluster_id(&self) -> Result<u128> {
        self.plain().cluster_id().await
    }
    async fn shards(&self) -> Result<Vec<ShardRow>> {
        ask!(self, "shards", Caller::Question, |directory| directory.shards())
    }
    async fn found(&self, shards: &[ShardRow]) -> Result<()> {
        self.plain().found(shards).await
    }
    async fn map(&self) -> Result<PlacementMap> {
        ask!(self, "map", Caller::Question, |directory| directory.map())
    }
    async fn lease_node(&self, now: Millis) -> Result<NodeLease> {
        self.plain().lease_node(now).await
    }
    async fn reserve_ids(&self, node: u16, until: Millis) -> Result<()> {
        self.plain().reserve_ids(node, until).await
    }
    async fn secret(&self, name: &str) -> Result<[u8; 32]> {
        self.plain().secret(name).await
    }
}

#[async_trait]
impl Moves for FaultyDirectory {
    async fn add_shard(&self, url: &str) -> Result<ShardRow> {
        self.plain().add_shard(url).await
    }
    async fn set_admission(&self, id: ShardId, to: ShardAdmission) -> Result<Option<ShardRow>> {
        self.plain().set_admission(id, to).await
    }
    async fn remove_shard(&self, id: ShardId) -> Result<()> {
        self.plain().remove_shard(id).await
    }
    async fn change_overrides(&self, change: &MapChange) -> Result<u64> {
        let change = change.clone();
        let version = ask!(self, "change overrides", Caller::Step, |directory, change| async {
            directory.change_overrides(&change).await
        });
        learn(&self.link.ground).await;
        version
    }
    async fn plan_job(&self, new: NewJob, now: Millis) -> Result<JobRow> {
        self.plain().plan_job(new, now).await
    }
    async fn jobs(&self, after: Option<u64>, limit: u32) -> Result<Vec<JobRow>> {
        ask!(self, "jobs", Caller::Question, |directory| directory.jobs(after, limit))
    }
    async fn job(&self, id: u64) -> Result<Option<JobRow>> {
        ask!(self, "job", Caller::Question, |directory| directory.job(id))
    }
    async fn set_job(
        &self,
        id: u64,
        from: &[JobState],
        to: JobState,
        error: Option<String>,
        now: Millis,
    ) -> Result<Option<JobRow>> {
        let from = from.to_vec();
        ask!(self, "set job", Caller::Step, |directory, from, error| directory
            .set_job(id, &from, to, error, now))
    }
    async fn moves_of(&self, job: u64) -> Result<Vec<MoveRow>> {
        ask!(self, "moves of", Caller::Question, |directory| directory.moves_of(job))
    }
    async fn unfinished_moves(&self) -> Result<Vec<MoveRow>> {
        ask!(self, "unfinished moves", Caller::Question, |directory| directory.unfinished_moves())
    }
    async fn move_row(&self, id: u64) -> Result<Option<MoveRow>> {
        ask!(self, "move row", Caller::Question, |directory| directory.move_row(id))
    }
    async fn begin_move(&self, id: u64, now: Millis) -> std::result::Result<MoveRow, MoveRefusal> {
        ask!(self, "begin move", Caller::Rare, |directory| directory.begin_move(id, now))
    }
    async fn take_over_move(&self, id: u64, now: Millis) -> std::result::Result<MoveRow, MoveLost> {
        ask!(self, "take over move", Caller::Rare, |directory| directory.take_over_move(id, now))
    }
    async fn advance_move(
        &self,
        id: u64,
        lease: u64,
        from: MovePhase,
        to: MovePhase,
        now: Millis,
    ) -> std::result::Result<MoveRow, MoveLost> {
        let step = match to {
            MovePhase::Copying => "to copying",
            MovePhase::Freezing => "to freezing",
            MovePhase::Aborting => "to aborting",
            MovePhase::Done => "to done",
            _ => "to another phase",
        };
        ask!(self, step, Caller::Rare, |directory| directory.advance_move(id, lease, from, to, now))
    }
    async fn commit_move(
        &self,
        id: u64,
        lease: u64,
        freeze: u64,
        now: Millis,
    ) -> std::result::Result<u64, MoveLost> {
        let known = Arc::clone(&self.link.ground);
        ask!(self, "commit move", Caller::Rare, |directory, known| async {
            let committed = directory.commit_move(id, lease, freeze, now).await;
            learn(&known).await;
            committed
        })
    }
    async fn finish_abort(
        &self,
        id: u64,
        lease: u64,
        now: Millis,
    ) -> std::result::Result<MoveRow, MoveLost> {
        ask!(self, "finish abort", Caller::Rare, |directory| directory.finish_abort(id, lease, now))
    }
    async fn note_progress(
        &self,
        id: u64,
        lease: u64,
        progress: Progress,
        error: Option<String>,
        retry_at: Option<Millis>,
    ) -> Result<()> {
        ask!(self, "note progress", Caller::Question, |directory, progress, error| directory
            .note_progress(id, lease, progress, error, retry_at))
    }
    async fn garbage(&self) -> Result<Vec<Garbage>> {
        ask!(self, "garbage", Caller::Question, |directory| directory.garbage())
    }
    async fn delete_garbage(&self, id: u64) -> Result<bool> {
        ask!(self, "delete garbage", Caller::Rare, |directory| directory.delete_garbage(id))
    }
    async fn reserve_units(&self, n: u32) -> Result<UnitId> {
        self.plain().reserve_units(n).await
    }
    async fn next_rank(&self) -> Result<u64> {
        self.plain().next_rank().await
    }
    async fn raise_leases(&self, at_least: u64) -> Result<()> {
        ask!(self, "raise leases", Caller::Step, |directory| directory.raise_leases(at_least))
    }
    async fn hold_coordinator(&self, holder: u64, now: Millis, for_ms: u32) -> Result<bool> {
        ask!(self, "hold coordinator", Caller::Question, |directory| directory
            .hold_coordinator(holder, now, for_ms))
    }
}

#[async_trait]
impl Accounts for FaultyDirectory {
    async fn create_users(&self, new: Vec<NewUser>, now: Millis) -> Result<Vec<User>> {
        self.plain().create_users(new, now).await
    }
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>> {
        self.plain().users(ids).await
    }
    async fn users_by_external_id(&self, ids: &[String]) -> Result<Vec<User>> {
        self.plain().users_by_external_id(ids).await
    }
    async fn credentials(&self, username: &str) -> Result<Option<(User, Option<String>)>> {
        self.plain().credentials(username).await
    }
    async fn find_users(
        &self,
        query: &str,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<User>> {
        self.plain().find_users(query, after, limit).await
    }
    async fn set_display_name(&self, id: UserId, name: &str) -> Result<Option<User>> {
        self.plain().set_display_name(id, name).await
    }
    async fn set_password(&self, id: UserId, password_hash: &str) -> Result<Option<User>> {
        self.plain().set_password(id, password_hash).await
    }
    async fn set_role(&self, id: UserId, role: AccountRole) -> Result<Option<User>> {
        self.plain().set_role(id, role).await
    }
    async fn set_active(&self, id: UserId, active: bool) -> Result<Option<User>> {
        self.plain().set_active(id, active).await
    }
}

#[async_trait]
impl Invites for FaultyDirectory {
    async fn create_invite(&self, new: NewInvite, now: Millis) -> Result<Invite> {
        self.plain().create_invite(new, now).await
    }
    async fn invites(&self, now: Millis, limit: u32) -> Result<Vec<Invite>> {
        self.plain().invites(now, limit).await
    }
    async fn revoke_invite(&self, id: u64) -> Result<bool> {
        self.plain().revoke_invite(id).await
    }
    async fn create_invited(
        &self,
        new: NewUser,
        code_hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<User>> {
        self.plain().create_invited(new, code_hash, now).await
    }
}

#[async_trait]
impl Sessions for FaultyDirectory {
    async fn create_sessions(&self, new: Vec<NewSession>, now: Millis) -> Result<Vec<Session>> {
        self.plain().create_sessions(new, now).await
    }
    async fn session_by_token(
        &self,
        token_hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<(Session, User)>> {
        self.plain().session_by_token(token_hash, now).await
    }
    async fn sessions(&self, user: UserId, now: Millis) -> Result<Vec<Session>> {
        self.plain().sessions(user, now).await
    }
    async fn revoke_session(&self, user: UserId, id: u64) -> Result<bool> {
        self.plain().revoke_session(user, id).await
    }
    async fn touch_sessions(&self, seen: &[(u64, Millis)]) -> Result<()> {
        self.plain().touch_sessions(seen).await
    }
}

#[async_trait]
impl People for FaultyDirectory {
    async fn people(&self, ids: &[UserId]) -> Result<Vec<Person>> {
        self.plain().people(ids).await
    }
    async fn private_people(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Person>> {
        self.plain().private_people(after, limit).await
    }
    async fn note_seen(&self, seen: &[(UserId, Millis)]) -> Result<()> {
        self.plain().note_seen(seen).await
    }
    async fn set_privacy(&self, id: UserId, privacy: Privacy) -> Result<Option<Person>> {
        self.plain().set_privacy(id, privacy).await
    }
}

#[async_trait]
impl Push for FaultyDirectory {
    async fn subscribe(&self, new: NewSubscription, now: Millis) -> Result<Subscription> {
        self.plain().subscribe(new, now).await
    }
    async fn subscriptions(&self, user: UserId, now: Millis) -> Result<Vec<Subscription>> {
        self.plain().subscriptions(user, now).await
    }
    async fn enable_subscription(
        &self,
        user: UserId,
        id: u64,
        enabled: bool,
    ) -> Result<Option<Subscription>> {
        self.plain().enable_subscription(user, id, enabled).await
    }
    async fn unsubscribe(&self, user: UserId, id: u64) -> Result<bool> {
        self.plain().unsubscribe(user, id).await
    }
    async fn subscribed_users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>> {
        self.plain().subscribed_users(after, limit).await
    }
    async fn push_setting(&self, user: UserId) -> Result<PushSetting> {
        self.plain().push_setting(user).await
    }
    async fn set_push_setting(&self, user: UserId, setting: PushSetting) -> Result<bool> {
        self.plain().set_push_setting(user, setting).await
    }
}

#[async_trait]
impl Errands for FaultyDirectory {
    async fn put_errands(&self, new: Vec<NewErrand>, now: Millis) -> Result<()> {
        self.plain().put_errands(new, now).await
    }
    async fn take_errands(&self, now: Millis, until: Millis, limit: u32) -> Result<Vec<Errand>> {
        self.plain().take_errands(now, until, limit).await
    }
    async fn end_errand(&self, held: &Errand, end: ErrandEnd, now: Millis) -> Result<bool> {
        self.plain().end_errand(held, end, now).await
    }
    async fn errand_stats(&self, sort: ErrandSort) -> Result<ErrandStats> {
        self.plain().errand_stats(sort).await
    }
    async fn dead_errands(
        &self,
        sort: ErrandSort,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Errand>> {
        self.plain().dead_errands(sort, below, limit).await
    }
    async fn replay_errands(&self, sort: ErrandSort, id: Option<u64>, now: Millis) -> Result<u64> {
        self.plain().replay_errands(sort, id, now).await
    }
    async fn forget_errands(
        &self,
        done_before: Millis,
        dead_before: Millis,
        limit: u32,
    ) -> Result<u64> {
        self.plain().forget_errands(done_before, dead_before, limit).await
    }
}

#[async_trait]
impl Audit for FaultyDirectory {
    async fn record(&self, entry: AuditEntry) -> Result<u64> {
        self.plain().record(entry).await
    }
    async fn audit(&self, after: Option<u64>, limit: u32) -> Result<Vec<AuditRow>> {
        self.plain().audit(after, limit).await
    }
}

#[async_trait]
impl MediaIndex for FaultyDirectory {
    async fn add_media(&self, row: &MediaRow, keep_until: Millis) -> Result<()> {
        self.plain().add_media(row, keep_until).await
    }
    async fn media(&self, ids: &[MediaId]) -> Result<Vec<MediaRow>> {
        self.plain().media(ids).await
    }
    async fn keep_media(&self, ids: &[MediaId], until: Millis) -> Result<Vec<MediaRow>> {
        self.plain().keep_media(ids, until).await
    }
    async fn media_bytes(&self, owner: UserId) -> Result<u64> {
        self.plain().media_bytes(owner).await
    }
    async fn use_media(&self, uses: &[MediaUse]) -> Result<()> {
        self.plain().use_media(uses).await
    }
    async fn unuse_media(&self, gone: &[MessagesGone], keep_until: Millis) -> Result<()> {
        self.plain().unuse_media(gone, keep_until).await
    }
    async fn media_uses(&self, media: MediaId, limit: u32) -> Result<Vec<MediaUse>> {
        self.plain().media_uses(media, limit).await
    }
    async fn forget_media(&self, now: Millis, limit: u32) -> Result<u32> {
        self.plain().forget_media(now, limit).await
    }
    async fn remove_media(&self, id: MediaId) -> Result<bool> {
        self.plain().remove_media(id).await
    }
    async fn dying_objects(&self, limit: u32) -> Result<Vec<MediaObject>> {
        self.plain().dying_objects(limit).await
    }
    async fn objects_removed(&self, hashes: &[ContentHash]) -> Result<()> {
        self.plain().objects_removed(hashes).await
    }
    async fn media_objects(
        &self,
        after: Option<ContentHash>,
        limit: u32,
    ) -> Result<Vec<MediaObject>> {
        self.plain().media_objects(after, limit).await
    }
    async fn media_totals(&self) -> Result<MediaTotals> {
        self.plain().media_totals().await
    }
}

impl FaultyDirectory {
    /// What no coordinator asks is answered without trouble.
    fn plain(&self) -> &MemoryDirectory {
        &self.link.ground.directory
    }
}
