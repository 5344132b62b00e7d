//! A directory whose calls go to two handles in turn, as if every other one came from another process.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use ostracon_domain::{
    MapChange, Millis, PlacementMap, Privacy, PushSetting, ShardId, UnitId, UserId,
};
use ostracon_store::{
    Accounts, Audit, Cluster, Errands, Invites, MediaIndex, Moves, People, Push, Sessions,
    directory::{
        AccountRole, AuditEntry, AuditRow, ContentHash, DirectoryError, Errand, ErrandEnd,
        ErrandSort, ErrandStats, Garbage, Invite, JobRow, JobState, MediaId, MediaObject, MediaRow,
        MediaTotals, MediaUse, MessagesGone, MoveLost, MovePhase, MoveRefusal, MoveRow, NewErrand,
        NewInvite, NewJob, NewSession, NewSubscription, NewUser, NodeLease, Person, Progress,
        Session, ShardAdmission, ShardRow, Subscription, User,
    },
};
use ostracon_store_postgres::PostgresDirectory;

type Result<T> = std::result::Result<T, DirectoryError>;

/// Two handles of one directory.
pub(crate) struct Turns {
    handles: [Arc<PostgresDirectory>; 2],
    calls: AtomicUsize,
}

impl Turns {
    pub(crate) fn new(handles: [Arc<PostgresDirectory>; 2]) -> Self {
        Self { handles, calls: AtomicUsize::new(0) }
    }

