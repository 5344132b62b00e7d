//! Whether a client id was certainly never used by a sender in a conversation: a growing Bloom filter.
//!
//! It saves a look-up in the tables at nearly every send. It only ever errs to the safe side: "maybe" is looked up.
//! A filter is complete (knows every id of its conversation) or does not exist.

use ostracon_domain::{ClientId, UserId};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Keys of the first chunk; each further one takes twice as many.
const FIRST_CHUNK_KEYS: usize = 1_024;
/// Bits for each key; with [`PROBES`] about one false "maybe" in 15,000 for each full chunk.
const BITS_PER_KEY: usize = 20;
const PROBES: u32 = 10;
/// More keys than this are not worth their memory (2.5 bytes each): the filter is given up.
const KEYS_MAX: usize = 4_000_000;

/// Hash of a sender and his client id, 128 bits: two of them never meet by accident.
pub(crate) type ClientKey = u128;

/// How client ids are hashed: with a random seed, so that nobody can choose ids whose hashes meet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientKeys {
    seed: u64,
}

impl ClientKeys {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The key of a send.
    pub(crate) fn of(self, sender: UserId, id: &ClientId) -> ClientKey {
        let seed = self.seed ^ sender.get().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        xxh3_128_with_seed(id.as_str().as_bytes(), seed)
    }
}

/// All client ids of one conversation.
#[derive(Debug, Default)]
pub(crate) struct DuplicateFilter {
    chunks: Vec<Chunk>,
    keys: usize,
}

#[derive(Debug)]
struct Chunk {
    bits: Box<[u64]>,
    room: usize,
}

impl Chunk {
    fn new(keys: usize) -> Self {
        let words = (keys * BITS_PER_KEY).next_power_of_two() / 64;
        Self { bits: vec![0; words].into_boxed_slice(), room: keys }
    }

    /// The words and masks of a key: two halves of its hash make all probes.
    fn places(&self, key: ClientKey) -> impl Iterator<Item = (usize, u64)> + use<> {
        let mask = (self.bits.len() as u64 * 64) - 1;
        let (start, step) = (key as u64, (key >> 64) as u64 | 1);
        (0..u64::from(PROBES)).map(move |n| {
            let bit = start.wrapping_add(step.wrapping_mul(n)) & mask;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }

    fn may_contain(&self, key: ClientKey) -> bool {
        self.places(key).all(|(word, bit)| self.bits[word] & bit != 0)
    }
}

impl DuplicateFilter {
    /// Whether the key may be there; `false` is certain.
    pub(crate) fn may_contain(&self, key: ClientKey) -> bool {
        self.chunks.iter().rev().any(|chunk| chunk.may_contain(key))
    }

    /// Takes a key. When it answers `false` the filter is full and must be given up.
    #[must_use]
    pub(crate) fn insert(&mut self, key: ClientKey) -> bool {
        if self.keys >= KEYS_MAX {
            return false;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.room == 0) {
            self.chunks.push(Chunk::new(FIRST_CHUNK_KEYS << self.chunks.len()));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            for (word, bit) in chunk.places(key) {
                chunk.bits[word] |= bit;
            }
            chunk.room -= 1;
        }
        self.keys += 1;
        true
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bits.len() * 8).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: ClientKeys = ClientKeys::new(7);

    fn key(n: u64) -> ClientKey {
        KEYS.of(UserId::new(1 + n % 3).unwrap(), &ClientId::new(&n.to_string()).unwrap())
    }

    #[test]
    fn no_key_is_ever_missed_and_few_are_suspected() {
        let mut filter = DuplicateFilter::default();
        for n in 0..50_000 {
            assert!(filter.insert(key(n)));
        }
        assert!((0..50_000).all(|n| filter.may_contain(key(n))));
        let suspected = (50_000..150_000).filter(|n| filter.may_contain(key(*n))).count();
        assert!(suspected < 100, "{suspected}");
    }

    #[test]
    fn senders_do_not_share_ids() {
        let mut filter = DuplicateFilter::default();
        let id = ClientId::new("a").unwrap();
        assert!(filter.insert(KEYS.of(UserId::new(1).unwrap(), &id)));
        assert!(!filter.may_contain(KEYS.of(UserId::new(2).unwrap(), &id)));
    }
}
