//! What the live part keeps of users: when they were last online, and what they let others know.

use async_trait::async_trait;
use ostracon_domain::{Millis, Privacy, UserId};

use super::DirectoryError;

type Result<T> = std::result::Result<T, DirectoryError>;

/// A user as the live part knows one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub user: UserId,
    /// About when this user was last online; none before the first time.
    pub last_seen_at: Option<Millis>,
    /// What this user lets others know.
    pub privacy: Privacy,
}

/// Users as the live part knows them. Of whom nothing was noted, everything is as at first.
#[async_trait]
pub trait People: Send + Sync {
    /// Users by number; those that do not exist are left out, order is by number.
    async fn people(&self, ids: &[UserId]) -> Result<Vec<Person>>;
    /// Users that let others know less than at first: by number, after `after`, at most `limit`.
    async fn private_people(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Person>>;
    /// Notes when users were last online; called now and then with many. Never goes back; of a user named twice the
    /// latest counts; users that do not exist are left out.
    async fn note_seen(&self, seen: &[(UserId, Millis)]) -> Result<()>;
    /// Replaces what a user lets others know; the user as it is now, or none if unknown.
    async fn set_privacy(&self, id: UserId, privacy: Privacy) -> Result<Option<Person>>;
}
