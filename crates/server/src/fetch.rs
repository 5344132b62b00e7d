//! What the server asks other servers for, over HTTP: bounded in time and size, and it follows nobody elsewhere.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Client, Url, redirect::Policy};

/// From the first byte sent to the last one received.
const WITHIN: Duration = Duration::from_secs(5);

/// A client of other servers. Its clones share connections.
#[derive(Debug, Clone)]
pub(crate) struct Fetch(Client);

impl Fetch {
    /// # Errors
    /// One sentence, when the system's certificates cannot be used.
    pub(crate) fn new() -> Result<Self, String> {
        // There is one already where somebody else of this process came first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(WITHIN)
            .user_agent(concat!("ostracon/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("no HTTPS: {error}."))?;
        Ok(Self(client))
    }

    /// The body of a page.
    ///
    /// # Errors
    /// One sentence, without what the other side said.
    pub(crate) async fn get(&self, url: Url, bytes_max: usize) -> Result<Bytes, String> {
        let told = |error: reqwest::Error| format!("{}", error.without_url());
        let mut answer = self.0.get(url).send().await.map_err(told)?;
        if !answer.status().is_success() {
            return Err(format!("status {}", answer.status().as_u16()));
        }
        let mut body = BytesMut::new();
        while let Some(part) = answer.chunk().await.map_err(told)? {
            if body.len() + part.len() > bytes_max {
                return Err(format!("more than {bytes_max} bytes"));
            }
            body.extend_from_slice(&part);
        }
        Ok(body.freeze())
    }
}

/// Reads an address that may be asked: https, or http on this machine.
///
/// # Errors
/// One sentence.
pub(crate) fn checked_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("not an address: {error}."))?;
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err("must begin with https:// (http:// only on this machine).".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::checked_url;

    #[test]
    fn only_what_nobody_can_change_on_the_way() {
        for good in [
            "https://id.example/keys",
            "http://localhost:1/x",
            "http://[::1]/",
            "http://127.0.0.1:9/",
        ] {
            assert!(checked_url(good).is_ok(), "{good}");
        }
        for bad in ["http://id.example/keys", "ftp://localhost/", "file:///etc/passwd", "keys", ""]
        {
            assert!(checked_url(bad).is_err(), "{bad}");
        }
    }
}
