//! The mover's part of a shard: commands go to the committer, questions to the readers, pages to the applier.
//!
//! What is asked while clients wait (heads, what changed, the last page) goes through the overlay and waits for no table.
//! A copy reads the tables alone, as soon as they know everything that the notes do not.

use async_trait::async_trait;
use ostracon_domain::{ConversationId, Row, Subject, UnitAt, UnitId};
use ostracon_store::{
    MembersPage, MembersRows, Note, Pair, Purged, Relabel, ScanCursor, ScanPage, ShardError,
    SubjectDigest, SubjectHead, SubjectRows, SubjectVersion, Transfer, UnitChange, UnitPhase,
    UnitState, admit,
};

use crate::{
    committer::{Import, newer_rows},
    read,
    readers::Size,
    shard::EmbeddedShard,
};

type Result<T> = std::result::Result<T, ShardError>;

#[async_trait]
impl Transfer for EmbeddedShard {
    async fn unit_states(&self) -> Result<Vec<UnitState>> {
        Ok(self.core().overlay.units())
    }

    async fn set_unit_state(&self, change: UnitChange) -> Result<UnitState> {
        let state = self.committer().await.set_unit_state(change).await?;
        if state.phase == UnitPhase::Importing {
            // Rows of an earlier stay that wait must not come behind those of this one.
            self.flush().await?;
        }
        Ok(state)
    }

    async fn scan_unit(
        &self,
        unit: UnitId,
        from: Option<ScanCursor>,
        limit: u32,
    ) -> Result<ScanPage> {
        let core = self.core();
        let is_capturing =
            core.overlay.unit(unit).map(|state| state.phase) == Some(UnitPhase::Capturing);
        let noted_since = core.notes.lock().since(unit).filter(|_| is_capturing);
        match noted_since {
            // What came later is noted, and comes with its note.
            Some(position) => core.flushed_through(position).await?,
            None => core.flushed().await?,
        }
        self.ask(Size::Large, move |_, conn| read::scan(conn, unit, from, limit)).await
    }

    async fn subjects_since(
        &self,
        unit: UnitId,
        since: &[(Subject, SubjectVersion)],
    ) -> Result<Vec<Option<SubjectRows>>> {
        let since = since.to_vec();
        self.ask(Size::Large, move |overlay, conn| {
            read::subjects_since(overlay, conn, unit, &since)
        })
        .await
    }

    async fn heads(
        &self,
        unit: UnitId,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<SubjectHead>> {
        self.ask(Size::Large, move |overlay, conn| read::heads(overlay, conn, unit, after, limit))
            .await
    }

    async fn digests(&self, unit: UnitId, subjects: &[Subject]) -> Result<Vec<SubjectDigest>> {
        self.core().flushed().await?;
        let subjects = subjects.to_vec();
        self.ask(Size::Large, move |_, conn| read::digests(conn, unit, &subjects)).await
    }

    async fn notes(&self, at: UnitAt, limit: u32) -> Result<Vec<Note>> {
        let core = self.core();
        let notes = core.notes.lock();
        let current = core.overlay.unit(at.unit);
        let pair = current.map_or_else(Pair::default, |state| state.pair);
        let phases = [UnitPhase::Capturing, UnitPhase::Frozen];
        admit(current, at, &phases, pair, Some(core.incarnation)).map_err(|(error, _)| error)?;
        Ok(notes.first(at.unit, limit as usize))
    }

    async fn drop_notes(&self, at: UnitAt, notes: &[Note], pair: Pair) -> Result<()> {
        self.committer().await.drop_notes(at, notes, pair).await
    }

    async fn apply_rows(&self, at: UnitAt, rows: Vec<Row>, pair: Pair) -> Result<()> {
        let admitted = self.committer().await.admit_page(at, rows, pair).await?;
        // Commits go on meanwhile.
        match admitted {
            Import::Large(page) => page.answer().await.map(drop),
            Import::Small(rows) => {
                // One of the same unit may be on its way still: whoever sent it gave up waiting.
                self.core().pages_written(at.unit).await?;
                let newer = self
                    .ask(Size::Large, move |overlay, conn| newer_rows(overlay, conn, &rows))
                    .await?;
                self.committer().await.journal_page(at, newer, pair).await
            }
        }
    }

    async fn import_complete(&self, at: UnitAt, pair: Pair) -> Result<()> {
        self.committer().await.import_complete(at, pair).await
    }

    async fn relabel(&self, relabel: Relabel) -> Result<()> {
        self.committer().await.relabel(relabel).await
    }

    async fn purge(&self, at: UnitAt, limit: u32) -> Result<Purged> {
        let page = self.committer().await.purge(at, limit).await?;
        page.answer().await
    }

    async fn members_here(
        &self,
        conversation: ConversationId,
        page: MembersPage,
    ) -> Result<Option<MembersRows>> {
        self.ask(Size::of(page.limit), move |overlay, conn| {
            read::members_here(overlay, conn, conversation, page)
        })
        .await
    }
}
