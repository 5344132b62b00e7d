//! The keys of an existing system as it publishes them (JWKS, RFC 7517), read again as they change.
//!
//! A token names its key. One that is not known makes the set be read again, at most every few seconds, so that a new key
//! is good at once; a key that is no longer published is good until the set is read next. While the set cannot be read,
//! what is known stays good.

use std::{path::PathBuf, sync::Arc};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{Jwk, KeyAlgorithm, PublicKeyUse},
};
use ostracon_domain::Millis;
use parking_lot::RwLock;
use reqwest::Url;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::fetch::{Fetch, checked_url};

/// A set that is older is read again, beside the token that finds it so, ms.
const AGE_MAX: Millis = 300_000;
/// Least time between two readings, ms.
const PAUSE_MIN: Millis = 5_000;
/// Bytes of a set.
const BYTES_MAX: usize = 1 << 20;

/// Where the set is.
#[derive(Debug)]
enum Source {
    File(PathBuf),
    Url(Url, Fetch),
}

/// A set of keys.
pub(super) struct KeySet {
    source: Source,
    algorithm: Algorithm,
    keys: RwLock<Keys>,
    /// When the last reading began. Whoever reads holds it.
    tried: Mutex<Option<Millis>>,
}

#[derive(Default)]
struct Keys {
    keys: Vec<(Option<String>, Arc<DecodingKey>)>,
    read_at: Option<Millis>,
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// A set in a file (`path`), or at an address. Nothing is read yet.
    ///
    /// # Errors
    /// One sentence.
    pub(super) fn new(place: &str, algorithm: Algorithm) -> Result<Self, String> {
        let source = if place.contains("://") {
            Source::Url(checked_url(place)?, Fetch::new()?)
        } else {
            Source::File(PathBuf::from(place))
        };
        let (keys, tried) = (RwLock::default(), Mutex::default());
        Ok(Self { source, algorithm, keys, tried })
    }

    /// The key that a token names; one without a name is that of a set with a single key.
    pub(super) async fn key(
        self: &Arc<Self>,
        id: Option<&str>,
        now: Millis,
    ) -> Option<Arc<DecodingKey>> {
        let (known, is_old) = self.known(id, now);
        match known {
            Some(key) if is_old => {
                let set = Arc::clone(self);
                tokio::spawn(async move { set.read_again(now, AGE_MAX).await });
                Some(key)
            }
            Some(key) => Some(key),
            None => {
                self.read_again(now, PAUSE_MIN).await;
                self.known(id, now).0
            }
        }
    }

    fn known(&self, id: Option<&str>, now: Millis) -> (Option<Arc<DecodingKey>>, bool) {
        let known = self.keys.read();
        let is_old = !known.read_at.is_some_and(|at| is_within(at, now, AGE_MAX));
        let found = match id {
            Some(id) => known.keys.iter().find(|(known, _)| known.as_deref() == Some(id)),
            None => known.keys.first().filter(|_| known.keys.len() == 1),
        };
        (found.map(|(_, key)| Arc::clone(key)), is_old)
    }

    /// Reads the set, unless that was tried within `pause`; whoever comes meanwhile waits for it.
    async fn read_again(&self, now: Millis, pause: Millis) {
        let mut tried = self.tried.lock().await;
        if tried.is_some_and(|at| is_within(at, now, pause)) {
            return;
        }
        *tried = Some(now);
        match self.read().await {
            Ok(keys) => *self.keys.write() = Keys { keys, read_at: Some(now) },
            Err(error) => tracing::warn!(error, "the keys of jwt.key_set could not be read"),
        }
    }

    async fn read(&self) -> Result<Vec<(Option<String>, Arc<DecodingKey>)>, String> {
        let text = match &self.source {
            Source::File(path) => {
                tokio::fs::read(path).await.map_err(|error| error.to_string())?.into()
            }
            Source::Url(url, fetch) => fetch.get(url.clone(), BYTES_MAX).await?,
        };
        let published: Published =
            serde_json::from_slice(&text).map_err(|_| "not a JSON Web Key Set".to_owned())?;
        // Keys for other things may stand among them.
        Ok(published.keys.into_iter().filter_map(|key| self.usable(key)).collect())
    }

    fn usable(&self, key: serde_json::Value) -> Option<(Option<String>, Arc<DecodingKey>)> {
        let jwk: Jwk = serde_json::from_value(key).ok()?;
        let signs = !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
        let named = jwk.common.key_algorithm;
        let fits = named.is_none_or(|named| named == KeyAlgorithm::from(self.algorithm));
        let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| signs && fits)?;
        (key.family() == self.algorithm.family()).then(|| (jwk.common.key_id, Arc::new(key)))
    }
}

/// Whether a moment is less than so long ago. A clock that went back makes it long ago.
fn is_within(at: Millis, now: Millis, ms: Millis) -> bool {
    (at..at.saturating_add(ms)).contains(&now)
}
