//! What was acked, and what may or may not have happened. Each part of it is written by one worker only.

use std::collections::BTreeMap;

use ostracon_domain::{MessageId, Rev, Seq};

use super::people::People;

/// Where a worker writes: (person, place).
pub(super) type Desk = (usize, usize);

/// A message whose send was acked.
#[derive(Debug, Clone)]
pub(super) struct Acked {
    pub(super) message_id: MessageId,
    pub(super) client_id: String,
    /// As first sent.
    pub(super) original: String,
    /// As it is now; none when deleted.
    pub(super) text: Option<String>,
    /// Emoji of its sender.
    pub(super) emoji: Option<&'static str>,
    /// Its newest rev that was heard of.
    pub(super) rev: Rev,
}

/// A command without an answer.
#[derive(Debug, Clone)]
pub(super) enum Unknown {
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
pub(super) struct Page {
    pub(super) messages: BTreeMap<Seq, Acked>,
    pub(super) unknown: Vec<Unknown>,
    /// The own read mark is at least here.
    pub(super) read: Seq,
}

pub(super) struct Ledger {
    pub(super) pages: BTreeMap<Desk, Page>,
    /// Rev of each place after the last check.
    pub(super) revs: Vec<Rev>,
    /// Whether a guest is in a place: (place, person).
    pub(super) guests: BTreeMap<(usize, usize), bool>,
    /// Cursors of `/sync` and what was known of each conversation, by person.
    pub(super) cursors: BTreeMap<usize, super::check::Level>,
    /// Client ids are never used twice.
    pub(super) next: u64,
}

impl Ledger {
    pub(super) fn new(people: &People) -> Self {
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
