//! The duplicate filters of the conversations that a committer knows. Bounded by bytes.

use ostracon_domain::{ClientId, ConversationId, UserId};
use rustc_hash::FxHashMap;

use crate::duplicate_filter::{ClientKeys, DuplicateFilter};

/// Bytes of all filters of a shard; beyond it they are dropped and their conversations probed in the tables.
const BYTES_MAX: usize = 32 << 20;

/// Filters by conversation. One that is missing means: look into the tables.
pub(crate) struct Filters {
    keys: ClientKeys,
    by_conversation: FxHashMap<ConversationId, DuplicateFilter>,
    bytes: usize,
}

impl Filters {
    pub(crate) fn new(keys: ClientKeys) -> Self {
        Self { keys, by_conversation: FxHashMap::default(), bytes: 0 }
    }

    /// Whether this client id is certainly new.
    pub(crate) fn certainly_new(
        &self,
        id: ConversationId,
        sender: UserId,
        client_id: &ClientId,
    ) -> bool {
        self.by_conversation
            .get(&id)
            .is_some_and(|filter| !filter.may_contain(self.keys.of(sender, client_id)))
    }

    /// Takes the complete filter of a conversation, or none.
    pub(crate) fn put(&mut self, id: ConversationId, filter: Option<DuplicateFilter>) {
        self.forget(id);
        if let Some(filter) = filter {
            self.bytes += filter.bytes();
            self.by_conversation.insert(id, filter);
        }
        if self.bytes > BYTES_MAX {
            self.clear();
        }
    }

    /// A message was sent.
    pub(crate) fn sent(&mut self, id: ConversationId, sender: UserId, client_id: &ClientId) {
        let Some(filter) = self.by_conversation.get_mut(&id) else {
            return;
        };
        let before = filter.bytes();
        let taken = filter.insert(self.keys.of(sender, client_id));
        self.bytes = self.bytes + filter.bytes() - before;
        if !taken {
            self.forget(id);
        }
    }

    pub(crate) fn forget(&mut self, id: ConversationId) {
        if let Some(filter) = self.by_conversation.remove(&id) {
            self.bytes -= filter.bytes();
        }
    }

    /// Keeps those of conversations that are still known.
    pub(crate) fn keep(&mut self, known: impl Fn(ConversationId) -> bool) {
        self.by_conversation.retain(|id, _| known(*id));
        self.bytes = self.by_conversation.values().map(DuplicateFilter::bytes).sum();
    }

    pub(crate) fn clear(&mut self) {
        self.by_conversation.clear();
        self.bytes = 0;
    }
}
