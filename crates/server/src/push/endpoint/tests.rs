//! Which addresses are taken.

use super::{checked, is_open};

#[test]
fn only_the_open_network_is_reached() {
    for good in [
        "https://fcm.googleapis.com/fcm/send/abc:def",
        "https://updates.push.services.mozilla.com/wpush/v2/abc",
        "https://web.push.apple.com:443/x",
        "https://93.184.216.34/x",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/x",
    ] {
        assert!(checked(good, false).is_ok(), "{good}");
    }
    for bad in [
        "http://fcm.googleapis.com/x",
        "https://localhost/x",
        "https://a.localhost./x",
        "https://intranet/x",
        "https://127.0.0.1/x",
        "https://2130706433/x",
        "https://0x7f.1/x",
        "https://[::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://10.1.2.3/x",
        "https://169.254.169.254/latest",
        "https://user@push.example/x",
        "https://user:password@push.example/x",
        "ftp://push.example/x",
        "file:///etc/passwd",
        "push.example",
        "",
    ] {
        assert!(checked(bad, false).is_err(), "{bad}");
    }
    assert!(checked(&format!("https://push.example/{}", "x".repeat(2_000)), false).is_err());
}

#[test]
fn private_addresses_are_taken_where_they_are_allowed() {
    for good in
        ["http://127.0.0.1:9/x", "http://localhost:9/x", "https://10.1.2.3/x", "https://intranet/x"]
    {
        assert!(checked(good, true).is_ok(), "{good}");
    }
    assert!(checked("http://10.1.2.3/x", true).is_err());
}

#[test]
fn addresses_with_special_uses_are_not_open() {
    for closed in [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.1.2.3",
        "169.254.1.1",
        "172.16.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::1",
        "100::1",
        "2001:db8::1",
        "2001::1",
        "2002:7f00:1::",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "ff02::1",
    ] {
        assert!(!is_open(closed.parse().unwrap()), "{closed}");
    }
    for open in
        ["1.1.1.1", "100.63.0.1", "172.32.0.1", "192.1.2.3", "2606:4700::1111", "2a00:1450::1"]
    {
        assert!(is_open(open.parse().unwrap()), "{open}");
    }
}
