//! Why a command is refused, in words that a user can act on.

use std::borrow::Cow;

use crate::permission::Permission;

/// What a caller can do about a refusal. Names are those of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusalCode {
    /// It does not exist, or is a stranger's.
    NotFound,
    /// The caller has left the conversation.
    NotMember,
    /// The caller's role does not allow it.
    Forbidden,
    /// It contradicts what is there.
    Conflict,
    /// A value is out of range.
    Invalid,
    /// It is too early; see [`Refusal::retry_after_ms`].
    RateLimited,
}

/// A refused command; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The kind.
    pub code: RefusalCode,
    /// A sentence for people.
    pub message: Cow<'static, str>,
    /// The field at fault, for [`RefusalCode::Invalid`].
    pub field: Option<&'static str>,
    /// What the caller is not allowed, for a [`RefusalCode::Forbidden`] that follows from a role.
    pub permission: Option<Permission>,
    /// Milliseconds to wait, for [`RefusalCode::RateLimited`].
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// A file that is not there, or not for this user.
    #[must_use]
    pub const fn no_file() -> Self {
        Self::new(RefusalCode::NotFound, "No such file.")
    }

    const fn new(code: RefusalCode, message: &'static str) -> Self {
        let message = Cow::Borrowed(message);
        Self { code, message, field: None, permission: None, retry_after_ms: None }
    }

    /// No such conversation, for this caller.
    pub const fn no_conversation() -> Self {
        Self::new(RefusalCode::NotFound, "No such conversation.")
    }

    /// No such message, for this caller.
    pub const fn no_message() -> Self {
        Self::new(RefusalCode::NotFound, "No such message.")
    }

    /// No such user.
    pub const fn no_user() -> Self {
        Self::new(RefusalCode::NotFound, "No such user.")
    }

    /// No such invite link, or one that cannot be used any more.
    pub const fn no_invite() -> Self {
        Self::new(RefusalCode::NotFound, "This link does not lead anywhere any more.")
    }

    /// The caller is kept out.
    pub const fn banned() -> Self {
        Self::new(RefusalCode::Forbidden, "You cannot join this group.")
    }

    /// No such member.
    pub const fn no_member() -> Self {
        Self::new(RefusalCode::NotFound, "No such member.")
    }

    /// The caller has left.
    pub const fn not_member() -> Self {
        Self::new(RefusalCode::NotMember, "You are not a member of this conversation any more.")
    }

    /// The caller's role is too low.
    pub const fn forbidden(message: &'static str) -> Self {
        Self::new(RefusalCode::Forbidden, message)
    }

    /// The caller's role does not allow it, or the group's rules do not.
    pub fn missing(permission: Permission, message: &'static str) -> Self {
        Self { permission: Some(permission), ..Self::new(RefusalCode::Forbidden, message) }
    }

    /// It is too early.
    pub fn too_early(message: &'static str, retry_after_ms: u64) -> Self {
        Self {
            retry_after_ms: Some(retry_after_ms),
            ..Self::new(RefusalCode::RateLimited, message)
        }
    }

    /// It contradicts what is there.
    pub const fn conflict(message: &'static str) -> Self {
        Self::new(RefusalCode::Conflict, message)
    }

    /// A field is out of range.
    pub fn invalid(field: &'static str, message: &'static str) -> Self {
        Self { field: Some(field), ..Self::new(RefusalCode::Invalid, message) }
    }
}
