//! One suite for each seam: plain async functions that every backend passes.

pub mod directory;
pub mod search;
pub mod shard;
