//! The twin of [`Shard`] in memory: ordered maps under one lock, each method one critical section.
//!
//! Besides the seam it has hooks for tests: a gate that commits wait at, and a commit that fails.

mod gate;
mod reads;
mod tables;
#[cfg(test)]
mod tests;
mod transfer;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use async_trait::async_trait;
use ostracon_domain::{
    Conversation, ConversationId, Epoch, InboxEntry, Row, ShardId, Subject, UnitAt, UnitId, UserId,
    UserRev, id::SLOTS,
};
use parking_lot::Mutex;

use gate::Gate;
pub use gate::Hold;
use tables::Tables;

use crate::{
    memory::MemorySearch,
    read::{
        AnnexPage, AnnexRows, Changes, ChangesSince, InboxChanges, InboxPage, InboxRows,
        MembersPage, MembersRows, MessagePage, Messages, Overview, Unread,
    },
    record,
    search::SearchIndex,
    shard::{
        Answer, Batch, Commit, Ids, Incarnation, Position, Read, Shard, ShardError, ShardStats,
        Undispatched,
    },
    transfer::SubjectVersion,
    unit_state::{Pair, UnitPhase, UnitState},
    working_set::WorkingSet,
};

const FIRST_INCARNATION: Incarnation = 1;

/// A shard in memory. Positions are 1, 2, 3 … for each batch.
pub struct MemoryShard {
    id: ShardId,
    ids: Arc<dyn Ids>,
    gate: Arc<Gate>,
    search: Arc<MemorySearch>,
    state: Mutex<State>,
}

/// Never locked over an await.
struct State {
    incarnation: Incarnation,
    units: BTreeMap<UnitId, UnitState>,
    /// What changed in units that are captured.
    notes: BTreeMap<UnitId, BTreeMap<Subject, SubjectVersion>>,
    /// Units whose imported rows a restart would forget.
    unsynced: BTreeSet<UnitId>,
    tables: Tables,
    batches: BTreeMap<Position, Vec<Row>>,
    position: Position,
    dispatched: Position,
    failures: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            incarnation: FIRST_INCARNATION,
            units: BTreeMap::new(),
            notes: BTreeMap::new(),
            unsynced: BTreeSet::new(),
            tables: Tables::default(),
            batches: BTreeMap::new(),
            position: 0,
            dispatched: 0,
            failures: 0,
        }
    }
}

impl MemoryShard {
    /// A shard without any unit.
    pub fn new(id: ShardId, ids: Arc<dyn Ids>) -> Self {
        Self { id, ids, gate: Arc::default(), search: Arc::default(), state: Mutex::default() }
    }

    /// A shard that serves these units at epoch 1.
    pub fn serving(
        id: ShardId,
        ids: Arc<dyn Ids>,
        units: impl IntoIterator<Item = UnitId>,
    ) -> Self {
        let shard = Self::new(id, ids);
        let open = |unit| UnitState {
            unit,
            epoch: Epoch(1),
            phase: UnitPhase::Open,
            incarnation: FIRST_INCARNATION,
            pair: Pair::default(),
        };
        shard.state.lock().units = units.into_iter().map(|unit| (unit, open(unit))).collect();
        shard
    }

    /// The next commit that has not begun answers `Unavailable` and changes nothing; called twice, the next two.
    pub fn fail_next_commit(&self) {
        self.state.lock().failures += 1;
    }

    /// Makes commits wait, before they begin, until the answer is dropped. Reads go on.
    pub fn hold(&self) -> Hold {
        Hold::new(&self.gate)
    }

    /// What a read of a conversation answers, behind the fence and the row's-unit check.
    fn read<T>(
        &self,
        at: UnitAt,
        id: ConversationId,
        read: impl FnOnce(&Tables, &Arc<Conversation>) -> T,
    ) -> Read<T> {
        self.state.lock().read(at, id, read)
    }

    fn read_user<T>(&self, at: UnitAt, user: UserId, read: impl FnOnce(&Tables) -> T) -> Read<T> {
        let state = self.state.lock();
        let row = state.tables.users.get(&user);
        if !state.serves(at) || row.is_some_and(|row| row.unit != at.unit) {
            return Read::Fenced(state.units.get(&at.unit).copied());
        }
        Read::Rows(read(&state.tables))
    }
}

impl State {
    fn serves(&self, at: UnitAt) -> bool {
        self.units.get(&at.unit).is_some_and(|state| state.serves(at))
    }

    fn read<T>(
        &self,
        at: UnitAt,
        id: ConversationId,
        read: impl FnOnce(&Tables, &Arc<Conversation>) -> T,
    ) -> Read<T> {
        let fenced = Read::Fenced(self.units.get(&at.unit).copied());
        match self.tables.conversations.get(&id) {
            _ if !self.serves(at) => fenced,
            None => Read::Absent,
            Some(row) if row.unit != at.unit => fenced,
            Some(row) => Read::Rows(read(&self.tables, row)),
        }
    }
}

#[async_trait]
impl Shard for MemoryShard {
    fn id(&self) -> ShardId {
        self.id
    }

