//! Which addresses of push services are taken: of the open network, so that nobody reaches through us what only we can reach.
//!
//! A name may lead anywhere: where it leads is looked at again when something is sent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

const BYTES_MAX: usize = 2_000;

/// Reads the address of a device at a push service.
///
/// # Errors
/// What is wrong with it, as a half-sentence behind "endpoint".
pub(crate) fn checked(text: &str, private: bool) -> Result<Url, &'static str> {
    if text.len() > BYTES_MAX {
        return Err("must have at most 2,000 bytes");
    }
    let url = Url::parse(text).map_err(|_| "must be an address")?;
    let address = url.host_str().map(|host| host.trim_matches(['[', ']']).parse::<IpAddr>());
    let (is_here, is_open) = match (url.host_str(), address) {
        (_, Some(Ok(address))) => (address.is_loopback(), is_open(address)),
        (Some(name), _) => {
            let name = name.trim_end_matches('.');
            let is_here = name == "localhost" || name.ends_with(".localhost");
            (is_here, !is_here && name.contains('.'))
        }
        (None, _) => return Err("must have a host"),
    };
    match url.scheme() {
        "https" => {}
        "http" if private && is_here => {}
        _ => return Err("must begin with https://"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no name and no password");
    }
    if !is_open && !private {
        return Err("must be in the open network");
    }
    Ok(url)
}

/// Whether an address is one of the open network: none of this machine, a private network, a neighbour, or special use.
pub(crate) fn is_open(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_open_v4(address),
        IpAddr::V6(address) => is_open_v6(address),
    }
}

fn is_open_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    !(special
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation())
}

fn is_open_v6(address: Ipv6Addr) -> bool {
    if let Some(inside) = address.to_ipv4_mapped() {
        return is_open_v4(inside);
    }
    let parts = address.segments();
    // Only what is given out to the open network, without examples, and without ways into IPv4.
    let is_global = parts[0] & 0xe000 == 0x2000;
    let is_special = parts[0] == 0x2002
        || (parts[0] == 0x2001 && (parts[1] < 0x0200 || parts[1] == 0x0db8))
        || parts[0] == 0x3fff;
    is_global && !is_special
}

#[cfg(test)]
mod tests;
