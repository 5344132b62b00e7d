//! Finding again whatever was missed: between a snapshot and the socket, while offline, in gaps, in
//! pages, after a crash.

use std::sync::Arc;

use ostracon_engine::ManualClock;
use serde_json::{Value, json};

use crate::{
    child::Child,
    device::Device,
    replica::Replica,
    world::{User, World, numbers, texts},
};

/// C3: what is said between the first load and the socket is seen exactly once.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_between_snapshot_and_socket_is_seen_once() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    alice.say(&id, "before").await;
    let mut held = Replica::fresh(&bob).await;
    alice.say(&id, "between").await;
    let mut device = bob.connect().await;
    alice.say(&id, "after").await;
    let after = device.hears("after").await;
    held.level(&bob).await;
    assert_eq!(held.of(&id).texts(), ["before", "between", "after"]);
    assert!(held.of(&id).rev >= after["rev"].as_u64().unwrap(), "the event is known already");
    assert_eq!(device.seen("new_message").len(), 1);
}

/// C3 as a race: a message sent while the socket opens is an event, or found by the `/sync` after `hello`.
#[tokio::test(flavor = "multi_thread")]
async fn no_message_falls_between_hello_and_sync() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let mut speaker = alice.connect().await;
    let mut held = Replica::fresh(&bob).await;
    for round in 0..60 {
        let text = format!("round {round}");
        let (sent, mut device) = tokio::join!(speaker.say(&id, &text), bob.connect());
        held.level(&bob).await;
        if held.conversations.get(&id).is_none_or(|held| held.rev < sent["rev"].as_u64().unwrap()) {
            assert_eq!(device.hears(&text).await["seq"], sent["seq"]);
        }
        device.leave().await;
    }
    held.level(&bob).await;
    let all: Vec<String> = (0..60).map(|round| format!("round {round}")).collect();
    assert_eq!(held.of(&id).texts(), all);
}

/// C4: edit, delete, reaction, read, membership, role and name changed while a device was offline.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_change_made_while_offline_arrives() {
    let (_world, [alice, bob, carol, dave, erin]) =
        World::start(["alice", "bob", "carol", "dave", "erin"]).await;
    let id = alice.group("before", &[&bob, &carol, &dave]).await;
    for text in ["one", "two", "three"] {
        alice.say(&id, text).await;
    }
    let bobs = bob.say(&id, "of bob").await;
    let mut held = Replica::fresh(&bob).await;
    assert_eq!(held.of(&id).texts(), ["one", "two", "three", "of bob"]);

    let at = |rest: &str| format!("/conversations/{id}{rest}");
    alice.patch(&at("/messages/1"), json!({"content": "one, edited"})).await.is(200);
    alice.delete(&at("/messages/2")).await.is(200);
    carol.put(&at("/messages/3/reactions/%F0%9F%8E%89")).await.is(200);
    carol.mark_read(&id, bobs["seq"].as_u64().unwrap()).await;
    alice.post(&at("/members"), json!({"user_ids": [erin.id]})).await.is(200);
    alice.delete(&at(&format!("/members/{}", dave.id))).await.is(200);
    alice.patch(&at(&format!("/members/{}", carol.id)), json!({"role": "admin"})).await.is(200);
    alice
        .patch(&at(""), json!({"name": "after", "settings": {"history_for": "all"}}))
        .await
        .is(200);
    held.level(&bob).await;

    let now = held.of(&id);
    assert_eq!(now.texts(), ["one, edited", "-", "three", "of bob"]);
    assert!(now.messages[&1]["edited_at"].is_u64() && now.messages[&2]["deleted_at"].is_u64());
    assert_eq!(now.messages[&2]["deleted_by"], alice.id);
    let reaction = &now.messages[&3]["reactions"][0];
    assert_eq!((&reaction["count"], &reaction["user_ids"]), (&json!(1), &json!([carol.id])));
    assert_eq!(now.marks[&carol.id], (4, 4), "carol has read it");
    assert_eq!(now.members[&erin.id]["joined_seq"], 5);
    assert_eq!(now.members[&dave.id]["left_seq"], 4);
    assert_eq!(now.members[&carol.id]["role"], "admin");
    assert_eq!(now.entry["conversation"]["name"], "after");
    assert_eq!(now.entry["conversation"]["settings"]["history_for"], "all");
    assert_eq!(now.entry["conversation"]["member_count"], 4);
    assert_eq!(held.resets, 0);
    same_as_fresh(&held, &bob).await;
}

