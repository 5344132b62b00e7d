//! Bodies: every field of every call with values that do not fit, and bodies beyond every bound.

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{TOKENS, fair, filled, is_well, with_holes};
use crate::{
    calls::{Cast, ROWS, Scope},
    http,
    world::{World, within},
};

/// Every value of every body, exchanged for each of the odd ones.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_values_in_every_field_are_refused_in_words() {
    let (world, users) = World::start(Cast::NAMES).await;
    let cast = Cast::new(users);
    let mut tried = 0;
    for row in ROWS {
        let mut stage = cast.stage().await;
        let Some(body) = (row.body)(&stage) else { continue };
        stage.seq = 1;
        let path = row.path_of(&stage, &stage.group);
        let token = (row.scope != Scope::Open).then_some(cast.owner.token.as_str());
        for (at, text) in with_holes(&body) {
            // Hashing a password takes its time, as it should: not every value of the others then.
            let costly = row.scope == Scope::Open && at != "/password";
            for value in TOKENS.iter().step_by(if costly { 3 } else { 1 }) {
                let text = filled(&text, value);
                let body = Some((Bytes::from(text.clone()), "application/json"));
                let reply =
                    http::bytes(world.server.address(), row.method(), &path, token, body).await;
                fair(&reply, &text);
                tried += 1;
            }
        }
    }
    assert!(tried > 1_000, "{tried}");
    is_well(&world, &cast.owner).await;
}

/// Bodies that are no JSON objects: `bad_request`, and nothing is read twice.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_objects_are_bad_requests() {
    let (world, users) = World::start(Cast::NAMES).await;
    let cast = Cast::new(users);
    let stage = cast.stage().await;
    let garbage: Vec<u8> = (0..=255).cycle().take(5_000).collect();
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b" ".to_vec(),
        b"null".to_vec(),
        b"7".to_vec(),
        b"[]".to_vec(),
        b"[1,2]".to_vec(),
        b"\"text\"".to_vec(),
        b"{".to_vec(),
        b"{\"content\":".to_vec(),
        b"{\"content\":\"x\"".to_vec(),
        b"{\"content\":\"x\"}}".to_vec(),
        b"{\"content\":\"x\"} x".to_vec(),
        b"{content:'x'}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"{\"content\":\"\xff\xfe\"}".to_vec(),
        b"{\"content\":\"\xed\xa0\x80\"}".to_vec(),
        b"\0".to_vec(),
        garbage,
        "[".repeat(40_000).into_bytes(),
        "{\"a\":".repeat(10_000).into_bytes(),
    ];
    for row in ROWS {
        if (row.body)(&stage).is_none() {
            continue;
        }
        let path = row.path_of(&stage, &stage.group);
        let token = (row.scope != Scope::Open).then_some(cast.owner.token.as_str());
        for body in &bodies {
            let shown = String::from_utf8_lossy(body).into_owned();
            let body = Some((Bytes::from(body.clone()), "application/json"));
            let reply = http::bytes(world.server.address(), row.method(), &path, token, body).await;
            let short: String = shown.chars().take(40).collect();
            assert_eq!(reply.code(), "bad_request", "{} {short}: {}", row.call, reply.text());
        }
    }
    is_well(&world, &cast.owner).await;
}

/// 3 MB, with and without a length announced: `too_large`, not read to its end.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_beyond_the_bound_are_too_large() {
    let (world, users) = World::start(Cast::NAMES).await;
    let cast = Cast::new(users);
    let stage = cast.stage().await;
    let text = "x".repeat(3 << 20);
    for row in ROWS {
        if (row.body)(&stage).is_none() {
            continue;
        }
        let path = row.path_of(&stage, &stage.group);
        for body in [
            json!({"content": text, "text": text, "name": text, "username": text}),
            json!({"unknown": text}),
        ] {
            let body = body.to_string();
            let answer = upload(&world, &cast.owner.token, row.method(), &path, &body).await;
            assert!(answer.starts_with("HTTP/1.1 413"), "{}: {answer}", row.call);
            assert!(answer.contains("\"too_large\""), "{}: {answer}", row.call);
        }
    }
    is_well(&world, &cast.owner).await;
}

