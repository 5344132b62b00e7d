//! Invite links and bans over the wire: who may, what they lead to, and that uses are counted exactly.

use serde_json::{Value, json};

use crate::world::{User, World, numbers};

async fn invite(user: &User, id: &str, body: Value) -> (String, Value) {
    let made = user.post(&format!("/conversations/{id}/invites"), body).await.is(201);
    (made["token"].as_str().unwrap().to_owned(), made["invite"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_link_sees_where_it_leads_and_joins() {
    let (_world, [owner, eve]) = World::start(["owner", "eve"]).await;
    let id = owner.group("supper club", &[]).await;
    owner.say(&id, "before").await;
    let (token, link) = invite(&owner, &id, json!({})).await;
    assert!(!link.to_string().contains(&token));
    let seen = eve.get(&format!("/join/{token}")).await.is(200);
    assert_eq!(seen, json!({"conversation_id": id, "name": "supper club", "member_count": 1}));
    let mut phone = eve.connect().await;
    let mut desk = owner.connect().await;
    let entry = eve.post(&format!("/join/{token}"), json!({})).await.is(200);
    assert_eq!(entry["conversation"]["conversation_id"], json!(id));
    assert_eq!(entry["membership"]["joined_seq"], 2);
    let told = desk.event("member_updated").await;
    assert_eq!(told["member"]["user_id"], json!(eve.id));
    assert_eq!(phone.event("member_updated").await["rev"], told["rev"]);
    assert_eq!(desk.event("conversation_updated").await["member_count"], 2);
    assert_eq!(eve.page(&id, "").await["messages"], json!([]), "the past is not hers");
    eve.say(&id, "hello").await;
    // Once more uses nothing up.
    eve.post(&format!("/join/{token}"), json!({})).await.is(200);
    let list = owner.get(&format!("/conversations/{id}/invites")).await.is(200);
    assert_eq!(numbers(&list["invites"], "uses"), [1]);
    eve.get(&format!("/conversations/{id}/invites")).await.refused(403, "forbidden");

    let name = link["invite_id"].as_str().unwrap();
    let path = format!("/conversations/{id}/invites/{name}");
    eve.delete(&path).await.refused(403, "forbidden");
    owner.delete(&path).await.is(204);
    owner.delete(&path).await.is(204);
    owner.get(&format!("/join/{token}")).await.refused(404, "not_found");
    let list = owner.get(&format!("/conversations/{id}/invites")).await.is(200);
    assert_eq!(list["invites"], json!([]));
    // A later link at the same place is not ended by the old name.
    let (token, _) = invite(&owner, &id, json!({})).await;
    owner.delete(&path).await.refused(404, "not_found");
    eve.get(&format!("/join/{token}")).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_for_three_lets_three_in_however_many_come_at_once() {
    let names = ["owner", "a", "b", "c", "d", "e", "f", "g"];
    let (world, [owner, rest @ ..]) = World::start(names).await;
    let id = owner.group("g", &[]).await;
    let (token, _) = invite(&owner, &id, json!({"max_uses": 3})).await;
    let path = format!("/join/{token}");
    let tries = rest.iter().map(|user| {
        let (user, path) = (user.clone(), path.clone());
        tokio::spawn(async move { user.post(&path, json!({})).await.status })
    });
    let tries: Vec<_> = tries.collect();
    let mut answers = Vec::new();
    for one in tries {
        answers.push(one.await.unwrap());
    }
    answers.sort_unstable();
    assert_eq!(answers, [200, 200, 200, 404, 404, 404, 404]);
    assert_eq!(owner.entry(&id).await["conversation"]["member_count"], 4);
    drop(world);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_link_leads_nowhere() {
    let (_world, [owner, eve]) = World::start(["owner", "eve"]).await;
    let id = owner.group("g", &[]).await;
    let (token, _) = invite(&owner, &id, json!({})).await;
    let guessed = format!("{}AAAAAAAA", &token[..token.len() - 8]);
    for wrong in [guessed.as_str(), "x", &token[1..], &"A".repeat(44), &"A".repeat(4_000)] {
        eve.get(&format!("/join/{wrong}")).await.refused(404, "not_found");
        eve.post(&format!("/join/{wrong}"), json!({})).await.refused(404, "not_found");
    }
    let path = format!("/conversations/{id}/invites");
    owner.post(&path, json!({"expires_at": 1})).await.refused(422, "invalid");
    owner.post(&path, json!({"max_uses": 0})).await.refused(422, "invalid");
    let direct = owner.direct(&eve).await;
    let path = format!("/conversations/{direct}/invites");
    owner.post(&path, json!({})).await.refused(409, "conflict");
    owner.delete(&format!("/conversations/{id}")).await.is(204);
    eve.post(&format!("/join/{token}"), json!({})).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_removes_keeps_out_and_is_lifted() {
    let (mut world, [owner, member, eve]) = World::start(["owner", "member", "eve"]).await;
    let id = owner.group("g", &[&member]).await;
    let (token, _) = invite(&owner, &id, json!({})).await;
    let bans = format!("/conversations/{id}/bans");
    let mut phone = member.connect().await;
    owner.post(&bans, json!({"user_id": member.id})).await.is(200);
    let told = phone.event("member_updated").await;
    assert!(told["member"]["left_seq"].is_u64(), "{told}");
    owner.post(&bans, json!({"user_id": eve.id, "until": 4_000_000_000_000_u64})).await.is(200);
    world.restart().await;
    let list = owner.get(&bans).await.is(200);
    assert_eq!(numbers(&list["bans"], "user_id"), [member.id, eve.id]);
    assert_eq!(list["bans"][1]["until"], 4_000_000_000_000_u64);
    let page = owner.get(&format!("{bans}?limit=1")).await.is(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    let page = owner.get(&format!("{bans}?limit=1&cursor={cursor}")).await.is(200);
    assert_eq!(numbers(&page["bans"], "user_id"), [eve.id]);
    let members = format!("/conversations/{id}/members");
    for user in [&member, &eve] {
        user.post(&format!("/join/{token}"), json!({})).await.refused(403, "forbidden");
        let add = json!({"user_ids": [user.id]});
        owner.post(&members, add).await.refused(409, "conflict");
        user.get(&bans).await;
    }
    owner.delete(&format!("{bans}/{}", member.id)).await.is(200);
    member.post(&format!("/join/{token}"), json!({})).await.is(200);
    member.get(&bans).await.refused(403, "forbidden");
    let list = owner.get(&bans).await.is(200);
    assert_eq!(numbers(&list["bans"], "user_id"), [eve.id]);
}
