//! What goes wrong below the seam, and what becomes of it there.

use ostracon_store::ShardError;
use rusqlite::ErrorCode;

/// A statement on a shard's tables did not work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TableError {
    /// SQLite says so.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A column holds what was never written.
    #[error("a stored row has no valid {0}")]
    Damaged(&'static str),
}

impl TableError {
    /// A sentence for people: full disks are named as such.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                "disk full: free some space, writing goes on by itself".to_owned()
            }
            _ => self.to_string(),
        }
    }

    /// Whether somebody must look: trying again cannot help.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Damaged(_) => true,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ),
        }
    }
}

impl From<TableError> for ShardError {
    fn from(error: TableError) -> Self {
        tracing::error!(%error, "tables of a shard failed");
        if error.is_damage() {
            Self::Corrupt(error.to_string())
        } else {
            Self::Unavailable(error.sentence())
        }
    }
}
