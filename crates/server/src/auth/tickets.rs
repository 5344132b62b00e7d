//! Tickets for the WebSocket: one use, for browsers, which cannot send headers with it.

use ostracon_domain::{Millis, UserId};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::{Identity, token::TokenHash};

/// How long a ticket is good, ms.
const LIFE_MS: Millis = 30_000;
/// Tickets that wait for their use; one more is refused with `busy`.
const TICKETS_MAX: usize = 20_000;

#[derive(Default)]
pub(super) struct Tickets(Mutex<FxHashMap<TokenHash, (Identity, Millis)>>);

impl Tickets {
    /// Whether there was room.
    pub(super) fn put(&self, hash: TokenHash, identity: Identity, now: Millis) -> bool {
        let mut tickets = self.0.lock();
        if tickets.len() >= TICKETS_MAX {
            tickets.retain(|_, (_, since)| (*since..*since + LIFE_MS).contains(&now));
        }
        let fits = tickets.len() < TICKETS_MAX;
        if fits {
            tickets.insert(hash, (identity, now));
        }
        fits
    }

    pub(super) fn take(&self, hash: &TokenHash, now: Millis) -> Option<Identity> {
        let (identity, since) = self.0.lock().remove(hash)?;
        (since..since + LIFE_MS).contains(&now).then_some(identity)
    }

    pub(super) fn forget_session(&self, session: u64) {
        self.0.lock().retain(|_, (identity, _)| identity.session != session);
    }

    pub(super) fn forget_user(&self, user: UserId) {
        self.0.lock().retain(|_, (identity, _)| identity.user != user);
    }
}
