//! How often one may call, and what is said to those who call more often.

use serde_json::json;

use crate::world::World;

/// REST: every answer says what is left; beyond it 429 with the time to wait.
#[tokio::test(flavor = "multi_thread")]
async fn rest_says_what_is_left_and_how_long_to_wait() {
    let (_world, [alice, bob]) = World::start_with(["alice", "bob"], |config| {
        config.rate_limits.enabled = true;
        config.rate_limits.burst = 8;
        config.rate_limits.per_second = 4;
    })
    .await;
    let first = alice.get("/me").await;
    first.is(200);
    assert_eq!(first.header("ratelimit-limit"), Some("8"));
    let number = |name: &str, reply: &crate::http::Reply| -> u64 {
        reply.header(name).unwrap_or_else(|| panic!("{name}")).parse().unwrap()
    };
    let mut left = number("ratelimit-remaining", &first);
    assert!(left < 8 && number("ratelimit-reset", &first) <= 2);
    let mut refused = None;
    for _ in 0..40 {
        let reply = alice.get("/me").await;
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
        reply.is(200);
        let now = number("ratelimit-remaining", &reply);
        assert!(now <= left + 1, "it is used up, and slowly refilled");
        left = now;
    }
    let refused = refused.expect("a limit");
    let error = refused.refused(429, "rate_limited");
    let wait = error["retry_after_ms"].as_u64().unwrap();
    assert!((1..=1_000).contains(&wait), "{error}");
    assert_eq!(number("retry-after", &refused), 1);
    assert_eq!(number("ratelimit-limit", &refused), 8);
    assert_eq!(number("ratelimit-remaining", &refused), 0);
    assert!(number("ratelimit-reset", &refused) >= 1);
    bob.get("/me").await.is(200);
}

/// WebSocket: `rate_limited` with the time to wait; the connection stays, nothing was written, and a
/// retry after that time is taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_is_told_to_wait_and_stays() {
    let (_world, [alice, bob]) = World::start_with(["alice", "bob"], |config| {
        config.rate_limits.enabled = true;
        config.rate_limits.burst = 8;
        config.rate_limits.per_second = 4;
    })
    .await;
    let id = alice.direct(&bob).await;
    let mut device = alice.connect().await;
    let body = |n: usize| json!({"conversation_id": id, "content": format!("m{n}"), "client_id": format!("c{n}")});
    let mut waiting = Vec::new();
    for n in 0..30 {
        waiting.push(device.tell("send_message", body(n)).await);
    }
    let mut refused = Vec::new();
    let mut sent = Vec::new();
    for (n, reference) in waiting.into_iter().enumerate() {
        let answer = device.answer(reference).await;
        if answer["type"] == "error" {
            assert_eq!(answer["data"]["code"], "rate_limited", "{answer}");
            let wait = answer["data"]["retry_after_ms"].as_u64().unwrap();
            assert!((1..=2_000).contains(&wait), "{answer}");
            refused.push((n, wait));
        } else {
            sent.push(n);
        }
    }
    assert!(!sent.is_empty() && sent.len() <= 8, "{sent:?}");
    device.heartbeat().await;
    let (again, wait) = refused[0];
    tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
    let answer = device.good("send_message", body(again)).await;
    assert_eq!(answer["seq"], sent.len() as u64 + 1, "what was refused was not written");
}

/// A client that goes on far beyond its allowance is cut off with 4429.
#[tokio::test(flavor = "multi_thread")]
async fn flooding_closes_the_socket() {
    let (_world, [alice, bob]) = World::start_with(["alice", "bob"], |config| {
        config.rate_limits.enabled = true;
        config.rate_limits.burst = 4;
        config.rate_limits.per_second = 4;
    })
    .await;
    let id = alice.direct(&bob).await;
    let mut device = alice.connect().await;
    let data = json!({"conversation_id": id, "seq": 1});
    let frame = json!({"type": "mark_read", "data": data}).to_string();
    // Four times what is allowed in a heartbeat's time, and the rest of a bucket.
    for _ in 0..4 * (4 + 4 * 30) + 80 {
        let message = tokio_tungstenite::tungstenite::Message::text(frame.clone());
        if futures_util::SinkExt::send(&mut device.stream, message).await.is_err() {
            break;
        }
    }
    assert_eq!(device.closed().await.0, 4429);
    bob.get("/me").await.is(200);
}

/// Attempts to sign in are limited by name and address, whether they succeed or not.
#[tokio::test(flavor = "multi_thread")]
async fn attempts_to_sign_in_are_limited() {
    let (world, []) = World::start_with([], |config| {
        config.rate_limits.enabled = true;
        config.rate_limits.sign_ins_per_minute = 3;
    })
    .await;
    world.register("alice", "correct horse").await;
    let attempt = async |name: &str| {
        let body = json!({"username": name, "password": "wrong horse"});
        world.call("POST", "/auth/login", Some(&body)).await
    };
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(attempt("alice").await);
    }
    let limited = seen.iter().position(|reply| reply.status == 429).expect("a limit");
    assert!((2..=3).contains(&limited), "{limited}");
    for reply in &seen[..limited] {
        reply.refused(401, "unauthorized");
    }
    let error = seen[limited].refused(429, "rate_limited");
    assert!(error["retry_after_ms"].as_u64().unwrap() > 0);
    assert!(seen[limited].header("retry-after").is_some());
    attempt("somebody-else").await.refused(401, "unauthorized");
}
