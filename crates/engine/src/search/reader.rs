//! What became of conversations, read from their shard as updates of an index.

use std::sync::Arc;

use ostracon_domain::{ConversationId, Message, MessageKind, Rev, Row, Seq, Subject, UnitId};
use ostracon_store::{
    Document, Indexed, ScanCursor, SearchIndex, Shard, ShardError, SubjectVersion, Update,
};

use super::{Search, searchable};
use crate::limits::{INDEX_DOCUMENTS, INDEX_ROWS};

/// Beyond every number a shard can hold: nothing is newer.
const NEWEST: u64 = i64::MAX as u64;

/// Reads a shard and writes its index, a piece at a time.
pub(crate) struct Reader<'a> {
    search: &'a Search,
    shard: &'a Arc<dyn Shard>,
    index: &'a Arc<dyn SearchIndex>,
    /// What is to be written together.
    waiting: Vec<Update>,
    documents: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(
        search: &'a Search,
        shard: &'a Arc<dyn Shard>,
        index: &'a Arc<dyn SearchIndex>,
    ) -> Self {
        Self { search, shard, index, waiting: Vec::new(), documents: 0 }
    }

    /// Writes what waits.
    pub(crate) async fn flush(&mut self) -> Result<(), ShardError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let documents = std::mem::take(&mut self.documents);
        let waiting = std::mem::take(&mut self.waiting);
        self.search.turn(self.index.update(waiting)).await?;
        metrics::counter!("search_indexed_messages_total", "shard" => self.shard.id().to_string())
            .increment(documents as u64);
        Ok(())
    }

    /// Adds an update to what waits; writes when that is much. Two of one conversation are never written together, so that
    /// the second may rest on the first.
    pub(crate) async fn put(&mut self, update: Update) -> Result<(), ShardError> {
        self.documents += update.documents.len();
        self.waiting.push(update);
        if self.documents >= INDEX_DOCUMENTS || self.waiting.len() >= INDEX_DOCUMENTS {
            self.flush().await?;
        }
        Ok(())
    }

    /// Brings one conversation of a unit to where its shard is. What is not there any more is forgotten.
    pub(crate) async fn follow(
        &mut self,
        unit: UnitId,
        id: ConversationId,
        known: Option<Indexed>,
        newest: Option<Rev>,
    ) -> Result<(), ShardError> {
        let from = known.map_or(0, |known| known.rev);
        if newest.is_none_or(|newest| newest.saturating_sub(from) > u64::from(INDEX_ROWS)) {
            return self.whole(unit, id).await;
        }
        let since = SubjectVersion { rev: from, mark_rev: NEWEST };
        let read = async {
            let rows = self.since(unit, id, since).await?;
            Ok(rows.map_or_else(|| Some(Update::forget(id)), |rows| update_of(id, known, rows)))
        };
        match self.search.turn(read).await? {
            Some(update) => self.put(update).await,
            None => self.whole(unit, id).await,
        }
    }

    async fn since(
        &self,
        unit: UnitId,
        id: ConversationId,
        since: SubjectVersion,
    ) -> Result<Option<Vec<Row>>, ShardError> {
        let found = self.shard.subjects_since(unit, &[(Subject::Conversation(id), since)]).await?;
        Ok(found.into_iter().next().flatten().map(|found| found.rows))
    }

    /// Takes in a conversation from its first message on.
    async fn whole(&mut self, unit: UnitId, id: ConversationId) -> Result<(), ShardError> {
        let nothing = SubjectVersion { rev: NEWEST, mark_rev: NEWEST };
        let rows = self.search.turn(self.since(unit, id, nothing)).await?.unwrap_or_default();
        let own = rows.into_iter().find_map(|row| match row {
            Row::Conversation(row) => Some(row),
            _ => None,
        });
        let Some(own) = own else { return self.put(Update::forget(id)).await };
        let indexed = Some(Indexed { history: own.history, rev: own.rev });
        let mut update = Update { fresh: true, ..Update::of(id) };
        if own.deleted_at.is_none() && own.head_seq > 0 {
            let mut after: Seq = 0;
            loop {
                let cursor =
                    ScanCursor { subject: Subject::Conversation(id), after_seq: Some(after) };
                let read = async {
                    let page = self.shard.scan_unit(unit, Some(cursor), INDEX_ROWS).await?;
                    for row in &page.rows {
                        if let Row::Message(message) = row
                            && message.conversation == id
                        {
                            add(&mut update, message);
                        }
                    }
                    Ok(page.next)
                };
                let next = self.search.turn(read).await?;
                match next {
                    Some(ScanCursor { subject, after_seq: Some(seq) })
                        if subject == Subject::Conversation(id) =>
                    {
                        after = seq;
                    }
                    _ => break,
                }
                // A long conversation is written in parts; where it stands is told with the last one.
                let part = std::mem::replace(&mut update, Update::of(id));
                self.put(part).await?;
                self.flush().await?;
            }
        }
        update.indexed = indexed;
        self.put(update).await
    }
}

/// What rows since a known place say; what is not known yet is read whole, in one go if it is short. `None` where they are
/// of another line of numbers.
fn update_of(id: ConversationId, known: Option<Indexed>, rows: Vec<Row>) -> Option<Update> {
    let mut update = Update { fresh: known.is_none(), ..Update::of(id) };
    let mut deleted = false;
    for row in rows {
        match row {
            Row::Conversation(row) => {
                if known.is_some_and(|known| row.history != known.history || row.rev < known.rev) {
                    return None;
                }
                update.indexed = Some(Indexed { history: row.history, rev: row.rev });
                update.gone_below = row.retained_from;
                // Nothing of a deleted group is found; that it was looked at is remembered.
                deleted = row.deleted_at.is_some();
                update.fresh |= deleted;
            }
            Row::Message(message) if !deleted => add(&mut update, &message),
            _ => {}
        }
    }
    Some(update)
}

/// A message as it is now: with its tokens, or gone.
fn add(update: &mut Update, message: &Message) {
    let tokens = if message.deleted.is_some() || message.kind == MessageKind::System {
        Vec::new()
    } else {
        ostracon_search::tokens(&searchable(message))
    };
    let has_files = message.extra.as_ref().is_some_and(|extra| !extra.attachments.is_empty());
    let has_attachment =
        has_files || matches!(message.kind, MessageKind::Image | MessageKind::File);
    if tokens.is_empty() {
        if !update.fresh {
            update.removed.push(message.seq);
        }
        return;
    }
    update.documents.push(Document {
        seq: message.seq,
        message_id: message.message_id,
        sender: message.sender,
        has_attachment,
        tokens,
    });
}
