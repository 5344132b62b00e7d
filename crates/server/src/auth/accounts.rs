//! Rules of names and passwords, and accounts of an existing system.

use ostracon_domain::Millis;
use ostracon_proto::{ErrorObject, Invalid};
use ostracon_store::{
    DirectoryError,
    directory::{AccountRole, NewUser, User},
};

use super::Auth;
use crate::error::ApiError;

const USERNAME_CHARS: std::ops::RangeInclusive<usize> = 3..=32;
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=256;
/// Names to show and names of devices, characters.
const DISPLAY_NAME_CHARS: std::ops::RangeInclusive<usize> = 1..=100;
const EXTERNAL_ID_CHARS: std::ops::RangeInclusive<usize> = 1..=255;

/// A user name as it is stored.
pub(crate) fn fold_username(name: &str) -> Result<String, ErrorObject> {
    let folded = name.to_ascii_lowercase();
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"._-".contains(&c);
    if USERNAME_CHARS.contains(&folded.len()) && folded.bytes().all(allowed) {
        return Ok(folded);
    }
    Err(Invalid::new("username", "must be 3 to 32 of a-z 0-9 . _ -").into())
}

pub(crate) fn check_password(password: &str) -> Result<(), ErrorObject> {
    if PASSWORD_CHARS.contains(&password.chars().take(257).count()) {
        return Ok(());
    }
    Err(Invalid::new("password", "must have 8 to 256 characters").into())
}

/// A name to show, of a user or a device; `field` of the refusal is the caller's work.
pub(crate) fn check_display_name(name: &str) -> Result<(), Invalid> {
    let fits = DISPLAY_NAME_CHARS.contains(&name.chars().take(101).count());
    if fits && !name.trim().is_empty() && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Invalid::new(
        "display_name",
        "must have 1 to 100 characters, not only spaces, no control characters",
    ))
}

pub(crate) fn check_external_id(id: &str) -> bool {
    EXTERNAL_ID_CHARS.contains(&id.chars().take(256).count()) && !id.chars().any(char::is_control)
}

impl Auth {
    /// The account of a user of the existing system who is seen for the first time, maybe by another call just now.
    pub(super) async fn create_foreign(
        &self,
        external_id: String,
        name: Option<String>,
        now: Millis,
    ) -> Result<Option<User>, ApiError> {
        let short: String = external_id.chars().take(100).collect();
        let new = NewUser {
            username: None,
            external_id: Some(external_id.clone()),
            display_name: name.unwrap_or(short),
            password_hash: None,
            role: AccountRole::User,
        };
        match self.directory.create_user(new, now).await {
            Ok(user) => Ok(Some(user)),
            Err(DirectoryError::Taken(_)) => self.user_of_external_id(&external_id).await,
            Err(error) => Err(error.into()),
        }
    }
}
