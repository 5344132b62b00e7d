//! The mover's part of the twin, and its restart.

use std::sync::Arc;

use async_trait::async_trait;
use ostracon_domain::{
    Conversation, ConversationId, Reaction, Row, Seq, Subject, UnitAt, UnitId, UserState,
};

use super::{MemoryShard, State, tables::Tables};
use crate::{
    digest::Digest,
    read::{MembersPage, MembersRows},
    shard::ShardError,
    transfer::{
        Note, Purged, Relabel, ScanCursor, ScanPage, SubjectDigest, SubjectHead, SubjectRows,
        SubjectVersion, Transfer, changed_subjects,
    },
    unit_state::{Pair, UnitChange, UnitPhase, UnitState, admit, relabelled},
};

impl MemoryShard {
    /// Restarts the shard, as after a crash: notes are forgotten, and so are rows whose import was not complete.
    pub fn restart(&self) {
        let mut state = self.state.lock();
        state.incarnation += 1;
        state.notes.clear();
        let lost: Vec<UnitId> = std::mem::take(&mut state.unsynced).into_iter().collect();
        for unit in lost {
            for subject in state.tables.subjects(unit) {
                state.tables.remove(subject);
            }
        }
    }
}

impl State {
    /// Notes what rows changed in units that are captured.
    pub(super) fn note(&mut self, rows: &[Row]) {
        for (unit, note) in changed_subjects(rows) {
            let captured = self.units.get(&unit).map(|state| state.phase);
            if captured == Some(UnitPhase::Capturing) {
                self.notes.entry(unit).or_default().insert(note.subject, note.version);
            }
        }
    }

    /// Runs a command of a move that leaves its unit in its state.
    fn admit(
        &mut self,
        at: UnitAt,
        phases: &[UnitPhase],
        pair: Pair,
        tagged: bool,
    ) -> Result<(), ShardError> {
        let incarnation = tagged.then_some(self.incarnation);
        match admit(self.units.get(&at.unit).copied(), at, phases, pair, incarnation) {
            Ok(row) => {
                self.units.insert(row.unit, row);
                Ok(())
            }
            Err((error, row)) => {
                self.units.extend(row.map(|row| (row.unit, row)));
                Err(error)
            }
        }
    }
}

impl Tables {
    /// The subjects of a unit, in order.
    fn subjects(&self, unit: UnitId) -> Vec<Subject> {
        let conversations = self.conversations_of(unit).map(|row| Subject::Conversation(row.id));
        conversations.chain(self.users_of(unit).map(|row| Subject::User(row.user))).collect()
    }

    fn unit_of(&self, subject: Subject) -> Option<UnitId> {
        match subject {
            Subject::Conversation(id) => self.conversations.get(&id).map(|row| row.unit),
            Subject::User(user) => self.users.get(&user).map(|row| row.unit),
        }
    }

    fn head(&self, subject: Subject) -> Option<SubjectHead> {
        Some(match subject {
            Subject::Conversation(id) => {
                let row = self.conversations.get(&id)?;
                SubjectHead { subject, version: (&**row).into(), head_seq: row.head_seq }
            }
            Subject::User(user) => {
                let row = self.users.get(&user)?;
                SubjectHead { subject, version: (&**row).into(), head_seq: 0 }
            }
        })
    }

    fn since(&self, subject: Subject, since: SubjectVersion) -> Option<SubjectRows> {
        let version = self.head(subject)?.version;
        let mut rows = Vec::new();
        match subject {
            Subject::Conversation(id) => {
                let own = self.conversations.get(&id)?;
                rows.push(Row::Conversation(Arc::clone(own)));
                if own.retained_from > 1 {
                    rows.push(Row::MessagesGone { conversation: id, below: own.retained_from });
                }
                let members = self
                    .members_of(id)
                    .filter(|member| member.rev > since.rev || member.mark_rev > since.mark_rev);
                rows.extend(members.cloned().map(Row::Member));
                let annexes = self.annexes_on_their_own(id);
                let changed = annexes.filter(|row| row.number > since.of_annex(row.key.kind));
                rows.extend(changed.cloned().map(Row::Annex));
                let messages = self.messages.range((id, 0)..=(id, Seq::MAX));
                for ((_, seq), message) in messages.filter(|(_, row)| row.rev > since.rev) {
                    rows.push(Row::Message(Arc::clone(message)));
                    let reaction = |row: &Reaction| Row::Reaction(Arc::new(row.clone()));
                    rows.extend(self.reactions_of(id, *seq).map(reaction));
                    rows.extend(self.annexes_of_message(id, *seq).cloned().map(Row::Annex));
                }
            }
            Subject::User(user) => {
                rows.push(Row::User(Arc::clone(self.users.get(&user)?)));
                let entries = self.entries_of(user).filter(|entry| entry.user_rev > since.rev);
                rows.extend(entries.cloned().map(Row::Inbox));
            }
        }
        Some(SubjectRows { rows, version })
    }