/// A device that followed equals one that starts anew, conversation by conversation.
async fn same_as_fresh(held: &Replica, user: &User) {
    let fresh = Replica::fresh(user).await;
    let names = |replica: &Replica| replica.conversations.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(held), names(&fresh));
    for (id, fresh) in &fresh.conversations {
        let held = held.of(id);
        assert_eq!(held.messages, fresh.messages);
        // Who has left asks later than the others were told of, and sees the own row only.
        if fresh.entry["membership"].get("left_seq").is_none() {
            assert!(held.members.keys().eq(fresh.members.keys()));
        }
        for (user, member) in &fresh.members {
            for field in ["role", "joined_seq", "left_seq", "rev"] {
                assert_eq!(held.members[user][field], member[field], "{field} of {user}");
            }
        }
        assert_eq!(held.entry, fresh.entry);
        assert_eq!((held.rev, &held.history), (fresh.rev, &fresh.history));
    }
}

/// C4 for the list itself: what is done to one's own view on one device reaches the other.
#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_own_list_arrive_on_the_other_device() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    alice.say(&id, "hello").await;
    let mut held = Replica::fresh(&bob).await;
    let path = format!("/conversations/{id}/inbox");
    let body = json!({"pinned": true, "muted_until": 4_000_000_000_000_u64, "archived": true,
        "marked_unread": true, "hidden_to": 1});
    let answer = bob.patch(&path, body).await.is(200);
    let (entries, _) = held.level(&bob).await;
    assert_eq!(entries.len(), 1);
    let inbox = &held.of(&id).entry["inbox"];
    assert_eq!(inbox, &answer);
    for (field, value) in [
        ("pinned", json!(true)),
        ("muted_until", json!(4_000_000_000_000_u64)),
        ("archived", json!(true)),
        ("marked_unread", json!(true)),
        ("hidden_to", json!(1)),
    ] {
        assert_eq!(inbox[field], value, "{field}");
    }
    assert_eq!(alice.entry(&id).await["inbox"]["pinned"], false, "nobody else's list changed");
    let (entries, removed) = held.level(&bob).await;
    assert!(entries.is_empty() && removed.is_empty(), "nothing new: {entries:?}");
}

/// Sends many messages of one user quickly: 200 under way at a time.
pub(crate) async fn flood(
    device: &mut Device,
    conversation: &str,
    texts: impl Iterator<Item = String>,
) {
    let mut waiting = std::collections::VecDeque::new();
    for text in texts {
        let data = json!({"conversation_id": conversation, "content": text});
        waiting.push_back(device.tell("send_message", data).await);
        if waiting.len() == 200 {
            let answer = device.answer(waiting.pop_front().unwrap()).await;
            assert_eq!(answer["type"], "message_sent", "{answer}");
        }
    }
    for id in waiting {
        assert_eq!(device.answer(id).await["type"], "message_sent");
    }
}

