//! One order on every device, and numbers that never go back.

use std::sync::Arc;

use ostracon_engine::ManualClock;
use serde_json::{Value, json};

use crate::{
    device::Device,
    replica::Replica,
    world::{User, World},
};

const IN_FLIGHT: usize = 32;

/// Sends with 32 under way; the seqs of the answers, in the order of sending.
async fn burst(device: &mut Device, conversation: &str, name: &str, count: usize) -> Vec<u64> {
    let mut waiting = std::collections::VecDeque::new();
    let mut seqs = Vec::new();
    for n in 0..count {
        let data = json!({"conversation_id": conversation, "content": format!("{name}{n}"),
            "client_id": format!("{name}{n}")});
        waiting.push_back(device.tell("send_message", data).await);
        if waiting.len() == IN_FLIGHT {
            let answer = device.answer(waiting.pop_front().unwrap()).await;
            seqs.push(answer["data"]["seq"].as_u64().unwrap());
        }
    }
    for id in waiting {
        seqs.push(device.answer(id).await["data"]["seq"].as_u64().unwrap());
    }
    seqs
}

/// What a device heard of a conversation, answers to its own sends included, by arrival.
fn heard(device: &Device) -> Vec<(u64, u64, String)> {
    let messages = device.log.iter().filter_map(|frame| match frame["type"].as_str().unwrap() {
        "new_message" => Some(&frame["data"]),
        "message_sent" => Some(&frame["data"]["message"]),
        _ => None,
    });
    let row = |message: &Value| {
        let number = |field: &str| message[field].as_u64().unwrap();
        (number("seq"), number("rev"), message["content"].as_str().unwrap().to_owned())
    };
    messages.map(row).collect()
}

/// Reads until the device has heard of this seq.
async fn hears_up_to(device: &mut Device, seq: u64) {
    if heard(device).last().is_none_or(|last| last.0 < seq) {
        device.event_where("new_message", |message| message["seq"] == seq).await;
    }
}

/// C19: a thousand from one sender with 32 in flight arrive in the order of sending, on every device.
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_keeps_its_order_on_all_devices() {
    const ALL: usize = 1_000;
    let (world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let mut watchers = vec![bob.connect().await, bob.connect().await];
    watchers.push(world.session(&alice).await.connect().await);
    let mut speaker = alice.connect().await;
    let seqs = burst(&mut speaker, &id, "m", ALL).await;
    assert_eq!(seqs, (1..=ALL as u64).collect::<Vec<_>>());
    let wanted: Vec<String> = (0..ALL).map(|n| format!("m{n}")).collect();
    for watcher in &mut watchers {
        hears_up_to(watcher, ALL as u64).await;
        let said: Vec<String> = heard(watcher).into_iter().map(|row| row.2).collect();
        assert_eq!(said, wanted);
    }
    assert_eq!(Replica::fresh(&bob).await.of(&id).texts(), wanted);
}

/// C19: interleaved senders are seen in one order by everybody, the senders included: no answer
/// overtakes the event of an earlier change.
#[tokio::test(flavor = "multi_thread")]
async fn interleaved_senders_are_seen_in_one_order() {
    const EACH: usize = 1_000;
    let (_world, [alice, bob, carol]) = World::start(["alice", "bob", "carol"]).await;
    let id = alice.group("group", &[&bob, &carol]).await;
    let mut devices = Vec::new();
    for user in [&alice, &bob, &carol] {
        devices.push(user.connect().await);
    }
    let (mut a, mut b, mut watcher) = {
        let mut devices = devices.into_iter();
        (devices.next().unwrap(), devices.next().unwrap(), devices.next().unwrap())
    };
    let (from_a, from_b) =
        tokio::join!(burst(&mut a, &id, "a", EACH), burst(&mut b, &id, "b", EACH));
    assert!(from_a.is_sorted() && from_b.is_sorted(), "each in the order of sending");
    let all = 2 * EACH as u64;
    for device in [&mut a, &mut b, &mut watcher] {
        hears_up_to(device, all).await;
        let rows = heard(device);
        let seqs: Vec<u64> = rows.iter().map(|row| row.0).collect();
        assert_eq!(seqs, (1..=all).collect::<Vec<_>>(), "by arrival, answers included");
        assert!(rows.is_sorted_by(|one, next| one.1 < next.1), "rev rises");
    }
    assert_eq!(heard(&a), heard(&watcher));
    assert_eq!(heard(&b), heard(&watcher));
}

/// C19: a device that works off a backlog while others talk sees one order.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_and_live_messages_join_without_a_seam() {
    const ALL: u64 = 600;
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let mut speaker = alice.connect().await;
    burst(&mut speaker, &id, "old", 200).await;
    let (reader, conversation) = (bob.clone(), id.clone());
    let follower = tokio::spawn(async move { follow(&reader, &conversation, ALL).await });
    burst(&mut speaker, &id, "new", 400).await;
    let (from_changes, from_events) = follower.await.unwrap();
    let mut joined = from_changes;
    joined.extend(from_events);
    assert_eq!(joined, (1..=ALL).collect::<Vec<_>>());
}

