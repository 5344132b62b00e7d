//! What a schema holds, as its connections need to know it: how it comes up to date, and what shows that it is the right one.

use async_trait::async_trait;
use tokio_postgres::Row;

use crate::error::OpenError;

/// A shard or a directory.
#[async_trait]
pub(crate) trait Content: Send + Sync {
    /// What stands as `shard` in logs and metrics: `3`, or `directory`.
    fn label(&self) -> String;

    /// A number that differs from that of others on the same server, to spread what all of them would do at once.
    fn number(&self) -> u32;

    /// Brings the schema up to date. Done once, before anybody uses it.
    async fn migrate(&self) -> Result<(), OpenError>;

    /// What a new connection asks before anybody uses it; one row.
    fn hello(&self) -> &'static str;

    /// Looks at the answer; a connection to something else is not used.
    fn learn(&self, row: &Row) -> Result<(), OpenError>;
}
