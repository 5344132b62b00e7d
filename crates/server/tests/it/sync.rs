//! Finding again what was missed.

use ostracon_server::testing::TestServer;
use serde_json::{Value, json};

use crate::client::{Caller, path_of};

#[tokio::test]
async fn changes_lead_from_any_rev_to_the_newest() {
    let server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    for n in 1..=5 {
        alice.say(&bob, &format!("m{n}")).await;
    }
    let list = bob.get("/api/v1/conversations").await.is(200);
    let path = path_of(&list["conversations"][0]["conversation"]);
    let start = bob.get(&format!("{path}/changes")).await.is(200);
    let history = start["history"].as_str().unwrap();
    let rev = start["rev"].as_u64().unwrap();
    assert_eq!(start["messages"].as_array().unwrap().len(), 5);
    assert_eq!((&start["more"], &start["reset"]), (&json!(false), &json!(false)));
    assert_eq!(start["conversation"]["head_seq"], 5);

    // In small steps the same rows come in rev order.
    let (mut at, mut seen) = (0, Vec::new());
    loop {
        let step = bob
            .get(&format!("{path}/changes?since_rev={at}&history={history}&limit=2"))
            .await
            .is(200);
        seen.extend(step["messages"].as_array().unwrap().iter().map(|m| m["seq"].clone()));
        assert!(step["rev"].as_u64().unwrap() > at, "{step}");
        at = step["rev"].as_u64().unwrap();
        if step["more"] == false {
            break;
        }
    }
    assert_eq!((at, seen), (rev, vec![json!(1), json!(2), json!(3), json!(4), json!(5)]));

    alice.patch(&format!("{path}/messages/2"), json!({"content": "new"})).await.is(200);
    alice.delete(&format!("{path}/messages/4")).await.is(200);
    bob.post(&format!("{path}/read"), json!({"seq": 5})).await.is(200);
    let mark = start["mark_rev"].as_u64().unwrap();
    let query = format!("since_rev={rev}&since_mark={mark}&history={history}");
    let next = alice.get(&format!("{path}/changes?{query}")).await.is(200);
    let seqs: Vec<_> = next["messages"].as_array().unwrap().iter().map(|m| &m["seq"]).collect();
    assert_eq!(seqs, [2, 4]);
    assert!(next.get("conversation").is_none(), "{next}");
    let read: Vec<_> = next["receipts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (&r["user_id"], &r["read_seq"]))
        .collect();
    assert_eq!(read, [(&json!(bob.id), &json!(5))]);

    // Another line, or ahead of the server: start again.
    for query in [
        "since_rev=1&history=1".to_owned(),
        "since_rev=0&history=1".to_owned(),
        format!("since_rev=999&history={history}"),
        format!("since_rev=1&since_mark=999&history={history}"),
    ] {
        let reset = bob.get(&format!("{path}/changes?{query}")).await.is(200);
        assert_eq!((&reset["reset"], &reset["messages"]), (&json!(true), &json!([])), "{query}");
        assert_eq!(reset["history"], history);
    }
    for query in ["since_rev=1", "since_rev=x", "since_rev=1&history=x", "limit=0"] {
        bob.get(&format!("{path}/changes?{query}")).await.refused(422, "invalid");
    }
}

#[tokio::test]
async fn sync_names_what_changed_since_the_cursor() {
    let server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let nothing = bob.get("/api/v1/sync").await.is(200);
    assert_eq!(nothing["conversations"], json!([]));
    let cursor = |answer: &Value| answer["cursor"].as_str().unwrap().to_owned();
    let since = async |cursor: &str, limit: u32| {
        bob.get(&format!("/api/v1/sync?cursor={cursor}&limit={limit}")).await.is(200)
    };
    alice.say(&bob, "hi").await;
    let group = alice.group("G", &[&bob]).await;
    let first = since(&cursor(&nothing), 1).await;
    assert_eq!((&first["more"], &first["reset"]), (&json!(true), &json!(false)), "{first}");
    let second = since(&cursor(&first), 1).await;
    assert_eq!(second["more"], false);
    let seen = [&first, &second].map(|a| path_of(&a["conversations"][0]["conversation"]));
    assert!(seen.contains(&group) && seen[0] != seen[1], "{seen:?}");
    assert_eq!(since(&cursor(&second), 9).await["conversations"], json!([]));

    alice.delete(&group).await.is(204);
    let third = since(&cursor(&second), 9).await;
    let id = group.rsplit('/').next().unwrap();
    assert_eq!((&third["removed"], &third["conversations"]), (&json!([id]), &json!([])));
    assert!(third["user_rev"].as_u64() > second["user_rev"].as_u64());
    bob.get("/api/v1/sync?cursor=nonsense").await.refused(422, "invalid");
    let own = bob.get("/api/v1/sync").await.is(200);
    assert_eq!(own["conversations"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let mut server = TestServer::start().await;
    let (alice, bob) = (Caller::new(&server, "alice").await, Caller::new(&server, "bob").await);
    let sent = alice.say(&bob, "still here").await;
    let before = bob.get("/api/v1/sync").await.is(200);
    server.restart().await;
    let list = bob.get(&format!("/api/v1/dialog/{}/list", alice.id)).await.is(200);
    assert_eq!(list["messages"], json!([sent]));
    let after = bob.get("/api/v1/sync").await.is(200);
    assert_eq!(
        after["conversations"][0]["conversation"]["history"],
        before["conversations"][0]["conversation"]["history"]
    );
    let next = alice.say(&bob, "and on").await;
    assert_eq!(next["seq"], 2);
    assert!(next["id"].as_u64() > sent["id"].as_u64());
}