    fn next(&self) -> &PostgresDirectory {
        &self.handles[self.calls.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

#[async_trait]
impl Accounts for Turns {
    async fn create_users(&self, new: Vec<NewUser>, now: Millis) -> Result<Vec<User>> {
        self.next().create_users(new, now).await
    }
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>> {
        self.next().users(ids).await
    }
    async fn users_by_external_id(&self, ids: &[String]) -> Result<Vec<User>> {
        self.next().users_by_external_id(ids).await
    }
    async fn credentials(&self, username: &str) -> Result<Option<(User, Option<String>)>> {
        self.next().credentials(username).await
    }
    async fn find_users(
        &self,
        query: &str,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<User>> {
        self.next().find_users(query, after, limit).await
    }
    async fn set_display_name(&self, id: UserId, name: &str) -> Result<Option<User>> {
        self.next().set_display_name(id, name).await
    }
    async fn set_password(&self, id: UserId, password_hash: &str) -> Result<Option<User>> {
        self.next().set_password(id, password_hash).await
    }
    async fn set_role(&self, id: UserId, role: AccountRole) -> Result<Option<User>> {
        self.next().set_role(id, role).await
    }
    async fn set_active(&self, id: UserId, active: bool) -> Result<Option<User>> {
        self.next().set_active(id, active).await
    }
}

#[async_trait]
impl Invites for Turns {
    async fn create_invite(&self, new: NewInvite, now: Millis) -> Result<Invite> {
        self.next().create_invite(new, now).await
    }
    async fn invites(&self, now: Millis, limit: u32) -> Result<Vec<Invite>> {
        self.next().invites(now, limit).await
    }
    async fn revoke_invite(&self, id: u64) -> Result<bool> {
        self.next().revoke_invite(id).await
    }
    async fn create_invited(
        &self,
        new: NewUser,
        code_hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<User>> {
        self.next().create_invited(new, code_hash, now).await
    }
}

#[async_trait]
impl Sessions for Turns {
    async fn create_sessions(&self, new: Vec<NewSession>, now: Millis) -> Result<Vec<Session>> {
        self.next().create_sessions(new, now).await
    }
    async fn session_by_token(
        &self,
        token_hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<(Session, User)>> {
        self.next().session_by_token(token_hash, now).await
    }
    async fn sessions(&self, user: UserId, now: Millis) -> Result<Vec<Session>> {
        self.next().sessions(user, now).await
    }
    async fn revoke_session(&self, user: UserId, id: u64) -> Result<bool> {
        self.next().revoke_session(user, id).await
    }
    async fn touch_sessions(&self, seen: &[(u64, Millis)]) -> Result<()> {
        self.next().touch_sessions(seen).await
    }
}

#[async_trait]
impl Cluster for Turns {
    async fn cluster_id(&self) -> Result<u128> {
        self.next().cluster_id().await
    }
    async fn shards(&self) -> Result<Vec<ShardRow>> {
        self.next().shards().await
    }
    async fn found(&self, shards: &[ShardRow]) -> Result<()> {
        self.next().found(shards).await
    }
    async fn map(&self) -> Result<PlacementMap> {
        self.next().map().await
    }
    async fn lease_node(&self, now: Millis) -> Result<NodeLease> {
        self.next().lease_node(now).await
    }
    async fn reserve_ids(&self, node: u16, until: Millis) -> Result<()> {
        self.next().reserve_ids(node, until).await
    }
    async fn secret(&self, name: &str) -> Result<[u8; 32]> {
        self.next().secret(name).await
    }
}

#[async_trait]
impl Moves for Turns {
    async fn add_shard(&self, url: &str) -> Result<ShardRow> {
        self.next().add_shard(url).await
    }
    async fn set_admission(&self, id: ShardId, to: ShardAdmission) -> Result<Option<ShardRow>> {
        self.next().set_admission(id, to).await
    }
    async fn remove_shard(&self, id: ShardId) -> Result<()> {
        self.next().remove_shard(id).await
    }
    async fn change_overrides(&self, change: &MapChange) -> Result<u64> {
        self.next().change_overrides(change).await
    }
    async fn plan_job(&self, new: NewJob, now: Millis) -> Result<JobRow> {
        self.next().plan_job(new, now).await
    }
    async fn jobs(&self, after: Option<u64>, limit: u32) -> Result<Vec<JobRow>> {
        self.next().jobs(after, limit).await
    }
    async fn job(&self, id: u64) -> Result<Option<JobRow>> {
        self.next().job(id).await
    }
    async fn set_job(
        &self,
        id: u64,
        from: &[JobState],
        to: JobState,
        error: Option<String>,
        now: Millis,
    ) -> Result<Option<JobRow>> {
        self.next().set_job(id, from, to, error, now).await
    }
    async fn moves_of(&self, job: u64) -> Result<Vec<MoveRow>> {
        self.next().moves_of(job).await
    }
    async fn unfinished_moves(&self) -> Result<Vec<MoveRow>> {
        self.next().unfinished_moves().await
    }
    async fn move_row(&self, id: u64) -> Result<Option<MoveRow>> {
        self.next().move_row(id).await
    }
    async fn begin_move(&self, id: u64, now: Millis) -> std::result::Result<MoveRow, MoveRefusal> {
        self.next().begin_move(id, now).await
    }
    async fn take_over_move(&self, id: u64, now: Millis) -> std::result::Result<MoveRow, MoveLost> {
        self.next().take_over_move(id, now).await
    }
    async fn advance_move(
        &self,
        id: u64,
        lease: u64,
        from: MovePhase,
        to: MovePhase,
        now: Millis,
    ) -> std::result::Result<MoveRow, MoveLost> {
        self.next().advance_move(id, lease, from, to, now).await
    }
    async fn commit_move(
        &self,
        id: u64,
        lease: u64,
        freeze: u64,
        now: Millis,
    ) -> std::result::Result<u64, MoveLost> {
        self.next().commit_move(id, lease, freeze, now).await
    }
    async fn finish_abort(
        &self,
        id: u64,
        lease: u64,
        now: Millis,
    ) -> std::result::Result<MoveRow, MoveLost> {
        self.next().finish_abort(id, lease, now).await
    }
    async fn note_progress(
        &self,
        id: u64,
        lease: u64,
        progress: Progress,
        error: Option<String>,
        retry_at: Option<Millis>,
    ) -> Result<()> {
        self.next().note_progress(id, lease, progress, error, retry_at).await
    }
    async fn garbage(&self) -> Result<Vec<Garbage>> {
        self.next().garbage().await
    }
    async fn delete_garbage(&self, id: u64) -> Result<bool> {
        self.next().delete_garbage(id).await
    }
    async fn reserve_units(&self, n: u32) -> Result<UnitId> {
        self.next().reserve_units(n).await
    }
    async fn next_rank(&self) -> Result<u64> {
        self.next().next_rank().await
    }
    async fn raise_leases(&self, at_least: u64) -> Result<()> {
        self.next().raise_leases(at_least).await
    }
    async fn hold_coordinator(&self, holder: u64, now: Millis, for_ms: u32) -> Result<bool> {
        self.next().hold_coordinator(holder, now, for_ms).await
    }
}

#[async_trait]
impl People for Turns {
    async fn people(&self, ids: &[UserId]) -> Result<Vec<Person>> {
        self.next().people(ids).await
    }
    async fn private_people(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Person>> {
        self.next().private_people(after, limit).await
    }
    async fn note_seen(&self, seen: &[(UserId, Millis)]) -> Result<()> {
        self.next().note_seen(seen).await
    }
    async fn set_privacy(&self, id: UserId, privacy: Privacy) -> Result<Option<Person>> {
        self.next().set_privacy(id, privacy).await
    }
}

#[async_trait]
impl Push for Turns {
    async fn subscribe(&self, new: NewSubscription, now: Millis) -> Result<Subscription> {
        self.next().subscribe(new, now).await
    }
    async fn subscriptions(&self, user: UserId, now: Millis) -> Result<Vec<Subscription>> {
        self.next().subscriptions(user, now).await
    }
    async fn enable_subscription(
        &self,
        user: UserId,
        id: u64,
        enabled: bool,
    ) -> Result<Option<Subscription>> {
        self.next().enable_subscription(user, id, enabled).await
    }
    async fn unsubscribe(&self, user: UserId, id: u64) -> Result<bool> {
        self.next().unsubscribe(user, id).await
    }
    async fn subscribed_users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<UserId>> {
        self.next().subscribed_users(after, limit).await
    }
    async fn push_setting(&self, user: UserId) -> Result<PushSetting> {
        self.next().push_setting(user).await
    }
    async fn set_push_setting(&self, user: UserId, setting: PushSetting) -> Result<bool> {
        self.next().set_push_setting(user, setting).await
    }
}

#[async_trait]
impl Errands for Turns {
    async fn put_errands(&self, new: Vec<NewErrand>, now: Millis) -> Result<()> {
        self.next().put_errands(new, now).await
    }
    async fn take_errands(&self, now: Millis, until: Millis, limit: u32) -> Result<Vec<Errand>> {
        self.next().take_errands(now, until, limit).await
    }
    async fn end_errand(&self, held: &Errand, end: ErrandEnd, now: Millis) -> Result<bool> {
        self.next().end_errand(held, end, now).await
    }
    async fn errand_stats(&self, sort: ErrandSort) -> Result<ErrandStats> {
        self.next().errand_stats(sort).await
    }
    async fn dead_errands(
        &self,
        sort: ErrandSort,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Errand>> {
        self.next().dead_errands(sort, below, limit).await
    }
    async fn replay_errands(&self, sort: ErrandSort, id: Option<u64>, now: Millis) -> Result<u64> {
        self.next().replay_errands(sort, id, now).await
    }
    async fn forget_errands(
        &self,
        done_before: Millis,
        dead_before: Millis,
        limit: u32,
    ) -> Result<u64> {
        self.next().forget_errands(done_before, dead_before, limit).await
    }
}

#[async_trait]
impl Audit for Turns {
    async fn record(&self, entry: AuditEntry) -> Result<u64> {
        self.next().record(entry).await
    }
    async fn audit(&self, after: Option<u64>, limit: u32) -> Result<Vec<AuditRow>> {
        self.next().audit(after, limit).await
    }
}

#[async_trait]
impl MediaIndex for Turns {
    async fn add_media(&self, row: &MediaRow, keep_until: Millis) -> Result<()> {
        self.next().add_media(row, keep_until).await
    }
    async fn media(&self, ids: &[MediaId]) -> Result<Vec<MediaRow>> {
        self.next().media(ids).await
    }
    async fn keep_media(&self, ids: &[MediaId], until: Millis) -> Result<Vec<MediaRow>> {
        self.next().keep_media(ids, until).await
    }
    async fn media_bytes(&self, owner: UserId) -> Result<u64> {
        self.next().media_bytes(owner).await
    }
    async fn use_media(&self, uses: &[MediaUse]) -> Result<()> {
        self.next().use_media(uses).await
    }
    async fn unuse_media(&self, gone: &[MessagesGone], keep_until: Millis) -> Result<()> {
        self.next().unuse_media(gone, keep_until).await
    }
    async fn media_uses(&self, media: MediaId, limit: u32) -> Result<Vec<MediaUse>> {
        self.next().media_uses(media, limit).await
    }
    async fn forget_media(&self, now: Millis, limit: u32) -> Result<u32> {
        self.next().forget_media(now, limit).await
    }
    async fn remove_media(&self, id: MediaId) -> Result<bool> {
        self.next().remove_media(id).await
    }
    async fn dying_objects(&self, limit: u32) -> Result<Vec<MediaObject>> {
        self.next().dying_objects(limit).await
    }
    async fn objects_removed(&self, hashes: &[ContentHash]) -> Result<()> {
        self.next().objects_removed(hashes).await
    }
    async fn media_objects(
        &self,
        after: Option<ContentHash>,
        limit: u32,
    ) -> Result<Vec<MediaObject>> {
        self.next().media_objects(after, limit).await
    }
    async fn media_totals(&self) -> Result<MediaTotals> {
        self.next().media_totals().await
    }
}
