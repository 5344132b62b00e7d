//! What a live move asks of a shard: states of units, copies of their rows, notes of what changed meanwhile, purges.
//!
//! A part of the seam [`Shard`](crate::Shard). Only a mover calls it; clients' commands and reads are not here.
//! Commands of a move carry a [`Pair`]; a smaller one than a unit's last is refused, an equal one is the same command
//! again and harmless to repeat.

use async_trait::async_trait;
use ostracon_domain::{
    AnnexKind, Conversation, ConversationId, Row, Seq, Subject, UnitAt, UnitId, UserState,
};

use crate::{
    read::{MembersPage, MembersRows},
    shard::ShardError,
    unit_state::{Pair, UnitChange, UnitState},
};

/// Where a scan of a unit goes on: after this subject, or inside it after this message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanCursor {
    /// The subject.
    pub subject: Subject,
    /// The last message that was given of it, 0 before the first; `None` when the subject is done.
    pub after_seq: Option<u64>,
}

/// A page of a unit's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanPage {
    /// Rows in subject order: first a subject's own row, its members by user, then annexes with numbers of their own by key,
    /// or entries by conversation (all on one page); then messages by seq, each followed by its reactions by user and emoji
    /// and by its annexes by key.
    pub rows: Vec<Row>,
    /// Where to go on; `None` at the end.
    pub next: Option<ScanCursor>,
}

/// How far a subject has come: every durable change of any of its rows raises exactly one of the two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SubjectVersion {
    /// Rev of a conversation, user rev of a user.
    pub rev: u64,
    /// Mark rev of a conversation; 0 for a user.
    pub mark_rev: u64,
}

impl SubjectVersion {
    /// The number of this version that rows of a kind are compared with.
    pub const fn of_annex(&self, kind: AnnexKind) -> u64 {
        if kind.is_private() { self.mark_rev } else { self.rev }
    }
}

impl From<&Conversation> for SubjectVersion {
    fn from(row: &Conversation) -> Self {
        Self { rev: row.rev, mark_rev: row.mark_rev }
    }
}

impl From<&UserState> for SubjectVersion {
    fn from(row: &UserState) -> Self {
        Self { rev: row.user_rev, mark_rev: 0 }
    }
}

/// A subject that changed while its unit was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Which one.
    pub subject: Subject,
    /// Its version after the last change.
    pub version: SubjectVersion,
}

/// The units and subjects that rows of one commit changed, with the version that each came to. Every durable change of a
/// subject changes its own row, so these are all.
pub fn changed_subjects(rows: &[Row]) -> impl Iterator<Item = (UnitId, Note)> + '_ {
    rows.iter().filter_map(|row| match row {
        Row::Conversation(row) => {
            let subject = Subject::Conversation(row.id);
            Some((row.unit, Note { subject, version: SubjectVersion::from(&**row) }))
        }
        Row::User(row) => {
            let subject = Subject::User(row.user);
            Some((row.unit, Note { subject, version: SubjectVersion::from(&**row) }))
        }
        _ => None,
    })
}

/// What a subject became since a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectRows {
    /// The subject's own row, its members, annexes or entries above the version, messages above it by seq with their
    /// reactions and annexes;
    /// where messages were physically removed, that too. In an order that [`Transfer::apply_rows`] takes.
    pub rows: Vec<Row>,
    /// The version that the rows lead to.
    pub version: SubjectVersion,
}

/// A subject at a glance, for the comparison of two shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubjectHead {
    /// Which one.
    pub subject: Subject,
    /// Rises with every durable change of any of its rows.
    pub version: SubjectVersion,
    /// Seq of the newest message; 0 for a user.
    pub head_seq: Seq,
}

/// What a subject's rows are, in 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubjectDigest {
    /// Which one.
    pub subject: Subject,
    /// The version that was digested.
    pub version: SubjectVersion,
    /// Rows that were digested.
    pub rows: u64,
    /// Hash of the rows in canonical encoding, in the order of a scan, the unit left out.
    pub digest: u128,
}

/// Gives subjects from one unit of this shard to another, one of which is frozen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relabel {
    /// The frozen unit.
    pub frozen: UnitAt,
    /// The other one. Where the shard does not know it, it becomes `Importing` at epoch 1.
    pub other: UnitId,
    /// `true`: from the frozen unit to the other; `false`: from the other into the frozen one.
    pub away: bool,
    /// Which subjects; those that carry neither unit, or do not exist, are left as they are.
    pub subjects: Vec<Subject>,
    /// Lease and step, of the frozen unit.
    pub pair: Pair,
}

