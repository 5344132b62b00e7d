//! A user's conversations by name: groups by their own, direct ones by the name of the other user.

use ostracon_domain::{ConversationKind, UserId};
use ostracon_search::name_matches;

use crate::{
    engine::Engine,
    error::EngineError,
    limits::{SEARCH_NAMED_AT_ONCE, SEARCH_NAMED_MAX},
    reads::EntryRows,
};

/// A conversation that was found.
#[derive(Debug, Clone)]
pub struct Named {
    /// Its line of the chat list.
    pub entry: EntryRows,
    /// The other user of a direct conversation.
    pub peer: Option<UserId>,
}

impl Engine {
    /// Conversations in a user's list whose name matches, latest activity first; at most the first [`SEARCH_NAMED_MAX`] of the
    /// list are looked at.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn conversations_named(
        &self,
        user: UserId,
        query: &str,
        limit: u32,
    ) -> Result<Vec<Named>, EngineError> {
        let mut found = Vec::new();
        let mut after = None;
        let mut seen = 0;
        loop {
            let page = self.chat_list(user, after, SEARCH_NAMED_AT_ONCE).await?;
            seen += page.entries.len();
            let peers: Vec<UserId> =
                page.entries.iter().filter_map(|rows| peer_of(rows, user)).collect();
            let names = self.core().directory.users(&peers).await?;
            for entry in page.entries {
                let peer = peer_of(&entry, user);
                let matches = match peer {
                    None => name_matches(query, &entry.overview.conversation.name),
                    Some(peer) => names.iter().any(|known| {
                        known.id == peer
                            && (name_matches(query, &known.display_name)
                                || known
                                    .username
                                    .as_ref()
                                    .is_some_and(|name| name_matches(query, name)))
                    }),
                };
                if matches {
                    found.push(Named { entry, peer });
                }
                if found.len() == limit as usize {
                    return Ok(found);
                }
            }
            after = page.next;
            if after.is_none() || seen >= SEARCH_NAMED_MAX {
                return Ok(found);
            }
        }
    }
}

/// The other user of a direct conversation; oneself in that with oneself.
fn peer_of(rows: &EntryRows, user: UserId) -> Option<UserId> {
    let row = &rows.overview.conversation;
    row.id.peer_of(user).filter(|_| row.kind == ConversationKind::Direct)
}
