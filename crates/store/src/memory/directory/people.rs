//! The twin's notes of the live part.

use std::collections::BTreeSet;

use async_trait::async_trait;
use ostracon_domain::{Millis, Privacy, UserId};

use super::{MemoryDirectory, Result, State};
use crate::directory::{People, Person};

impl State {
    fn person(&self, user: UserId) -> Option<Person> {
        let known = self.people.get(&user).copied();
        let unknown = || Person { user, last_seen_at: None, privacy: Privacy::default() };
        self.users.contains_key(&user).then(|| known.unwrap_or_else(unknown))
    }
}

#[async_trait]
impl People for MemoryDirectory {
    async fn people(&self, ids: &[UserId]) -> Result<Vec<Person>> {
        let state = self.state.lock();
        let ids: BTreeSet<_> = ids.iter().collect();
        Ok(ids.into_iter().filter_map(|id| state.person(*id)).collect())
    }

    async fn private_people(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Person>> {
        let state = self.state.lock();
        let all = state.people.values().filter(|person| person.privacy != Privacy::default());
        let found = all.filter(|person| after.is_none_or(|after| person.user > after));
        Ok(found.take(limit as usize).copied().collect())
    }

    async fn note_seen(&self, seen: &[(UserId, Millis)]) -> Result<()> {
        let mut state = self.state.lock();
        for (id, at) in seen {
            if let Some(person) = state.person(*id) {
                let last_seen_at = person.last_seen_at.max(Some(*at));
                state.people.insert(*id, Person { last_seen_at, ..person });
            }
        }
        Ok(())
    }

    async fn set_privacy(&self, id: UserId, privacy: Privacy) -> Result<Option<Person>> {
        let mut state = self.state.lock();
        let changed = state.person(id).map(|person| Person { privacy, ..person });
        if let Some(person) = changed {
            state.people.insert(id, person);
        }
        Ok(changed)
    }
}