/// C6: a thousand messages of one millisecond page completely in both directions, by seq, by message
/// id and from a time.
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_one_millisecond_page_completely() {
    const ALL: u64 = 1_200;
    const NOW: i64 = 1_800_000_000_000;
    let clock = Arc::new(ManualClock::new(NOW));
    let (_world, [alice, bob]) = World::start_at(["alice", "bob"], clock, |_| {}).await;
    let id = alice.direct(&bob).await;
    let mut device = alice.connect().await;
    flood(&mut device, &id, (1..=ALL).map(|n| format!("m{n}"))).await;
    let whole: Vec<u64> = (1..=ALL).collect();

    let mut up = Vec::new();
    let mut at = json!(0);
    loop {
        let page = bob.page(&id, &format!("?limit=97&after={}", plain(&at))).await;
        let messages = page["messages"].as_array().unwrap();
        assert!(messages.iter().all(|message| message["timestamp"] == NOW));
        up.extend(numbers(&page["messages"], "seq"));
        at = messages.last().unwrap()["message_id"].clone();
        if page["has_more_after"] == false {
            break;
        }
    }
    assert_eq!(up, whole, "upwards by message id");

    let mut down = Vec::new();
    let mut at = None;
    loop {
        let query = at.map_or("?limit=200".to_owned(), |seq| format!("?limit=200&before={seq}"));
        let page = bob.page(&id, &query).await;
        let mut seqs = numbers(&page["messages"], "seq");
        at = seqs.first().copied();
        seqs.reverse();
        down.extend(seqs);
        if page["has_more_before"] == false {
            break;
        }
    }
    down.reverse();
    assert_eq!(down, whole, "downwards by seq");

    let early = bob.page(&id, &format!("?limit=5&after={}", NOW - 1)).await;
    assert_eq!(numbers(&early["messages"], "seq"), [1, 2, 3, 4, 5]);
    let late = bob.page(&id, &format!("?limit=5&before={}", NOW + 1)).await;
    assert_eq!(numbers(&late["messages"], "seq"), [ALL - 4, ALL - 3, ALL - 2, ALL - 1, ALL]);
    let around = bob.page(&id, "?limit=5&around=600").await;
    assert_eq!(numbers(&around["messages"], "seq"), [598, 599, 600, 601, 602]);
    let seconds = bob.page(&id, &format!("?limit=2&after={}", NOW / 1_000 - 1)).await;
    assert_eq!(numbers(&seconds["messages"], "seq"), [1, 2]);

    let mut simple = Vec::new();
    for offset in (0..ALL).step_by(200) {
        let path = format!("/dialog/{}/list?limit=200&offset={offset}", alice.id);
        let list = bob.get(&path).await.is(200);
        assert_eq!(list["total"], ALL);
        simple.extend(numbers(&list["messages"], "seq"));
    }
    simple.reverse();
    assert_eq!(simple, whole, "the simple API");
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `SyncTimelineGap`: a gap longer than any page is followed to its end, in rev order, without a hole.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_gap_is_followed_to_its_end() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    alice.say(&id, "known").await;
    let held = Replica::fresh(&bob).await;
    let (rev, history) = (held.of(&id).rev, held.of(&id).history.clone());
    let mut device = alice.connect().await;
    flood(&mut device, &id, (2..=450).map(|n| format!("m{n}"))).await;

    let sync = bob.get(&format!("/sync?cursor={}", held.cursor.unwrap())).await.is(200);
    let entry = &sync["conversations"][0];
    assert_eq!(entry["last_message"]["content"], "m450");
    assert_eq!(entry["unread"], 450);
    let (mut since, mut seqs, mut answers) = (rev, Vec::new(), 0);
    loop {
        let path =
            format!("/conversations/{id}/changes?since_rev={since}&history={history}&limit=100");
        let answer = bob.get(&path).await.is(200);
        assert_eq!(answer["reset"], false);
        seqs.extend(numbers(&answer["messages"], "seq"));
        let next = answer["rev"].as_u64().unwrap();
        assert!(next > since, "each answer gets further: {answer}");
        since = next;
        answers += 1;
        if answer["more"] == false {
            break;
        }
    }
    assert_eq!(seqs, (2..=450).collect::<Vec<_>>());
    assert!(answers >= 5 && entry["conversation"]["rev"] == since);
}

