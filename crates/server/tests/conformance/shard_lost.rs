//! A shard whose database dies, hangs or has no room while people talk: it alone is refused, at once and with a time to wait, and
//! serves again by itself.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use ostracon_domain::{ConversationId, PlacementMap, ShardId, UserId};
use ostracon_server::{Config, config::Shard};
use ostracon_store_postgres::testing::Server;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    device::Device,
    world::{User, World, within},
};

const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
/// The shard that stays, and the one that is lost.
const NEAR: ShardId = ShardId(0);
const FAR: ShardId = ShardId(1);
/// Sends under way when the shard is lost.
const UNDER_WAY: usize = 32;
/// Nothing of the shard that stays may wait longer, on a machine that does much else.
const PROMPT: Duration = Duration::from_secs(3);

/// The first two users whose conversation is on a shard and whose lists are on the one that stays.
fn pair(users: &[User], shard: ShardId) -> (User, User) {
    let map = PlacementMap::initial(&[NEAR, FAR]);
    let id = |user: &User| UserId::new(user.id).unwrap();
    let near: Vec<_> = users
        .iter()
        .filter(|user| map.home(map.unit_of_user(id(user))).unwrap().shard == NEAR)
        .collect();
    let pairs = near.iter().flat_map(|one| near.iter().map(move |other| (*one, *other)));
    let mut fitting = pairs.filter(|(one, other)| {
        let direct = ConversationId::direct(id(one), id(other));
        one.id < other.id && map.home(map.unit_of(direct)).unwrap().shard == shard
    });
    let (one, other) = fitting.next().expect("so many users have such a pair");
    (one.clone(), other.clone())
}

fn tell(server: &Server, command: &str) {
    tokio::task::block_in_place(|| server.tell(command));
}

/// Talks until it is told to stop; every message is answered. How many, and the longest wait.
async fn talk(
    mut device: Device,
    conversation: String,
    stop: CancellationToken,
) -> (u64, Duration) {
    let (mut said, mut longest) = (0, Duration::ZERO);
    while !stop.is_cancelled() {
        let begun = Instant::now();
        device.say(&conversation, &format!("{said}")).await;
        longest = longest.max(begun.elapsed());
        said += 1;
    }
    (said, longest)
}

