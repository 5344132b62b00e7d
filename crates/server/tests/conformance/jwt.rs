//! Tokens of an existing system.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ostracon_engine::{Clock as _, ManualClock, SystemClock};
use ostracon_server::config::JwtAlgorithm;
use serde_json::{Value, json};

use crate::{
    http::{self, Reply},
    world::{User, World},
};

const SECRET: &[u8] = b"a secret of at least 32 bytes, for tests only";
const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/keys");

/// Now, in the seconds of JWTs.
pub(crate) fn now() -> i64 {
    SystemClock.now() / 1_000
}

pub(crate) fn secret_file(folder: &Path) -> PathBuf {
    let path = folder.join("secret");
    std::fs::write(&path, SECRET).unwrap();
    path
}

pub(crate) fn hs256(claims: &Value) -> String {
    signed_with(SECRET, claims)
}

pub(crate) fn signed_with(secret: &[u8], claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret);
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

fn key_file(name: &str, half: &str) -> PathBuf {
    Path::new(KEYS).join(format!("{name}.{half}.pem"))
}

fn signed(algorithm: Algorithm, name: &str, claims: &Value) -> String {
    let pem = std::fs::read(key_file(name, "private")).unwrap();
    let key = match algorithm {
        Algorithm::RS256 => EncodingKey::from_rsa_pem(&pem),
        Algorithm::ES256 => EncodingKey::from_ec_pem(&pem),
        _ => EncodingKey::from_ed_pem(&pem),
    };
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key.unwrap()).unwrap()
}

async fn me(world: &World, token: &str) -> Reply {
    http::json(world.server.address(), "GET", "/me", Some(token), None).await
}

fn claims(sub: &str) -> Value {
    json!({"sub": sub, "exp": now() + 3_600})
}

/// A world that takes HS256.
async fn world<const N: usize>(
    names: [&str; N],
    change: impl FnOnce(&mut ostracon_server::config::Jwt),
) -> (World, [User; N]) {
    World::start_with(names, |config| {
        config.jwt.algorithm = JwtAlgorithm::HS256;
        // Beside the data directory: it is read again at a restart.
        config.jwt.key_file = secret_file(config.data_dir.parent().unwrap());
        change(&mut config.jwt);
    })
    .await
}

/// HS256, RS256, ES256 and EdDSA are accepted, each only where the operator chose it.
#[tokio::test(flavor = "multi_thread")]
async fn each_algorithm_is_accepted_where_it_was_chosen() {
    let tokens = [
        (JwtAlgorithm::HS256, hs256(&claims("u"))),
        (JwtAlgorithm::RS256, signed(Algorithm::RS256, "rs256", &claims("u"))),
        (JwtAlgorithm::ES256, signed(Algorithm::ES256, "es256", &claims("u"))),
        (JwtAlgorithm::EdDSA, signed(Algorithm::EdDSA, "eddsa", &claims("u"))),
    ];
    let folder = tempfile::tempdir().unwrap();
    let files = [
        secret_file(folder.path()),
        key_file("rs256", "public"),
        key_file("es256", "public"),
        key_file("eddsa", "public"),
    ];
    for (chosen, file) in tokens.iter().map(|row| row.0).zip(files) {
        let (world, []) = World::start_with([], |config| {
            config.jwt.algorithm = chosen;
            config.jwt.key_file = file;
        })
        .await;
        for (algorithm, token) in &tokens {
            let status = if *algorithm == chosen { 200 } else { 401 };
            assert_eq!(me(&world, token).await.status, status, "{algorithm:?} where {chosen:?}");
        }
    }
    let (world, []) = World::start([]).await;
    for (algorithm, token) in &tokens {
        assert_eq!(me(&world, token).await.status, 401, "{algorithm:?} where none");
    }
}

