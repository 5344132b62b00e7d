//! Searches the whole model: every configuration holds, every mutant is refuted, and a search
//! finds the same each time.

mod configurations;
mod mutants;
mod pool;
mod repeatable;
