//! What search means: which tokens a text has, which of them a query asks for, and where in a text the query stands.
//!
//! An index only proposes: it knows which messages have all [`Term`]s of a query. Whether a message matches, and what is
//! shown of it, is decided by [`Query::find`] on its present text, so that every store gives the same answers, and a text that
//! is gone is never found. The promise between the two: what matches has all the terms.
//!
//! It is not: an index, nor a judge of who may read.

mod class;
mod fold;
mod name;
mod query;
mod stem;
mod token;

#[cfg(test)]
mod tests;

pub use fold::fold;
pub use name::{name_matches, name_tokens};
pub use query::{Found, Query, QueryError};
pub use token::{Term, tokens};

/// Longest query that is read, UTF-16 units.
pub const QUERY_UNITS_MAX: usize = 256;
/// Most words of a query.
pub const QUERY_WORDS_MAX: usize = 16;
/// Longest token, characters; what is longer is cut, in texts and in queries alike.
pub const TOKEN_CHARS_MAX: usize = 32;