    fn relabel(&mut self, subject: Subject, unit: UnitId) {
        match subject {
            Subject::Conversation(id) => {
                if let Some(row) = self.conversations.get_mut(&id) {
                    *row = Arc::new(Conversation { unit, ..(**row).clone() });
                }
            }
            Subject::User(user) => {
                if let Some(row) = self.users.get_mut(&user) {
                    *row = Arc::new(UserState { unit, ..(**row).clone() });
                }
            }
        }
    }

    /// Removes a subject with all its rows; how many they were.
    fn remove(&mut self, subject: Subject) -> u64 {
        let before = self.len();
        match subject {
            Subject::Conversation(id) => {
                self.remove_messages(id, Seq::MAX);
                self.members.retain(|(of, _), _| *of != id);
                self.annexes.retain(|(of, _), _| *of != id);
                self.conversations.remove(&id);
            }
            Subject::User(user) => {
                self.inbox.retain(|(of, _), _| *of != user);
                self.users.remove(&user);
            }
        }
        before - self.len()
    }

    fn len(&self) -> u64 {
        let rows = [
            self.conversations.len(),
            self.members.len(),
            self.messages.len(),
            self.reactions.len(),
            self.annexes.len(),
            self.users.len(),
            self.inbox.len(),
        ];
        rows.into_iter().sum::<usize>() as u64
    }
}

#[async_trait]
impl Transfer for MemoryShard {
    async fn unit_states(&self) -> Result<Vec<UnitState>, ShardError> {
        Ok(self.state.lock().units.values().copied().collect())
    }

    async fn set_unit_state(&self, change: UnitChange) -> Result<UnitState, ShardError> {
        let mut state = self.state.lock();
        let current = state.units.get(&change.unit).copied();
        let verdict = change.apply(current, state.incarnation);
        if let Some(row) = verdict.to_store() {
            state.units.insert(row.unit, row);
            let before = current.map(|state| state.phase);
            match (before, row.phase) {
                (Some(UnitPhase::Open), UnitPhase::Capturing)
                | (_, UnitPhase::Open | UnitPhase::Moved) => {
                    state.notes.remove(&row.unit);
                }
                _ => {}
            }
            if row.phase != UnitPhase::Importing {
                state.unsynced.remove(&row.unit);
            }
        }
        verdict.answer()
    }

    async fn scan_unit(
        &self,
        unit: UnitId,
        from: Option<ScanCursor>,
        limit: u32,
    ) -> Result<ScanPage, ShardError> {
        Ok(self.state.lock().tables.scan(unit, from, limit))
    }

    async fn subjects_since(
        &self,
        unit: UnitId,
        since: &[(Subject, SubjectVersion)],
    ) -> Result<Vec<Option<SubjectRows>>, ShardError> {
        let state = self.state.lock();
        let tables = &state.tables;
        let of = |(subject, since): &(Subject, SubjectVersion)| {
            let here = tables.unit_of(*subject) == Some(unit);
            here.then(|| tables.since(*subject, *since)).flatten()
        };
        Ok(since.iter().map(of).collect())
    }

