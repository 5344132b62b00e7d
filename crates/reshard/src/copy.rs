//! The copy: pages of durable rows in subject order, the next read while the last is written.

use std::sync::Arc;

use futures_util::future::{OptionFuture, join};
use ostracon_domain::{Epoch, Row, Subject, UnitAt};
use ostracon_store::{ScanPage, SubjectVersion};

use crate::{
    call::{Side, Trouble, trouble},
    mover::Attempt,
};

/// Pages between two notes of progress.
const PAGES_A_NOTE: u32 = 16;

/// How much was written on the destination.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    rows: u64,
    /// About.
    bytes: u64,
}

impl std::ops::AddAssign for Written {
    fn add_assign(&mut self, more: Self) {
        self.rows += more.rows;
        self.bytes += more.bytes;
    }
}

impl Attempt {
    /// Copies every row of the units that is there now.
    pub(crate) async fn copy(&mut self) -> Result<(), Trouble> {
        self.progress.rows = 0;
        self.progress.bytes = 0;
        for at in self.moved_units() {
            self.copy_unit(at).await?;
        }
        self.note(None).await;
        Ok(())
    }

    async fn copy_unit(&mut self, at: UnitAt) -> Result<(), Trouble> {
        let options = self.around.options;
        let source = Arc::clone(&self.source);
        let patience = self.patience.clone();
        let scan = async |from| {
            let ask = || source.scan_unit(at.unit, from, options.page_rows);
            let page = patience.answer(ask).await?;
            page.map_err(|error| Trouble::Hopeless(format!("the source refuses: {error}")))
        };
        let mut page: Option<ScanPage> = Some(scan(None).await?);
        let mut pages = 0;
        while let Some(ScanPage { rows, next }) = page {
            self.go_on()?;
            self.around.throttle.take(&*self.around.host, rows.len()).await;
            let following: OptionFuture<_> = next.map(|next| scan(Some(next))).into();
            let (applied, following) = join(self.import(at, rows), following).await;
            applied?;
            page = following.transpose()?;
            pages += 1;
            if pages % PAGES_A_NOTE == 0 {
                self.note(None).await;
            }
        }
        Ok(())
    }

    /// Writes rows on the destination and remembers how far its subjects are then.
    async fn import(&mut self, at: UnitAt, rows: Vec<Row>) -> Result<(), Trouble> {
        let mut versions: Vec<(Subject, SubjectVersion)> = Vec::new();
        let mut sent = Vec::with_capacity(rows.len());
        for row in rows {
            let mut gone = None;
            match &row {
                Row::Conversation(row) => {
                    versions.push((Subject::Conversation(row.id), (&**row).into()));
                    // An earlier copy may hold what was removed since.
                    let below = row.retained_from;
                    gone = (below > 1).then_some(Row::MessagesGone { conversation: row.id, below });
                }
                Row::User(row) => versions.push((Subject::User(row.user), (&**row).into())),
                _ => {}
            }
            sent.push(row);
            sent.extend(gone);
        }
        let written = self.apply(at, sent).await?;
        self.count(written);
        self.known.extend(versions);
        Ok(())
    }

    /// Writes rows of a unit that the source has at this epoch.
    pub(crate) async fn apply(&self, at: UnitAt, rows: Vec<Row>) -> Result<Written, Trouble> {
        if rows.is_empty() {
            return Ok(Written::default());
        }
        let there = UnitAt { unit: at.unit, epoch: Epoch(at.epoch.0 + 1) };
        let pair = self.steps.next();
        let written = Written { rows: rows.len() as u64, bytes: rows.iter().map(size).sum() };
        let destination = &self.destination;
        let ask = || destination.apply_rows(there, rows.clone(), pair);
        let applied = self.patience.answer(ask).await?;
        applied.map_err(|error| trouble(error, pair, Side::Destination))?;
        Ok(written)
    }

    pub(crate) fn count(&mut self, written: Written) {
        self.progress.rows += written.rows;
        self.progress.bytes += written.bytes;
    }
}

/// About how many bytes a row is.
fn size(row: &Row) -> u64 {
    const SMALL: u64 = 96;
    match row {
        Row::Message(row) => SMALL + row.content.len() as u64,
        _ => SMALL,
    }
}