/// A device by the rules: seqs from `/sync` and `changes`, then those of events above.
async fn follow(user: &User, conversation: &str, until: u64) -> (Vec<u64>, Vec<u64>) {
    let mut device = user.connect().await;
    let held = Replica::fresh(user).await;
    let held = held.of(conversation);
    let mut rev = held.rev;
    let (old, mut new): (Vec<u64>, Vec<u64>) =
        (held.messages.keys().copied().collect(), Vec::new());
    while new.last().or(old.last()).copied() < Some(until) {
        let event = device.event("new_message").await;
        let this = event["rev"].as_u64().unwrap();
        if this > rev {
            assert_eq!(this, rev + 1, "no event is missing");
            rev = this;
            new.push(event["seq"].as_u64().unwrap());
        }
    }
    (old, new)
}

/// Edits, reactions and deletions keep the order too: every device hears every rev once, rising.
#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_heard_once_in_the_order_of_its_rev() {
    let (_world, [alice, bob, carol]) = World::start(["alice", "bob", "carol"]).await;
    let id = alice.group("group", &[&bob]).await;
    let mut watcher = bob.connect().await;
    let mut speaker = alice.connect().await;
    let before = alice.entry(&id).await["conversation"]["rev"].as_u64().unwrap();
    for n in 1..=20_u64 {
        let at = |data: Value| {
            let mut data = data;
            data["conversation_id"] = json!(id);
            data
        };
        speaker.tell("send_message", at(json!({"content": format!("m{n}")}))).await;
        speaker.tell("edit_message", at(json!({"seq": n, "content": format!("e{n}")}))).await;
        speaker.tell("react", at(json!({"seq": n, "emoji": "👍"}))).await;
        speaker.tell("react", at(json!({"seq": n, "emoji": "👍", "remove": true}))).await;
        if n % 2 == 0 {
            speaker.tell("delete_message", at(json!({"seq": n}))).await;
        }
    }
    speaker.heartbeat().await;
    let last = speaker.say(&id, "last").await;
    let members = format!("/conversations/{id}/members");
    alice.post(&members, json!({"user_ids": [carol.id]})).await.is(200);
    alice.patch(&format!("/conversations/{id}"), json!({"name": "renamed"})).await.is(200);
    watcher.event_where("conversation_updated", |row| row["name"] == "renamed").await;
    let events = [
        "new_message",
        "message_updated",
        "message_deleted",
        "conversation_updated",
        "member_updated",
    ];
    let heard: Vec<u64> = watcher
        .log
        .iter()
        .filter(|frame| events.contains(&frame["type"].as_str().unwrap()))
        .map(|frame| frame["data"]["rev"].as_u64().unwrap())
        .collect();
    let end = alice.entry(&id).await["conversation"]["rev"].as_u64().unwrap();
    assert!(end > last["rev"].as_u64().unwrap());
    assert_eq!(heard, (before + 1..=end).collect::<Vec<_>>());
    let own: Vec<u64> = speaker
        .log
        .iter()
        .filter_map(|frame| match frame["type"].as_str().unwrap() {
            "ok" => frame["data"]["rev"].as_u64().or(frame["data"]["message"]["rev"].as_u64()),
            "message_sent" => frame["data"]["rev"].as_u64(),
            _ => None,
        })
        .collect();
    assert_eq!(own, (before + 1..=last["rev"].as_u64().unwrap()).collect::<Vec<_>>());
}

/// Times and ids never go back inside a conversation: not when the clock does, not over a restart.
#[tokio::test(flavor = "multi_thread")]
async fn times_and_ids_never_go_back_with_the_clock() {
    const NOW: i64 = 1_800_000_000_000;
    let clock = Arc::new(ManualClock::new(NOW));
    let (mut world, [alice, bob]) =
        World::start_at(["alice", "bob"], Arc::clone(&clock) as _, |_| {}).await;
    let direct = alice.direct(&bob).await;
    let group = alice.group("group", &[&bob]).await;
    let times = [0, 5_000, -60_000, 10, -3_600_000, 20_000];
    for (round, shift) in times.iter().enumerate() {
        clock.set(NOW + shift);
        if round % 2 == 1 {
            world.restart().await;
        }
        for id in [&direct, &group] {
            for user in [&alice, &bob] {
                user.say(id, &format!("round {round}")).await;
            }
        }
    }
    let mut all = Vec::new();
    for id in [&direct, &group] {
        let page = bob.page(id, "?limit=200").await;
        let messages = page["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 2 * times.len());
        let time = |message: &Value| message["timestamp"].as_i64().unwrap();
        assert!(messages.is_sorted_by_key(time), "{page}");
        let ids: Vec<&str> =
            messages.iter().map(|message| message["message_id"].as_str().unwrap()).collect();
        assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
        assert!(ids.iter().all(|id| id.len() == 19), "{ids:?}");
        all.extend(ids.into_iter().map(str::to_owned));
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 4 * times.len(), "no id twice");
}
