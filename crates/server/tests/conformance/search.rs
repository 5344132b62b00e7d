//! Search: what is found, where, for whom, and that it follows what happens.

use serde_json::{Value, json};

use crate::world::{User, World, within};

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn ask(user: &User, q: &str, more: &str) -> Value {
    user.get(&format!("/search?q={}{more}", encoded(q))).await.is(200)
}

fn contents(found: &Value) -> Vec<String> {
    let hits = found["hits"].as_array().unwrap();
    hits.iter().map(|hit| hit["message"]["content"].as_str().unwrap().to_owned()).collect()
}

async fn found(user: &User, q: &str, more: &str) -> Vec<String> {
    contents(&ask(user, q, more).await)
}

/// The index follows by itself: asks until the answer is this.
async fn becomes(user: &User, q: &str, more: &str, expected: &[&str]) {
    let asking = async { while found(user, q, more).await != expected {} };
    within(&format!("{q:?} finds {expected:?}"), asking).await;
}

/// C18.
#[tokio::test(flavor = "multi_thread")]
async fn words_of_all_kinds_are_found() {
    let (_world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let texts = [
        "Ну, Привет!",
        "我家在上海东边。",
        "バッタと鈴虫",
        "see foo.png",
        "we run qwen3.6 here",
        "concepts of C++20.",
        "read https://example.org/a/b?c=d now",
        "to be or not to be",
        "a well-known fact",
        "Tiếng Việt, đường phố",
        "우리학교에서 만나요",
        "let x = vec![1];",
        "ok 👍🏽",
    ];
    for text in texts {
        alice.say(&id, text).await;
    }
    becomes(&bob, "👍", "", &["ok 👍🏽"]).await;
    for (q, expected) in [
        ("привет", texts[0]),
        ("上海", texts[1]),
        ("鈴虫", texts[2]),
        ("虫", texts[2]),
        ("foo", texts[3]),
        ("foo.png", texts[3]),
        ("qwen", texts[4]),
        ("qwen3.6", texts[4]),
        ("C++20", texts[5]),
        ("c++", texts[5]),
        ("https://example.org/a/b?c=d", texts[6]),
        ("example.org", texts[6]),
        ("or not to be", texts[7]),
        ("well-known", texts[8]),
        ("known", texts[8]),
        ("tieng viet", texts[9]),
        ("duong", texts[9]),
        ("학교", texts[10]),
        ("vec![1]", texts[11]),
        ("\"not to\"", texts[7]),
    ] {
        for user in [&alice, &bob] {
            assert_eq!(found(user, q, "").await, [expected], "{q}");
        }
    }
    assert_eq!(found(&alice, "C++17", "").await, [""; 0]);
    let hit = &ask(&alice, "上海", "").await["hits"][0];
    assert_eq!(hit["highlights"], json!([[3, 5]]));
    assert_eq!(hit["conversation_id"], json!(id));
    alice.get("/search?q=").await.is(422);
    alice.get("/search?q=%20...").await.is(422);
    alice.get(&format!("/search?q={}", "a".repeat(300))).await.is(422);
    alice.get("/search?q=a&before=17").await.is(422);
}

/// C18: edited and deleted messages leave the index; strangers find nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_is_what_is_there() {
    let (_world, [alice, bob, carol]) = World::start(["alice", "bob", "carol"]).await;
    let id = alice.direct(&bob).await;
    for text in ["zanzibar one", "zanzibar two", "zanzibar three"] {
        alice.say(&id, text).await;
    }
    becomes(&bob, "zanzibar", "", &["zanzibar three", "zanzibar two", "zanzibar one"]).await;
    assert_eq!(found(&carol, "zanzibar", "").await, [""; 0]);
    carol.get(&format!("/search?q=zanzibar&conversation_id={id}")).await.is(404);
    let message = |seq: u64| format!("/conversations/{id}/messages/{seq}");
    alice.patch(&message(2), json!({"content": "timbuktu two"})).await.is(200);
    alice.delete(&message(3)).await.is(200);
    // What is gone is never shown, whether the index knows it or not.
    assert_eq!(found(&bob, "zanzibar", "").await, ["zanzibar one"]);
    becomes(&bob, "timbuktu", "", &["timbuktu two"]).await;
    bob.patch(&format!("/conversations/{id}/inbox"), json!({"hidden_to": 1})).await.is(200);
    assert_eq!(found(&bob, "zanzibar", "").await, [""; 0]);
    assert_eq!(found(&alice, "zanzibar", "").await, ["zanzibar one"]);
}

