//! The terminal chat: what is typed, what is shown, and the loop between them and a device.
//!
//! `input` and `editor` read what is typed; `screen` shows a terminal, `plain` anything else; `session` is the loop.
//! It is not: a client of its own. Staying right over losses is the work of `ostracon-client`.

mod editor;
mod input;
mod names;
mod picture;
mod plain;
mod screen;
mod session;
mod terminal;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use session::{Start, run};
