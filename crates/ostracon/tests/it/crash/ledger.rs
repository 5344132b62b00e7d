//! What was acked, and what may or may not have happened. Each part of it is written by one worker only.

use std::collections::BTreeMap;

use ostracon_domain::{MessageId, Rev, Seq};

use super::people::People;

/// Where a worker writes: (person, place).
pub(crate) type Desk = (usize, usize);

/// A message whose send was acked.
#[derive(Debug, Clone)]
pub(crate) struct Acked {
    pub(crate) message_id: MessageId,
    pub(crate) client_id: String,
    /// As first sent.
    pub(crate) original: String,
    /// As it is now; none when deleted.
    pub(crate) text: Option<String>,
    /// Emoji of its sender.
    pub(crate) emoji: Option<&'static str>,
    /// Its newest rev that was heard of.
    pub(crate) rev: Rev,
}

/// A command without an answer.
#[derive(Debug, Clone)]
pub(crate) enum Unknown {
    Send {
        client_id: String,
        text: String,
    },
    Edit {
        seq: Seq,
        text: String,
    },
    Delete {
        seq: Seq,
    },
    React {
        seq: Seq,
        emoji: Option<&'static str>,
        before: Option<&'static str>,
    },
    Read {
        seq: Seq,
    },
    /// A guest was to be a member, or no more.
    Guest {
        person: usize,
        present: bool,
    },
}

/// What one person did in one place.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub(crate) messages: BTreeMap<Seq, Acked>,
    pub(crate) unknown: Vec<Unknown>,
    /// The own read mark is at least here.
    pub(crate) read: Seq,
}

pub(crate) struct Ledger {
    pub(crate) pages: BTreeMap<Desk, Page>,
    /// Rev of each place after the last check.
    pub(crate) revs: Vec<Rev>,
    /// Whether a guest is in a place: (place, person).
    pub(crate) guests: BTreeMap<(usize, usize), bool>,
    /// Cursors of `/sync` and what was known of each conversation, by person.
    pub(crate) cursors: BTreeMap<usize, super::check::Level>,
    /// Client ids are never used twice.
    pub(crate) next: u64,
}

impl Ledger {
    pub(crate) fn new(people: &People) -> Self {
        let mut pages = BTreeMap::new();
        let mut guests = BTreeMap::new();
        for (n, place) in people.places.iter().enumerate() {
            pages.extend(place.members.iter().map(|person| ((*person, n), Page::default())));
            guests.extend(place.guests.iter().map(|person| ((n, *person), false)));
        }
        let revs = people.places.iter().map(|place| place.rev).collect();
        Self { pages, revs, guests, cursors: BTreeMap::new(), next: 0 }
    }
}
