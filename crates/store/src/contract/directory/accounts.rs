//! Stories of accounts.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use ostracon_domain::UserId;

use super::{Fixture, device, external, person};
use crate::directory::{AccountRole, DirectoryError, NewUser, User};

fn id(n: u64) -> UserId {
    UserId::new(n).unwrap()
}

fn numbers(users: &[User]) -> Vec<u64> {
    users.iter().map(|user| user.id.get()).collect()
}

/// One, two, three; alone or many at once, in the order given.
pub async fn users_are_numbered_from_one(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let alice = d.create_user(person("alice"), 5).await.unwrap();
    assert_eq!(
        alice,
        User {
            id: id(1),
            username: Some("alice".to_owned()),
            external_id: None,
            display_name: "ALICE".to_owned(),
            role: AccountRole::User,
            created_at: 5,
            is_active: true,
            version: 1,
        }
    );
    let many = (0..2_000).map(|n| person(&format!("user{}", 1_999 - n))).collect();
    let many = d.create_users(many, 6).await.unwrap();
    assert_eq!(numbers(&many), (2..=2_001).collect::<Vec<_>>());
    assert_eq!(many[0].username.as_deref(), Some("user1999"));
    assert_eq!(d.create_users(vec![], 6).await.unwrap(), []);
    assert_eq!(d.users(&[id(1), id(2_001)]).await.unwrap()[1], many[1_999]);
}

/// A batch with a taken name creates nobody, whether taken before or by the batch itself.
pub async fn taken_names_create_nothing(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let taken = |what| Err(DirectoryError::Taken(what));
    d.create_users(vec![person("alice"), external("x1")], 1).await.unwrap();
    assert_eq!(d.create_user(person("alice"), 2).await, Err(DirectoryError::Taken("username")));
    for (batch, what) in [
        (vec![person("bob"), person("alice")], "username"),
        (vec![person("bob"), person("bob")], "username"),
        (vec![external("x2"), external("x1")], "external id"),
        (vec![external("x2"), external("x2")], "external id"),
    ] {
        assert_eq!(d.create_users(batch, 2).await, taken(what));
    }
    let all = d.find_users("", None, 10).await.unwrap();
    assert_eq!(numbers(&all), [1, 2]);
    let bob = d.create_user(person("bob"), 3).await.unwrap();
    assert!(bob.id > id(2));
}

/// Neither username nor external id is refused; both are fine.
pub async fn an_account_needs_a_name(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let nameless = NewUser { username: None, ..person("x") };
    let refused = d.create_users(vec![person("bob"), nameless], 1).await;
    assert!(matches!(refused, Err(DirectoryError::Refused(_))));
    assert_eq!(d.find_users("", None, 10).await.unwrap(), []);
    let both = NewUser { external_id: Some("7".to_owned()), ..person("alice") };
    let alice = d.create_user(both, 1).await.unwrap();
    let by_id = d.users_by_external_id(&["7".to_owned()]).await.unwrap();
    assert_eq!(by_id, [alice]);
}

/// Nobody is signed in to it, its sessions are there when it is in use again; its version rises with each change.
pub async fn an_account_is_put_out_of_use(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let alice = d.create_user(person("alice"), 1).await.unwrap();
    d.create_session(device(alice.id, 7), 1).await.unwrap();
    let out = d.set_active(alice.id, false).await.unwrap().unwrap();
    assert_eq!((out.is_active, out.version), (false, 2));
    assert_eq!(d.set_active(alice.id, false).await.unwrap().unwrap().version, 2);
    let d = fixture.reopened(d).await;
    assert_eq!(d.session_by_token(&[7; 32], 2).await.unwrap(), None);
    let (known, hash) = d.credentials("alice").await.unwrap().unwrap();
    assert_eq!((&known, hash.is_some()), (&out, true));
    assert_eq!(d.users(&[alice.id]).await.unwrap(), [out]);
    let back = d.set_active(alice.id, true).await.unwrap().unwrap();
    assert_eq!((back.is_active, back.version), (true, 3));
    assert!(d.session_by_token(&[7; 32], 2).await.unwrap().is_some());
    assert_eq!(d.set_active(id(99), true).await.unwrap(), None);
}

/// Unknown ones are left out, doubled ones come once, order is by number.
pub async fn users_are_looked_up_in_order(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let odd = "o'Neil \"%_\u{1f600}\u{e9}";
    d.create_users(vec![external("b"), external("a"), external(odd)], 1).await.unwrap();
    let ids = [3, 1, 99, 1].map(id);
    assert_eq!(numbers(&d.users(&ids).await.unwrap()), [1, 3]);
    assert_eq!(d.users(&[]).await.unwrap(), []);
    let far = id((1 << 53) - 1);
    assert_eq!(d.users(&[far]).await.unwrap(), []);
    let ids = [odd, "a", "b", "A", "a", "nobody"].map(str::to_owned);
    let found = d.users_by_external_id(&ids).await.unwrap();
    assert_eq!(numbers(&found), [1, 2, 3]);
    assert_eq!(found[2].external_id.as_deref(), Some(odd));
}

