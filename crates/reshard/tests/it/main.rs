//! Moves over the memory twins: what an operator asks for, and what goes wrong on the way.
#![expect(clippy::unwrap_used, reason = "tests")]

mod carving;
mod edges;
mod moving;
mod silence;
mod silent_shard;
mod trouble;
mod world;
