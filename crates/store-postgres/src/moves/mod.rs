//! The mover's part of a shard: states of units, copies, notes, comparisons, relabelling, purges.
//!
//! It is: the statements of [`ostracon_store::Transfer`]. It is not: a judge, which is the seam, nor a mover.
//!
//! **Order of locks.** A unit's row of `unit_state`; then the shard's advisory lock; then rows of conversations, then of
//! users, each in the order of their ids; then notes in the order of their key. A command of a move locks its unit's row,
//! so that commands of one unit run one after another and none runs across a change of its state; it does not take the
//! shard's lock, so that no batch ever waits behind a page. A change of state has the unit's row before it asks for the
//! shard's lock, and keeps that for moments only. Batches take no unit's row. So nobody waits in a circle.
//!
//! **Plans** are made once, perhaps while a table is empty: joins with what is asked for are written as lateral ones behind
//! `OFFSET 0`, so that no plan can begin with the table; rows that are locked are deleted by where they lie; `+unit` is
//! looked at in rows that were found by their key, never looked up.
//!
//! **Pairs** are written with the work, without a new version of the fence: a batch does not care for them.

mod copy;
mod digests;
mod heads;
mod members;
mod newest;
mod notes;
mod pages;
mod purge;
mod relabel;
mod scan;
mod since;
mod unit;

use async_trait::async_trait;
use ostracon_domain::{ConversationId, Row, Subject, UnitAt, UnitId};
use ostracon_store::{
    MembersPage, MembersRows, Note, Pair, Purged, Relabel, ScanCursor, ScanPage, ShardError,
    SubjectDigest, SubjectHead, SubjectRows, SubjectVersion, Transfer, UnitChange, UnitState,
};

use crate::{
    error::PgError,
    shard::{PostgresShard, in_session},
    units,
};

pub(crate) use notes::{NOTE, NoteColumns};

type Result<T> = std::result::Result<T, PgError>;
/// What the seam says to a command that the database carried out or could have.
type Verdict<T> = std::result::Result<T, ShardError>;

#[async_trait]
impl Transfer for PostgresShard {
    async fn unit_states(&self) -> Verdict<Vec<UnitState>> {
        in_session!(self, |session| units::unit_states(session))
    }

    async fn set_unit_state(&self, change: UnitChange) -> Verdict<UnitState> {
        units::set_unit_state(&self.database, change).await
    }

    async fn scan_unit(
        &self,
        unit: UnitId,
        from: Option<ScanCursor>,
        limit: u32,
    ) -> Verdict<ScanPage> {
        in_session!(self, |session| scan::scan(session, unit, from, limit))
    }

    async fn subjects_since(
        &self,
        unit: UnitId,
        since: &[(Subject, SubjectVersion)],
    ) -> Verdict<Vec<Option<SubjectRows>>> {
        in_session!(self, |session| since::subjects_since(session, unit, since))
    }

    async fn heads(
        &self,
        unit: UnitId,
        after: Option<Subject>,
        limit: u32,
    ) -> Verdict<Vec<SubjectHead>> {
        in_session!(self, |session| heads::heads(session, unit, after, limit))
    }

    async fn digests(&self, unit: UnitId, subjects: &[Subject]) -> Verdict<Vec<SubjectDigest>> {
        Ok(digests::digests(&self.database, unit, subjects).await?)
    }

    async fn notes(&self, at: UnitAt, limit: u32) -> Verdict<Vec<Note>> {
        let server = self.database.server();
        let notes: Verdict<_> =
            in_session!(self, |session| notes::read(session, server, at, limit));
        notes?
    }

    async fn drop_notes(&self, at: UnitAt, notes: &[Note], pair: Pair) -> Verdict<()> {
        notes::drop_notes(&self.database, at, notes, pair).await
    }

    async fn apply_rows(&self, at: UnitAt, rows: Vec<Row>, pair: Pair) -> Verdict<()> {
        pages::apply_rows(&self.database, at, &rows, pair).await
    }

    async fn import_complete(&self, at: UnitAt, pair: Pair) -> Verdict<()> {
        pages::import_complete(&self.database, at, pair).await
    }

    async fn relabel(&self, relabel: Relabel) -> Verdict<()> {
        relabel::relabel(&self.database, &relabel).await
    }

    async fn purge(&self, at: UnitAt, limit: u32) -> Verdict<Purged> {
        let purged: Verdict<_> = in_session!(self, |session| purge::purge(session, at, limit));
        purged?
    }

    async fn members_here(
        &self,
        conversation: ConversationId,
        page: MembersPage,
    ) -> Verdict<Option<MembersRows>> {
        in_session!(self, |session| members::members_here(session, conversation, page))
    }
}