/// The hash comes with the account; none for accounts of another system.
pub async fn credentials_follow_the_password(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let alice = d.create_user(person("alice"), 1).await.unwrap();
    let silent = NewUser { password_hash: None, ..person("silent") };
    let silent = d.create_user(silent, 1).await.unwrap();
    let of = |name| d.credentials(name);
    let hash = Some("$argon2id$alice".to_owned());
    assert_eq!(of("alice").await.unwrap(), Some((alice, hash)));
    assert_eq!(of("silent").await.unwrap(), Some((silent.clone(), None)));
    assert_eq!(of("Alice").await.unwrap(), None);
    assert_eq!(of("").await.unwrap(), None);
    let silent = d.set_password(silent.id, "new").await.unwrap().unwrap();
    assert_eq!(of("silent").await.unwrap(), Some((silent, Some("new".to_owned()))));
}

/// A new name to show leaves the version, and so does a role that was there already.
pub async fn versions_rise_with_password_and_role(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let a = d.create_user(person("alice"), 1).await.unwrap().id;
    let named = d.set_display_name(a, "\u{c4}lice").await.unwrap().unwrap();
    assert_eq!((named.display_name.as_str(), named.version), ("\u{c4}lice", 1));
    let admin = d.set_role(a, AccountRole::Admin).await.unwrap().unwrap();
    assert_eq!((admin.role, admin.version), (AccountRole::Admin, 2));
    let again = d.set_role(a, AccountRole::Admin).await.unwrap().unwrap();
    assert_eq!(again.version, 2);
    let changed = d.set_password(a, "h").await.unwrap().unwrap();
    assert_eq!(changed.version, 3);
    assert_eq!(d.users(&[a]).await.unwrap(), [changed]);
    let nobody = id(77);
    assert_eq!(d.set_display_name(nobody, "x").await.unwrap(), None);
    assert_eq!(d.set_password(nobody, "x").await.unwrap(), None);
    let role = d.set_role(nobody, AccountRole::Admin).await.unwrap();
    assert_eq!(role, None);
}

/// Begin of the username, any part of the name to show, any case, every sign taken literally.
pub async fn users_are_found_by_name(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let named =
        |username: &str, name: &str| NewUser { display_name: name.to_owned(), ..person(username) };
    d.create_users(
        vec![
            named("anna", "Anna Berg"),
            named("bergit", "Birgit \u{c4}rger"),
            named("hanna", "100%_sure\\"),
            NewUser { display_name: "Berg\u{fc}n".to_owned(), ..external("ext-anna") },
        ],
        1,
    )
    .await
    .unwrap();
    for (query, found) in [
        ("", vec![1, 2, 3, 4]),
        ("anna", vec![1]),
        ("ANNA", vec![1]),
        ("berg", vec![1, 2, 4]),
        ("\u{e4}RG", vec![2]),
        ("BERG\u{dc}N", vec![4]),
        ("%", vec![3]),
        ("_", vec![3]),
        ("\\", vec![3]),
        ("*", vec![]),
        ("'", vec![]),
        ("ergit", vec![]),
    ] {
        let users = d.find_users(query, None, 10).await.unwrap();
        assert_eq!(numbers(&users), found, "{query:?}");
    }
    let anna = d.set_display_name(id(1), "Zo\u{eb}").await.unwrap();
    assert_eq!(d.find_users("O\u{cb}", None, 10).await.unwrap()[..1], [anna.unwrap()]);
    assert_eq!(numbers(&d.find_users("berg", None, 10).await.unwrap()), [2, 4]);
}

/// `after` is exclusive; a page is never longer than asked.
pub async fn users_are_found_page_by_page(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let users = (0..25).map(|n| person(&format!("u{n}"))).collect();
    d.create_users(users, 1).await.unwrap();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = d.find_users("u", after, 10).await.unwrap();
        assert!(page.len() <= 10);
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(numbers(&page));
    }
    assert_eq!(seen, (1..=25).collect::<Vec<_>>());
    assert_eq!(d.find_users("", None, 0).await.unwrap(), []);
    let all = d.find_users("", None, u32::MAX).await.unwrap();
    assert_eq!(all.len(), 25);
}

/// Everything is there after a restart, and numbers go on.
pub async fn accounts_survive(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    d.create_users(vec![person("alice"), external("x")], 1).await.unwrap();
    let alice = d.set_role(id(1), AccountRole::Admin).await.unwrap();
    let before = d.find_users("", None, 10).await.unwrap();
    let d = fixture.reopened(d).await;
    assert_eq!(d.find_users("", None, 10).await.unwrap(), before);
    let stored = d.credentials("alice").await.unwrap();
    assert_eq!(stored.map(|(user, _)| user), alice);
    assert_eq!(d.create_user(person("bob"), 2).await.unwrap().id, id(3));
}
