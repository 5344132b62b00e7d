//! Who is away is told: a push service of the test's takes what is sent. That a browser can read it, and who signs it, is
//! tested with the server's own stories.

use std::sync::Arc;

use axum::{Router, http::StatusCode, routing::post};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::world::{World, within};

/// A push service on a port of its own; every message that it takes, as its `Topic`.
struct Service {
    url: String,
    taken: Mutex<tokio::sync::mpsc::UnboundedReceiver<String>>,
}

impl Service {
    async fn start() -> Self {
        let (come, taken) = tokio::sync::mpsc::unbounded_channel();
        let come = Arc::new(come);
        let take = move |headers: axum::http::HeaderMap| {
            let topic = headers["topic"].to_str().unwrap().to_owned();
            come.send(topic).unwrap();
            async { StatusCode::CREATED }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/device", listener.local_addr().unwrap());
        let router = Router::new().route("/device", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, taken: Mutex::new(taken) }
    }

    async fn taken(&self) -> String {
        within("a push", async { self.taken.lock().await.recv().await.unwrap() }).await
    }

    fn subscription(&self) -> Value {
        json!({
            "endpoint": self.url,
            "keys": {
                "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
                "auth": "BTBZMqHH6r4Tts7J_aSIgg",
            },
        })
    }
}

/// The messages of one conversation are told under one topic, also after a restart; what is muted is not told,
/// and nothing is told to a session that is over.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_away_is_told_until_his_session_ends() {
    let service = Service::start().await;
    let (mut world, [alice, bob, carol]) = World::start_with(["alice", "bob", "carol"], |config| {
        config.push.private_addresses = true;
        config.push.delay_ms = 200;
    })
    .await;
    bob.post("/push/subscriptions", service.subscription()).await.is(201);
    let (with_alice, with_carol) = (alice.direct(&bob).await, carol.direct(&bob).await);
    alice.say(&with_alice, "one").await;
    let topic = service.taken().await;
    world.restart().await;
    alice.say(&with_alice, "two").await;
    assert_eq!(service.taken().await, topic);
    carol.say(&with_carol, "three").await;
    let other = service.taken().await;
    assert_ne!(other, topic);

    // What is muted was to be told first.
    bob.patch(
        &format!("/conversations/{with_alice}/inbox"),
        json!({"muted_until": 9_000_000_000_000_u64}),
    )
    .await
    .is(200);
    alice.say(&with_alice, "nobody hears it").await;
    carol.say(&with_carol, "four").await;
    assert_eq!(service.taken().await, other);

    let again = world.session(&bob).await;
    bob.post("/auth/logout", json!({})).await.is(204);
    assert_eq!(again.get("/push/subscriptions").await.is(200)["subscriptions"], json!([]));
    carol.say(&with_carol, "five").await;
    again.post("/push/subscriptions", service.subscription()).await.is(201);
    carol.say(&with_carol, "six").await;
    assert_eq!(service.taken().await, other);
}
