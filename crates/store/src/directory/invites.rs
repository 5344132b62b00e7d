//! Invites: what lets somebody sign up where not everybody may.

use async_trait::async_trait;
use ostracon_domain::Millis;

use super::{NewUser, Result, User};

/// An invite. Its code is not kept, only a hash of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Its number; rising, never reused.
    pub id: u64,
    /// What the operator noted about it.
    pub note: Option<String>,
    /// When it was made.
    pub created_at: Millis,
    /// When it ends by itself.
    pub expires_at: Option<Millis>,
    /// How many may still sign up with it; at least 1.
    pub uses_left: u32,
}

/// An invite to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvite {
    /// Hash of the code; the code itself is never stored.
    pub code_hash: [u8; 32],
    /// What the operator notes about it.
    pub note: Option<String>,
    /// When it ends by itself.
    pub expires_at: Option<Millis>,
    /// How many may sign up with it; at least 1.
    pub uses: u32,
}

/// Invites.
#[async_trait]
pub trait Invites: Send + Sync {
    /// Makes an invite.
    ///
    /// # Errors
    /// `Taken("code")`; `Refused` without a use.
    async fn create_invite(&self, new: NewInvite, now: Millis) -> Result<Invite>;
    /// Those that can still be used, newest first; at most `limit`.
    async fn invites(&self, now: Millis, limit: u32) -> Result<Vec<Invite>>;
    /// Ends an invite; whether there was one.
    async fn revoke_invite(&self, id: u64) -> Result<bool>;
    /// Creates an account and uses the invite up by one, both or neither; none when no invite with that code can be used.
    ///
    /// # Errors
    /// Those of [`create_users`](super::Accounts::create_users); the invite is as good as before then.
    async fn create_invited(
        &self,
        new: NewUser,
        code_hash: &[u8; 32],
        now: Millis,
    ) -> Result<Option<User>>;
}
