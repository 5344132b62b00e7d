//! Query strings. Each list has a type that reads the whole query and refuses, by name, what
//! cannot be; unknown names are ignored. Names given twice: the first counts.

use crate::Invalid;
use std::{borrow::Cow, str::FromStr};

/// The pairs of a query string, without the question mark.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a>(&'a str);

/// Bounds of a `limit`: what it is when left out, and what a larger one is cut to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// When left out.
    pub default: u32,
    /// What larger ones become.
    pub max: u32,
}

impl<'a> Query<'a> {
    /// Looks at a raw query string; nothing can be wrong with it as a whole.
    #[must_use]
    pub const fn new(raw: &'a str) -> Self {
        Self(raw)
    }

    /// The decoded value of a name; `None` when it is missing or empty.
    #[must_use]
    pub fn get(self, name: &str) -> Option<Cow<'a, str>> {
        let (_, value) =
            form_urlencoded::parse(self.0.as_bytes()).find(|(found, _)| found == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// A value that must be readable where it is given.
    ///
    /// # Errors
    /// [`Invalid`], with `must` as its sentence.
    pub fn parse<T: FromStr>(self, name: &str, must: &str) -> Result<Option<T>, Invalid> {
        self.get(name).map(|value| value.parse().map_err(|_| Invalid::new(name, must))).transpose()
    }

    /// A whole number, 0 and up. Beyond 2^64-1 it is that: "far too large" stays readable.
    ///
    /// # Errors
    /// [`Invalid`] for signs, fractions and anything else.
    pub fn number(self, name: &str) -> Result<Option<u64>, Invalid> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        if !value.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Invalid::new(name, "must be a whole number, 0 or above"));
        }
        Ok(Some(value.parse().unwrap_or(u64::MAX)))
    }

    /// `limit`: at least 1, cut to the maximum.
    ///
    /// # Errors
    /// [`Invalid`] for 0, for what is no number, and where it is named and left empty.
    pub fn limit(self, limit: Limit) -> Result<u32, Invalid> {
        let mut names = form_urlencoded::parse(self.0.as_bytes());
        if names.find(|(name, _)| name == "limit").is_some_and(|(_, value)| value.is_empty()) {
            return Err(Invalid::new("limit", "must be 1 or above"));
        }
        match self.number("limit")? {
            None => Ok(limit.default),
            Some(0) => Err(Invalid::new("limit", "must be 1 or above")),
            Some(n) => Ok(u32::try_from(n).map_or(limit.max, |n| n.min(limit.max))),
        }
    }
}