    fn incarnation(&self) -> Incarnation {
        self.state.lock().incarnation
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, ShardError> {
        self.gate.pass().await;
        let mut state = self.state.lock();
        if state.failures > 0 {
            state.failures -= 1;
            return Err(ShardError::Unavailable("told to fail".to_owned()));
        }
        let mut set = WorkingSet::default();
        state.tables.load(set.missing(&batch.orders), &mut set);
        let answers = set.run(&batch, &|unit| state.units.get(&unit).copied(), &*self.ids);
        let rows: Vec<Row> = answers
            .iter()
            .filter_map(|answer| match answer {
                Answer::Done { rows, .. } => Some(rows),
                Answer::Refused(_) | Answer::Fenced(_) => None,
            })
            .flatten()
            .cloned()
            .collect();
        rows.iter().for_each(|row| state.tables.write(row));
        state.note(&rows);
        state.position += 1;
        let position = state.position;
        if !rows.is_empty() {
            state.batches.insert(position, rows);
        }
        Ok(Commit { position, answers })
    }

    async fn overviews(
        &self,
        reader: UserId,
        wanted: &[(UnitAt, ConversationId)],
    ) -> Result<Vec<Read<Overview>>, ShardError> {
        let state = self.state.lock();
        let answers = wanted
            .iter()
            .map(|(at, id)| state.read(*at, *id, |tables, row| tables.overview(row, reader)));
        Ok(answers.collect())
    }

    async fn unread(
        &self,
        wanted: &[(UnitAt, ConversationId, UserId)],
    ) -> Result<Vec<Read<Unread>>, ShardError> {
        let state = self.state.lock();
        let answers = wanted
            .iter()
            .map(|(at, id, user)| state.read(*at, *id, |tables, row| tables.unread(row, *user)));
        Ok(answers.collect())
    }

    async fn messages(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        reader: UserId,
        page: MessagePage,
    ) -> Result<Read<Messages>, ShardError> {
        Ok(self.read(at, conversation, |tables, row| tables.page(row, reader, page)))
    }

    async fn changes(&self, at: UnitAt, since: ChangesSince) -> Result<Read<Changes>, ShardError> {
        Ok(self.read(at, since.conversation, |tables, row| tables.changes(row, since)))
    }

    async fn members(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        page: MembersPage,
    ) -> Result<Read<MembersRows>, ShardError> {
        Ok(self.read(at, conversation, |tables, row| tables.member_page(row, page)))
    }

    async fn inbox(
        &self,
        at: UnitAt,
        user: UserId,
        page: InboxPage,
    ) -> Result<Read<InboxRows>, ShardError> {
        Ok(self.read_user(at, user, |tables| tables.inbox_page(user, page)))
    }

    async fn inbox_changes(
        &self,
        at: UnitAt,
        user: UserId,
        since: UserRev,
        limit: u32,
    ) -> Result<Read<InboxChanges>, ShardError> {
        Ok(self.read_user(at, user, |tables| tables.inbox_since(user, since, limit)))
    }

    async fn inbox_entry(
        &self,
        at: UnitAt,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Read<Option<Arc<InboxEntry>>>, ShardError> {
        Ok(self.read_user(at, user, |tables| tables.inbox.get(&(user, conversation)).cloned()))
    }

    async fn inbox_large(&self, at: UnitAt, user: UserId) -> Result<Read<InboxRows>, ShardError> {
        Ok(self.read_user(at, user, |tables| tables.inbox_large(user)))
    }

    async fn annexes(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        reader: UserId,
        page: AnnexPage,
    ) -> Result<Read<AnnexRows>, ShardError> {
        Ok(self.read(at, conversation, |tables, row| tables.annex_page(row, reader, page)))
    }

    async fn undispatched(
        &self,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<Undispatched>, ShardError> {
        let state = self.state.lock();
        let after = after.unwrap_or(0).max(state.dispatched);
        let batches = state.batches.range((Bound::Excluded(after), Bound::Unbounded));
        let answer = |(position, rows): (&Position, &Vec<Row>)| Undispatched {
            position: *position,
            rows: rows.clone(),
        };
        Ok(batches.take(limit as usize).map(answer).collect())
    }

    async fn dispatched(&self, up_to: Position) -> Result<(), ShardError> {
        let mut state = self.state.lock();
        state.dispatched = state.dispatched.max(up_to);
        let kept = state.dispatched.saturating_add(1);
        state.batches = state.batches.split_off(&kept);
        Ok(())
    }

    fn search_index(&self) -> Option<Arc<dyn SearchIndex>> {
        Some(Arc::clone(&self.search) as Arc<dyn SearchIndex>)
    }

    async fn stats(&self) -> Result<ShardStats, ShardError> {
        let state = self.state.lock();
        let tables = &state.tables;
        let carved = |row: &&Arc<Conversation>| row.unit.0 >= u32::from(SLOTS);
        let mut bytes = Vec::new();
        for message in tables.messages.values() {
            record::encode(&Row::Message(Arc::clone(message)), &mut bytes);
        }
        Ok(ShardStats {
            conversations: tables.conversations.len() as u64,
            messages: tables.messages.len() as u64,
            users: tables.users.len() as u64,
            bytes: bytes.len() as u64,
            overridden: tables.conversations.values().filter(carved).count() as u64,
            pending_bytes: 0,
        })
    }
}
