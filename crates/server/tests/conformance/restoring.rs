//! Positions from another history: after a restore, and made up.

use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ostracon_server::offline;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use crate::{
    replica::Replica,
    world::{World, within},
};

/// Makes a copy of a running server over the operator's socket.
async fn backup(world: &World, to: &std::path::Path) {
    let stream = UnixStream::connect(world.server.admin_socket()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::post("/api/v1/admin/backup")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::<bytes::Bytes>::from(json!({"dir": to}).to_string()))
        .unwrap();
    let answer = async {
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.unwrap().to_bytes()
    };
    let lines = within("a back-up", answer).await;
    drop(sender);
    connection.abort();
    let last = lines.split(|b| *b == b'\n').rfind(|line| !line.is_empty()).unwrap();
    let last: Value = serde_json::from_slice(last).unwrap();
    assert!(!last.to_string().contains("error"), "{last}");
}

/// C11: after a restore every position from before means nothing: `reset`, a new history, and a device
/// that follows the rules ends with what was restored, also when the numbers have grown past its own.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_restore_no_old_position_is_trusted() {
    let (mut world, [alice, bob, carol]) = World::start_embedded(["alice", "bob", "carol"]).await;
    let id = alice.direct(&bob).await;
    let group = alice.group("group", &[&bob, &carol]).await;
    let path = format!("/conversations/{id}/messages");
    let send = |n: u64| json!({"content": format!("m{n}"), "client_id": format!("c{n}")});
    for n in 1..=3 {
        alice.post(&path, send(n)).await.is(201);
        alice.say(&group, &format!("g{n}")).await;
    }
    let copy = world.server.dir().join("copy");
    backup(&world, &copy).await;

    // What the copy does not have, and the device does.
    for n in 4..=6 {
        alice.post(&path, send(n)).await.is(201);
    }
    alice.patch(&format!("{path}/1"), json!({"content": "edited"})).await.is(200);
    let late = bob.group("late", &[&alice]).await;
    bob.say(&late, "gone with it").await;
    let mut held = Replica::fresh(&bob).await;
    let before = held.of(&id).clone();
    assert_eq!(before.texts(), ["edited", "m2", "m3", "m4", "m5", "m6"]);
    let cursor = held.cursor.clone().unwrap();

    within("the server to stop", world.server.stop()).await;
    let restored = world.server.dir().join("restored");
    offline::restore(&copy, &restored, &|_, _| {}).unwrap();
    world.server.config_mut().data_dir = restored;
    world.server.start_again().await;

    let sync = bob.get(&format!("/sync?cursor={cursor}")).await.is(200);
    assert_eq!(sync["reset"], true);
    let entries = sync["conversations"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "the listing starts anew: {sync}");
    let row = entries.iter().find(|entry| entry["conversation"]["conversation_id"] == id).unwrap();
    let history = row["conversation"]["history"].as_str().unwrap().to_owned();
    assert_ne!(history, before.history);
    let since = |rev: u64, history: &str| {
        format!("/conversations/{id}/changes?since_rev={rev}&since_mark=0&history={history}")
    };
    assert_eq!(bob.get(&since(before.rev, &before.history)).await.is(200)["reset"], true);
    assert_eq!(bob.get(&since(1, &before.history)).await.is(200)["reset"], true);
    assert_eq!(bob.get(&since(before.rev, &history)).await.is(200)["reset"], true, "ahead");

    // What was restored is known by its client id, what was lost is sent anew.
    let mut device = bob.connect().await;
    alice.post(&path, send(2)).await.is(200);
    let again = alice.post(&path, send(5)).await.is(201);
    assert_eq!(again["seq"], 4, "seqs go on from what was restored");
    let event = device.hears("m5").await;
    assert_eq!(event["history"], json!(history));
    for n in 10..30 {
        alice.post(&path, send(n)).await.is(201);
    }
    assert!(alice.entry(&id).await["conversation"]["rev"].as_u64().unwrap() > before.rev);
    assert_eq!(
        bob.get(&since(before.rev, &before.history)).await.is(200)["reset"],
        true,
        "past it"
    );

    held.level(&bob).await;
    held.conversations.remove(&late);
    let mut wanted: Vec<String> = ["m1", "m2", "m3", "m5"].map(str::to_owned).to_vec();
    wanted.extend((10..30).map(|n| format!("m{n}")));
    assert_eq!(held.of(&id).texts(), wanted);
    assert_eq!(held.of(&group).texts(), ["g1", "g2", "g3"]);
    assert!(held.resets >= 2);
    bob.get(&format!("/conversations/{late}")).await.refused(404, "not_found");
    let fresh = Replica::fresh(&bob).await;
    assert_eq!(fresh.of(&id).messages, held.of(&id).messages);
    assert_eq!(fresh.resets, 0);
    // Counts are those of what is there.
    assert_eq!(bob.entry(&id).await["unread"], 24);
}

/// C11: made-up positions get `reset` or a refusal, never a part of the truth.
#[tokio::test(flavor = "multi_thread")]
async fn positions_that_never_were_are_not_trusted() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    alice.say(&id, "hello").await;
    let held = Replica::fresh(&bob).await;
    let (rev, history) = (held.of(&id).rev, held.of(&id).history.clone());
    let changes = |query: String| format!("/conversations/{id}/changes?{query}");
    for query in [
        format!("since_rev={}&history={history}", rev + 1),
        format!("since_rev={}&history={history}", u64::MAX / 4),
        format!("since_rev={rev}&history=1"),
        format!("since_rev={rev}&since_mark=999999&history={history}"),
        "since_rev=0&history=1".to_owned(),
    ] {
        let answer = bob.get(&changes(query.clone())).await.is(200);
        assert_eq!(answer["reset"], true, "{query}: {answer}");
        assert_eq!(answer["messages"], json!([]), "{query}");
        assert_eq!(answer["history"], json!(history), "{query}");
    }
    bob.get(&changes(format!("since_rev={rev}"))).await.refused(422, "invalid");
    bob.get(&changes("since_rev=1&history=nonsense".to_owned())).await.refused(422, "invalid");
    let level = bob.get(&changes(format!("since_rev={rev}&history={history}"))).await.is(200);
    assert_eq!(
        (&level["reset"], &level["more"], &level["rev"]),
        (&json!(false), &json!(false), &json!(rev))
    );
    // The cursor of another user, and one that was tampered with.
    let own = held.cursor.unwrap();
    let of_alice = Replica::fresh(&alice).await.cursor.unwrap();
    let answer = bob.get(&format!("/sync?cursor={of_alice}")).await.is(200);
    assert_eq!(answer["reset"], true);
    assert_eq!(answer["conversations"].as_array().unwrap().len(), 1);
    for cursor in ["nonsense", "AAAA", &own[..own.len() - 1], &format!("{own}A"), "%00"] {
        let reply = bob.get(&format!("/sync?cursor={cursor}")).await;
        match reply.status {
            200 => assert_eq!(reply.is(200)["reset"], true, "{cursor}"),
            _ => drop(reply.refused(422, "invalid")),
        }
    }
    let answer = bob.get("/sync?cursor=").await.is(200);
    assert_eq!(
        (&answer["reset"], answer["conversations"].as_array().unwrap().len()),
        (&json!(false), 1)
    );
}
