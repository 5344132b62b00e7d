//! The audit log: what operators did.

use serde::{Deserialize, Serialize};

/// What operators did, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Audit {
    /// The entries.
    pub entries: Vec<AuditItem>,
    /// `after` of the next page; null at the end.
    #[schema(required = true)]
    pub next: Option<u64>,
}

/// One thing that an operator did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditItem {
    /// Its number; rising.
    pub audit_id: u64,
    /// When, Unix milliseconds.
    pub at: i64,
    /// Who: an account, `local socket`, or `server` for what a job came to.
    pub who: String,
    /// From where.
    pub from: String,
    /// What.
    pub action: String,
    /// To what.
    pub target: String,
    /// The rest.
    pub detail: String,
}
