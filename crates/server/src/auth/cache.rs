//! Tokens that were found good a moment ago, so that a call costs no look-up.
//!
//! Safe from any task. A look-up that was under way while something was revoked is not kept: the generation tells.

use std::sync::atomic::{AtomicU64, Ordering};

use ostracon_domain::{Millis, UserId};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use super::{Identity, token::TokenHash};

/// How long a token is believed, ms.
const LIFE_MS: Millis = 60_000;
/// Tokens that are kept; beyond it the old ones go, and all if that is not enough.
const TOKENS_MAX: usize = 100_000;

#[derive(Default)]
pub(super) struct TokenCache {
    tokens: RwLock<FxHashMap<TokenHash, Known>>,
    generation: AtomicU64,
}

struct Known {
    identity: Identity,
    since: Millis,
}

impl Known {
    /// A clock that went back makes a token old, never young.
    fn is_fresh(&self, now: Millis) -> bool {
        (self.since..self.since + LIFE_MS).contains(&now) && !self.identity.has_ended(now)
    }
}

impl TokenCache {
    pub(super) fn get(&self, hash: &TokenHash, now: Millis) -> Option<Identity> {
        let tokens = self.tokens.read();
        let known = tokens.get(hash)?;
        known.is_fresh(now).then_some(known.identity)
    }

    /// To be asked before the look-up whose result is put.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn put(&self, hash: TokenHash, identity: Identity, now: Millis, generation: u64) {
        let mut tokens = self.tokens.write();
        if self.generation() != generation {
            return;
        }
        if tokens.len() >= TOKENS_MAX {
            tokens.retain(|_, known| known.is_fresh(now));
        }
        if tokens.len() >= TOKENS_MAX {
            tokens.clear();
        }
        let since = now;
        tokens.insert(hash, Known { identity, since });
    }

    pub(super) fn forget_session(&self, session: u64) {
        self.forget(|identity| identity.session == session);
    }

    pub(super) fn forget_user(&self, user: UserId) {
        self.forget(|identity| identity.user == user);
    }

    fn forget(&self, which: impl Fn(&Identity) -> bool) {
        let mut tokens = self.tokens.write();
        self.generation.fetch_add(1, Ordering::AcqRel);
        tokens.retain(|_, known| !which(&known.identity));
    }
}
