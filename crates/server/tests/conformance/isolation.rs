//! Who may do what, as a table over every call and every command: without a good token, as a stranger,
//! as a former member, as a member, as an admin, as the owner.

use serde_json::{Value, json};

use crate::{
    calls::{COMMANDS, Cast, FORBIDDEN, ROWS, Row, Scope, Stage},
    http::{self, Reply},
    jwt,
    world::{User, World},
};

/// Makes a call of the table.
async fn make(row: &Row, user: &User, stage: &Stage, conversation: &str) -> Reply {
    let body = (row.body)(stage);
    user.call(row.method(), &row.path_of(stage, conversation), body.as_ref()).await
}

/// An id like that of the group, which nobody has.
fn nobodys(group: &str) -> String {
    let (start, end) = group.split_at(group.len() - 4);
    format!("{start}{}", if end == "0000" { "1111" } else { "0000" })
}

/// Everything that a caller can see of an answer but its date.
fn seen(reply: &Reply) -> (u16, Vec<(String, String)>, String) {
    let headers = reply.headers.iter().filter(|(name, _)| *name != "date");
    let headers = headers.map(|(name, value)| (name.to_string(), format!("{value:?}")));
    (reply.status, headers.collect(), reply.text())
}

/// No token, garbage, an expired JWT, a JWT of another key, a revoked session: 401, for every call.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_every_call_is_unauthorized() {
    let folder = tempfile::tempdir().unwrap();
    let key = jwt::secret_file(folder.path());
    let (world, users) = World::start_with(Cast::NAMES, |config| {
        config.jwt.algorithm = ostracon_server::config::JwtAlgorithm::HS256;
        config.jwt.key_file = key;
    })
    .await;
    let cast = Cast::new(users);
    let stage = cast.stage().await;
    let revoked = world.session(&cast.owner).await;
    revoked.post("/auth/logout", json!({})).await.is(204);
    let past = jwt::now() - 3_600;
    let expired = jwt::hs256(&json!({"sub": "partner-7", "exp": past}));
    let foreign =
        jwt::signed_with(&[7; 32], &json!({"sub": "partner-7", "exp": jwt::now() + 3_600}));
    let good = jwt::hs256(&json!({"sub": "partner-7", "exp": jwt::now() + 3_600}));
    let long = "x".repeat(4_000);
    let tokens = [
        None,
        Some(""),
        Some("garbage"),
        Some(long.as_str()),
        Some(revoked.token.as_str()),
        Some(expired.as_str()),
        Some(foreign.as_str()),
    ];
    for row in ROWS.iter().filter(|row| row.scope != Scope::Open) {
        let path = row.path_of(&stage, &stage.group);
        let body = (row.body)(&stage);
        for token in tokens {
            let address = world.server.address();
            let reply = http::json(address, row.method(), &path, token, body.as_ref()).await;
            reply.refused(401, "unauthorized");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{}", row.call);
        }
    }
    // Nothing of this changed anything, and a good token is good.
    assert_eq!(cast.owner.page(&stage.group, "").await["head_seq"], 1);
    let partner = User { token: good, ..cast.stranger.clone() };
    assert_eq!(partner.get("/me").await.is(200)["external_id"], "partner-7");
}

/// Another scheme than Bearer is no token.
#[tokio::test(flavor = "multi_thread")]
async fn only_bearer_tokens_count() {
    let (world, [alice]) = World::start(["alice"]).await;
    for (value, status) in [
        (format!("Bearer {}", alice.token), 200),
        (format!("bearer {}", alice.token), 200),
        (format!("Basic {}", alice.token), 401),
        (alice.token.clone(), 401),
        ("Bearer".to_owned(), 401),
        (format!("Bearer {}x", alice.token), 401),
    ] {
        let request = ::http::Request::get("/api/v1/me")
            .header("host", "localhost")
            .header("authorization", &value)
            .body(http_body_util::Full::default())
            .unwrap();
        let reply = http::send(world.server.address(), request).await;
        assert_eq!(reply.status, status, "{value}");
    }
}

/// A stranger cannot tell "not yours" from "does not exist": the same bytes, for every call.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_tell_a_group_from_nothing() {
    let (_world, users) = World::start(Cast::NAMES).await;
    let cast = Cast::new(users);
    let stage = cast.stage().await;
    for row in ROWS.iter().filter(|row| matches!(row.scope, Scope::Group { .. })) {
        let real = make(row, &cast.stranger, &stage, &stage.group).await;
        let nothing = make(row, &cast.stranger, &stage, &nobodys(&stage.group)).await;
        real.refused(404, "not_found");
        assert_eq!(seen(&real), seen(&nothing), "{}", row.call);
        // Nor by what he says: bodies are not judged before the right to speak.
        let path = row.path_of(&stage, &stage.group);
        let odd = cast.stranger.call(row.method(), &path, Some(&json!({}))).await;
        let path = row.path_of(&stage, &nobodys(&stage.group));
        let odd_nothing = cast.stranger.call(row.method(), &path, Some(&json!({}))).await;
        assert_eq!(seen(&odd), seen(&odd_nothing), "{}", row.call);
    }
    let mut device = cast.stranger.connect().await;
    for row in COMMANDS {
        let real = device.refused(row.kind, row.data_in(&stage, &stage.group), "not_found").await;
        let nothing = row.data_in(&stage, &nobodys(&stage.group));
        let nothing = device.refused(row.kind, nothing, "not_found").await;
        assert_eq!(real, nothing, "{}", row.kind);
    }
    assert_eq!(cast.owner.page(&stage.group, "").await["head_seq"], 1);
}

