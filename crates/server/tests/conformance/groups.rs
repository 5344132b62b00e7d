//! Groups over the wire: who may do what, announcements, slow mode.

use serde_json::{Value, json};

use crate::world::{User, World, numbers, texts};

async fn settings(user: &User, id: &str, settings: Value) -> crate::http::Reply {
    user.patch(&format!("/conversations/{id}"), json!({"settings": settings})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_do_what_is_set_for_each_group() {
    let (_world, [owner, admin, member, other, eve]) =
        World::start(["owner", "admin", "member", "other", "eve"]).await;
    let path = |id: &str, rest: &str| format!("/conversations/{id}{rest}");
    for level in ["everyone", "admins", "owner"] {
        let id = owner.group("g", &[&admin, &member, &other]).await;
        let role = path(&id, &format!("/members/{}", admin.id));
        owner.patch(&role, json!({"role": "admin"})).await.is(200);
        let seq = owner.say(&id, "one").await["seq"].as_u64().unwrap();
        let all = json!({"send": level, "add_members": level, "pin": level, "change": level,
            "delete_messages": level, "mention_all": level});
        let entry = settings(&owner, &id, all).await.is(200);
        let shown = &entry["conversation"]["settings"];
        assert_eq!(shown["pin"], if level == "admins" { Value::Null } else { json!(level) });
        for (rank, user) in [&member, &admin, &owner].into_iter().enumerate() {
            let may =
                rank >= ["everyone", "admins", "owner"].iter().position(|l| *l == level).unwrap();
            let tries = [
                ("send", user.post(&path(&id, "/messages"), json!({"content": "x"})).await),
                ("pin", user.put(&path(&id, &format!("/pins/{seq}"))).await),
                (
                    "add_members",
                    user.post(&path(&id, "/members"), json!({"user_ids": [eve.id]})).await,
                ),
                ("rename", user.patch(&path(&id, ""), json!({"name": "new"})).await),
            ];
            for (permission, reply) in tries {
                if may {
                    assert!(reply.status < 300, "{permission} {level} {rank}: {:?}", reply.body);
                } else {
                    let error = reply.refused(403, "forbidden");
                    assert_eq!(error["details"]["permission"], permission);
                }
            }
        }
        // Settings need an admin at least, whoever may rename.
        let refused = settings(&member, &id, json!({"history_for": "all"})).await;
        let error = refused.refused(403, "forbidden");
        assert_eq!(error["details"]["permission"], "change_settings");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_told_to_every_device_and_found_by_position() {
    let (_world, [owner, member]) = World::start(["owner", "member"]).await;
    let id = owner.group("g", &[&member]).await;
    let mut phone = member.connect().await;
    settings(&owner, &id, json!({"send": "admins", "slow_mode_s": 60})).await.is(200);
    let event = phone.event("conversation_updated").await;
    let expected = json!({"history_for": "since_joining", "send": "admins", "slow_mode_s": 60});
    assert_eq!(event["settings"], expected);
    let entry = member.get(&format!("/conversations/{id}")).await.is(200);
    assert_eq!(entry["conversation"]["settings"], expected);
    let reply = settings(&owner, &id, json!({"slow_mode_s": 21_601})).await;
    assert_eq!(reply.refused(422, "invalid")["details"]["field"], "settings.slow_mode_s");
    settings(&owner, &id, json!({"send": "everybody"})).await.refused(422, "invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_mode_says_how_long_to_wait() {
    let (_world, [owner, member]) = World::start(["owner", "member"]).await;
    let id = owner.group("g", &[&member]).await;
    settings(&owner, &id, json!({"slow_mode_s": 3_600})).await.is(200);
    let send = format!("/conversations/{id}/messages");
    let first = json!({"content": "one", "client_id": "one"});
    let sent = member.post(&send, first.clone()).await.is(201);
    let error = member.post(&send, json!({"content": "two"})).await.refused(429, "rate_limited");
    let wait = error["retry_after_ms"].as_u64().unwrap();
    assert!((3_500_000..=3_600_000).contains(&wait), "{wait}");
    let again = member.post(&send, first).await.is(200);
    assert_eq!(again["seq"], sent["seq"], "a retry is never refused");
    owner.say(&id, "one").await;
    owner.say(&id, "two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_who_comes_and_goes() {
    let told = |config: &mut ostracon_server::Config| config.groups.system_messages = true;
    let (_world, [owner, member, guest]) =
        World::start_with(["owner", "member", "guest"], told).await;
    let id = owner.group("g", &[&member]).await;
    let mut phone = member.connect().await;
    let add = json!({"user_ids": [guest.id]});
    owner.post(&format!("/conversations/{id}/members"), add).await.is(200);
    // Each change is one event, in order.
    let joined = phone.event("member_updated").await;
    let said = phone.event("new_message").await;
    let counted = phone.event("conversation_updated").await;
    let rev = joined["rev"].as_u64().unwrap();
    assert_eq!((said["rev"].clone(), counted["rev"].clone()), (json!(rev + 1), json!(rev + 2)));
    assert_eq!((&said["type"], &said["sender_id"]), (&json!("system"), &json!(owner.id)));
    let content: Value = serde_json::from_str(said["content"].as_str().unwrap()).unwrap();
    assert_eq!(content, json!({"event": "joined", "user_ids": [guest.id]}));
    assert_eq!(counted["head_seq"], 2);
    assert!(said["mark_rev"].is_null(), "nobody's marks move with it");
    // It is unread for nobody, and found as any message.
    for user in [&owner, &member, &guest] {
        let entry = user.entry(&id).await;
        assert_eq!(entry["unread"], 0, "{entry}");
        assert_eq!(entry["last_message"]["type"], "system");
    }
    assert_eq!(texts(&guest.page(&id, "").await["messages"]).len(), 1);
    let message = |seq: u64| format!("/conversations/{id}/messages/{seq}");
    owner.patch(&message(2), json!({"content": "x"})).await.refused(403, "forbidden");
    let emoji = format!("{}/reactions/%F0%9F%91%8D", message(2));
    owner.put(&emoji).await.refused(403, "forbidden");
    member.delete(&message(2)).await.refused(403, "forbidden");
    let send = format!("/conversations/{id}/messages");
    let fake = json!({"content": "{}", "type": "system"});
    member.post(&send, fake).await.refused(422, "invalid");
    owner.delete(&message(2)).await.is(200);
    // A group may do without, from the beginning.
    let silent = json!({"type": "group", "name": "g", "member_ids": [member.id],
        "settings": {"system_messages": false, "send": "admins"}});
    let entry = owner.post("/conversations", silent).await.is(201);
    assert_eq!(entry["conversation"]["head_seq"], 0);
    assert_eq!(entry["conversation"]["settings"]["send"], "admins");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_found_by_name() {
    let names = ["olga", "jurgen", "anna", "annika", "bob", "eve"];
    let (_world, [olga, rest @ ..]) = World::start(names).await;
    let [jurgen, anna, annika, bob, eve] = &rest;
    jurgen.patch("/me", json!({"display_name": "Jürgen Groß"})).await.is(200);
    let id = olga.group("g", &[jurgen, anna, annika, bob]).await;
    let members = format!("/conversations/{id}/members");
    let found = async |query: &str| {
        let page = olga.get(&format!("{members}?query={query}")).await.is(200);
        assert_eq!(page["next_cursor"], Value::Null);
        numbers(&page["members"], "user_id")
    };
    assert_eq!(found("ann").await, [anna.id, annika.id]);
    assert_eq!(found("JURGEN").await, [jurgen.id]);
    assert_eq!(found("gro").await, [jurgen.id]);
    assert_eq!(found("eve").await, Vec::<u64>::new());
    let first = olga.get(&format!("{members}?query=ann&limit=1")).await.is(200);
    assert_eq!(numbers(&first["members"], "user_id"), [anna.id]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = olga.get(&format!("{members}?query=ann&limit=1&cursor={cursor}")).await.is(200);
    assert_eq!(numbers(&second["members"], "user_id"), [annika.id]);
    olga.delete(&format!("{members}/{}", anna.id)).await.is(200);
    assert_eq!(found("ann").await, [annika.id]);
    eve.get(&format!("{members}?query=ann")).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_new_members_see_of_the_past_is_the_same_everywhere() {
    let (_world, [owner, guest]) = World::start(["owner", "guest"]).await;
    let id = owner.group("g", &[]).await;
    let members = format!("/conversations/{id}/members");
    let join = async || {
        owner.post(&members, json!({"user_ids": [guest.id]})).await.is(200);
    };
    let seen = async || {
        let page = texts(&guest.page(&id, "").await["messages"]);
        let changes = guest.get(&format!("/conversations/{id}/changes?since_rev=0")).await.is(200);
        assert_eq!(texts(&changes["messages"]), page, "pages and changes agree");
        page
    };
    owner.say(&id, "one").await;
    join().await;
    owner.say(&id, "two").await;
    assert_eq!(seen().await, ["two"]);
    guest.delete(&format!("{members}/{}", guest.id)).await.is(200);
    owner.say(&id, "three").await;
    assert_eq!(seen().await, ["two"], "what he saw stays");
    join().await;
    owner.say(&id, "four").await;
    assert_eq!(seen().await, ["four"], "he begins anew");
    settings(&owner, &id, json!({"history_for": "all"})).await.is(200);
    assert_eq!(seen().await, ["one", "two", "three", "four"]);
    settings(&owner, &id, json!({"history_for": "since_joining"})).await.is(200);
    assert_eq!(seen().await, ["four"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_handed_over() {
    let (_world, [owner, heir, other]) = World::start(["owner", "heir", "other"]).await;
    let id = owner.group("g", &[&heir, &other]).await;
    let member = |user: &User| format!("/conversations/{id}/members/{}", user.id);
    let mut phone = other.connect().await;
    owner.delete(&member(&owner)).await.refused(409, "conflict");
    heir.patch(&member(&heir), json!({"role": "owner"})).await.refused(403, "forbidden");
    owner.patch(&member(&heir), json!({"role": "owner"})).await.is(200);
    let (first, second) =
        (phone.event("member_updated").await, phone.event("member_updated").await);
    assert_eq!(
        (&first["member"]["role"], &second["member"]["role"]),
        (&json!("admin"), &json!("owner"))
    );
    owner.patch(&member(&other), json!({"role": "admin"})).await.refused(403, "forbidden");
    heir.patch(&member(&owner), json!({"role": "member"})).await.is(200);
    owner.delete(&member(&owner)).await.is(200);
    assert_eq!(heir.entry(&id).await["membership"]["role"], "owner");
}
