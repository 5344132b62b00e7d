//! The audit log: what operators did.

use async_trait::async_trait;
use ostracon_domain::Millis;

use super::Result;

/// One thing that an operator did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Millis,
    /// Who: an account, or the name of a key.
    pub who: String,
    /// From where: an address, or the local socket.
    pub from: String,
    /// What was done: one word, like a command's name.
    pub action: String,
    /// What it was done to.
    pub target: String,
    /// The rest, JSON or a sentence.
    pub detail: String,
}

/// An entry with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Its number; rising, never reused.
    pub id: u64,
    /// What was done.
    pub entry: AuditEntry,
}

/// The audit log. Entries are only added.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Adds an entry; its number. It is durable when this returns.
    async fn record(&self, entry: AuditEntry) -> Result<u64>;
    /// Entries, newest first: those with a number below `after`, all without it; at most `limit`.
    async fn audit(&self, after: Option<u64>, limit: u32) -> Result<Vec<AuditRow>>;
}