/// C18: who left a group finds what there was until then, who came late what came then.
#[tokio::test(flavor = "multi_thread")]
async fn members_find_what_they_may_read() {
    let (_world, [alice, bob, carol]) = World::start(["alice", "bob", "carol"]).await;
    let id = alice.group("team", &[&bob]).await;
    alice.say(&id, "needle first").await;
    let members = format!("/conversations/{id}/members");
    bob.delete(&format!("{members}/{}", bob.id)).await.is(200);
    alice.post(&members, json!({"user_ids": [carol.id]})).await.is(200);
    alice.say(&id, "needle second").await;
    becomes(&alice, "needle", "", &["needle second", "needle first"]).await;
    becomes(&bob, "needle", "", &["needle first"]).await;
    becomes(&carol, "needle", "", &["needle second"]).await;
    becomes(&bob, "needle", &format!("&conversation_id={id}"), &["needle first"]).await;
    // What changed after leaving is withheld.
    let first = format!("/conversations/{id}/messages/1");
    alice.patch(&first, json!({"content": "needle first, edited"})).await.is(200);
    assert_eq!(found(&bob, "needle", "").await, [""; 0]);
    becomes(&alice, "edited", "", &["needle first, edited"]).await;
    alice.delete(&format!("/conversations/{id}")).await.is(204);
    assert_eq!(found(&alice, "needle", "").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_pages() {
    let (_world, [alice, bob, carol]) = World::start(["alice", "bob", "carol"]).await;
    let one = alice.direct(&bob).await;
    let two = alice.group("room", &[&bob, &carol]).await;
    let mut ids = Vec::new();
    for n in 0..30 {
        let (who, id) = if n % 3 == 0 { (&bob, &one) } else { (&alice, &two) };
        ids.push(who.say(id, &format!("page number{n}")).await["message_id"].clone());
    }
    let text = |n: usize| format!("page number{n}");
    // The two conversations are indexed each in its own time.
    for last in ["page number27", "page number29"] {
        becomes(&alice, last, "", &[last]).await;
    }
    let all: Vec<String> = (0..30).rev().map(text).collect();
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = ask(&alice, "page", &format!("&limit=7{cursor}")).await;
        seen.extend(contents(&page));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, all);
    let expect = |wanted: &dyn Fn(usize) -> bool| -> Vec<String> {
        (0..30).rev().filter(|n| wanted(*n)).map(text).collect()
    };
    let from_bob = format!("&from={}&limit=50", bob.id);
    assert_eq!(found(&alice, "page", &from_bob).await, expect(&|n| n % 3 == 0));
    let in_room = format!("&conversation_id={two}&limit=50");
    assert_eq!(found(&alice, "page", &in_room).await, expect(&|n| n % 3 != 0));
    assert_eq!(found(&carol, "page", "&limit=50").await, expect(&|n| n % 3 != 0));
    let id = |n: usize| ids[n].as_str().unwrap().to_owned();
    let between = format!("&after={}&before={}&limit=50", id(4), id(9));
    assert_eq!(found(&alice, "page", &between).await, expect(&|n| n > 4 && n < 9));
    assert_eq!(found(&alice, "page", "&has=attachment").await, [""; 0]);
    // The best come first, and every one once.
    alice.say(&one, "pages are not a page").await;
    becomes(&alice, "pages", "", &["pages are not a page"]).await;
    let (mut best, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ask(&alice, "page", &format!("&sort=best&limit=8{cursor}")).await;
        best.extend(contents(&page));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let mut expected = all.clone();
    expected.push("pages are not a page".to_owned());
    best.sort();
    expected.sort();
    assert_eq!(best, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_found_by_name() {
    let (_world, [alice, bob]) = World::start(["alice", "bob.smith"]).await;
    bob.patch("/me", json!({"display_name": "Đặng Văn Lâm"})).await.is(200);
    let direct = alice.direct(&bob).await;
    alice.say(&direct, "hello").await;
    let group = alice.group("Überflieger 2026", &[&bob]).await;
    let named = async |q: &str| -> Vec<String> {
        let path = format!("/search/conversations?q={}", encoded(q));
        let found = alice.get(&path).await.is(200);
        let list = found["conversations"].as_array().unwrap().iter();
        list.map(|entry| entry["conversation"]["conversation_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(named("uber").await, std::slice::from_ref(&group));
    assert_eq!(named("2026 ÜBER").await, [group]);
    assert_eq!(named("dang").await, std::slice::from_ref(&direct));
    assert_eq!(named("smith").await, [direct]);
    assert_eq!(named("flieger").await, [""; 0]);
}

/// The index is made again when it is gone, and follows what happened meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_follows_over_restarts() {
    let (mut world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    alice.say(&id, "before it").await;
    becomes(&bob, "before", "", &["before it"]).await;
    world.restart().await;
    becomes(&bob, "before", "", &["before it"]).await;
    alice.say(&id, "after it").await;
    becomes(&bob, "it", "", &["after it", "before it"]).await;
}