/// The same for a direct conversation of two others, which an outsider can name.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_tell_who_talks_with_whom() {
    let (_world, users) = World::start(Cast::NAMES).await;
    let cast = Cast::new(users);
    let (alice, bob) = (&cast.owner, &cast.admin);
    let talked = alice.direct(bob).await;
    alice.say(&talked, "hello").await;
    let silent = ostracon_domain::ConversationId::direct(
        ostracon_domain::UserId::new(cast.member.id).unwrap(),
        ostracon_domain::UserId::new(cast.other.id).unwrap(),
    )
    .to_string();
    let mut stage = cast.stage().await;
    stage.seq = 1;
    for row in ROWS.iter().filter(|row| matches!(row.scope, Scope::Group { .. })) {
        let real = make(row, &cast.stranger, &stage, &talked).await;
        let nothing = make(row, &cast.stranger, &stage, &silent).await;
        real.refused(404, "not_found");
        assert_eq!(seen(&real), seen(&nothing), "{}", row.call);
    }
    let mut device = cast.stranger.connect().await;
    for row in COMMANDS {
        let real = device.refused(row.kind, row.data_in(&stage, &talked), "not_found").await;
        let nothing = device.refused(row.kind, row.data_in(&stage, &silent), "not_found").await;
        assert_eq!(real, nothing, "{}", row.kind);
    }
    device.refused("send_message", json!({"to": 4_000_000, "content": "x"}), "not_found").await;
    let path = "/dialog/4000000/send";
    cast.stranger.post(path, json!({"text": "x"})).await.refused(404, "not_found");
    cast.stranger.get("/dialog/4000000/list").await.refused(404, "not_found");
    cast.stranger.get("/users/4000000").await.refused(404, "not_found");
}

/// Former members, members, admins and the owner get exactly what the table says, for every call.
#[tokio::test(flavor = "multi_thread")]
async fn every_role_may_what_the_table_says() {
    let (_world, users) = World::start(Cast::NAMES).await;
    let cast = Cast::new(users);
    for row in ROWS {
        let (former, member, admin, owner) = match row.scope {
            Scope::Group { former, member, admin, owner } => (former, member, admin, owner),
            // Roles in a group are not the operator's.
            Scope::Operator => (FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN),
            Scope::Open | Scope::Own => continue,
        };
        // A call may end the group or change a role: each gets a group of its own.
        for (name, user, (status, code)) in [
            ("former", &cast.former, former),
            ("member", &cast.member, member),
            ("admin", &cast.admin, admin),
            ("owner", &cast.owner, owner),
        ] {
            let stage = cast.stage().await;
            let reply = make(row, user, &stage, &stage.group).await;
            assert_eq!(reply.status, status, "{name}: {}: {}", row.call, reply.text());
            assert_eq!(reply.code(), code, "{name}: {}", row.call);
        }
    }
}

/// The same for the commands of the WebSocket.
#[tokio::test(flavor = "multi_thread")]
async fn every_role_may_command_what_the_table_says() {
    let (_world, users) = World::start(Cast::NAMES).await;
    let cast = Cast::new(users);
    for (name, user) in [
        ("former", &cast.former),
        ("member", &cast.member),
        ("admin", &cast.admin),
        ("owner", &cast.owner),
    ] {
        let mut device = user.connect().await;
        for row in COMMANDS {
            let stage = cast.stage().await;
            let code = match name {
                "former" => row.former,
                "member" => row.member,
                "admin" => row.admin,
                _ => "",
            };
            let answer = device.ask(row.kind, row.data_in(&stage, &stage.group)).await;
            let said = answer["data"]["code"].as_str().unwrap_or_default();
            assert_eq!(said, code, "{name}: {}: {answer}", row.kind);
            assert_eq!(answer["type"] == "error", !code.is_empty());
        }
        device.heartbeat().await;
    }
}

