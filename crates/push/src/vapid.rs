//! Who sends: the server's own key and what it signs for a push service (RFC 8292, ES256). The key is never printed.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ostracon_domain::Millis;
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use ring::digest;
use serde::Serialize;

/// How long what was signed is good, seconds; push services take at most a day.
const GOOD_FOR_S: Millis = 12 * 3_600;

/// The key of a server.
pub struct VapidKey {
    key: SigningKey,
    public: String,
}

/// Secrets reach no log.
impl fmt::Debug for VapidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VapidKey").field("public", &self.public).finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    exp: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
}

impl VapidKey {
    /// The key that follows from a secret of the cluster: always the same one.
    pub fn from_secret(secret: [u8; 32]) -> Self {
        let mut bytes = secret;
        loop {
            // About one in four thousand million numbers is none of the curve's; the next is found by hashing.
            if let Ok(key) = SigningKey::from_slice(&bytes) {
                let point = key.verifying_key().to_encoded_point(false);
                return Self { key, public: URL_SAFE_NO_PAD.encode(point.as_bytes()) };
            }
            let next = digest::digest(&digest::SHA256, &bytes);
            bytes.copy_from_slice(next.as_ref());
        }
    }

    /// The public key as browsers take it: an uncompressed point, base64url.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The `Authorization` of a message to a push service. `audience`: its origin (`https://host`); `subject`: where the
    /// operator can be reached, `mailto:` or `https:`; empty: nowhere.
    pub fn authorization(&self, audience: &str, subject: &str, now: Millis) -> String {
        let claims = Claims {
            aud: audience,
            exp: now / 1_000 + GOOD_FOR_S,
            sub: (!subject.is_empty()).then_some(subject),
        };
        // Two texts and a number can always be written.
        let claims = serde_json::to_vec(&claims).unwrap_or_default();
        let mut token = URL_SAFE_NO_PAD.encode(br#"{"typ":"JWT","alg":"ES256"}"#);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature: Signature = self.key.sign(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.to_bytes(), &mut token);
        format!("vapid t={token}, k={}", self.public)
    }
}

#[cfg(test)]
mod tests;
