//! What is in an invite link: the group, the link's place in it and a secret, as one text. Only a hash is stored.

#[cfg(test)]
mod tests;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ostracon_domain::{ConversationId, InviteHash, Party};

use crate::error::ApiError;

/// 16 bytes of the group, one of the place, 16 of the secret.
const BYTES: usize = 33;

/// A link's text, read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct InviteToken {
    pub(crate) conversation: ConversationId,
    pub(crate) place: u8,
    secret: [u8; 16],
}

impl InviteToken {
    /// Reads a text; none for what is no link of ours.
    pub(crate) fn read(text: &str) -> Option<Self> {
        // A longer text is not even decoded.
        let text = Some(text).filter(|text| text.len() == BYTES.div_ceil(3) * 4)?;
        let bytes: [u8; BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let (place, secret) = rest.split_first()?;
        let conversation = ConversationId::from_u128(u128::from_be_bytes(*id)).ok()?;
        matches!(conversation.party(), Party::Group).then_some(())?;
        Some(Self { conversation, place: *place, secret: secret.try_into().ok()? })
    }

    /// The text of the link.
    pub(crate) fn text(&self) -> String {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.extend(self.conversation.as_u128().to_be_bytes());
        bytes.push(self.place);
        bytes.extend(self.secret);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What is stored of it.
    pub(crate) fn hash(&self) -> InviteHash {
        let mut hasher = blake3::Hasher::new_derive_key("ostracon invite link");
        hasher.update(&self.conversation.as_u128().to_be_bytes());
        hasher.update(&[self.place]);
        hasher.update(&self.secret);
        hasher.finalize().into()
    }
}

/// A secret of a new link, from which its token follows once it has a place.
pub(crate) struct NewToken {
    conversation: ConversationId,
    secret: [u8; 16],
}

impl NewToken {
    pub(crate) fn new(conversation: ConversationId) -> Result<Self, ApiError> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret).map_err(|error| ApiError::internal(&error))?;
        Ok(Self { conversation, secret })
    }

    /// The link at a place.
    pub(crate) const fn at(&self, place: u8) -> InviteToken {
        InviteToken { conversation: self.conversation, place, secret: self.secret }
    }
}

/// The name of a link: its place and the beginning of its hash, so that a name never means a later link of the same place.
pub(crate) fn name(place: u8, hash: &InviteHash) -> String {
    let [a, b, c, d, ..] = hash;
    format!("{place}-{a:02x}{b:02x}{c:02x}{d:02x}")
}

/// Place and beginning of the hash of a link's name.
pub(crate) fn read_name(name: &str) -> Option<(u8, [u8; 4])> {
    let (place, hash) = name.split_once('-')?;
    let fits = place.len() <= 3
        && place.bytes().all(|b| b.is_ascii_digit())
        && hash.len() == 8
        && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let hash = fits.then(|| u32::from_str_radix(hash, 16).ok())??;
    Some((place.parse().ok()?, hash.to_be_bytes()))
}
