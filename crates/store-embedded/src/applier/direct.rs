//! What is written into the tables without a record in the journal: pages of an import, and a purge.
//!
//! Nobody is served such rows before a record says so: a unit is open only behind its import, and was moved before its purge.
//! So a crash in between loses nothing; the mover begins the import anew, or repeats the purge.

use ostracon_domain::{Row, UnitId};
use ostracon_store::{Purged, ShardError};
use tokio::sync::oneshot;

use super::{Applier, Result};
use crate::{journal::Position, tables::Importing};

/// What to write.
pub(crate) enum Page {
    /// Rows from another shard. Durable when it is answered.
    Import(Vec<Row>),
    /// Removes about so many rows. Durable when it is answered that all are gone.
    Purge(u32),
}

/// A page on its way.
pub(crate) struct Direct {
    pub(super) unit: UnitId,
    pub(super) page: Page,
    /// Not before everything up to here is in the tables.
    pub(super) after: Position,
    pub(super) answer: oneshot::Sender<std::result::Result<Purged, ShardError>>,
}

impl Applier {
    /// Writes a page in a transaction of its own and answers. What fails is not tried again: the mover does that.
    pub(super) fn direct(&mut self, direct: Direct) {
        let Direct { unit, page, answer, .. } = direct;
        let written = self.write_page(unit, &page);
        if written.is_err() {
            self.writer.roll_back();
        }
        let normal = self.writer.synced(false);
        self.core.queue.direct_done(unit);
        // Who asked may have gone.
        drop(answer.send(written.and_then(|done| normal.map(|()| done)).map_err(ShardError::from)));
        if self.rows_since_checkpoint >= super::CHECKPOINT_ROWS
            && let Err(error) = self.checkpoint()
        {
            tracing::error!(shard = self.core.id.0, %error, "the write-ahead log could not be checkpointed");
        }
    }

    fn write_page(&mut self, unit: UnitId, page: &Page) -> Result<Purged> {
        match page {
            Page::Import(rows) => {
                // Each page by itself, so that nothing is left to sync while the unit is frozen.
                self.writer.synced(true)?;
                self.writer.begin()?;
                let mut importing = Importing::new(&mut self.writer);
                for row in rows {
                    importing.write(row)?;
                }
                self.writer.commit()?;
                // What a tombstone replaces may have come with an earlier page.
                self.core.note_deletions(self.core.journal.synced(), rows, None);
                self.rows_since_checkpoint += rows.len();
                Ok(Purged::default())
            }
            Page::Purge(limit) => {
                self.writer.begin()?;
                let purged = self.writer.purge(unit, *limit)?;
                self.writer.commit()?;
                self.rows_since_checkpoint += usize::try_from(purged.rows).unwrap_or(0);
                if purged.done {
                    // Nobody looks for what would come back from a log that was lost with the power.
                    self.writer.synced(true)?;
                    self.writer.begin()?;
                    self.writer.meta(&self.meta)?;
                    self.writer.commit()?;
                }
                Ok(purged)
            }
        }
    }
}
