//! Says in the log what goes wrong with a database, once and not for every request: a full disk fails each of them.
//!
//! Not: what the keeper says, which is whether the database serves at all.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::error::PgError;

/// What was not heard for so long is news again.
const QUIET: Duration = Duration::from_secs(30);
/// Different complaints that are remembered; beyond it the oldest is news again.
const KNOWN_MAX: usize = 16;

/// Complaints about one database. The lock is held for a few instructions.
pub(crate) struct Complaints {
    /// A shard's number, or `directory`.
    shard: String,
    /// When each was heard last.
    known: Mutex<BTreeMap<String, Instant>>,
}

impl Complaints {
    pub(crate) fn new(shard: String) -> Self {
        Self { shard, known: Mutex::default() }
    }

    /// Logs what is new. A lost race is tried again and none.
    pub(crate) fn hear(&self, error: &PgError) {
        if matches!(error, PgError::Broken(_) | PgError::GivenUp) || error.is_lost_race() {
            return;
        }
        let sentence = error.to_string();
        if self.is_news(&sentence, Instant::now()) {
            tracing::warn!(
                shard = %self.shard,
                error = sentence,
                "a database failed; more of the same is not logged"
            );
        }
    }

    fn is_news(&self, sentence: &str, now: Instant) -> bool {
        let mut known = self.known.lock();
        if let Some(last) = known.get_mut(sentence) {
            let quiet = now.saturating_duration_since(std::mem::replace(last, now));
            return quiet >= QUIET;
        }
        if known.len() >= KNOWN_MAX {
            let oldest = known.iter().min_by_key(|(_, last)| **last);
            let oldest = oldest.map(|(sentence, _)| sentence.clone());
            if let Some(oldest) = oldest {
                known.remove(&oldest);
            }
        }
        known.insert(sentence.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Complaints, KNOWN_MAX, QUIET};

    #[test]
    fn the_same_is_said_once_until_it_was_quiet() {
        let complaints = Complaints::new("1".to_owned());
        let begin = Instant::now();
        assert!(complaints.is_news("disk full", begin));
        let almost = QUIET - QUIET / 10;
        for n in 1..50 {
            assert!(!complaints.is_news("disk full", begin + almost * n), "{n}");
        }
        assert!(complaints.is_news("no connection", begin));
        assert!(complaints.is_news("disk full", begin + almost * 49 + QUIET));
    }

    #[test]
    fn many_kinds_of_complaints_take_little_memory() {
        let complaints = Complaints::new("1".to_owned());
        let begin = Instant::now();
        for n in 0..100 {
            assert!(complaints.is_news(&n.to_string(), begin + QUIET / 100 * n));
        }
        assert_eq!(complaints.known.lock().len(), KNOWN_MAX);
    }
}
