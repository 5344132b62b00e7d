//! The twin of each seam in memory.

pub mod directory;
