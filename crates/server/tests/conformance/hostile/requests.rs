//! Paths, ids and queries that do not fit, and requests that are no HTTP.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{fair, is_well};
use crate::{
    calls::{Cast, ROWS, Scope},
    http,
    world::{World, within},
};

/// Every query parameter of every call with values that do not fit.
#[tokio::test(flavor = "multi_thread")]
async fn odd_queries_are_refused_in_words() {
    let (world, users) = World::start(Cast::NAMES).await;
    let cast = Cast::new(users);
    let long = "9".repeat(2_000);
    let values = [
        "",
        "-1",
        "1.5",
        "+5",
        "%205",
        "0x10",
        "1e3",
        "abc",
        "%00",
        "%FF",
        "%ED%A0%80",
        "%",
        "%G1",
        "99999999999999999999",
        "18446744073709551615",
        "9223372036854775808",
        "null",
        "true",
        &long,
    ];
    for row in ROWS {
        let stage = cast.stage().await;
        let path = row.path_of(&stage, &stage.group);
        let path = path.split('?').next().unwrap();
        for param in row.operation().query {
            for value in values {
                let needed = needed(row.call).filter(|(name, _)| *name != param.name);
                let other = needed.map_or("", |(_, query)| query);
                let path = format!("{path}?{other}{}={value}", param.name);
                let reply = cast.owner.call(row.method(), &path, None).await;
                if param.name == "min_rev" && reply.status == 503 {
                    // Nothing is so new.
                    reply.refused(503, "shard_unavailable");
                    continue;
                }
                fair(&reply, value);
                if row.scope == Scope::Operator {
                    // Who may not call is told nothing about how.
                    reply.refused(403, "forbidden");
                    continue;
                }
                let kind = format!("{:?}", param.kind);
                // One that is too large is cut, or reads nothing.
                let number = kind == "Number" || kind.starts_with("Limit");
                if number && ["-1", "1.5", "abc"].contains(&value) {
                    let error = reply.refused(422, "invalid");
                    assert_eq!(error["details"]["field"], param.name, "{path}");
                }
            }
            let may = row.scope != Scope::Operator;
            if may && format!("{:?}", param.kind).starts_with("Limit") {
                let query = needed(row.call).map_or("", |(_, query)| query);
                let at = |limit: &str| format!("{path}?{query}limit={limit}");
                cast.owner.get(&at("1000000")).await.is(200);
                cast.owner.get(&at("4294967296")).await.is(200);
                cast.owner.get(&at("0")).await.refused(422, "invalid");
            }
        }
    }
    let messages = format!("/conversations/{}/messages", cast.stage().await.group);
    cast.owner.get(&format!("{messages}?before=1&after=1")).await.refused(422, "invalid");
    for at in [
        "0",
        "1",
        "999999999",
        "1000000000",
        "99999999999",
        "100000000000",
        "999999999999999",
        "1000000000000000",
        "9223372036854775807",
    ] {
        for side in ["before", "after", "around"] {
            cast.owner.get(&format!("{messages}?{side}={at}")).await.is(200);
        }
    }
    is_well(&world, &cast.owner).await;
}

/// Ids that are not written as they must be name nothing.
#[tokio::test(flavor = "multi_thread")]
async fn ids_written_otherwise_name_nothing() {
    let (world, users) = World::start(Cast::NAMES).await;
    let cast = Cast::new(users);
    let stage = cast.stage().await;
    let direct = cast.owner.direct(&cast.admin).await;
    cast.owner.say(&direct, "hello").await;
    let mut ids = Vec::new();
    for id in [&stage.group, &direct] {
        ids.push(id.replace('-', ""));
        ids.push(format!("%7B{id}%7D"));
        ids.push(format!("urn:uuid:{id}"));
        ids.push(format!("{id}0"));
        ids.push(id[..35].to_owned());
        ids.push(format!("%20{id}"));
        ids.push(format!("{id}%00"));
        ids.push(format!("{id}%0A"));
    }
    // Digits above nine may be large: it is the same id.
    cast.owner.entry(&stage.group.to_uppercase()).await;
    // The two users the other way round, spare bits, another version, nobody, everybody.
    let (a, b) = (cast.owner.id, cast.admin.id);
    for (lo, hi, spare) in
        [(a.max(b), a.min(b), 0_u64), (a.min(b), a.max(b), 1), (0, b, 0), (0, 0, 0)]
    {
        ids.push(direct_like(lo, hi, spare));
    }
    for id in [
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "00000000-0000-4000-8000-000000000000",
        "00000000-0000-8080-8000-000000000000",
        "1",
        "..",
        "%2e%2e",
        "%2F",
        "me",
        "unread%00",
    ] {
        ids.push(id.to_owned());
    }
    for id in &ids {
        for row in ROWS.iter().filter(|row| matches!(row.scope, Scope::Group { .. })) {
            let body = (row.body)(&stage);
            let path = row.path_of(&stage, id);
            let reply = cast.owner.call(row.method(), &path, body.as_ref()).await;
            assert!(
                matches!(reply.status, 404 | 405),
                "{}: {} {}",
                reply.call,
                reply.status,
                reply.text()
            );
        }
    }
    let mut device = cast.owner.connect().await;
    for id in ids.iter().filter(|id| !id.contains('%')) {
        let data = serde_json::json!({"conversation_id": id, "content": "x"});
        let answer = device.ask("send_message", data).await;
        let code = answer["data"]["code"].as_str().unwrap_or_default();
        assert!(matches!(code, "not_found" | "invalid"), "{id}: {answer}");
    }
    is_well(&world, &cast.owner).await;
}

