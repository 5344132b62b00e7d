//! The twin of each seam in memory: as strict as a backend, for tests of what stands on the seam.
//! Nothing of it is durable, and it is not tuned for speed.

pub mod directory;
pub mod ids;
pub mod search;
pub mod shard;

pub use ids::CountingIds;
pub use search::MemorySearch;
pub use shard::{Hold, MemoryShard};