/// No confusion of algorithms: a public key is no secret, `none` is no signature.
#[tokio::test(flavor = "multi_thread")]
async fn algorithms_cannot_be_confused() {
    let (world, []) = World::start_with([], |config| {
        config.jwt.algorithm = JwtAlgorithm::RS256;
        config.jwt.key_file = key_file("rs256", "public");
    })
    .await;
    let claims = claims("mallory");
    let public = std::fs::read(key_file("rs256", "public")).unwrap();
    let good = signed(Algorithm::RS256, "rs256", &claims);
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let body = part(&claims);
    let signature = good.rsplit_once('.').unwrap().1;
    let head = |name: &str| part(&json!({"alg": name, "typ": "JWT"}));
    let mut tokens = vec![
        signed_with(&public, &claims),
        signed_with(public.trim_ascii_end(), &claims),
        signed(Algorithm::ES256, "es256", &claims),
        format!("{good}."),
        format!(".{good}"),
        good[..good.len() - 4].to_owned(),
    ];
    for name in ["none", "None", "NONE", "nOnE", "", "RS512", "PS256"] {
        tokens.push(format!("{}.{body}.", head(name)));
        tokens.push(format!("{}.{body}.{signature}", head(name)));
    }
    let jwk = json!({"alg": "RS256", "jwk": {"kty": "oct", "k": "AAAA"}});
    tokens.push(format!("{}.{body}.{signature}", part(&jwk)));
    let other = part(&json!({"sub": "admin", "exp": now() + 3_600}));
    tokens.push(format!("{}.{other}.{signature}", good.split('.').next().unwrap()));
    for token in &tokens {
        me(&world, token).await.refused(401, "unauthorized");
    }
    assert_eq!(me(&world, &good).await.is(200)["external_id"], "mallory");
}

/// Times, audience, issuer and subject are looked at.
#[tokio::test(flavor = "multi_thread")]
async fn claims_are_checked() {
    let (world, []) = world([], |jwt| {
        jwt.audience = "chat".to_owned();
        jwt.issuer = "https://id.example".to_owned();
        jwt.leeway_s = 5;
    })
    .await;
    let with = |change: Value| {
        let mut claims = json!({"sub": "u", "exp": now() + 600, "aud": "chat",
            "iss": "https://id.example"});
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        hs256(&claims)
    };
    for (change, status) in [
        (json!({}), 200),
        (json!({"aud": ["other", "chat"]}), 200),
        (json!({"exp": now() + 600}), 200),
        (json!({"nbf": now() - 10}), 200),
        (json!({"exp": now() - 60}), 401),
        (json!({"exp": null}), 401),
        (json!({"exp": "soon"}), 401),
        (json!({"exp": -1}), 401),
        (json!({"nbf": now() + 60}), 401),
        (json!({"aud": "other"}), 401),
        (json!({"aud": null}), 401),
        (json!({"iss": "https://evil.example"}), 401),
        (json!({"iss": null}), 401),
        (json!({"sub": null}), 401),
        (json!({"sub": ""}), 401),
        (json!({"sub": 7}), 401),
        (json!({"sub": "a\u{0}b"}), 401),
        (json!({"sub": "x".repeat(256)}), 401),
        (json!({"sub": "x".repeat(255)}), 200),
    ] {
        assert_eq!(me(&world, &with(change.clone())).await.status, status, "{change}");
    }
}

/// A user unknown so far is created on first sight, once, also when many devices come at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_users_are_created_on_first_sight() {
    let (mut world, [alice]) = world(["alice"], |_| {}).await;
    let tokens: Vec<String> = (0..16)
        .map(|n| hs256(&json!({"sub": "customer/42", "name": "Zoë", "exp": now() + 600 + n})))
        .collect();
    let address = world.server.address();
    let calls = tokens.iter().map(|token| http::json(address, "GET", "/me", Some(token), None));
    let replies = futures_util::future::join_all(calls).await;
    let profile = replies[0].is(200);
    assert_eq!(
        (&profile["external_id"], &profile["display_name"]),
        (&json!("customer/42"), &json!("Zoë"))
    );
    assert!(profile["username"].is_null());
    for reply in &replies {
        assert_eq!(reply.is(200), profile, "one user");
    }
    let zoe = User {
        id: profile["user_id"].as_u64().unwrap(),
        token: tokens[0].clone(),
        ..alice.clone()
    };
    let id = alice.direct(&zoe).await;
    let mut device = zoe.connect().await;
    assert_eq!(device.hello["user_id"], zoe.id);
    alice.say(&id, "welcome").await;
    device.hears("welcome").await;
    world.restart().await;
    assert_eq!(zoe.get("/me").await.is(200), profile);
}

