//! A former content of a message, kept where the operator wants the history of edits. Gone with the message.

use crate::id::Millis;

/// What a message said before an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edition {
    /// Since when it said so: its creation or the edit before.
    pub since: Millis,
    /// The text.
    pub content: String,
}

impl Edition {
    /// As the value of an annex: eight bytes of the time, then the text.
    pub fn to_value(&self) -> Vec<u8> {
        [&self.since.to_be_bytes(), self.content.as_bytes()].concat()
    }

    /// Reads a value; none when it is not one.
    pub fn of_value(value: &[u8]) -> Option<Self> {
        let (since, content) = value.split_first_chunk()?;
        let content = String::from_utf8(content.to_vec()).ok()?;
        Some(Self { since: Millis::from_be_bytes(*since), content })
    }
}
