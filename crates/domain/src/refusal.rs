//! Why a command is refused, in words that a user can act on.

use std::borrow::Cow;

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
}

impl Refusal {
    /// A file that is not there, or not for this user.
    #[must_use]
    pub const fn no_file() -> Self {
        Self::new(RefusalCode::NotFound, "No such file.")
    }

    const fn new(code: RefusalCode, message: &'static str) -> Self {
        Self { code, message: Cow::Borrowed(message), field: None }
    }

    /// No such conversation, for this caller.
    pub const fn no_conversation() -> Self {
        Self::new(RefusalCode::NotFound, "No such conversation.")
    }

    /// No such message, for this caller.
    pub const fn no_message() -> Self {
        Self::new(RefusalCode::NotFound, "No such message.")
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

    /// It contradicts what is there.
    pub const fn conflict(message: &'static str) -> Self {
        Self::new(RefusalCode::Conflict, message)
    }

    /// A field is out of range.
    pub const fn invalid(field: &'static str, message: &'static str) -> Self {
        Self { code: RefusalCode::Invalid, message: Cow::Borrowed(message), field: Some(field) }
    }
}