/// What a page of a purge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    /// Rows that are gone.
    pub rows: u64,
    /// Nothing of the unit is left here.
    pub done: bool,
}

/// The mover's part of a shard.
#[async_trait]
pub trait Transfer: Send + Sync {
    /// The state of every unit this shard knows, by unit.
    async fn unit_states(&self) -> Result<Vec<UnitState>, ShardError>;

    /// Changes a unit's state as [`UnitChange::apply`] judges. When it returns, the row is durable, no command
    /// under the old state runs any more and all that ran are durable. From `Open` to `Capturing` the notes begin empty.
    ///
    /// # Errors
    /// `Unexpected` when the pair is stale or the unit is not in the state expected; `Restarted` when the capture that
    /// is to be frozen belongs to another start of the shard.
    async fn set_unit_state(&self, change: UnitChange) -> Result<UnitState, ShardError>;

    /// A page of about `limit` rows of a unit, whatever its state, in subject order. Durable rows only.
    async fn scan_unit(
        &self,
        unit: UnitId,
        from: Option<ScanCursor>,
        limit: u32,
    ) -> Result<ScanPage, ShardError>;

    /// What subjects of a unit became since these versions, whatever its state; answer n belongs to question n. `None`:
    /// there is no such subject in this unit. A version of zeros gives all of a subject.
    async fn subjects_since(
        &self,
        unit: UnitId,
        since: &[(Subject, SubjectVersion)],
    ) -> Result<Vec<Option<SubjectRows>>, ShardError>;

    /// Subjects of a unit after `after`, by subject, at most `limit`, whatever the unit's state.
    async fn heads(
        &self,
        unit: UnitId,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<SubjectHead>, ShardError>;

    /// Digests of subjects of a unit, whatever its state; those that are not there are left out, order is that of the
    /// question.
    async fn digests(
        &self,
        unit: UnitId,
        subjects: &[Subject],
    ) -> Result<Vec<SubjectDigest>, ShardError>;

    /// Subjects that changed since the unit began to be captured and whose note was not dropped, at most `limit`.
    ///
    /// # Errors
    /// `Unexpected` when the unit is neither `Capturing` nor `Frozen` at that epoch; `Restarted` when notes are lost.
    async fn notes(&self, at: UnitAt, limit: u32) -> Result<Vec<Note>, ShardError>;

    /// Drops notes whose subject has not changed again since.
    ///
    /// # Errors
    /// As for [`notes`](Self::notes); `Unexpected` also when the pair is stale.
    async fn drop_notes(&self, at: UnitAt, notes: &[Note], pair: Pair) -> Result<(), ShardError>;

    /// Writes rows of a unit that is being imported at this epoch; they are never dispatched. Durable at the latest when
    /// [`import_complete`](Self::import_complete) returns.
    ///
    /// A row already there with a higher number stays: messages and entries by rev, conversations and members by
    /// rev + mark_rev, annexes on their own by their number. Reactions and other annexes come with their message, right
    /// behind it, and replace those that were there; a tombstone removes all annexes of its message and takes no more.
    ///
    /// # Errors
    /// `Unexpected` when the unit is not `Importing` at that epoch, or the pair is stale; `Restarted` when the import
    /// belongs to another start of the shard.
    async fn apply_rows(&self, at: UnitAt, rows: Vec<Row>, pair: Pair) -> Result<(), ShardError>;

    /// Everything imported so far is durable when this returns.
    ///
    /// # Errors
    /// Those of [`apply_rows`](Self::apply_rows).
    async fn import_complete(&self, at: UnitAt, pair: Pair) -> Result<(), ShardError>;

    /// Gives subjects from one unit to another, durably. Taking all back from an `Importing` unit closes that one.
    ///
    /// # Errors
    /// `Unexpected` when the frozen unit is not frozen at that epoch, or the pair is stale.
    async fn relabel(&self, relabel: Relabel) -> Result<(), ShardError>;

    /// Removes about `limit` rows of a unit that lives elsewhere. Only subjects that carry the unit are touched.
    ///
    /// # Errors
    /// `Unexpected` when the unit is not `Moved` at that epoch.
    async fn purge(&self, at: UnitAt, limit: u32) -> Result<Purged, ShardError>;

    /// A page of member rows, whatever the unit's state: for who dispatches what this shard has committed.
    async fn members_here(
        &self,
        conversation: ConversationId,
        page: MembersPage,
    ) -> Result<Option<MembersRows>, ShardError>;
}
