//! Work on data directories that no server uses: restoring a back-up, cutting a damaged journal.
//!
//! Both end with new histories, so that devices drop what they hold instead of mixing two pasts. Work that was cut
//! short leaves a mark, and whoever starts a server asks for it first ([`check_finished`]).

mod repair;
mod restore;

use std::path::{Path, PathBuf};

use ostracon_domain::History;
use ostracon_store::DirectoryError;
use ostracon_store_embedded::{DataDirError, OpenError};

pub use repair::{Loss, look, repair};
pub use restore::{Restored, restore};

use crate::server::StartError;

/// There while a repair is between its cut and its new histories.
const REPAIR_MARK: &str = "REPAIR";

/// Why it was not done. One sentence, which says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The data directory is in use, foreign, newer or not accessible.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// Files in it cannot be used.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The directory file cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// It did not start after the repair.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What was asked for cannot be.
    #[error("{0}")]
    Refused(String),
}

impl OfflineError {
    fn io(path: &Path) -> impl Fn(std::io::Error) -> Self + '_ {
        |source| Self::Io { path: path.to_owned(), source }
    }
}

/// Refuses a data directory whose repair was cut short.
///
/// # Errors
/// A sentence that says what to do.
pub fn check_finished(data_dir: &Path) -> Result<(), OfflineError> {
    if data_dir.join(REPAIR_MARK).exists() {
        let dir = data_dir.display();
        return Err(OfflineError::Refused(format!(
            "a repair of {dir} was cut short: run `ostracon repair --yes --data-dir {dir}` again"
        )));
    }
    Ok(())
}

/// A random line of numbers.
fn new_history() -> History {
    let mut random = [0; 8];
    // Without the system's randomness nothing here could go on; the standard library's own source is as good.
    if getrandom::fill(&mut random).is_err() {
        use std::hash::{BuildHasher as _, RandomState};
        random = RandomState::new().hash_one(0).to_be_bytes();
    }
    History(u64::from_be_bytes(random))
}
