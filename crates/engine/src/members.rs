//! Members of a group by name.

use std::sync::Arc;

use ostracon_domain::{ConversationId, Member, UserId};
use ostracon_search::name_matches;
use ostracon_store::MembersPage;
use rustc_hash::FxHashSet;

use crate::{
    engine::Engine,
    error::EngineError,
    limits::{SEARCH_MEMBERS_MAX, SEARCH_NAMED_AT_ONCE},
};

/// A page of members whose name matches.
#[derive(Debug)]
pub struct MembersNamed {
    /// Their rows, by rising user id; none that has left.
    pub members: Vec<Arc<Member>>,
    /// Whether the group is large.
    pub large: bool,
    /// The last user looked at; none at the end.
    pub next: Option<UserId>,
}

impl Engine {
    /// Members above a user whose name matches, at most `limit`; at most [`SEARCH_MEMBERS_MAX`] are looked at.
    ///
    /// # Errors
    /// `NotFound` for a stranger's conversation.
    pub async fn members_named(
        &self,
        reader: UserId,
        id: ConversationId,
        mut after: Option<UserId>,
        query: &str,
        limit: u32,
    ) -> Result<MembersNamed, EngineError> {
        let (mut members, mut seen) = (Vec::new(), 0);
        loop {
            let page = MembersPage { after, limit: SEARCH_NAMED_AT_ONCE };
            let found = self.members(reader, id, page).await?;
            seen += found.members.len();
            let large = found.conversation.large;
            let present: Vec<_> = found.members.iter().filter(|row| row.is_present()).collect();
            let ids: Vec<UserId> = present.iter().map(|row| row.user).collect();
            let known = self.core().directory.users(&ids).await?;
            let fits = known.iter().filter(|user| {
                let login = user.username.as_ref();
                name_matches(query, &user.display_name)
                    || login.is_some_and(|name| name_matches(query, name))
            });
            let fits: FxHashSet<UserId> = fits.map(|user| user.id).collect();
            for row in present {
                if fits.contains(&row.user) {
                    members.push(Arc::clone(row));
                }
                if members.len() == limit as usize {
                    return Ok(MembersNamed { members, large, next: Some(row.user) });
                }
            }
            after = found.members.last().map(|row| row.user).or(after);
            if !found.more || seen >= SEARCH_MEMBERS_MAX {
                return Ok(MembersNamed { members, large, next: after.filter(|_| found.more) });
            }
        }
    }
}
