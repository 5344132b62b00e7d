//! A few thousand damaged journals, always the same ones.

use super::*;
use crate::journal::fault::next_random;

#[test]
fn no_damage_makes_recovery_panic_or_disagree_with_itself() {
    fuzz_recovery(&[]);
    let mut state = 1;
    for _ in 0..4000 {
        let changes = 1 + next_random(&mut state) % 6;
        let data: Vec<u8> = (0..changes * 7).map(|_| next_random(&mut state) as u8).collect();
        fuzz_recovery(&data);
    }
}

#[test]
fn every_single_flipped_bit_is_harmless_refused_or_repaired() {
    // Offsets where something stands: the headers' fields and the frames.
    for file in 0..3_u8 {
        for offset in (0..80_u32).chain(4096..4096 + 640) {
            let at = offset.to_be_bytes();
            fuzz_recovery(&[file, 0, at[1], at[2], at[3], 0, 1 << (offset % 8)]);
        }
    }
}
