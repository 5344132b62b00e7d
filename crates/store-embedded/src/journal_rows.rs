//! The rows that the journal still holds, for checks: what is there must be in the tables or on its way.

use ostracon_domain::{Row, ShardId};

use crate::{
    journal::ReadError,
    payload::{self, Payload},
    store::{EmbeddedStore, OpenError},
};

impl EmbeddedStore {
    /// Hands over the rows of every frame, oldest first. Blocking. Frames that are removed meanwhile are left out.
    ///
    /// # Errors
    /// When a synced frame is damaged or unknown.
    pub fn journal_rows(&self, mut take: impl FnMut(ShardId, &[Row])) -> Result<(), OpenError> {
        let journal = self.journal();
        let mut from = journal.oldest();
        loop {
            match self.rows_from(&mut from, &mut take) {
                Err(ReadError::Gone { oldest }) if oldest > from => from = oldest,
                result => return Ok(result?),
            }
        }
    }

    fn rows_from(
        &self,
        from: &mut u64,
        take: &mut impl FnMut(ShardId, &[Row]),
    ) -> Result<(), ReadError> {
        let mut frames = self.journal().replay_from(*from)?;
        while let Some(frame) = frames.next_frame()? {
            *from = frame.end;
            // A kind that is unknown would have been refused when this was opened.
            if let Ok(
                Payload::Batch(rows) | Payload::Imported(rows) | Payload::Relabelled(rows, _),
            ) = payload::decode(frame.payload)
            {
                take(ShardId(frame.shard), &rows);
            }
        }
        Ok(())
    }
}