/// Sends a large body and reads what comes meanwhile: the server may answer before it has all.
async fn upload(world: &World, token: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(world.server.address()).await.unwrap();
    let (mut read, mut write) = stream.split();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         authorization: Bearer {token}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let mut answer = Vec::new();
    let sending = async {
        let _ = write.write_all(head.as_bytes()).await;
        let _ = write.write_all(body.as_bytes()).await;
    };
    let reading = async {
        let _ = read.read_to_end(&mut answer).await;
    };
    within("an answer to a large body", async { tokio::join!(sending, reading) }).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// 100,000 nested brackets are refused and not followed, wherever they stand.
#[tokio::test(flavor = "multi_thread")]
async fn deep_nesting_is_refused() {
    let (world, [alice, bob]) = World::start_with(["alice", "bob"], |config| {
        // So that they are read at all.
        config.limits.body_bytes_max = 1 << 20;
    })
    .await;
    let id = alice.direct(&bob).await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let open = "[".repeat(100_000);
    let objects = format!("{}0{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    for nested in [&deep, &open, &objects] {
        for body in [
            nested.clone(),
            format!("{{\"content\":\"x\",\"unknown\":{nested}}}"),
            format!("{{\"content\":\"x\",\"mentions\":{nested}}}"),
            format!("{{\"content\":{nested}}}"),
            format!("{{\"user_ids\":{nested}}}"),
            format!("{{\"type\":\"group\",\"name\":\"n\",\"member_ids\":{nested}}}"),
        ] {
            for path in [format!("/conversations/{id}/messages"), "/conversations".to_owned()] {
                let body = Some((Bytes::from(body.clone()), "application/json"));
                let address = world.server.address();
                let reply = http::bytes(address, "POST", &path, Some(&alice.token), body).await;
                fair(&reply, "nested");
            }
        }
    }
    is_well(&world, &alice).await;
}

/// More users than one request may name.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_users_in_one_request_are_too_large() {
    let (world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let group = alice.group("group", &[&bob]).await;
    let members = format!("/conversations/{group}/members");
    let create = |ids: &Value| json!({"type": "group", "name": "g", "member_ids": ids});
    let add = |ids: &Value| json!({"user_ids": ids});
    let lookup = |ids: &Value| json!({"ids": ids});
    for count in [1_001_u64, 20_000, 200_000] {
        let ids = json!((1..=count).collect::<Vec<_>>());
        alice.post("/conversations", create(&ids)).await.refused(413, "too_large");
        alice.post(&members, add(&ids)).await.refused(413, "too_large");
        alice.post("/users/lookup", lookup(&ids)).await.refused(413, "too_large");
        let names: Vec<String> = (0..count.min(20_000)).map(|n| format!("ext:u{n}")).collect();
        alice.post(&members, add(&json!(names))).await.refused(413, "too_large");
    }
    let ids = json!((1..=1_000).collect::<Vec<_>>());
    let found = alice.post("/users/lookup", lookup(&ids)).await.is(200);
    assert_eq!(found["users"].as_array().unwrap().len(), 2);
    // Within the bound, but nobody: not found, and the group is as it was.
    let reply = alice.post(&members, add(&ids)).await;
    fair(&reply, "a thousand");
    assert!(reply.status >= 400);
    let twice = json!([bob.id, bob.id, alice.id]);
    alice.post(&members, add(&twice)).await.is(200);
    assert_eq!(alice.entry(&group).await["conversation"]["member_count"], 2);
    is_well(&world, &alice).await;
}

/// Texts at their bounds: counted in UTF-16 units, kept to the last one.
#[tokio::test(flavor = "multi_thread")]
async fn texts_at_their_bounds() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let path = format!("/conversations/{id}/messages");
    let say = async |text: &str| alice.post(&path, json!({"content": text})).await;
    for text in
        ["a".repeat(10_000), "ü".repeat(10_000), "🚀".repeat(5_000), "\u{800}".repeat(10_000)]
    {
        assert_eq!(say(&text).await.is(201)["content"], text);
    }
    for text in ["a".repeat(10_001), "🚀".repeat(5_001), String::new(), "a\0b".to_owned()] {
        let error = say(&text).await.refused(422, "invalid");
        assert_eq!(error["details"]["field"], "content", "{error}");
    }
    let edit = format!("{path}/1");
    alice.patch(&edit, json!({"content": "a".repeat(10_001)})).await.refused(422, "invalid");
    alice.patch(&edit, json!({"content": ""})).await.refused(422, "invalid");
    for (client_id, status) in [
        ("x".repeat(64), 201),
        ("x".repeat(65), 422),
        ("ü".repeat(33), 422),
        (String::new(), 422),
        ("a\nb".to_owned(), 422),
        ("a\u{7f}b".to_owned(), 422),
        ("0B6E3A52-9A9E-4A0E-8D6C-0F6CF7A3C111".to_owned(), 201),
    ] {
        let body = json!({"content": "x", "client_id": client_id});
        let reply = alice.post(&path, body.clone()).await;
        assert_eq!(reply.status, status, "{client_id:?}: {}", reply.text());
        if status == 201 {
            let again = alice.post(&path, body).await.is(200);
            assert_eq!(again["client_id"], client_id, "it comes back as it was given");
        }
    }
    // Two spellings of one UUID are two ids.
    let small = json!({"content": "x", "client_id": "0b6e3a52-9a9e-4a0e-8d6c-0f6cf7a3c111"});
    assert_eq!(alice.post(&path, small).await.status, 201);
    for (name, status) in [("n".repeat(200), 201), ("n".repeat(201), 422), (String::new(), 422)] {
        let body = json!({"type": "group", "name": name, "member_ids": [bob.id]});
        assert_eq!(alice.post("/conversations", body).await.status, status);
    }
    for kind in ["system", "image", "file", "nonsense", "TEXT"] {
        let body = json!({"content": "x", "type": kind});
        alice.post(&path, body).await.refused(422, "invalid");
    }
    // Unknown fields are ignored, doubled ones are not guessed.
    let odd = json!({"content": "x", "unknown": {"deep": [1, 2, 3]}, "seq": 77});
    alice.post(&path, odd).await.is(201);
}
