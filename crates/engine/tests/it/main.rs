//! The engine driven as a server drives it, over shards and a directory in memory. Time is the runtime's paused clock:
//! it moves when nothing else can.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod away;
mod device;
mod equivalence;
mod events;
mod faults;
mod heat;
mod lanes;
mod large;
mod live;
mod lost;
mod moves;
mod order;
mod overload;
mod rates;
mod registration;
mod search;
mod words;
mod world;
