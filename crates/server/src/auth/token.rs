//! Tokens of ours: 32 random bytes as text. Only their hash is stored.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::error::ApiError;

/// So that tokens are recognised in files where they should not be.
const PREFIX: &str = "ost_";

pub(crate) type TokenHash = [u8; 32];

/// The same for codes of invites.
const INVITE_PREFIX: &str = "inv_";

/// A new token, also used for tickets.
pub(crate) fn new_token() -> Result<String, ApiError> {
    random_text::<32>(PREFIX)
}

/// A new code of an invite: shorter, since people pass it on, and it ends.
pub(crate) fn new_invite_code() -> Result<String, ApiError> {
    random_text::<16>(INVITE_PREFIX)
}

fn random_text<const BYTES: usize>(prefix: &str) -> Result<String, ApiError> {
    let mut random = [0; BYTES];
    getrandom::fill(&mut random).map_err(|error| ApiError::internal(&error))?;
    let mut text = prefix.to_owned();
    URL_SAFE_NO_PAD.encode_string(random, &mut text);
    Ok(text)
}

pub(super) fn is_ours(token: &str) -> bool {
    token.starts_with(PREFIX)
}

pub(crate) fn hash(token: &str) -> TokenHash {
    blake3::hash(token.as_bytes()).into()
}

/// The session number of a JWT: the same for the same token, and above every stored session.
pub(super) fn jwt_session(hash: &TokenHash) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(first) | 1 << 63
}
