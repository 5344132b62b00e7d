//! Stories of invites.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use super::{Fixture, person, stage::together};
use crate::directory::{DirectoryError, NewInvite};

fn invite(code: u8, uses: u32) -> NewInvite {
    let note = Some(format!("for {code}"));
    NewInvite { code_hash: [code; 32], note, expires_at: None, uses }
}

/// Those that can be used are listed newest first; what is used up, over or revoked is not, also later.
pub async fn invites_are_listed_while_they_are_good(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let first = d.create_invite(invite(1, 2), 10).await.unwrap();
    assert_eq!((first.uses_left, first.created_at, first.expires_at), (2, 10, None));
    assert_eq!(first.note.as_deref(), Some("for 1"));
    let ends = NewInvite { expires_at: Some(50), note: None, ..invite(2, 1) };
    let second = d.create_invite(ends, 11).await.unwrap();
    let third = d.create_invite(invite(3, 1), 12).await.unwrap();
    assert!(first.id < second.id && second.id < third.id);
    assert_eq!(d.create_invite(invite(3, 1), 12).await, Err(DirectoryError::Taken("code")));
    let useless = d.create_invite(invite(4, 0), 12).await;
    assert!(matches!(useless, Err(DirectoryError::Refused(_))));

    let d = fixture.reopened(d).await;
    assert_eq!(d.invites(49, 10).await.unwrap(), [third.clone(), second, first.clone()]);
    assert_eq!(d.invites(49, 1).await.unwrap(), std::slice::from_ref(&third));
    assert_eq!(d.invites(50, 10).await.unwrap(), [third.clone(), first.clone()]);
    assert!(d.revoke_invite(third.id).await.unwrap());
    assert!(!d.revoke_invite(third.id).await.unwrap());
    assert!(!d.revoke_invite(u64::MAX).await.unwrap());
    assert_eq!(d.invites(50, 10).await.unwrap(), [first]);
    let next = d.create_invite(invite(5, 1), 60).await.unwrap();
    assert!(next.id > third.id);
}

/// An invite makes as many accounts as it has uses, also when all come at once; a refused account uses nothing.
pub async fn an_invite_is_used_as_often_as_it_says(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    d.create_invite(invite(1, 3), 10).await.unwrap();
    let sign_up =
        async |name: &str, code: u8, now| d.create_invited(person(name), &[code; 32], now).await;
    assert_eq!(sign_up("eve", 9, 10).await, Ok(None));
    let alice = sign_up("alice", 1, 10).await.unwrap().unwrap();
    assert_eq!((alice.id.get(), alice.created_at, alice.is_active), (1, 10, true));
    assert_eq!(sign_up("alice", 1, 10).await, Err(DirectoryError::Taken("username")));
    assert_eq!(d.invites(10, 10).await.unwrap()[0].uses_left, 2);

    let many = (0..6).map(|n| {
        let d = d.clone();
        async move { d.create_invited(person(&format!("user{n}")), &[1; 32], 11).await }
    });
    let made = together(many).await.into_iter().filter(|made| matches!(made, Ok(Some(_)))).count();
    assert_eq!(made, 2);
    assert_eq!(d.invites(11, 10).await.unwrap(), []);
    assert_eq!(d.find_users("", None, 10).await.unwrap().len(), 3);

    let ends = NewInvite { expires_at: Some(50), ..invite(2, 2) };
    let ends = d.create_invite(ends, 11).await.unwrap();
    assert!(sign_up("bob", 2, 49).await.unwrap().is_some());
    assert_eq!(sign_up("carol", 2, 50).await, Ok(None));
    assert!(d.revoke_invite(ends.id).await.unwrap());
    assert_eq!(sign_up("carol", 2, 49).await, Ok(None));
}
