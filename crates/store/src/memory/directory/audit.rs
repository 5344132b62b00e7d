//! The twin's audit log.

use async_trait::async_trait;

use super::{MemoryDirectory, Result};
use crate::directory::{Audit, AuditEntry, AuditRow};

#[async_trait]
impl Audit for MemoryDirectory {
    async fn record(&self, entry: AuditEntry) -> Result<u64> {
        let mut state = self.state.lock();
        let id = state.audit.len() as u64 + 1;
        state.audit.push(AuditRow { id, entry });
        Ok(id)
    }

    async fn audit(&self, after: Option<u64>, limit: u32) -> Result<Vec<AuditRow>> {
        let state = self.state.lock();
        let older = state.audit.iter().rev().filter(|row| after.is_none_or(|after| row.id < after));
        Ok(older.take(limit as usize).cloned().collect())
    }
}