/// `GappedSyncLeaveSection`: removed while offline, after more than a page: everything up to then, and
/// nothing behind it.
#[tokio::test(flavor = "multi_thread")]
async fn removed_while_offline_one_reads_up_to_the_removal() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.group("group", &[&bob]).await;
    alice.say(&id, "known").await;
    let mut held = Replica::fresh(&bob).await;
    let mut device = alice.connect().await;
    flood(&mut device, &id, (2..=250).map(|n| format!("m{n}"))).await;
    alice.delete(&format!("/conversations/{id}/members/{}", bob.id)).await.is(200);
    flood(&mut device, &id, (251..=300).map(|n| format!("m{n}"))).await;

    let (entries, removed) = held.level(&bob).await;
    assert!(removed.is_empty(), "who left keeps it in the list");
    let entry = &entries[0];
    assert_eq!((&entry["membership"]["left_seq"], &entry["unread"]), (&json!(250), &json!(0)));
    assert_eq!(entry["last_message"]["seq"], 250, "{entry}");
    let seqs: Vec<u64> = held.of(&id).messages.keys().copied().collect();
    assert_eq!(seqs, (1..=250).collect::<Vec<_>>());
    let page = bob.page(&id, "?limit=200").await;
    assert_eq!((&page["head_seq"], &page["has_more_after"]), (&json!(250), &json!(false)));
    assert_eq!(numbers(&page["messages"], "seq").last(), Some(&250));
    same_as_fresh(&held, &bob).await;
}

/// `CumulativeJoinLeaveJoinSync`: joined, removed and joined again between two syncs is being a member.
#[tokio::test(flavor = "multi_thread")]
async fn joining_leaving_and_joining_between_two_syncs_is_joining() {
    let (_world, [alice, bob, carol]) = World::start(["alice", "bob", "carol"]).await;
    let id = alice.group("group", &[&carol]).await;
    alice.say(&id, "before").await;
    let mut held = Replica::fresh(&bob).await;
    let mut other = Replica::fresh(&carol).await;
    assert!(held.conversations.is_empty());
    let members = format!("/conversations/{id}/members");
    let own = format!("{members}/{}", bob.id);
    alice.post(&members, json!({"user_ids": [bob.id]})).await.is(200);
    alice.say(&id, "first stay").await;
    bob.delete(&own).await.is(200);
    alice.say(&id, "away").await;
    alice.post(&members, json!({"user_ids": [bob.id]})).await.is(200);
    alice.say(&id, "second stay").await;

    let (entries, removed) = held.level(&bob).await;
    assert_eq!((entries.len(), removed.len()), (1, 0));
    let entry = &entries[0];
    assert!(entry["membership"].get("left_seq").is_none_or(Value::is_null), "{entry}");
    assert_eq!((&entry["membership"]["joined_seq"], &entry["unread"]), (&json!(4), &json!(1)));
    assert_eq!(held.of(&id).texts(), ["second stay"], "of an absence nothing is shown");
    same_as_fresh(&held, &bob).await;
    other.level(&carol).await;
    assert_eq!(other.of(&id).members[&bob.id]["joined_seq"], 4);
    same_as_fresh(&other, &carol).await;
}

/// A deleted group leaves every list, and is not found any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_group_is_removed_from_every_list() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.group("group", &[&bob]).await;
    alice.say(&id, "hello").await;
    let mut held = Replica::fresh(&bob).await;
    alice.delete(&format!("/conversations/{id}")).await.is(204);
    for user in [&alice, &bob] {
        user.get(&format!("/conversations/{id}")).await.refused(404, "not_found");
        user.get(&format!("/conversations/{id}/messages")).await.refused(404, "not_found");
        let list = user.get("/conversations").await.is(200);
        assert_eq!(list["conversations"], json!([]));
    }
    let (_, removed) = held.level(&bob).await;
    assert_eq!(removed, [json!(id)]);
    assert_eq!(bob.get("/conversations/unread").await.is(200)["total"], 0);
}

