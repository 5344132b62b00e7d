//! The twin's invites.

use async_trait::async_trait;
use ostracon_domain::Millis;

use super::{MemoryDirectory, Result};
use crate::directory::{DirectoryError, Invite, Invites, NewInvite, NewUser, User};

pub(super) struct Kept {
    invite: Invite,
    code_hash: [u8; 32],
}

fn is_good(invite: &Invite, now: Millis) -> bool {
    invite.uses_left > 0 && invite.expires_at.is_none_or(|end| end > now)
}

#[async_trait]
impl Invites for MemoryDirectory {
    async fn create_invite(&self, new: NewInvite, now: Millis) -> Result<Invite> {
        if new.uses == 0 {
            return Err(DirectoryError::Refused("an invite needs a use".to_owned()));
        }
        let mut state = self.state.lock();
        if state.invites.iter().any(|kept| kept.code_hash == new.code_hash) {
            return Err(DirectoryError::Taken("code"));
        }
        let id = state.invites.last().map_or(1, |kept| kept.invite.id + 1);
        let invite = Invite {
            id,
            note: new.note,
            created_at: now,
            expires_at: new.expires_at,
            uses_left: new.uses,
        };
        state.invites.push(Kept { invite: invite.clone(), code_hash: new.code_hash });
        Ok(invite)
    }

    async fn invites(&self, now: Millis, limit: u32) -> Result<Vec<Invite>> {
        let state = self.state.lock();
        let good = state.invites.iter().rev().filter(|kept| is_good(&kept.invite, now));
        Ok(good.take(limit as usize).map(|kept| kept.invite.clone()).collect())
    }

    async fn revoke_invite(&self, id: u64) -> Result<bool> {
        let mut state = self.state.lock();
        let found = state.invites.iter_mut().find(|kept| kept.invite.id == id);
        // It stays, so that its number is not given again.
        Ok(found.is_some_and(|kept| std::mem::take(&mut kept.invite.uses_left) > 0))
    }

    async fn create_invited(
        &self,
        new: NewUser,
        code_hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<User>> {
        let mut state = self.state.lock();
        let mut kept = state.invites.iter().map(|kept| (kept.code_hash, &kept.invite));
        let Some(place) =
            kept.position(|(hash, invite)| hash == *code_hash && is_good(invite, now))
        else {
            return Ok(None);
        };
        let created = state.create_users(vec![new], now)?;
        state.invites[place].invite.uses_left -= 1;
        Ok(created.into_iter().next())
    }
}
