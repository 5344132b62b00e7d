//! Stories of signed addresses.

use super::*;

const DAY: i64 = 86_400_000;

fn parts(address: &str) -> (&str, &str) {
    address.strip_prefix("https://cdn.example").unwrap_or(address).split_once('?').unwrap()
}

#[test]
fn an_address_is_good_for_a_while_and_the_same_for_everybody() {
    let signer = Signer::new(&[7; 32], "https://cdn.example/", 86_400);
    let now = 20_000 * DAY + 5;
    let address = signer.address(What::File, MediaId(255), now);
    assert!(address.starts_with("https://cdn.example/api/v1/media/file/000000"), "{address}");
    assert_eq!(signer.address(What::File, MediaId(255), now + DAY - 6), address);
    assert_ne!(signer.address(What::File, MediaId(255), now + DAY), address);
    let (path, query) = parts(&address);
    let until = (20_000 + 2) * 86_400;
    assert_eq!(signer.check(path, query, now), Some(until));
    assert_eq!(signer.check(path, query, until * 1_000 - 1), Some(until));
    assert_eq!(signer.check(path, query, until * 1_000), None);
}

#[test]
fn what_was_changed_is_not_good() {
    let signer = Signer::new(&[7; 32], "", 3_600);
    let address = signer.address(What::Thumbnail, MediaId(1), 0);
    let (path, query) = parts(&address);
    assert!(signer.check(path, query, 0).is_some());
    let other = |path: &str, query: &str| signer.check(path, query, 0);
    assert_eq!(other(&path.replace("thumbnail", "file"), query), None);
    assert_eq!(other(&path.replace('1', "2"), query), None);
    assert_eq!(other(path, &query.replace("expires=7200", "expires=9999999")), None);
    assert_eq!(other(path, &format!("{query}&more=1")), None);
    assert_eq!(other(path, &format!("more=1&{query}")), None);
    assert_eq!(other(path, &query[..query.len() - 1]), None);
    for query in ["", "expires=1", "signature=x", "expires=&signature=", "expires=1&signature=é"] {
        assert_eq!(other(path, query), None, "{query}");
    }
    assert_eq!(Signer::new(&[8; 32], "", 3_600).check(path, query, 0), None);
}