/// What only the owner may, and what nobody may.
#[tokio::test(flavor = "multi_thread")]
async fn owners_and_admins() {
    let (_world, users) = World::start(Cast::NAMES).await;
    let cast = Cast::new(users);
    let stage = cast.stage().await;
    let at = |user: &User| format!("/conversations/{}/members/{}", stage.group, user.id);
    cast.admin.delete(&at(&cast.owner)).await.refused(403, "forbidden");
    cast.admin.patch(&at(&cast.member), json!({"role": "admin"})).await.refused(403, "forbidden");
    cast.owner.delete(&at(&cast.owner)).await.refused(409, "conflict");
    cast.owner.patch(&at(&cast.owner), json!({"role": "member"})).await.refused(409, "conflict");
    cast.owner.patch(&at(&cast.member), json!({"role": "owner"})).await.is(200);
    let members = cast.owner.get(&format!("/conversations/{}/members", stage.group)).await.is(200);
    let role = |user: &User| {
        let rows = members["members"].as_array().unwrap();
        rows.iter().find(|row| row["user_id"] == user.id).unwrap()["role"].clone()
    };
    assert_eq!((role(&cast.owner), role(&cast.member)), (json!("admin"), json!("owner")));
    cast.owner.delete(&format!("/conversations/{}", stage.group)).await.refused(403, "forbidden");
    cast.owner.delete(&at(&cast.owner)).await.is(200);
    cast.owner.say_refused(&stage.group, 403, "not_member").await;

    // The last one out ends it.
    let alone = cast.owner.group("alone", &[]).await;
    cast.owner.delete(&format!("/conversations/{alone}/members/{}", cast.owner.id)).await.is(200);
    cast.owner.get(&format!("/conversations/{alone}")).await.refused(404, "not_found");

    // In a direct conversation there is nothing to manage.
    let direct = cast.owner.direct(&cast.other).await;
    let path = format!("/conversations/{direct}");
    for reply in [
        cast.owner.patch(&path, json!({"name": "x"})).await,
        cast.owner.delete(&path).await,
        cast.owner.post(&format!("{path}/members"), json!({"user_ids": [cast.member.id]})).await,
        cast.owner.delete(&format!("{path}/members/{}", cast.owner.id)).await,
    ] {
        assert!(matches!(reply.status, 403 | 409), "{}: {}", reply.call, reply.text());
    }
    assert_eq!(cast.owner.entry(&direct).await["conversation"]["member_count"], 2);
}

impl User {
    async fn say_refused(&self, conversation: &str, status: u16, code: &str) {
        let path = format!("/conversations/{conversation}/messages");
        self.post(&path, json!({"content": "x"})).await.refused(status, code);
    }
}

/// A former member who sent something gets the first result of it again, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_former_member_may_still_learn_what_became_of_a_send() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.group("group", &[&bob]).await;
    let path = format!("/conversations/{id}/messages");
    let body = json!({"content": "did it arrive?", "client_id": "c-1"});
    let sent = bob.post(&path, body.clone()).await.is(201);
    alice.delete(&format!("/conversations/{id}/members/{}", bob.id)).await.is(200);
    assert_eq!(bob.post(&path, body).await.is(200)["message_id"], sent["message_id"]);
    let other = json!({"content": "and this?", "client_id": "c-2"});
    bob.post(&path, other).await.refused(403, "not_member");
}

/// The operator's calls are not for users.
#[tokio::test(flavor = "multi_thread")]
async fn operators_calls_are_not_for_users() {
    let (world, [alice]) = World::start(["alice"]).await;
    for (method, path) in [
        ("GET", "/admin/status"),
        ("GET", "/admin/sharding"),
        ("GET", "/admin/messages?conversation=00000000-0000-8080-8000-000000020000"),
        ("GET", "/admin/deleted?conversation=00000000-0000-8080-8000-000000020000"),
        ("GET", "/admin/users"),
        ("POST", "/admin/users"),
        ("POST", "/admin/users/alice/password"),
        ("POST", "/admin/users/alice/role"),
        ("POST", "/admin/users/alice/token"),
        ("POST", "/admin/backup"),
        ("POST", "/admin/verify"),
        ("POST", "/admin/stop"),
    ] {
        let body = json!({"role": "admin", "users": [], "dir": "/tmp/nowhere"});
        let body = (method == "POST").then_some(&body);
        alice.call(method, path, body).await.refused(403, "forbidden");
        world.call(method, path, body).await.refused(401, "unauthorized");
    }
    alice.get("/me").await.is(200);
}

/// Profiles tell nothing that is not public; a search finds names, not everybody's.
#[tokio::test(flavor = "multi_thread")]
async fn profiles_are_public_and_nothing_more() {
    let (world, [alice]) = World::start(["alice"]).await;
    let bob = world.register("bobby", "correct horse").await;
    let profile = alice.get(&format!("/users/{}", bob.id)).await.is(200);
    let mut fields: Vec<&str> = profile.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["display_name", "user_id", "username"]);
    let found = alice.get("/users?query=bob").await.is(200);
    assert_eq!(found["users"], json!([profile]));
    let body = json!({"ids": [bob.id, 4_000_000], "external_ids": ["nobody"]});
    assert_eq!(alice.post("/users/lookup", body).await.is(200)["users"], json!([profile]));
    alice.patch("/me", json!({"display_name": "Alice A."})).await.is(200);
    let seen: Value = bob.get(&format!("/users/{}", alice.id)).await.is(200);
    assert_eq!(seen["display_name"], "Alice A.");
    alice.patch("/me", json!({"display_name": null})).await.is(200);
    assert_eq!(bob.get(&format!("/users/{}", alice.id)).await.is(200)["display_name"], "alice");
}