    async fn heads(
        &self,
        unit: UnitId,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<SubjectHead>, ShardError> {
        let state = self.state.lock();
        let subjects = state.tables.subjects(unit).into_iter();
        let wanted = subjects.filter(|subject| after.is_none_or(|after| *subject > after));
        Ok(wanted.take(limit as usize).filter_map(|subject| state.tables.head(subject)).collect())
    }

    async fn digests(
        &self,
        unit: UnitId,
        subjects: &[Subject],
    ) -> Result<Vec<SubjectDigest>, ShardError> {
        let state = self.state.lock();
        let tables = &state.tables;
        let here = subjects.iter().filter(|subject| tables.unit_of(**subject) == Some(unit));
        let of = |subject: &Subject| tables.since(*subject, SubjectVersion::default());
        Ok(here
            .filter_map(|subject| {
                let found = of(subject)?;
                let mut digest = Digest::new(*subject, found.version);
                found.rows.iter().for_each(|row| digest.add(row));
                Some(digest.finish())
            })
            .collect())
    }

    async fn notes(&self, at: UnitAt, limit: u32) -> Result<Vec<Note>, ShardError> {
        let state = self.state.lock();
        let current = state.units.get(&at.unit).copied();
        let pair = current.map_or_else(Pair::default, |state| state.pair);
        let phases = [UnitPhase::Capturing, UnitPhase::Frozen];
        admit(current, at, &phases, pair, Some(state.incarnation)).map_err(|(error, _)| error)?;
        let notes = state.notes.get(&at.unit).into_iter().flatten();
        let note = |(subject, version): (&Subject, &SubjectVersion)| Note {
            subject: *subject,
            version: *version,
        };
        Ok(notes.take(limit as usize).map(note).collect())
    }

    async fn drop_notes(&self, at: UnitAt, notes: &[Note], pair: Pair) -> Result<(), ShardError> {
        let mut state = self.state.lock();
        state.admit(at, &[UnitPhase::Capturing, UnitPhase::Frozen], pair, true)?;
        let known = state.notes.entry(at.unit).or_default();
        for note in notes {
            if known.get(&note.subject) == Some(&note.version) {
                known.remove(&note.subject);
            }
        }
        Ok(())
    }

    async fn apply_rows(&self, at: UnitAt, rows: Vec<Row>, pair: Pair) -> Result<(), ShardError> {
        let mut state = self.state.lock();
        state.admit(at, &[UnitPhase::Importing], pair, true)?;
        state.tables.import(&rows);
        state.unsynced.insert(at.unit);
        Ok(())
    }

    async fn import_complete(&self, at: UnitAt, pair: Pair) -> Result<(), ShardError> {
        let mut state = self.state.lock();
        state.admit(at, &[UnitPhase::Importing], pair, true)?;
        state.unsynced.remove(&at.unit);
        Ok(())
    }

    async fn relabel(&self, relabel: Relabel) -> Result<(), ShardError> {
        let mut state = self.state.lock();
        let Relabel { frozen, other, away, subjects, pair } = relabel;
        state.admit(frozen, &[UnitPhase::Frozen], pair, false)?;
        let (from, to) = if away { (frozen.unit, other) } else { (other, frozen.unit) };
        for subject in subjects {
            if state.tables.unit_of(subject) == Some(from) {
                state.tables.relabel(subject, to);
            }
        }
        let incarnation = state.incarnation;
        let known = state.units.get(&other).copied();
        if let Some(row) = relabelled(known, other, away, pair, incarnation)
            && (away || state.tables.subjects(other).is_empty())
        {
            state.units.insert(other, row);
        }
        Ok(())
    }

    async fn purge(&self, at: UnitAt, limit: u32) -> Result<Purged, ShardError> {
        let mut state = self.state.lock();
        let current = state.units.get(&at.unit).copied();
        let gone = (UnitPhase::Moved, at.epoch);
        if current.map(|state| (state.phase, state.epoch)) != Some(gone) {
            return Err(ShardError::Unexpected(current));
        }
        let mut rows = 0;
        for subject in state.tables.subjects(at.unit) {
            if rows >= u64::from(limit) {
                return Ok(Purged { rows, done: false });
            }
            rows += state.tables.remove(subject);
        }
        Ok(Purged { rows, done: true })
    }

    async fn members_here(
        &self,
        conversation: ConversationId,
        page: MembersPage,
    ) -> Result<Option<MembersRows>, ShardError> {
        let state = self.state.lock();
        let row = state.tables.conversations.get(&conversation);
        Ok(row.map(|row| state.tables.member_page(row, page)))
    }
}
