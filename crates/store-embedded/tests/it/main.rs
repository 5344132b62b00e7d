//! The embedded store at its borders: the contract of the seam, restarts, failures, overlay against tables.
#![expect(clippy::unwrap_used, reason = "tests")]

mod backup;
mod contract;
mod deletion;
mod failures;
mod fixture;
mod living;
mod moves;
mod racing;
mod restless;
