//! Stories of what the live part keeps of users.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use ostracon_domain::{PresenceFor, Privacy, UserId};

use super::{Fixture, person};
use crate::directory::Person;

const HIDDEN: Privacy = Privacy { presence: PresenceFor::Nobody, read_receipts: false };
const FOR_CONTACTS: Privacy = Privacy { presence: PresenceFor::Contacts, read_receipts: true };

fn nobody() -> UserId {
    UserId::new(4_711).unwrap()
}

/// Of whom nothing was noted, everything is as at first; order is by number, and who does not exist is left out.
pub async fn people_begin_open(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    assert_eq!(d.people(&[nobody()]).await.unwrap(), []);
    let users = d.create_users(vec![person("alice"), person("bob")], 1).await.unwrap();
    let [alice, bob] = [users[0].id, users[1].id];
    let fresh = |user| Person { user, last_seen_at: None, privacy: Privacy::default() };
    let asked = [bob, nobody(), alice, bob];
    assert_eq!(d.people(&asked).await.unwrap(), [fresh(alice), fresh(bob)]);
    assert_eq!(d.people(&[]).await.unwrap(), []);
}

/// When a user was last online never goes back, whatever the order of the notes; it survives.
pub async fn last_online_never_goes_back(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let users = d.create_users(vec![person("alice"), person("bob")], 1).await.unwrap();
    let [alice, bob] = [users[0].id, users[1].id];
    d.note_seen(&[]).await.unwrap();
    d.note_seen(&[(bob, 70), (alice, 50), (nobody(), 9), (bob, 60)]).await.unwrap();
    d.note_seen(&[(alice, 40)]).await.unwrap();
    let d = fixture.reopened(d).await;
    let seen = |people: Vec<Person>| people.iter().map(|p| p.last_seen_at).collect::<Vec<_>>();
    assert_eq!(seen(d.people(&[alice, bob]).await.unwrap()), [Some(50), Some(70)]);
    d.note_seen(&[(alice, 90)]).await.unwrap();
    assert_eq!(seen(d.people(&[alice, bob]).await.unwrap()), [Some(90), Some(70)]);
    let all = d.people(&[alice, bob]).await.unwrap();
    assert!(all.iter().all(|person| person.privacy == Privacy::default()));
}

/// What a user lets others know is kept beside when that user was last online, in either order.
pub async fn privacy_is_kept(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let users = d.create_users(vec![person("alice"), person("bob")], 1).await.unwrap();
    let [alice, bob] = [users[0].id, users[1].id];
    assert_eq!(d.set_privacy(nobody(), HIDDEN).await.unwrap(), None);
    d.note_seen(&[(alice, 50)]).await.unwrap();
    let of_alice = Person { user: alice, last_seen_at: Some(50), privacy: HIDDEN };
    assert_eq!(d.set_privacy(alice, HIDDEN).await.unwrap(), Some(of_alice));
    let of_bob = Person { user: bob, last_seen_at: None, privacy: FOR_CONTACTS };
    assert_eq!(d.set_privacy(bob, FOR_CONTACTS).await.unwrap(), Some(of_bob));
    d.note_seen(&[(bob, 60)]).await.unwrap();
    let of_bob = Person { last_seen_at: Some(60), ..of_bob };
    let d = fixture.reopened(d).await;
    assert_eq!(d.people(&[alice, bob]).await.unwrap(), [of_alice, of_bob]);
    assert_eq!(d.private_people(None, 10).await.unwrap(), [of_alice, of_bob]);
    assert_eq!(d.private_people(None, 1).await.unwrap(), [of_alice]);
    assert_eq!(d.private_people(Some(alice), 1).await.unwrap(), [of_bob]);
    assert_eq!(d.private_people(Some(bob), 1).await.unwrap(), []);
    let open = Person { privacy: Privacy::default(), ..of_alice };
    assert_eq!(d.set_privacy(alice, Privacy::default()).await.unwrap(), Some(open));
    assert_eq!(d.people(&[bob, alice]).await.unwrap(), [open, of_bob]);
    assert_eq!(d.private_people(None, 10).await.unwrap(), [of_bob]);
}
