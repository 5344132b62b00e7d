//! The in-memory twin of a search index: every message with its tokens, looked at one by one.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use ostracon_domain::{ConversationId, MessageId, Seq, UserId};
use parking_lot::Mutex;

use crate::{
    search::{Hit, Indexed, SearchFor, SearchIndex, SearchStats, Update, Wanted},
    shard::ShardError,
};

/// An index that is gone with the process.
#[derive(Debug, Default)]
pub struct MemorySearch {
    conversations: Mutex<BTreeMap<ConversationId, Known>>,
}

#[derive(Debug, Default)]
struct Known {
    indexed: Option<Indexed>,
    messages: BTreeMap<Seq, Kept>,
}

#[derive(Debug)]
struct Kept {
    message_id: MessageId,
    sender: UserId,
    has_attachment: bool,
    tokens: BTreeSet<String>,
}

impl Kept {
    fn has(&self, wanted: &Wanted) -> bool {
        if !wanted.prefix {
            return self.tokens.contains(&wanted.token);
        }
        let first = self.tokens.range(wanted.token.clone()..).next();
        first.is_some_and(|token| token.starts_with(&wanted.token))
    }

    fn fits(&self, wanted: &SearchFor) -> bool {
        (wanted.from..wanted.below).contains(&self.message_id.get())
            && wanted.sender.is_none_or(|sender| sender == self.sender)
            && (self.has_attachment || !wanted.has_attachment)
            && wanted.tokens.iter().all(|token| self.has(token))
    }
}

#[async_trait]
impl SearchIndex for MemorySearch {
    async fn indexed(&self, of: &[ConversationId]) -> Result<Vec<Option<Indexed>>, ShardError> {
        let known = self.conversations.lock();
        Ok(of.iter().map(|id| known.get(id).and_then(|known| known.indexed)).collect())
    }

    async fn conversations(
        &self,
        after: Option<ConversationId>,
        limit: u32,
    ) -> Result<Vec<(ConversationId, Option<Indexed>)>, ShardError> {
        let known = self.conversations.lock();
        let rest = known.iter().filter(|(id, _)| after.is_none_or(|after| **id > after));
        Ok(rest.take(limit as usize).map(|(id, known)| (*id, known.indexed)).collect())
    }

    async fn update(&self, updates: Vec<Update>) -> Result<(), ShardError> {
        let mut all = self.conversations.lock();
        for update in updates {
            let before = all.get(&update.conversation).and_then(|known| known.indexed);
            if !update.fresh && is_old(before, update.indexed) {
                continue;
            }
            if update.fresh {
                all.remove(&update.conversation);
            }
            let is_nothing = update.indexed.is_none() && update.documents.is_empty();
            if update.fresh && is_nothing {
                continue;
            }
            let known = all.entry(update.conversation).or_default();
            known.messages = known.messages.split_off(&update.gone_below);
            for seq in &update.removed {
                known.messages.remove(seq);
            }
            for document in update.documents {
                let kept = Kept {
                    message_id: document.message_id,
                    sender: document.sender,
                    has_attachment: document.has_attachment,
                    tokens: document.tokens.into_iter().collect(),
                };
                known.messages.insert(document.seq, kept);
            }
            known.indexed = update.indexed.or(known.indexed);
        }
        Ok(())
    }

    async fn search(&self, wanted: SearchFor) -> Result<Vec<Hit>, ShardError> {
        let all = self.conversations.lock();
        let mut hits = Vec::new();
        for span in wanted.spans.iter().filter(|span| span.from <= span.to) {
            let Some(known) = all.get(&span.conversation) else { continue };
            let fitting = known.messages.range(span.from..=span.to);
            hits.extend(fitting.filter(|(_, kept)| kept.fits(&wanted)).map(|(seq, kept)| Hit {
                message_id: kept.message_id,
                conversation: span.conversation,
                seq: *seq,
            }));
        }
        hits.sort_unstable_by_key(|hit| std::cmp::Reverse(hit.message_id));
        hits.truncate(wanted.limit as usize);
        Ok(hits)
    }

    async fn tend(&self) -> Result<bool, ShardError> {
        Ok(false)
    }

    async fn clear(&self) -> Result<(), ShardError> {
        self.conversations.lock().clear();
        Ok(())
    }

    async fn stats(&self) -> Result<SearchStats, ShardError> {
        let all = self.conversations.lock();
        Ok(SearchStats {
            conversations: all.len() as u64,
            messages: all.values().map(|known| known.messages.len() as u64).sum(),
            bytes: 0,
        })
    }
}

/// Whether an update is behind what is known.
fn is_old(known: Option<Indexed>, update: Option<Indexed>) -> bool {
    match (known, update) {
        (Some(known), Some(update)) => known.history == update.history && update.rev < known.rev,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;

    use super::MemorySearch;
    use crate::{
        contract::search::{SearchFixture, run_all},
        search::SearchIndex,
    };

    struct Memory;

    #[async_trait]
    impl SearchFixture for Memory {
        async fn fresh(&self) -> Arc<dyn SearchIndex> {
            Arc::new(MemorySearch::default())
        }
    }

    #[tokio::test]
    async fn keeps_the_contract() {
        run_all(&Memory).await;
    }
}
