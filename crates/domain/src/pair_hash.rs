//! The hash that decides where a pair of users lives.

#[cfg(test)]
mod tests;

const LO_FACTOR: u64 = 2_654_435_761;
const HI_FACTOR: u64 = 2_654_435_789;

/// Hash of two user ids, the same in both orders; wrapping unsigned 64-bit arithmetic.
pub const fn pair_hash(a: u64, b: u64) -> u64 {
    if a < b { mix(a, b) } else { mix(b, a) }
}

/// The same mixing without swapping: the two halves of a group's id.
pub const fn mix(first: u64, second: u64) -> u64 {
    let mut h = first.wrapping_mul(LO_FACTOR).wrapping_add(second.wrapping_mul(HI_FACTOR));
    h ^= h >> 16;
    h = h.wrapping_mul(LO_FACTOR);
    h ^ (h >> 16)
}