/// C13: a client that ignores `sync_required` and `inbox_updated` keeps its socket, hears what comes
/// next, and finds everything when it looks.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_ignores_lost_events_is_left_alone() {
    const ALL: usize = 1_500;
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let mut naive = bob.connect().await;
    let mut speaker = alice.connect().await;
    // So much that it fits neither into the operating system's buffers nor into the outbox.
    let bulk = "x".repeat(9_900);
    flood(&mut speaker, &id, (0..ALL).map(|n| format!("{n} {bulk}"))).await;
    naive.event("sync_required").await;
    naive.heartbeat().await;
    assert!(naive.seen("new_message").len() < ALL, "events were dropped");
    alice.say(&id, "afterwards").await;
    naive.hears("afterwards").await;
    naive.say(&id, "from the same socket").await;
    assert_eq!(naive.seen("hello").len(), 1);
    let (mut seq, mut last) = (0, 0);
    for message in naive.seen("new_message") {
        let (this, rev) = (message["seq"].as_u64().unwrap(), message["rev"].as_u64().unwrap());
        assert!(this > seq && rev > last, "what came, came in order and once");
        (seq, last) = (this, rev);
    }
    let page = bob.page(&id, "?limit=3").await;
    assert_eq!(texts(&page["messages"])[1..], ["afterwards", "from the same socket"]);
    assert_eq!(page["head_seq"], ALL as u64 + 2);
    assert_eq!(bob.entry(&id).await["unread"], 0, "one's own message reads what is before it");
}

/// C14: the server is killed in the middle of sends. Everybody comes back by the same token, nothing
/// acked is lost, what is sent again is there once, in one order.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_no_acked_message_and_everybody_comes_back() {
    let (mut child, users) = Child::start(&["alice", "bob"]).await;
    let (alice, bob) = (&users[0], &users[1]);
    let id = alice.direct(bob).await;
    let mut held = Replica::fresh(bob).await;
    let mut sent: Vec<(u64, u64)> = Vec::new();
    for round in 0..3_u64 {
        let mut listener = bob.connect().await;
        let mut speaker = alice.connect().await;
        let numbers = round * 300..(round + 1) * 300;
        let body = |n: u64| json!({"conversation_id": id, "content": format!("m{n}"), "client_id": format!("c{n}")});
        let mut waiting = Vec::new();
        for n in numbers.clone() {
            waiting.push((n, speaker.tell("send_message", body(n)).await));
        }
        // A hundred answers are in hand; of the others nobody knows.
        let mut acked = Vec::new();
        for (n, reference) in &waiting[..100] {
            let answer = speaker.answer(*reference).await;
            acked.push((answer["data"]["seq"].as_u64().unwrap(), *n));
        }
        child.kill().await;
        child.go_on().await;
        assert!((1000..=4999).contains(&listener.closed().await.0));

        held.level(bob).await;
        for (seq, n) in &acked {
            assert_eq!(held.of(&id).messages[seq]["content"], format!("m{n}"), "acked and lost");
        }
        let mut speaker = alice.connect().await;
        for n in numbers {
            let again = speaker.good("send_message", body(n)).await;
            let seq = again["seq"].as_u64().unwrap();
            assert!(acked.iter().all(|(s, m)| (*s == seq) == (*m == n)), "moved or doubled");
            sent.push((seq, n));
        }
    }
    sent.sort_unstable();
    let seqs: Vec<u64> = sent.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(seqs, (1..=900).collect::<Vec<_>>(), "each once, without a gap");
    held.level(bob).await;
    let texts: Vec<String> = sent.iter().map(|(_, n)| format!("m{n}")).collect();
    assert_eq!(held.of(&id).texts(), texts);
    assert_eq!(held.resets, 0, "a crash keeps the line of numbers");
    same_as_fresh(&held, bob).await;
    let mut listener = bob.connect().await;
    alice.say(&id, "still here").await;
    listener.hears("still here").await;
}
