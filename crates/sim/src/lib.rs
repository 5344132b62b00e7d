//! A cluster in one process, from a seed: moves under every fault that can be thought of, and a clock that is not ours.
//!
//! It is: the coordinator of `reshard` and the memory twins of `store`, with slow, lossy and repeating ways between them,
//! clients that remember what they were promised, and a final look at everything. The same seed gives the same events.
//! It is not: a test of journals, databases or locks; the backends' contract suites and crash tests are those.

mod chaos;
mod clients;
mod dispatchers;
mod faulty_directory;
mod faulty_shard;
mod ground;
mod journal;
mod link;
mod node;
mod operator;
mod oracle;
mod people;
mod random;
mod router;
mod weather;
mod world;

pub use operator::Tally;
pub use oracle::Counts;
pub use weather::{Fault, Faults, Weather};
pub use world::{Failure, Report, Setup, run};
