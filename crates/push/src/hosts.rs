//! How many requests are under way to one host: a slow one does not keep the others waiting.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

/// Requests to one host at once.
const AT_ONCE: u32 = 16;

/// Safe from any task; the lock is held for a look-up.
#[derive(Debug, Default, Clone)]
pub(crate) struct Hosts(Arc<Mutex<FxHashMap<String, u32>>>);

/// A place at a host, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    hosts: Hosts,
    host: String,
}

impl Hosts {
    /// None when there are enough at the host of this address.
    pub(crate) fn enter(&self, url: &str) -> Option<Place> {
        let host = host_of(url).to_owned();
        let mut known = self.0.lock();
        let count = known.entry(host.clone()).or_default();
        if *count >= AT_ONCE {
            return None;
        }
        *count += 1;
        Some(Place { hosts: self.clone(), host })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut known = self.hosts.0.lock();
        if let Some(count) = known.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                known.remove(&self.host);
            }
        }
    }
}

/// Scheme, host and port of an address: its origin.
pub(crate) fn origin_of(url: &str) -> &str {
    let behind_scheme = url.find("://").map_or(0, |at| at + 3);
    let rest = &url[behind_scheme..];
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    &url[..behind_scheme + end]
}

fn host_of(url: &str) -> &str {
    let origin = origin_of(url);
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::{AT_ONCE, Hosts, host_of, origin_of};

    #[test]
    fn origins_are_cut_from_addresses() {
        assert_eq!(origin_of("https://push.example:8443/a/b?c"), "https://push.example:8443");
        assert_eq!(origin_of("https://push.example"), "https://push.example");
        assert_eq!(host_of("http://127.0.0.1:9/x"), "127.0.0.1:9");
    }

    #[test]
    fn one_host_takes_so_many_and_no_more() {
        let hosts = Hosts::default();
        let mut places: Vec<_> =
            (0..AT_ONCE).map(|_| hosts.enter("https://a/x").unwrap()).collect();
        assert!(hosts.enter("https://a/y").is_none());
        assert!(hosts.enter("https://b/x").is_some());
        places.pop();
        assert!(hosts.enter("https://a/y").is_some());
        places.clear();
        assert!(hosts.0.lock().is_empty());
    }
}