/// A version 8 id with any two numbers and spare bits.
fn direct_like(lo: u64, hi: u64, spare: u64) -> String {
    let bits = (u128::from(lo) << 69) | (u128::from(hi) << 16) | u128::from(spare);
    // 122 free bits around the version and the variant.
    let (top, middle, rest) = (bits >> 74, (bits >> 62) & 0xfff, bits & ((1 << 62) - 1));
    let id = (top << 80) | (8 << 76) | (middle << 64) | (2 << 62) | rest;
    let hex = format!("{id:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The helper above writes what the server writes.
#[test]
fn a_direct_id_by_hand_is_that_of_the_server() {
    let user = |id| ostracon_domain::UserId::new(id).unwrap();
    let known = ostracon_domain::ConversationId::direct(user(77), user(9_007_199_254_740_991));
    assert_eq!(direct_like(77, 9_007_199_254_740_991, 0), known.to_string());
}

/// Numbers of messages and users in paths, emoji, and paths that are none.
#[tokio::test(flavor = "multi_thread")]
async fn odd_paths_name_nothing() {
    let (world, users) = World::start(Cast::NAMES).await;
    let cast = Cast::new(users);
    let stage = cast.stage().await;
    let numbers = [
        "0",
        "-1",
        "+1",
        "1.0",
        "1e0",
        "01x",
        "abc",
        "%00",
        "%FF",
        "%31%00",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999",
        "\u{0661}",
    ];
    let group = &stage.group;
    for number in numbers {
        let encoded: String = if number.is_ascii() {
            number.to_owned()
        } else {
            number.bytes().map(|b| format!("%{b:02X}")).collect()
        };
        for (method, path) in [
            ("DELETE", format!("/conversations/{group}/messages/{encoded}")),
            ("PUT", format!("/conversations/{group}/messages/{encoded}/reactions/%F0%9F%91%8D")),
            ("DELETE", format!("/conversations/{group}/members/{encoded}")),
            ("GET", format!("/users/{encoded}")),
            ("GET", format!("/dialog/{encoded}/list")),
            ("DELETE", format!("/auth/sessions/{encoded}")),
        ] {
            let reply = cast.owner.call(method, &path, None).await;
            assert_eq!(reply.status, 404, "{}: {}", reply.call, reply.text());
            assert_eq!(reply.code(), "not_found", "{}", reply.call);
        }
    }
    for emoji in ["%00", "%FF", "%F0%9F", "%0A", "%20", &"%F0%9F%91%8D".repeat(40)] {
        let path = format!("/conversations/{group}/messages/1/reactions/{emoji}");
        let reply = cast.owner.put(&path).await;
        fair(&reply, emoji);
        assert!(reply.status >= 400, "{emoji}: {}", reply.text());
    }
    for path in
        ["/nothing", "/conversations/", "/me/", "/me/x", "//me", "/api/v1", "/../me", "/ws/x"]
    {
        let reply = cast.owner.get(path).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
        assert_eq!(reply.code(), "not_found", "{path}");
    }
    for (method, path) in [
        ("POST", "/me"),
        ("PUT", "/conversations"),
        ("DELETE", "/sync"),
        ("PATCH", "/auth/login"),
        ("OPTIONS", "/me"),
        ("TRACE", "/me"),
        ("BREW", "/me"),
    ] {
        let reply = cast.owner.call(method, path, None).await;
        assert_eq!((reply.status, reply.code().as_str()), (405, "bad_request"), "{method} {path}");
    }
    is_well(&world, &cast.owner).await;
}

/// Sends bytes; what the server answers until it closes or says no more for its time.
async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = within("an answer to garbage", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Requests that are none.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_no_http_end_quietly() {
    let (world, [alice]) = World::start(["alice"]).await;
    let address = world.server.address();
    let garbage: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    let many_headers =
        format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(10_000));
    let large_header =
        format!("GET /healthz HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "b".repeat(1 << 20));
    let long_path = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(1 << 20));
    let post = |headers: &str, body: &str| {
        let token = &alice.token;
        format!(
            "POST /api/v1/users/lookup HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
            content-type: application/json\r\n{headers}\r\n{body}"
        )
    };
    let requests: Vec<Vec<u8>> = vec![
        garbage,
        vec![0; 100],
        b"\r\n\r\n\r\n".to_vec(),
        b"GET".to_vec(),
        b"GET / HTTP/1.1".to_vec(),
        b"GET /healthz\r\n\r\n".to_vec(),
        b"GET /healthz HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /healthz HTTP/1.1\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET /health\0z HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n".to_vec(),
        b"GET /healthz HTTP/1.1\r\nho\0st: x\r\n\r\n".to_vec(),
        many_headers.into_bytes(),
        large_header.into_bytes(),
        long_path.into_bytes(),
        post("content-length: -1\r\n", "{}").into_bytes(),
        post("content-length: 99999999999999999999999\r\n", "{}").into_bytes(),
        post("content-length: 18446744073709551615\r\n", "{}").into_bytes(),
        post("content-length: 2\r\ncontent-length: 3\r\n", "{}x").into_bytes(),
        post("content-length: 2\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n").into_bytes(),
        post("transfer-encoding: chunked\r\n", "fffffffffffffffff\r\n{}\r\n0\r\n\r\n").into_bytes(),
        post("transfer-encoding: chunked\r\n", "zz\r\n{}\r\n0\r\n\r\n").into_bytes(),
        post("transfer-encoding: nonsense\r\n", "{}").into_bytes(),
        post("content-length: 2\r\nexpect: 999-nonsense\r\n", "{}").into_bytes(),
    ];
    for request in &requests {
        let shown: String = String::from_utf8_lossy(request).chars().take(80).collect();
        let answer = raw(address, request).await;
        assert!(!answer.starts_with("HTTP/1.1 5"), "{shown:?}: {answer}");
        world.call("GET", "/healthz", None).await.is(200);
    }
    // A chunked body that never says how long it is ends at its bound.
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    let endless = post("transfer-encoding: chunked\r\n", &chunk.repeat(64));
    let answer = raw(address, endless.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    is_well(&world, &alice).await;
}

/// Heads and bodies that come a byte at a time, or never: others are not held up, and the server does
/// not wait for ever.
#[tokio::test(flavor = "multi_thread")]
async fn slow_requests_hold_nobody_up_and_end() {
    const SLOW: usize = 200;
    let (world, [alice]) = World::start(["alice"]).await;
    let address = world.server.address();
    let head = format!(
        "POST /api/v1/users/lookup HTTP/1.1\r\nhost: x\r\ncontent-type: \
        application/json\r\ncontent-length: 500\r\nauthorization: Bearer {}\r\n\r\n{{\"ids\"",
        alice.token
    );
    let mut slow = Vec::new();
    for n in 0..SLOW {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let start = match n % 4 {
            0 => "",
            1 => "GET /healthz HT",
            2 => "GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: ",
            _ => head.as_str(),
        };
        stream.write_all(start.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let own = alice.direct(&alice).await;
    for n in 0..50 {
        let text = format!("m{n}");
        let said = tokio::time::timeout(Duration::from_secs(5), alice.say(&own, &text));
        said.await.expect("others are not held up");
    }
    // Some go on, a byte at a time; that is no excuse.
    let mut ends = tokio::task::JoinSet::new();
    for (n, mut stream) in slow.into_iter().enumerate() {
        ends.spawn(async move {
            let (mut read, mut write) = stream.split();
            let mut answer = Vec::new();
            let drip = async {
                while n % 4 == 2 && write.write_all(b"a").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                std::future::pending::<()>().await;
            };
            let ended = async {
                tokio::select! {
                    end = read.read_to_end(&mut answer) => drop(end),
                    () = drip => {}
                }
            };
            let ended = tokio::time::timeout(Duration::from_secs(45), ended).await.is_ok();
            (n, ended, String::from_utf8_lossy(&answer).into_owned())
        });
    }
    let mut left = 0;
    while let Some(end) = ends.join_next().await {
        let (n, ended, answer) = end.unwrap();
        assert!(!answer.starts_with("HTTP/1.1 5"), "{answer}");
        left += usize::from(!ended);
        assert!(ended || n % 4 == 0, "still open after its time: kind {}", n % 4);
    }
    assert!(left <= SLOW / 4, "{left}");
    is_well(&world, &alice).await;
    let body = Some((bytes::Bytes::from_static(b"{}"), "application/json"));
    http::bytes(address, "POST", "/users/lookup", Some(&alice.token), body).await.is(200);
}

/// The parameter without which a call answers nothing, with a value for it.
fn needed(call: &str) -> Option<(&'static str, &'static str)> {
    match call {
        "GET /api/v1/users" => Some(("query", "query=a&")),
        "GET /api/v1/search" | "GET /api/v1/search/conversations" => Some(("q", "q=a&")),
        _ => None,
    }
}
