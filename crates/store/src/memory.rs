//! The twin of each seam in memory.
