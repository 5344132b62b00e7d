//! The live part: from a command to its commit, and from a commit to every screen.
//!
//! Who owns what. A **committer** (one task a shard) forms batches of what waits and commits them, one at a time.
//! A **dispatcher** (one task a shard) gets committed changes in order, hands events to the **hub**, changes of users'
//! lists to **lanes**, and answers to whoever asked. It never waits on a committer, nor on another shard. A **lane** (one task a shard)
//! commits those changes through the committer of the users' shard. The **router** parks commands whose unit is between
//! two shards, so that no client sees a fence. A **connection** is one socket; its outbox is the only way to it. Locks
//! here are held for a few instructions and never over an await.
//!
//! It sees the seams of `store` only: no backend, no socket, no HTTP.

mod addresses;
mod aside;
mod attachments;
mod audience;
mod away;
mod batch_lists;
mod clock;
mod committer;
mod connection;
mod dispatcher;
mod engine;
mod error;
mod event;
mod gate;
mod heat;
mod hub;
mod invites;
mod keys;
mod known_users;
mod lane;
mod large;
pub mod limits;
mod lists;
mod live;
mod marks;
mod members;
mod node_ids;
mod outbox;
mod presence;
mod rate_limit;
mod reads;
mod reply;
mod router;
mod search;
mod seen_by;
mod socket_commands;
mod sweep;
mod teller;
mod topology;
mod typing;
pub mod view;

pub use addresses::{Addresses, NoAddresses};
pub use away::{AwayLook, AwayNews, AwayOptions, AwayQuestion};
pub use clock::{Clock, ManualClock, SystemClock};
pub use connection::{Closing, Connection};
pub use engine::{Engine, EngineOptions, lease};
pub use error::EngineError;
pub use heat::{Hot, Hottest};
pub use invites::BansPage;
pub use keys::Keys;
pub use members::MembersNamed;
pub use node_ids::NodeIds;
pub use outbox::Drained;
pub use rate_limit::{Allowance, RateLimits, Remaining};
pub use reads::{ChatList, EntryRows, RepliesPage, SyncPage};
pub use reply::Done;
pub use search::{Named, SearchFilter, SearchHit, SearchOrder, SearchPage, SearchStart};
pub use seen_by::SeenBy;
