//! Live moves of units between shards: copied while they serve, frozen for milliseconds, handed over in one commit.
//!
//! It is: the [`Coordinator`], which drives jobs of moves step by step, so that every step may fail, be repeated or be
//! taken over; and the planner, which turns what an operator asks for into moves. It sees traits only.
//! It is not: a router. Who sends commands to a unit that is frozen or gone is told to look at the map again.
//!
//! The order of a move, from `mover`: copy, catch up, compare, freeze, drain, compare, commit, open. Before the commit
//! only back or again, after it only forward.

mod abort;
mod call;
mod catch_up;
mod compare;
mod coordinator;
mod copy;
mod finish;
mod freeze;
mod freeze_gate;
mod host;
mod mover;
mod options;
pub mod plan;
mod purge;
mod reconcile;
mod relabel;
mod throttle;

pub use coordinator::Coordinator;
pub use host::{Host, Unreachable};
pub use options::Options;
