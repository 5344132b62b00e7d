//! Paths and queries, percent-encoded.

use std::fmt::Write as _;

/// Appends a segment of a path; everything but letters, digits and `-._~` is encoded.
pub(super) fn segment(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            // A `String` takes every write.
            _ => _ = write!(out, "%{byte:02X}"),
        }
    }
}

/// A path with its query, built pair by pair; nothing is added for what is `None`.
#[derive(Debug, Clone)]
pub struct Query {
    text: String,
    path_len: usize,
}

impl Query {
    /// Begins with a path, encoded already.
    pub fn new(path: impl Into<String>) -> Self {
        let text = path.into();
        Self { path_len: text.len(), text }
    }

    /// Adds a pair, if there is a value.
    #[must_use]
    pub fn with(mut self, name: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            let first = self.text.len() == self.path_len;
            self.text.push(if first { '?' } else { '&' });
            self.text.push_str(name);
            self.text.push('=');
            self.text.extend(form_urlencoded::byte_serialize(value.to_string().as_bytes()));
        }
        self
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_what_would_change_the_path() {
        let mut path = "/x/".to_owned();
        segment(&mut path, "ext:a/b?c%👍");
        assert_eq!(path, "/x/ext%3Aa%2Fb%3Fc%25%F0%9F%91%8D");
        let query = Query::new("/q")
            .with("none", None::<u64>)
            .with("text", Some("a b&c"))
            .with("n", Some(7));
        assert_eq!(query.finish(), "/q?text=a+b%26c&n=7");
    }
}
