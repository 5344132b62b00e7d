//! Which user ids exist: a message to nobody must not make a conversation.

use std::sync::Arc;

use ostracon_domain::UserId;
use ostracon_store::{Directory, DirectoryError};
use parking_lot::RwLock;
use rustc_hash::FxHashSet;

use crate::limits::KNOWN_USERS_MAX;

/// Remembers users that were found once; accounts are never removed under an id.
pub(crate) struct KnownUsers {
    directory: Arc<dyn Directory>,
    known: RwLock<FxHashSet<UserId>>,
}

impl KnownUsers {
    pub(crate) fn new(directory: Arc<dyn Directory>) -> Self {
        Self { directory, known: RwLock::default() }
    }

    /// Whether all of them are remembered: the usual case, without a look-up.
    pub(crate) fn remembers(&self, users: &[UserId]) -> bool {
        let known = self.known.read();
        users.iter().all(|user| known.contains(user))
    }

    /// The first of the users that does not exist.
    pub(crate) async fn first_unknown(
        &self,
        users: &[UserId],
    ) -> Result<Option<UserId>, DirectoryError> {
        let unsure: Vec<UserId> = {
            let known = self.known.read();
            users.iter().copied().filter(|user| !known.contains(user)).collect()
        };
        if unsure.is_empty() {
            return Ok(None);
        }
        let found = self.directory.users(&unsure).await?;
        let mut known = self.known.write();
        if known.len() + found.len() > KNOWN_USERS_MAX {
            known.clear();
        }
        known.extend(found.iter().map(|user| user.id));
        Ok(unsure.into_iter().find(|user| !known.contains(user)))
    }
}
