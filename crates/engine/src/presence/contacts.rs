//! Who has written directly to whom, as far as it was asked.
//!
//! That somebody has written stays true; that somebody has not is believed for a moment only.

use ostracon_domain::UserId;
use rustc_hash::FxHashMap;

use super::table::Tick;
use crate::limits::{CONTACTS_KNOWN_MAX, NO_CONTACT_LIFE};

const LIFE: Tick = NO_CONTACT_LIFE.as_millis() as Tick;

/// What is remembered: writer, reader, and until when it is believed that there was nothing.
#[derive(Debug, Default)]
pub(crate) struct Contacts(FxHashMap<(UserId, UserId), Option<Tick>>);

impl Contacts {
    /// Whether the one has written to the other; none where that must be asked.
    pub(crate) fn get(&self, writer: UserId, reader: UserId, now: Tick) -> Option<bool> {
        match self.0.get(&(writer, reader))? {
            None => Some(true),
            Some(until) => (now < *until).then_some(false),
        }
    }

    pub(crate) fn put(&mut self, writer: UserId, reader: UserId, has_written: bool, now: Tick) {
        if self.0.len() >= CONTACTS_KNOWN_MAX {
            self.0.clear();
        }
        self.0.insert((writer, reader), (!has_written).then_some(now + LIFE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_true_is_believed_for_ever() {
        let [alice, bob] = [1, 2].map(|id| UserId::new(id).unwrap());
        let mut contacts = Contacts::default();
        assert_eq!(contacts.get(alice, bob, 0), None);
        contacts.put(alice, bob, true, 0);
        contacts.put(bob, alice, false, 0);
        assert_eq!(contacts.get(alice, bob, 1 << 40), Some(true));
        assert_eq!(contacts.get(bob, alice, LIFE - 1), Some(false));
        assert_eq!(contacts.get(bob, alice, LIFE), None);
    }
}
