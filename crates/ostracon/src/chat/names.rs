//! Names of users and conversations. Unknown ones are asked for once, many at a time.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use ostracon_client::{Api, device::ChatLine};
use ostracon_domain::{ConversationId, UserId};
use ostracon_proto::{
    UserRef,
    rest::{LookupUsers, Profile},
};

use super::text::one_line;

/// Names known so far.
#[derive(Debug, Default)]
pub(crate) struct Names {
    users: BTreeMap<UserId, String>,
    wanted: BTreeSet<UserId>,
    groups: BTreeMap<ConversationId, String>,
}

impl Names {
    pub(crate) fn learn(&mut self, profile: &Profile) {
        let name = profile.username.as_deref().unwrap_or(&profile.display_name);
        self.users.insert(profile.user_id, one_line(name));
        self.wanted.remove(&profile.user_id);
    }

    /// A group just made, which the list does not name yet.
    pub(crate) fn learn_group(&mut self, id: ConversationId, name: &str) {
        self.groups.insert(id, one_line(name));
    }

    /// The name of a user, or the number until it is known.
    pub(crate) fn user(&mut self, id: UserId) -> String {
        match self.users.get(&id) {
            Some(name) => name.clone(),
            None => {
                self.wanted.insert(id);
                format!("user {id}")
            }
        }
    }

    /// The name of a conversation: that of the group, or of the other user.
    pub(crate) fn conversation(
        &mut self,
        id: ConversationId,
        name: Option<&str>,
        me: UserId,
    ) -> String {
        match (id.peer_of(me), name) {
            (Some(peer), _) => self.user(peer),
            (None, Some(name)) => one_line(name),
            (None, None) => self.groups.get(&id).cloned().unwrap_or_else(|| "group".to_owned()),
        }
    }

    /// Asks for the names that were wanted; whether any became known.
    pub(crate) async fn look_up(&mut self, api: &Api) -> bool {
        let ids: Vec<UserId> = self.wanted.iter().copied().take(1_000).collect();
        if ids.is_empty() {
            return false;
        }
        let asked = LookupUsers { ids: ids.clone(), external_ids: Vec::new() };
        let Ok(profiles) = api.lookup_users(&asked).await else {
            return false;
        };
        // Not asked again: who has no profile has none.
        for id in ids {
            self.wanted.remove(&id);
        }
        for profile in &profiles.users {
            self.learn(profile);
        }
        !profiles.users.is_empty()
    }

    /// A user by name, number or `ext:` id.
    pub(crate) async fn find_user(&mut self, api: &Api, name: &str) -> Result<UserId> {
        if let Some((id, _)) = self.users.iter().find(|(_, known)| known.as_str() == name) {
            return Ok(*id);
        }
        if let Ok(user) = name.parse::<UserRef>() {
            let profile = api.user(&user).await?;
            self.learn(&profile);
            return Ok(profile.user_id);
        }
        let lower = name.to_lowercase();
        let found = api.find_users(&lower, 200).await?;
        let user = found.users.iter().find(|user| user.username.as_deref() == Some(&lower));
        let user = user.with_context(|| format!("there is no user {name:?}"))?;
        self.learn(user);
        Ok(user.user_id)
    }

    /// A conversation by place in the list (from 1), id, group name or user.
    pub(crate) async fn find_conversation(
        &mut self,
        api: &Api,
        list: &[ChatLine],
        me: UserId,
        name: &str,
    ) -> Result<ConversationId> {
        if let Ok(id) = name.parse::<ConversationId>() {
            return Ok(id);
        }
        let place = name.parse::<usize>().ok().and_then(|place| list.get(place.checked_sub(1)?));
        if let Some(line) = place {
            return Ok(line.info.conversation_id);
        }
        let named: Vec<_> =
            list.iter().filter(|line| line.info.name.as_deref() == Some(name)).collect();
        match named.as_slice() {
            [line] => return Ok(line.info.conversation_id),
            [] => {}
            _ => bail!("several groups are called {name:?}; use the number in /list"),
        }
        Ok(ConversationId::direct(me, self.find_user(api, name).await?))
    }
}