/// Sends until it is taken, with the pauses that it is told.
async fn send_until_taken(user: &User, path: &str, body: &Value) {
    let taken = async {
        loop {
            let reply = user.post(path, body.clone()).await;
            if matches!(reply.status, 200 | 201) {
                return;
            }
            let error = reply.refused(503, "shard_unavailable");
            let wait = error["retry_after_ms"].as_u64().unwrap();
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
    };
    within("the shard to serve again", taken).await;
}

/// Puts each shard on a server of its own.
fn shards_on(config: &mut Config, stays: &Server, lost: &Server) {
    let shard = |id: ShardId, server: &Server| Shard {
        id: u16::try_from(id.0).unwrap(),
        url: server.url().as_str().into(),
        ..Shard::default()
    };
    config.shards = vec![shard(NEAR, stays), shard(FAR, lost)];
}

async fn is_lost_alone(lose: &str, bring_back: &str) {
    let (stays, lost) = tokio::task::block_in_place(|| (Server::start(), Server::start()));
    let (world, users) = World::start_with(NAMES, |config| shards_on(config, &stays, &lost)).await;
    let (near, near_peer) = pair(&users, NEAR);
    let (far, far_peer) = pair(&users, FAR);
    let near_id = near.direct(&near_peer).await;
    let far_id = far.direct(&far_peer).await;
    far.say(&far_id, "before").await;
    let path = format!("/conversations/{far_id}/messages");
    let stop = CancellationToken::new();
    let talking = tokio::spawn(talk(near.connect().await, near_id, stop.clone()));

    let mut device = far.connect().await;
    let body = |n: usize| json!({"content": format!("m{n}"), "client_id": format!("c{n}")});
    let mut under_way = Vec::new();
    for n in 0..UNDER_WAY {
        let mut send = body(n);
        send["conversation_id"] = far_id.as_str().into();
        under_way.push(device.tell("send_message", send).await);
    }
    tell(&lost, lose);
    // Each is answered, one way or the other.
    let mut acked = Vec::new();
    for (n, reference) in under_way.into_iter().enumerate() {
        let answer = device.answer(reference).await;
        if answer["type"] == "error" {
            assert_eq!(answer["data"]["code"], "shard_unavailable", "{answer}");
        } else {
            acked.push(n);
        }
    }
    let refused = far.post(&path, body(UNDER_WAY)).await;
    let error = refused.refused(503, "shard_unavailable");
    assert!(error["retry_after_ms"].as_u64().is_some_and(|ms| ms > 0), "{error}");
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds != "0"));

    // From now on nobody waits.
    let begun = Instant::now();
    for n in 0..20 {
        far.post(&path, body(n)).await.refused(503, "shard_unavailable");
        far.get(&path).await.refused(503, "shard_unavailable");
        let send = json!({"conversation_id": far_id, "content": "x", "client_id": "x"});
        device.refused("send_message", send, "shard_unavailable").await;
    }
    assert!(begun.elapsed() < PROMPT, "60 refusals took {:?}", begun.elapsed());
    let ready = world.call("GET", "/readyz", None).await.is(200);
    assert_eq!(ready["shards"]["0"], "ok", "{ready}");
    assert_ne!(ready["shards"]["1"], "ok", "{ready}");
    assert!(ready["reasons"].to_string().contains("Shard 1"), "{ready}");

    tell(&lost, bring_back);
    for n in 0..=UNDER_WAY {
        send_until_taken(&far, &path, &body(n)).await;
    }
    let page = far.page(&far_id, "?limit=100").await;
    let texts = page["messages"].as_array().unwrap().iter();
    let texts: Vec<_> = texts.map(|message| message["content"].as_str().unwrap()).collect();
    let once: BTreeSet<_> = texts.iter().collect();
    assert_eq!(once.len(), texts.len(), "doubled: {texts:?}");
    for n in 0..=UNDER_WAY {
        assert!(texts.contains(&format!("m{n}").as_str()), "m{n} (acked: {acked:?}) of {texts:?}");
    }
    let ready = world.call("GET", "/readyz", None).await.is(200);
    assert_eq!(ready["shards"]["1"], "ok", "{ready}");

    stop.cancel();
    let (said, longest) = talking.await.unwrap();
    assert!(said > 10 && longest < PROMPT, "{said} messages, the longest took {longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_whose_database_dies_is_lost_alone() {
    is_lost_alone("kill", "restart").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_whose_database_hangs_is_lost_alone() {
    is_lost_alone("pause", "resume").await;
}

/// Messages sent until the disk has no room for one.
const FILLING_MAX: usize = 20_000;

/// A disk that is full fails writes, not reads; nothing that was acked goes, nothing comes twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_shard_whose_database_has_no_room_refuses_writes_alone() {
    let (stays, full) = tokio::task::block_in_place(|| (Server::start(), Server::start()));
    if !tokio::task::block_in_place(|| full.has_small_disk()) {
        eprintln!("mounting is not allowed here: no disk was filled");
        return;
    }
    let (_world, users) = World::start_with(NAMES, |config| shards_on(config, &stays, &full)).await;
    let (near, near_peer) = pair(&users, NEAR);
    let (far, far_peer) = pair(&users, FAR);
    let near_id = near.direct(&near_peer).await;
    let far_id = far.direct(&far_peer).await;
    far.say(&far_id, "before").await;
    let path = format!("/conversations/{far_id}/messages");
    let stop = CancellationToken::new();
    let talking = tokio::spawn(talk(near.connect().await, near_id, stop.clone()));

    tell(&full, "fill");
    let body = |n: usize| {
        let content = format!("m{n} {}", "x".repeat(4_000));
        json!({"content": content, "client_id": format!("c{n}")})
    };
    let mut acked = 0;
    let refused = loop {
        assert!(acked < FILLING_MAX, "nothing was refused");
        let reply = far.post(&path, body(acked)).await;
        if reply.status != 201 {
            break reply;
        }
        acked += 1;
    };
    let error = refused.refused(503, "shard_unavailable");
    assert!(error["retry_after_ms"].as_u64().is_some_and(|ms| ms > 0), "{error}");
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds != "0"));
    let begun = Instant::now();
    for n in acked..acked + 20 {
        far.post(&path, body(n)).await.refused(503, "shard_unavailable");
        far.get(&path).await.is(200);
    }
    assert!(begun.elapsed() < PROMPT, "40 calls took {:?}", begun.elapsed());

    tell(&full, "empty");
    for n in 0..acked + 20 {
        send_until_taken(&far, &path, &body(n)).await;
    }
    let mut texts = Vec::new();
    loop {
        let page = far.page(&far_id, &format!("?limit=200&after={}", texts.len())).await;
        let messages = page["messages"].as_array().unwrap();
        if messages.is_empty() {
            break;
        }
        for message in messages {
            let text = message["content"].as_str().unwrap();
            texts.push(text.split(' ').next().unwrap().to_owned());
        }
    }
    let expected = (0..acked + 20).map(|n| format!("m{n}"));
    let expected: Vec<_> = std::iter::once("before".to_owned()).chain(expected).collect();
    assert_eq!(texts, expected);

    stop.cancel();
    let (said, longest) = talking.await.unwrap();
    assert!(said > 10 && longest < PROMPT, "{said} messages, the longest took {longest:?}");
}

