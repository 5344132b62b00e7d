//! An executable model of live moves: how a unit goes from one shard to another, or is carved and
//! merged, while everything in it works. A breadth-first search visits every state of a small
//! world, checks the invariants in each, and that a clean end stays reachable from each.
//!
//! It is not part of the server and shares no code with it: it is the protocol's description,
//! short enough to be searched completely. What it leaves out is in `docs/model.md`.
//!
//! Read the modules in this order: [`fence`] and [`request`] are the words, [`state`] is all there
//! is, [`shard`], [`directory`], [`coordinator`], [`takeover`], [`router`], [`reader`], [`purge`] and
//! [`faults`] are what can happen, [`invariants`] is what must never be.
//!
//! To add a guard: a variant in [`guard`] with its rule in words, `self.removed(Guard::…)` where
//! it guards, and a line in [`mutants`] with a configuration that notices its absence.

pub mod configuration;
pub mod coordinator;
pub mod directory;
pub mod faults;
pub mod fence;
pub mod fingerprint;
pub mod guard;
pub mod invariants;
pub mod list;
pub mod map;
pub mod model;
pub mod mutants;
pub mod names;
pub mod purge;
pub mod reader;
pub mod request;
pub mod router;
pub mod search;
pub mod shard;
pub mod state;
pub mod step;
pub mod subject;
pub mod takeover;
