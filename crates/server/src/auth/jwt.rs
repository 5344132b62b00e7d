//! Tokens of an existing system. One algorithm, pinned by the operator; the key comes from a file, or from a set of keys
//! that the other system publishes.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use ostracon_domain::Millis;
use serde::Deserialize;

use super::{check_display_name, check_external_id, key_set::KeySet};
use crate::config::{Jwt, JwtAlgorithm};

/// Shortest secret for HS256, bytes.
const SECRET_BYTES_MIN: usize = 32;

pub(crate) struct JwtVerifier {
    keys: Keys,
    validation: Validation,
    leeway_ms: Millis,
    create_unknown_users: bool,
}

enum Keys {
    One(Arc<DecodingKey>),
    Set(Arc<KeySet>),
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
        let algorithm = match config.algorithm {
            JwtAlgorithm::Off => return Err("jwt.algorithm: there is none.".to_owned()),
            JwtAlgorithm::HS256 => Algorithm::HS256,
            JwtAlgorithm::RS256 => Algorithm::RS256,
            JwtAlgorithm::ES256 => Algorithm::ES256,
            JwtAlgorithm::EdDSA => Algorithm::EdDSA,
        };
        let keys = match (path.as_os_str().is_empty(), config.key_set.is_empty()) {
            (true, true) => {
                return Err("jwt.key_file: must name the file with the key.".to_owned());
            }
            (false, false) => {
                return Err("jwt.key_set: there is a jwt.key_file already.".to_owned());
            }
            (true, false) if algorithm == Algorithm::HS256 => {
                return Err(
                    "jwt.key_set: a secret is not published; HS256 needs a key_file.".to_owned()
                );
            }
            (true, false) => {
                let set = KeySet::new(&config.key_set, algorithm);
                Keys::Set(Arc::new(set.map_err(|what| format!("jwt.key_set: {what}"))?))
            }
            (false, true) => {
                let named = |what| format!("jwt.key_file: {}: {what}", path.display());
                let key = std::fs::read(path).map_err(|error| named(format!("{error}.")))?;
                Keys::One(Arc::new(read_key(algorithm, &key).map_err(named)?))
            }
        };
        Ok(Self::with_keys(config, algorithm, keys))
    }

    fn with_keys(config: &Jwt, algorithm: Algorithm, keys: Keys) -> Self {
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
        Self {
            keys,
            validation,
            leeway_ms: Millis::from(config.leeway_s) * 1_000,
            create_unknown_users: config.create_unknown_users,
        }
    }

    pub(super) const fn creates_users(&self) -> bool {
        self.create_unknown_users
    }

    /// What the token says, if it is good now. Why it is not stays here: the caller learns only that it is not.
    pub(super) async fn verify(&self, token: &str, now: Millis) -> Option<Verified> {
        let key = match &self.keys {
            Keys::One(key) => Arc::clone(key),
            Keys::Set(set) => {
                let header = jsonwebtoken::decode_header(token).ok()?;
                // Whoever makes tokens up does not make us read the set.
                if !self.validation.algorithms.contains(&header.alg) {
                    return None;
                }
                set.key(header.kid.as_deref(), now).await?
            }
        };
        let decoded = jsonwebtoken::decode::<Claims>(token, &key, &self.validation);
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

/// The key in a file.
fn read_key(algorithm: Algorithm, key: &[u8]) -> Result<DecodingKey, String> {
    let key = match algorithm {
        Algorithm::HS256 => {
            // Editors end a file with a line's end; whatever else is there belongs to the secret.
            let secret = key.strip_suffix(b"\n").unwrap_or(key);
            let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
            if secret.len() < SECRET_BYTES_MIN {
                return Err("a secret needs at least 32 bytes.".to_owned());
            }
            return Ok(DecodingKey::from_secret(secret));
        }
        Algorithm::RS256 => DecodingKey::from_rsa_pem(key),
        Algorithm::ES256 => DecodingKey::from_ec_pem(key),
        _ => DecodingKey::from_ed_pem(key),
    };
    key.map_err(|error| format!("not a public key in PEM: {error}."))
}

/// A JWT's seconds, maybe with a fraction; the cast saturates.
fn millis(seconds: f64) -> Millis {
    (seconds * 1_000.0) as Millis
}
