//! Chance from a seed: the same seed gives the same line of numbers on every machine. Not for secrets.

use parking_lot::Mutex;

/// SplitMix64. Its lock is held for a few instructions, so that the tasks of one world share one line.
#[derive(Debug)]
pub(crate) struct Random(Mutex<u64>);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Mutex::new(seed))
    }

    pub(crate) fn next(&self) -> u64 {
        let mut state = self.0.lock();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 … n−1; 0 for nothing to choose from.
    pub(crate) fn below(&self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.next() % n }
    }

    /// Both ends included.
    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in so many of a million cases.
    pub(crate) fn of_a_million(&self, cases: u32) -> bool {
        self.below(1_000_000) < u64::from(cases)
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&self, cases: u64) -> bool {
        self.below(100) < cases
    }

    /// One of them, if there is one.
    pub(crate) fn pick<'a, T>(&self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len() as u64) as usize)
    }
}
