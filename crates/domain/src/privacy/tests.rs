//! Who sees whose presence, for every pair of settings.

use super::{PresenceFor, Side, see_each_other};

const ALL: [PresenceFor; 3] = [PresenceFor::Everyone, PresenceFor::Contacts, PresenceFor::Nobody];

fn sides() -> impl Iterator<Item = Side> {
    ALL.into_iter()
        .flat_map(|presence| [false, true].map(|has_written| Side { presence, has_written }))
}

#[test]
fn it_holds_both_ways() {
    for one in sides() {
        for other in sides() {
            assert_eq!(see_each_other(one, other), see_each_other(other, one), "{one:?} {other:?}");
        }
    }
}

#[test]
fn each_setting_admits_whom_it_says() {
    let seen = |one, has_written| {
        let one = Side { presence: one, has_written };
        see_each_other(one, Side { presence: PresenceFor::Everyone, has_written: false })
    };
    assert_eq!(ALL.map(|one| seen(one, false)), [true, false, false]);
    assert_eq!(ALL.map(|one| seen(one, true)), [true, true, false]);
}
