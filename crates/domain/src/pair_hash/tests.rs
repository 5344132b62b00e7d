//! The vectors, which other systems share.

use super::{mix, pair_hash};
use crate::Slot;

#[test]
fn the_vectors_hold() {
    let text = include_str!("../../vectors/pair_hash.json");
    let file: serde_json::Value = serde_json::from_str(text).expect("valid JSON");
    let vectors = file["vectors"].as_array().expect("a list");
    assert!(vectors.len() >= 14);
    for vector in vectors {
        let number = |key: &str| vector[key].as_u64().expect("a number");
        let expect: u64 = vector["hash"].as_str().and_then(|text| text.parse().ok()).expect("hash");
        let hash = pair_hash(number("user1"), number("user2"));
        assert_eq!(hash, expect, "{vector}");
        assert_eq!(pair_hash(number("user2"), number("user1")), expect, "either order");
        for (key, modulus) in [("mod4", 4), ("mod16", 16), ("mod32", 32)] {
            assert_eq!(hash % modulus, number(key), "{vector}");
        }
        assert_eq!(u64::from(Slot::of_hash(hash).get()), number("slot"));
    }
}

#[test]
fn halves_of_a_group_are_not_swapped() {
    assert_ne!(mix(1, 2), mix(2, 1));
    assert_eq!(mix(1, 2), pair_hash(2, 1));
}
