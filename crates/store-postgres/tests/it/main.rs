//! The PostgreSQL store against real servers that these tests start themselves: the contract of the seam, several
//! writers, moves, the directory, placement in SQL, versions and owners, a server that dies, hangs and fails over.
#![expect(clippy::unwrap_used, reason = "tests")]

mod contract;
mod directory;
mod fixture;
mod moves;
mod opening;
mod order;
mod placement;
mod search;
mod server_lost;
mod tls;
mod writers;
