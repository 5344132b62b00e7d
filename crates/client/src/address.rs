//! Where a server is reached: `http://host:port/prefix` or `unix:/path/of/a/socket`.
//! TLS is not spoken here: a reverse proxy does that, and `https` is refused in words.

use std::{fmt, path::PathBuf, str::FromStr};

/// How bytes travel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// TCP, to `host:port`.
    Tcp(String),
    /// A Unix socket of this machine.
    Unix(PathBuf),
}

/// The base of every call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    transport: Transport,
    /// What the `Host` header says.
    host: String,
    /// Before every path, without a slash at its end; mostly empty.
    prefix: String,
}

/// Text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an address: {0:?} ({1})")]
pub struct AddressError(String, &'static str);

impl Address {
    /// A Unix socket of this machine.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self {
            transport: Transport::Unix(path.into()),
            host: "localhost".to_owned(),
            prefix: String::new(),
        }
    }

    /// How bytes travel.
    #[must_use]
    pub const fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The path of a call, with the prefix.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refuse = |why| Err(AddressError(text.to_owned(), why));
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() {
                return refuse("a path must follow `unix:`");
            }
            return Ok(Self::unix(path));
        }
        let rest = match text.split_once("://") {
            Some(("http" | "ws", rest)) => rest,
            Some(("https" | "wss", _)) => {
                return refuse("TLS is not built in; use the plain address behind the proxy");
            }
            Some(_) => return refuse("must begin with http:// or unix:"),
            None => text,
        };
        let (host, prefix) = match rest.find('/') {
            Some(at) => (&rest[..at], rest[at..].trim_end_matches('/')),
            None => (rest, ""),
        };
        if host.is_empty() || host.contains(['@', '?', '#']) || prefix.contains(['?', '#']) {
            return refuse("must be http://host:port");
        }
        // A port follows the last colon, unless that one stands inside an IPv6 address.
        let has_port = host.rsplit_once(':').is_some_and(|(before, port)| {
            (!before.contains(':') || before.ends_with(']'))
                && !port.is_empty()
                && port.bytes().all(|b| b.is_ascii_digit())
        });
        let authority = if has_port { host.to_owned() } else { format!("{host}:80") };
        Ok(Self {
            transport: Transport::Tcp(authority),
            host: host.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.transport {
            Transport::Tcp(_) => write!(f, "http://{}{}", self.host, self.prefix),
            Transport::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_type() {
        for (text, authority, shown) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://127.0.0.1:8080/", "127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("localhost:9", "localhost:9", "http://localhost:9"),
            ("ws://example.org", "example.org:80", "http://example.org"),
            ("http://[::1]:8080/chat/", "[::1]:8080", "http://[::1]:8080/chat"),
            ("http://[::1]", "[::1]:80", "http://[::1]"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.transport, Transport::Tcp(authority.to_owned()), "{text}");
            assert_eq!(address.to_string(), shown);
        }
        let unix: Address = "unix:/run/a.sock".parse().unwrap();
        assert_eq!(unix.to_string(), "unix:/run/a.sock");
        for text in ["https://example.org", "ftp://example.org", "", "unix:", "http:///x"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
