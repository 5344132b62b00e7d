//! The seams of storage: what a shard and a directory must do, in the domain's words.
//!
//! It is: two traits, the canonical encoding of rows, the part of a commit that every backend shares,
//! and, under the feature `testing`, an in-memory twin and a contract suite for each seam.
//! It is not: a backend.
//!
//! To add a backend: implement [`Shard`] (load what [`WorkingSet::missing`] names, run it, write the rows),
//! then run every function of `contract` against it.

mod address;
#[cfg(any(test, feature = "testing"))]
pub mod contract;
pub mod digest;
pub mod directory;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
pub mod read;
pub mod record;
pub mod search;
pub mod shard;
pub mod transfer;
pub mod unit_state;
pub mod working_set;

pub use address::redacted;
pub use digest::Digest;
pub use directory::{
    Accounts, Audit, Cluster, Directory, DirectoryError, Errands, Invites, MediaIndex, Moves,
    People, Push, Sessions,
};
pub use read::{
    AnnexPage, AnnexRows, Changes, ChangesSince, InboxChanges, InboxPage, InboxRows, MembersPage,
    MembersRows, MessagePage, Messages, Overview, PagePosition, Place, Unread,
};
pub use search::{
    Document, Hit, Indexed, SearchFor, SearchIndex, SearchStats, Span, Update, Wanted,
};
pub use shard::{
    Answer, Batch, Commit, Ids, Incarnation, Order, Position, Read, Shard, ShardError, ShardStats,
    Shards, Undispatched,
};
pub use transfer::{
    Note, Purged, Relabel, ScanCursor, ScanPage, SubjectDigest, SubjectHead, SubjectRows,
    SubjectVersion, Transfer,
};
pub use unit_state::{Pair, UnitChange, UnitPhase, UnitState, UnitVerdict, admit, relabelled};
pub use working_set::{Missing, WorkingSet};
