//! Addresses of files: signed, with an end, the same for everybody within a while, so that caches can serve them.
//!
//! The signature is HMAC-SHA256 over path and query up to it, so that a CDN can check it too. Who has the address may read
//! the file until its end: it is given only to those who may read a message with it, and to who uploaded it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ostracon_domain::Millis;
use ostracon_store::directory::MediaId;
use sha2::Sha256;

/// Which bytes of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The file.
    File,
    /// Its small picture.
    Thumbnail,
}

impl What {
    const fn segment(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Thumbnail => "thumbnail",
        }
    }
}

/// Makes and checks addresses. The key is the cluster's.
#[derive(Clone)]
pub struct Signer {
    key: Hmac<Sha256>,
    base: String,
    /// An address is good for one to two of these.
    window_s: i64,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("base", &self.base).finish_non_exhaustive()
    }
}

/// Where files are, before their kind and id.
const PATH: &str = "/api/v1/media";

impl Signer {
    /// `base`: what stands before the path, empty or scheme and host. Addresses are good for `good_s` seconds at least, twice as
    /// many at most.
    #[must_use]
    pub fn new(secret: &[u8; 32], base: &str, good_s: u32) -> Self {
        // A key that is shorter than a block is filled with zeros (RFC 2104 §2).
        let mut block = [0; 64];
        block[..32].copy_from_slice(secret);
        let key = Hmac::new(&block.into());
        let base = base.trim_end_matches('/').to_owned();
        Self { key, base, window_s: i64::from(good_s.max(1)) }
    }

    /// The address of a file.
    #[must_use]
    pub fn address(&self, what: What, id: MediaId, now: Millis) -> String {
        let window = now.div_euclid(1_000).div_euclid(self.window_s);
        let until = (window + 2) * self.window_s;
        let signed = format!("{PATH}/{}/{id}?expires={until}", what.segment());
        let signature = self.key.clone().chain_update(signed.as_bytes()).finalize().into_bytes();
        let signature = URL_SAFE_NO_PAD.encode(signature);
        format!("{}{signed}&signature={signature}", self.base)
    }

    /// Until when an address is good, in seconds of Unix time, if it is one of ours and good now.
    #[must_use]
    pub fn check(&self, path: &str, query: &str, now: Millis) -> Option<i64> {
        let (expires, signature) = query.rsplit_once("&signature=")?;
        let until: i64 = expires.strip_prefix("expires=")?.parse().ok()?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let mac = self.key.clone().chain_update(path).chain_update("?").chain_update(expires);
        mac.verify_slice(&signature).ok()?;
        (now.div_euclid(1_000) < until).then_some(until)
    }
}

#[cfg(test)]
mod tests;
