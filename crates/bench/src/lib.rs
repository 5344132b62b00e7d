//! The load tool: real sockets, real load, and a check of everything that was delivered.
//!
//! It shares its machine with the server it measures, so its own cost is part of every figure: frames are written and
//! read as bytes, without a general WebSocket or JSON library. What it measures is what users get: a message that is
//! lost, doubled or out of order fails a run, however fast it was.
//!
//! To add a workload: a file in `workload/`, a line in [`workload::run`].

mod admin;
mod check;
mod fsync;
mod options;
mod pace;
mod report;
mod swarm;
mod wire;
mod workload;

pub use options::{Options, Workload};
pub use report::{Latency, Report};
pub use workload::run;
