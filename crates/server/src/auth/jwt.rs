//! Tokens of an existing system. One algorithm, pinned by the operator; the key comes from a file.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use ostracon_domain::Millis;
use serde::Deserialize;

use super::{check_display_name, check_external_id};
use crate::config::{Jwt, JwtAlgorithm};

/// Shortest secret for HS256, bytes.
const SECRET_BYTES_MIN: usize = 32;

pub(crate) struct JwtVerifier {
    key: DecodingKey,
    validation: Validation,
    leeway_ms: Millis,
    create_unknown_users: bool,
}

/// What a good token says.
pub(super) struct Verified {
    pub(super) external_id: String,
    /// A name to show, if the token has a usable one.
    pub(super) name: Option<String>,
    pub(super) expires_at: Millis,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: f64,
    nbf: Option<f64>,
    name: Option<String>,
}

impl JwtVerifier {
    /// Reads the key.
    ///
    /// # Errors
    /// One sentence.
    pub(crate) fn load(config: &Jwt) -> Result<Self, String> {
        let path = &config.key_file;
        if path.as_os_str().is_empty() {
            return Err("must name the file with the key.".to_owned());
        }
        let key = std::fs::read(path).map_err(|error| format!("{}: {error}.", path.display()))?;
        Self::with_key(config, &key).map_err(|what| format!("{}: {what}", path.display()))
    }

    fn with_key(config: &Jwt, key: &[u8]) -> Result<Self, String> {
        let unreadable =
            |error: jsonwebtoken::errors::Error| format!("not a public key in PEM: {error}.");
        let (algorithm, key) = match config.algorithm {
            JwtAlgorithm::Off => return Err("there is no algorithm.".to_owned()),
            JwtAlgorithm::HS256 => {
                // Editors end a file with a line's end; whatever else is there belongs to the secret.
                let secret = key.strip_suffix(b"\n").unwrap_or(key);
                let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
                if secret.len() < SECRET_BYTES_MIN {
                    return Err("a secret needs at least 32 bytes.".to_owned());
                }
                (Algorithm::HS256, Ok(DecodingKey::from_secret(secret)))
            }
            JwtAlgorithm::RS256 => (Algorithm::RS256, DecodingKey::from_rsa_pem(key)),
            JwtAlgorithm::ES256 => (Algorithm::ES256, DecodingKey::from_ec_pem(key)),
            JwtAlgorithm::EdDSA => (Algorithm::EdDSA, DecodingKey::from_ed_pem(key)),
        };
        let mut validation = Validation::new(algorithm);
        // The times are checked below, with the clock that was handed in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let mut required = vec!["sub", "exp"];
        validation.validate_aud = !config.audience.is_empty();
        if validation.validate_aud {
            validation.set_audience(&[&config.audience]);
            required.push("aud");
        }
        if !config.issuer.is_empty() {
            validation.set_issuer(&[&config.issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        Ok(Self {
            key: key.map_err(unreadable)?,
            validation,
            leeway_ms: Millis::from(config.leeway_s) * 1_000,
            create_unknown_users: config.create_unknown_users,
        })
    }

    pub(super) const fn creates_users(&self) -> bool {
        self.create_unknown_users
    }

    /// What the token says, if it is good now. Why it is not stays here: the caller learns only that it is not.
    pub(super) fn verify(&self, token: &str, now: Millis) -> Option<Verified> {
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.key, &self.validation);
        let claims = match decoded {
            Ok(decoded) => decoded.claims,
            Err(error) => {
                tracing::debug!(%error, "a JWT was refused");
                return None;
            }
        };
        let expires_at = millis(claims.exp).saturating_add(self.leeway_ms);
        let begins_at = claims.nbf.map(millis).unwrap_or(Millis::MIN);
        let is_now = now < expires_at && begins_at.saturating_sub(self.leeway_ms) <= now;
        if !is_now || !check_external_id(&claims.sub) {
            return None;
        }
        Some(Verified {
            external_id: claims.sub,
            name: claims.name.filter(|name| check_display_name(name).is_ok()),
            expires_at,
        })
    }
}

/// A JWT's seconds, maybe with a fraction; the cast saturates.
fn millis(seconds: f64) -> Millis {
    (seconds * 1_000.0) as Millis
}