/// Where the operator does not allow it, an unknown user is nobody; a known one is.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_users_are_not_created_where_not_allowed() {
    let (mut world, []) = world([], |_| {}).await;
    let known = me(&world, &hs256(&claims("known"))).await.is(200);
    world.server.config_mut().jwt.create_unknown_users = false;
    world.restart().await;
    me(&world, &hs256(&claims("unknown"))).await.refused(401, "unauthorized");
    assert_eq!(me(&world, &hs256(&claims("known"))).await.is(200), known);
}

/// `ext:` names a user of the existing system wherever a user is named.
#[tokio::test(flavor = "multi_thread")]
async fn users_are_named_by_their_external_id() {
    let (world, [alice, bob]) = world(["alice", "bob"], |_| {}).await;
    let sub = "acme/ü 7";
    let token = hs256(&claims(sub));
    let id = me(&world, &token).await.is(200)["user_id"].as_u64().unwrap();
    let zoe = User { id, token, ..alice.clone() };
    let named = format!("ext:{sub}");
    let encoded = "ext:acme%2F%C3%BC%207";

    let sent = alice.post(&format!("/dialog/{encoded}/send"), json!({"text": "one"})).await.is(201);
    assert_eq!(sent["to_id"], id);
    let both = json!({"text": "two", "to": named});
    alice.post(&format!("/dialog/{id}/send"), both).await.is(201);
    let wrong = json!({"text": "x", "to": bob.id});
    alice.post(&format!("/dialog/{encoded}/send"), wrong).await.refused(422, "invalid");
    let list = alice.get(&format!("/dialog/{encoded}/list")).await.is(200);
    assert_eq!(list["total"], 2);
    assert_eq!(alice.get(&format!("/users/{encoded}")).await.is(200)["user_id"], id);
    let body = json!({"type": "direct", "user_id": named});
    let direct = alice.post("/conversations", body).await.is(200);
    let direct = direct["conversation"]["conversation_id"].as_str().unwrap().to_owned();
    let mut device = alice.connect().await;
    let third = device.good("send_message", json!({"to": named, "content": "three"})).await;
    assert_eq!(third["conversation_id"], json!(direct));
    assert_eq!(zoe.page(&direct, "").await["head_seq"], 3);

    let body = json!({"type": "group", "name": "g", "member_ids": [named, bob.id]});
    let group = alice.post("/conversations", body).await.is(201);
    let group = group["conversation"]["conversation_id"].as_str().unwrap().to_owned();
    let member = format!("/conversations/{group}/members/{encoded}");
    alice.patch(&member, json!({"role": "admin"})).await.is(200);
    alice.delete(&member).await.is(200);
    let body = json!({"user_ids": [named]});
    alice.post(&format!("/conversations/{group}/members"), body).await.is(200);
    assert_eq!(zoe.entry(&group).await["membership"]["role"], "member");
    let lookup = json!({"external_ids": [sub, "nobody"]});
    let found = alice.post("/users/lookup", lookup).await.is(200);
    assert_eq!(found["users"][0]["user_id"], id);

    for unknown in ["ext:nobody", "ext:", "nobody", "ext:%00"] {
        alice.get(&format!("/users/{unknown}")).await.refused(404, "not_found");
    }
    device.refused("send_message", json!({"to": "ext:nobody", "content": "x"}), "not_found").await;
}

/// A socket ends with its token.
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_ends_with_its_token() {
    let start = SystemClock.now();
    let clock = Arc::new(ManualClock::new(start));
    let folder = tempfile::tempdir().unwrap();
    let secret = secret_file(folder.path());
    let (world, [alice]) = World::start_at(["alice"], Arc::clone(&clock) as _, |config| {
        config.jwt.algorithm = JwtAlgorithm::HS256;
        config.jwt.key_file = secret;
        config.jwt.leeway_s = 0;
        config.connections.heartbeat_s = 1;
    })
    .await;
    let token = hs256(&json!({"sub": "u", "exp": start / 1_000 + 60}));
    let user = User { token: token.clone(), ..alice.clone() };
    let mut device = user.connect().await;
    let mut stays = alice.connect().await;
    device.heartbeat().await;
    clock.advance(61_000);
    me(&world, &token).await.refused(401, "unauthorized");
    assert_eq!(device.closed().await.0, 4401);
    stays.heartbeat().await;
}