/// Pages from a replica, for those who say how far they must reach.
#[tokio::test(flavor = "multi_thread")]
async fn pages_are_read_from_a_replica_while_the_shard_is_lost() {
    let (server, replica) = tokio::task::block_in_place(|| {
        let server = Server::start();
        let replica = server.replica();
        (server, replica)
    });
    let (world, [alice, bob]) = World::start_with(["alice", "bob"], |config| {
        let (url, replica) = (server.url().as_str().into(), replica.as_str().into());
        config.shards = vec![Shard { id: 0, url, replica }];
    })
    .await;
    let id = alice.direct(&bob).await;
    for text in ["one", "two"] {
        alice.say(&id, text).await;
    }
    let page = alice.page(&id, "").await;
    assert!(page.get("stale").is_none(), "{page}");
    let rev = page["rev"].as_u64().unwrap();
    let path = format!("/conversations/{id}/messages");
    let reaching = |rev: u64| format!("{path}?min_rev={rev}");

    tell(&server, "kill");
    alice.get(&path).await.refused(503, "shard_unavailable");
    // The replica may have to apply what it received.
    let older = async {
        loop {
            let reply = alice.get(&reaching(rev)).await;
            if reply.status == 200 {
                return reply.is(200);
            }
            reply.refused(503, "shard_unavailable");
        }
    };
    let older = within("the replica", older).await;
    assert_eq!(older["stale"], true, "{older}");
    assert_eq!(older["messages"], page["messages"]);
    alice.get(&reaching(rev + 1)).await.refused(503, "shard_unavailable");
    let stranger = world.user("stranger").await;
    stranger.get(&reaching(1)).await.refused(404, "not_found");

    tell(&server, "restart");
    send_until_taken(&alice, &path, &json!({"content": "three", "client_id": "c"})).await;
    let page = alice.get(&reaching(rev)).await.is(200);
    assert!(page.get("stale").is_none(), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_without_a_shard_and_gets_it_later() {
    let (stays, lost) = tokio::task::block_in_place(|| (Server::start(), Server::start()));
    let (mut world, users) =
        World::start_with(NAMES, |config| shards_on(config, &stays, &lost)).await;
    let (near, near_peer) = pair(&users, NEAR);
    let (far, far_peer) = pair(&users, FAR);
    let near_id = near.direct(&near_peer).await;
    let far_id = far.direct(&far_peer).await;
    far.say(&far_id, "before").await;
    let path = format!("/conversations/{far_id}/messages");
    let body = json!({"content": "after", "client_id": "c"});

    tell(&lost, "kill");
    world.restart().await;
    near.say(&near_id, "the others are served").await;
    far.post(&path, body.clone()).await.refused(503, "shard_unavailable");
    let ready = world.call("GET", "/readyz", None).await.is(200);
    assert_ne!(ready["shards"]["1"], "ok", "{ready}");

    tell(&lost, "restart");
    let mut device = far_peer.connect().await;
    send_until_taken(&far, &path, &body).await;
    device.hears("after").await;
    let page = far.page(&far_id, "?limit=10").await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 2, "{page}");
}
