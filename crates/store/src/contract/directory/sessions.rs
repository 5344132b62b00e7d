//! Stories of sessions.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use std::sync::Arc;

use ostracon_domain::UserId;

use super::{Fixture, device, person};
use crate::directory::{AccountRole, Directory, DirectoryError, NewSession, Session};

async fn with_users(fixture: &dyn Fixture) -> (Arc<dyn Directory>, UserId, UserId) {
    let d = fixture.fresh().await;
    let users = vec![person("alice"), person("bob")];
    let users = d.create_users(users, 1).await.unwrap();
    (d, users[0].id, users[1].id)
}

/// With the user as it is now, not as it was at sign-in.
pub async fn a_token_finds_session_and_user(fixture: &dyn Fixture) {
    let (d, alice, bob) = with_users(fixture).await;
    let devices = vec![device(alice, 1), device(bob, 2)];
    let sessions = d.create_sessions(devices, 10).await.unwrap();
    assert_eq!(
        sessions[0],
        Session {
            id: sessions[0].id,
            user: alice,
            device_name: Some("device 1".to_owned()),
            created_at: 10,
            last_seen_at: 10,
            expires_at: None,
        }
    );
    assert!(sessions[0].id < sessions[1].id);
    let admin = d.set_role(bob, AccountRole::Admin).await.unwrap().unwrap();
    let (session, user) = d.session_by_token(&[2; 32], 11).await.unwrap().unwrap();
    assert_eq!((session, user), (sessions[1].clone(), admin));
    assert_eq!(d.session_by_token(&[3; 32], 11).await.unwrap(), None);
    assert_eq!(d.create_sessions(vec![], 11).await.unwrap(), []);
}

/// At its end it is over, a millisecond before not.
pub async fn a_session_ends_at_its_time(fixture: &dyn Fixture) {
    let (d, alice, _) = with_users(fixture).await;
    let short = NewSession { expires_at: Some(100), device_name: None, ..device(alice, 1) };
    let short = d.create_session(short, 10).await.unwrap();
    let found = d.session_by_token(&[1; 32], 99).await.unwrap();
    assert_eq!(found.map(|(session, _)| session), Some(short.clone()));
    assert_eq!(d.session_by_token(&[1; 32], 100).await.unwrap(), None);
    assert_eq!(d.sessions(alice, 99).await.unwrap(), [short]);
    assert_eq!(d.sessions(alice, 100).await.unwrap(), []);
    // A later sign-in may clear ended ones away; running ones stay.
    let next = d.create_session(device(alice, 2), 200).await.unwrap();
    assert_eq!(d.sessions(alice, 200).await.unwrap(), [next]);
}

/// One's own only.
pub async fn sessions_are_listed_newest_first(fixture: &dyn Fixture) {
    let (d, alice, bob) = with_users(fixture).await;
    let mut ids = Vec::new();
    for token in 1..=3 {
        let session = d.create_session(device(alice, token), 10).await.unwrap();
        ids.insert(0, session.id);
    }
    d.create_session(device(bob, 9), 10).await.unwrap();
    let listed = d.sessions(alice, 11).await.unwrap();
    assert_eq!(listed.iter().map(|s| s.id).collect::<Vec<_>>(), ids);
    let nobody = UserId::new(99).unwrap();
    assert_eq!(d.sessions(nobody, 11).await.unwrap(), []);
}

/// A stranger's number is as good as none; a number is never given again.
pub async fn only_the_owner_revokes(fixture: &dyn Fixture) {
    let (d, alice, bob) = with_users(fixture).await;
    let first = d.create_session(device(alice, 1), 10).await.unwrap();
    assert!(!d.revoke_session(bob, first.id).await.unwrap());
    assert!(d.session_by_token(&[1; 32], 11).await.unwrap().is_some());
    assert!(d.revoke_session(alice, first.id).await.unwrap());
    assert!(!d.revoke_session(alice, first.id).await.unwrap());
    assert!(!d.revoke_session(alice, u64::MAX).await.unwrap());
    assert_eq!(d.session_by_token(&[1; 32], 11).await.unwrap(), None);
    assert_eq!(d.sessions(alice, 11).await.unwrap(), []);
    let d = fixture.reopened(d).await;
    assert_eq!(d.session_by_token(&[1; 32], 11).await.unwrap(), None);
    let second = d.create_session(device(alice, 2), 12).await.unwrap();
    assert!(second.id > first.id);
}

/// An unknown user or a taken token refuses the whole batch.
pub async fn refused_sessions_create_nothing(fixture: &dyn Fixture) {
    let (d, alice, bob) = with_users(fixture).await;
    let stranger = UserId::new(99).unwrap();
    let unknown = vec![device(alice, 1), device(stranger, 2)];
    let refused = d.create_sessions(unknown, 10).await;
    assert!(matches!(refused, Err(DirectoryError::Refused(_))));
    let twice = vec![device(alice, 1), device(bob, 1)];
    let taken = d.create_sessions(twice, 10).await;
    assert_eq!(taken, Err(DirectoryError::Taken("token")));
    assert_eq!(d.session_by_token(&[1; 32], 11).await.unwrap(), None);
}

/// Notes of different nodes arrive in any order.
pub async fn last_use_never_goes_back(fixture: &dyn Fixture) {
    let (d, alice, bob) = with_users(fixture).await;
    let a = d.create_session(device(alice, 1), 10).await.unwrap().id;
    let b = d.create_session(device(bob, 2), 10).await.unwrap().id;
    d.touch_sessions(&[(a, 50), (b, 40), (999, 60), (u64::MAX, 60)]).await.unwrap();
    d.touch_sessions(&[(a, 45), (b, 55), (b, 54)]).await.unwrap();
    d.touch_sessions(&[]).await.unwrap();
    let seen = |list: Vec<Session>| list.iter().map(|s| s.last_seen_at).collect::<Vec<_>>();
    assert_eq!(seen(d.sessions(alice, 60).await.unwrap()), [50]);
    assert_eq!(seen(d.sessions(bob, 60).await.unwrap()), [55]);
}

/// A device stays signed in over a restart.
pub async fn sessions_survive(fixture: &dyn Fixture) {
    let (d, alice, _) = with_users(fixture).await;
    d.create_session(device(alice, 1), 10).await.unwrap();
    let before = d.session_by_token(&[1; 32], 11).await.unwrap();
    let d = fixture.reopened(d).await;
    assert!(before.is_some());
    assert_eq!(d.session_by_token(&[1; 32], 11).await.unwrap(), before);
}
