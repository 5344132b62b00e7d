//! Stories of devices and settings of push.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use ostracon_domain::{PushScope, PushSetting, UserId};

use super::{Fixture, device, person};
use crate::directory::{
    DirectoryError, NewSession, NewSubscription, Subscription, push::SUBSCRIPTIONS_MAX,
};

fn nobody() -> UserId {
    UserId::new(4_711).unwrap()
}

fn phone(user: UserId, session: Option<u64>, n: u64) -> NewSubscription {
    let endpoint = format!("https://push.example/{n}");
    NewSubscription {
        user,
        session,
        endpoint,
        p256dh: [n as u8; 65],
        auth: [n as u8; 16],
        expires_at: None,
    }
}

fn ids(devices: &[Subscription]) -> Vec<u64> {
    devices.iter().map(|device| device.id).collect()
}

/// A device is found again as it was, its keys can be renewed, and it can be switched off and forgotten; by its user only.
pub async fn devices_are_kept(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let users = d.create_users(vec![person("alice"), person("bob")], 1).await.unwrap();
    let [alice, bob] = [users[0].id, users[1].id];
    let session = d.create_session(device(alice, 7), 1).await.unwrap();
    for wrong in
        [phone(nobody(), None, 1), phone(alice, Some(99), 1), phone(bob, Some(session.id), 1)]
    {
        assert!(matches!(d.subscribe(wrong, 2).await, Err(DirectoryError::Refused(_))));
    }
    let one = d.subscribe(phone(alice, Some(session.id), 1), 2).await.unwrap();
    assert_eq!((one.user, one.session, one.created_at), (alice, Some(session.id), 2));
    assert_eq!((one.p256dh, one.auth, one.enabled), ([1; 65], [1; 16], true));
    let two = d.subscribe(phone(alice, None, 2), 3).await.unwrap();
    assert!(one.id < two.id);
    let d = fixture.reopened(d).await;
    assert_eq!(d.subscriptions(alice, 4).await.unwrap(), [one.clone(), two.clone()]);
    assert_eq!(d.subscriptions(bob, 4).await.unwrap(), []);

    assert_eq!(d.enable_subscription(bob, two.id, false).await.unwrap(), None);
    let off = d.enable_subscription(alice, two.id, false).await.unwrap().unwrap();
    assert_eq!(off, Subscription { enabled: false, ..two.clone() });
    let renewed = NewSubscription { p256dh: [9; 65], auth: [8; 16], ..phone(alice, None, 2) };
    let renewed = d.subscribe(renewed, 5).await.unwrap();
    assert_eq!(renewed, Subscription { p256dh: [9; 65], auth: [8; 16], ..off });
    assert_eq!(d.subscriptions(alice, 6).await.unwrap(), [one.clone(), renewed]);

    assert!(!d.unsubscribe(bob, two.id).await.unwrap());
    assert!(d.unsubscribe(alice, two.id).await.unwrap());
    assert!(!d.unsubscribe(alice, two.id).await.unwrap());
    assert!(!d.unsubscribe(alice, u64::MAX).await.unwrap());
    assert_eq!(d.subscriptions(alice, 6).await.unwrap(), [one]);
}

/// A device goes with its session, with its time, and to whoever uses it next; nobody out of use has any.
pub async fn devices_go_with_their_session(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let users = d.create_users(vec![person("alice"), person("bob")], 1).await.unwrap();
    let [alice, bob] = [users[0].id, users[1].id];
    let first = d.create_session(device(alice, 1), 1).await.unwrap();
    let ends = NewSession { expires_at: Some(50), ..device(alice, 2) };
    let second = d.create_session(ends, 1).await.unwrap();
    let one = d.subscribe(phone(alice, Some(first.id), 1), 2).await.unwrap();
    let two = d.subscribe(phone(alice, Some(second.id), 2), 2).await.unwrap();
    let three = NewSubscription { expires_at: Some(60), ..phone(alice, None, 3) };
    let three = d.subscribe(three, 2).await.unwrap();
    assert_eq!(ids(&d.subscriptions(alice, 49).await.unwrap()), [one.id, two.id, three.id]);
    assert_eq!(ids(&d.subscriptions(alice, 50).await.unwrap()), [one.id, three.id]);
    assert_eq!(ids(&d.subscriptions(alice, 60).await.unwrap()), [one.id]);
    assert_eq!(d.subscribed_users(None, 10).await.unwrap(), [alice]);

    // The same browser, somebody else.
    let taken = d.subscribe(phone(bob, None, 1), 3).await.unwrap();
    assert!(taken.id > three.id);
    assert_eq!(ids(&d.subscriptions(alice, 49).await.unwrap()), [two.id, three.id]);
    assert_eq!(ids(&d.subscriptions(bob, 49).await.unwrap()), [taken.id]);
    assert_eq!(d.subscribed_users(None, 10).await.unwrap(), [alice, bob]);
    assert_eq!(d.subscribed_users(None, 1).await.unwrap(), [alice]);
    assert_eq!(d.subscribed_users(Some(alice), 1).await.unwrap(), [bob]);

    assert!(d.revoke_session(alice, second.id).await.unwrap());
    assert_eq!(ids(&d.subscriptions(alice, 49).await.unwrap()), [three.id]);
    assert_eq!(d.enable_subscription(alice, two.id, true).await.unwrap(), None);
    d.set_active(bob, false).await.unwrap();
    assert_eq!(d.subscriptions(bob, 49).await.unwrap(), []);
    d.set_active(bob, true).await.unwrap();
    assert_eq!(ids(&d.subscriptions(bob, 49).await.unwrap()), [taken.id]);
}

/// One more than a user may have ends the oldest.
pub async fn devices_of_a_user_are_few(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let users = d.create_users(vec![person("alice"), person("bob")], 1).await.unwrap();
    let [alice, bob] = [users[0].id, users[1].id];
    let of_bob = d.subscribe(phone(bob, None, 0), 1).await.unwrap();
    let mut made = Vec::new();
    for n in 1..=SUBSCRIPTIONS_MAX as u64 + 2 {
        made.push(d.subscribe(phone(alice, None, n), 1).await.unwrap().id);
    }
    assert_eq!(ids(&d.subscriptions(alice, 2).await.unwrap()), made[2..]);
    // Renewing takes no place.
    d.subscribe(phone(alice, None, 3), 2).await.unwrap();
    assert_eq!(ids(&d.subscriptions(alice, 2).await.unwrap()), made[2..]);
    assert_eq!(ids(&d.subscriptions(bob, 2).await.unwrap()), [of_bob.id]);
}

/// What a user wants to be told is all with its text until something else is set.
pub async fn push_settings_are_kept(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let alice = d.create_user(person("alice"), 1).await.unwrap().id;
    let all = PushSetting { scope: PushScope::All, preview: true };
    assert_eq!(d.push_setting(alice).await.unwrap(), all);
    for scope in [PushScope::Mentions, PushScope::None, PushScope::All] {
        let setting = PushSetting { scope, preview: false };
        assert!(d.set_push_setting(alice, setting).await.unwrap());
        assert_eq!(d.push_setting(alice).await.unwrap(), setting);
    }
    assert!(!d.set_push_setting(nobody(), all).await.unwrap());
    let d = fixture.reopened(d).await;
    let kept = PushSetting { scope: PushScope::All, preview: false };
    assert_eq!(d.push_setting(alice).await.unwrap(), kept);
    assert_eq!(d.push_setting(nobody()).await.unwrap(), all);
}
