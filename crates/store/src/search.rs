//! The seam of a search index: of one shard, made from its rows, and thrown away and made again whenever that is easier.
//!
//! It knows which messages have which tokens. It knows nothing of texts, of queries or of who may read; whoever asks looks at
//! the messages themselves before showing any. It keeps, for each conversation, up to which rev it has taken it in.

use async_trait::async_trait;
use ostracon_domain::{ConversationId, History, MessageId, Rev, Seq, UserId};

use crate::shard::ShardError;

/// How far the index has followed one conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indexed {
    /// The conversation's line of numbers.
    pub history: History,
    /// Every change up to here is in.
    pub rev: Rev,
}

/// One message as the index keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its number in its conversation.
    pub seq: Seq,
    /// Its id: its place in time.
    pub message_id: MessageId,
    /// Who sent it.
    pub sender: UserId,
    /// Whether something is attached to it.
    pub has_attachment: bool,
    /// Its tokens, by their bytes, each once.
    pub tokens: Vec<String>,
}

/// What became of one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The conversation.
    pub conversation: ConversationId,
    /// Nothing that was known of it holds any more: it goes before the rest is done.
    pub fresh: bool,
    /// Messages below this seq are gone; 0 or 1 for none.
    pub gone_below: Seq,
    /// Messages that have no tokens any more.
    pub removed: Vec<Seq>,
    /// Messages as they are now, by seq; each takes the place of the one with its seq.
    pub documents: Vec<Document>,
    /// How far this brings it; `None` while a long conversation is read in parts. A lower rev of the same line than the
    /// one known changes nothing.
    pub indexed: Option<Indexed>,
}

impl Update {
    /// A conversation to which nothing happens.
    pub const fn of(conversation: ConversationId) -> Self {
        Self {
            conversation,
            fresh: false,
            gone_below: 0,
            removed: Vec::new(),
            documents: Vec::new(),
            indexed: None,
        }
    }

    /// A conversation that is not here any more.
    pub fn forget(conversation: ConversationId) -> Self {
        Self { fresh: true, ..Self::of(conversation) }
    }
}

/// A token that a message must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The token, or its beginning.
    pub token: String,
    /// Whether any token with this beginning will do.
    pub prefix: bool,
}

/// A part of a conversation: its messages from one seq to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The conversation.
    pub conversation: ConversationId,
    /// First seq.
    pub from: Seq,
    /// Last seq.
    pub to: Seq,
}

/// Which messages are wanted: those that have every token, in any of the spans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchFor {
    /// The tokens; at least one.
    pub tokens: Vec<Wanted>,
    /// Where; each conversation once.
    pub spans: Vec<Span>,
    /// Only of this sender.
    pub sender: Option<UserId>,
    /// Only with something attached.
    pub has_attachment: bool,
    /// Only ids from here on, this one included.
    pub from: u64,
    /// Only ids below this one.
    pub below: u64,
    /// At most so many.
    pub limit: u32,
}

/// A message that has the tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Its id; answers come by falling id.
    pub message_id: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its number there.
    pub seq: Seq,
}

/// What an index holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchStats {
    /// Conversations that are followed.
    pub conversations: u64,
    /// Messages that can be found.
    pub messages: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// The index of one shard. One task writes; anybody asks.
#[async_trait]
pub trait SearchIndex: Send + Sync {
    /// How far conversations are followed; answer n belongs to question n, `None` for one that is not.
    async fn indexed(&self, of: &[ConversationId]) -> Result<Vec<Option<Indexed>>, ShardError>;

    /// Conversations after one, by id, at most `limit`, with how far they are followed; also those that are being read in
    /// parts, as `None`.
    async fn conversations(
        &self,
        after: Option<ConversationId>,
        limit: u32,
    ) -> Result<Vec<(ConversationId, Option<Indexed>)>, ShardError>;

    /// Takes in what became of conversations, each all or nothing, in order.
    async fn update(&self, updates: Vec<Update>) -> Result<(), ShardError>;

    /// The newest messages that have the tokens, by falling id.
    async fn search(&self, wanted: SearchFor) -> Result<Vec<Hit>, ShardError>;

    /// Does a piece of upkeep, if there is any to do: parts are joined, and what was removed is wiped off the disk. Whether
    /// there may be more to do.
    async fn tend(&self) -> Result<bool, ShardError>;

    /// Forgets everything.
    async fn clear(&self) -> Result<(), ShardError>;

    /// What it holds.
    async fn stats(&self) -> Result<SearchStats, ShardError>;
}
