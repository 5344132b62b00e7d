//! The fingerprint of a state: 128 bits, from two independent lanes. A search keeps fingerprints
//! instead of states; among the millions of states here two equal ones are out of the question.

use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Stands for a state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint(u128);

/// A map keyed by fingerprints, which need no further hashing.
pub type FingerprintMap<T> = std::collections::HashMap<Fingerprint, T, BuildHasherDefault<AsItIs>>;

impl Fingerprint {
    /// The fingerprint of a value.
    pub fn of(value: &impl Hash) -> Self {
        let mut lanes = Lanes { first: 0, second: 0, word: 0, bytes: 0 };
        value.hash(&mut lanes);
        lanes.mix();
        Self(u128::from(lanes.first) << 64 | u128::from(lanes.second))
    }
}

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.0);
    }
}

/// Gathers bytes into words and folds each word into both lanes.
struct Lanes {
    first: u64,
    second: u64,
    word: u64,
    bytes: u8,
}

impl Lanes {
    fn mix(&mut self) {
        self.first = fold(self.first ^ self.word, 0x9E37_79B9_7F4A_7C15) ^ u64::from(self.bytes);
        self.second =
            fold(self.second.rotate_left(23) ^ self.word, 0xD6E8_FEB8_6659_FD93).wrapping_add(1);
        self.word = 0;
        self.bytes = 0;
    }
}

/// Both halves of the product.
fn fold(value: u64, odd: u64) -> u64 {
    let product = u128::from(value ^ 0xA076_1D64_78BD_642F) * u128::from(odd);
    (product as u64) ^ (product >> 64) as u64
}

impl Hasher for Lanes {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u8(*byte);
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.word = self.word << 8 | u64::from(byte);
        self.bytes += 1;
        if self.bytes == 8 {
            self.mix();
        }
    }

    /// Lengths: all of them fit a byte.
    fn write_usize(&mut self, length: usize) {
        self.write_u8(length.to_le_bytes()[0]);
    }

    /// Variants of enums: all of them fit a byte.
    fn write_isize(&mut self, variant: isize) {
        self.write_u8(variant.to_le_bytes()[0]);
    }

    fn finish(&self) -> u64 {
        self.first
    }
}

/// Takes one half of a fingerprint as the hash.
#[derive(Default, Debug)]
pub struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u128(&mut self, value: u128) {
        self.0 = value as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
