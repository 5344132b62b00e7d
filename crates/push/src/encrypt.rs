//! What only the device can read: a message encrypted for it (RFC 8291, `aes128gcm` of RFC 8188, one record).
//!
//! Randomness is an argument: a key of its own and a salt for every message, never used twice.

use p256::{PublicKey, SecretKey, ecdh::diffie_hellman, elliptic_curve::sec1::ToEncodedPoint as _};
use ring::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hmac,
};

/// Bytes of a record; a message is one.
const RECORD: u32 = 4_096;
/// The most that a message may hold, so that with padding, tag and head it is no longer than push services take.
pub const PLAIN_BYTES_MAX: usize = 3_072;

/// The keys of a device.
#[derive(Clone, Copy)]
pub struct DeviceKeys {
    /// Its public key: a point of P-256, uncompressed.
    pub p256dh: [u8; 65],
    /// Its secret.
    pub auth: [u8; 16],
}

impl DeviceKeys {
    /// Whether the public key is a point of the curve.
    pub fn are_good(&self) -> bool {
        PublicKey::from_sec1_bytes(&self.p256dh).is_ok()
    }
}

/// What one message is encrypted with, besides the keys of the device: bytes of the system's randomness.
#[derive(Clone, Copy)]
pub struct Once {
    /// A private key.
    pub key: [u8; 32],
    /// A salt.
    pub salt: [u8; 16],
}

/// Why a message was not encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// The device's public key is no point of the curve.
    #[error("the device's key is no key")]
    DeviceKey,
    /// The random bytes are no key; others will be.
    #[error("the random bytes are no key")]
    OnceKey,
    /// It is longer than [`PLAIN_BYTES_MAX`].
    #[error("the message is too long")]
    TooLong,
}

/// Encrypts a message for a device: the body of the request to its push service.
///
/// # Errors
/// [`EncryptError`].
pub fn encrypt(plain: &[u8], device: &DeviceKeys, once: &Once) -> Result<Vec<u8>, EncryptError> {
    if plain.len() > PLAIN_BYTES_MAX {
        return Err(EncryptError::TooLong);
    }
    let theirs = PublicKey::from_sec1_bytes(&device.p256dh).map_err(|_| EncryptError::DeviceKey)?;
    let ours = SecretKey::from_slice(&once.key).map_err(|_| EncryptError::OnceKey)?;
    let our_point = ours.public_key().to_encoded_point(false);
    let shared = diffie_hellman(ours.to_nonzero_scalar(), theirs.as_affine());

    let key = derive(&device.auth, shared.raw_secret_bytes());
    let input = expand(&key, &[b"WebPush: info\0", &device.p256dh, our_point.as_bytes()]);
    let key = derive(&once.salt, input.as_ref());
    let content_key = expand(&key, &[b"Content-Encoding: aes128gcm\0"]);
    let nonce = expand(&key, &[b"Content-Encoding: nonce\0"]);
    let (content_key, nonce) = (&content_key.as_ref()[..16], &nonce.as_ref()[..12]);

    let mut record = Vec::with_capacity(plain.len() + 1 + AES_128_GCM.tag_len());
    record.extend_from_slice(plain);
    // The last record ends so.
    record.push(2);
    // The lengths are right by construction.
    let sealing = UnboundKey::new(&AES_128_GCM, content_key).map_err(|_| EncryptError::OnceKey)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| EncryptError::OnceKey)?;
    LessSafeKey::new(sealing)
        .seal_in_place_append_tag(nonce, Aad::empty(), &mut record)
        .map_err(|_| EncryptError::TooLong)?;

    let mut body = Vec::with_capacity(86 + record.len());
    body.extend_from_slice(&once.salt);
    body.extend_from_slice(&RECORD.to_be_bytes());
    body.push(65);
    body.extend_from_slice(our_point.as_bytes());
    body.extend_from_slice(&record);
    Ok(body)
}

/// HKDF-Extract.
fn derive(salt: &[u8], input: &[u8]) -> hmac::Key {
    let extracted = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), input);
    hmac::Key::new(hmac::HMAC_SHA256, extracted.as_ref())
}

/// The first block of HKDF-Expand: more is never needed.
fn expand(key: &hmac::Key, info: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    info.iter().for_each(|part| context.update(part));
    context.update(&[1]);
    context.sign()
}

#[cfg(test)]
mod tests;
