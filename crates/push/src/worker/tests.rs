//! The work on a queue in memory, with a server and push services of the test's.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU8, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use ostracon_domain::{
    ConversationId, MessageId, MessageKind, Millis, PushScope, PushSetting, Seq, UserId,
};
use ostracon_store::{
    Accounts as _, Errands as _, Push as _,
    directory::{AccountRole, ErrandKind, ErrandSort, NewErrand, NewSubscription, NewUser},
    memory::directory::MemoryDirectory,
};
use parking_lot::Mutex;
use serde_json::Value;

use super::{HELD_MS, Worker, WorkerOptions};
use crate::{
    ATTEMPTS_MAX, Answered, Asked, Look, News, Request, Sender, Surroundings, Unavailable,
    VapidKey, Webhook, signature,
};

/// A server of the test's: it looks as it is told, and its push services answer as they are told.
struct Stage {
    now: AtomicI64,
    random: AtomicU8,
    look: Mutex<Result<Look, Unavailable>>,
    answers: Mutex<VecDeque<Result<Answered, String>>>,
    asked: Mutex<Vec<Asked>>,
    requests: Mutex<Vec<Request>>,
}

#[async_trait]
impl Surroundings for Stage {
    fn now(&self) -> Millis {
        self.now.load(Ordering::Relaxed)
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), Unavailable> {
        bytes.fill_with(|| self.random.fetch_add(1, Ordering::Relaxed));
        Ok(())
    }

    async fn look(&self, asked: Asked) -> Result<Look, Unavailable> {
        self.asked.lock().push(asked);
        self.look.lock().clone()
    }

    async fn message(
        &self,
        _: UserId,
        _: ConversationId,
        seq: Seq,
    ) -> Result<Option<News>, Unavailable> {
        Ok((seq < 100).then(|| News { seq, ..news() }))
    }

    async fn post(&self, request: Request) -> Result<Answered, String> {
        self.requests.lock().push(request);
        let next = self.answers.lock().pop_front();
        next.unwrap_or(Ok(Answered { status: 201, retry_after: None }))
    }
}

fn user(n: u64) -> UserId {
    UserId::new(n).unwrap()
}

fn place() -> ConversationId {
    ConversationId::direct(user(1), user(2))
}

fn news() -> News {
    News {
        conversation: place(),
        group: None,
        seq: 7,
        message_id: MessageId::new(1_573_741_824_000_000_042).unwrap(),
        sender: Sender { id: user(2), name: "Bob".to_owned(), external_id: Some("b-1".to_owned()) },
        kind: MessageKind::Text,
        text: "Lunch?".to_owned(),
        created_at: 1,
        mentioned: false,
        unread: 3,
    }
}

fn status(status: u16) -> Result<Answered, String> {
    Ok(Answered { status, retry_after: None })
}

struct World {
    stage: Arc<Stage>,
    directory: Arc<MemoryDirectory>,
    worker: Worker,
}

impl World {
    /// Alice with so many devices; Bob told her something.
    async fn new(devices: u8, hooks: &[&str]) -> Self {
        let directory = Arc::new(MemoryDirectory::new(1));
        for name in ["alice", "bob"] {
            let new = NewUser {
                username: Some(name.to_owned()),
                external_id: Some(format!("x-{name}")),
                display_name: name.to_owned(),
                password_hash: None,
                role: AccountRole::User,
            };
            directory.create_user(new, 1).await.unwrap();
        }
        for n in 0..devices {
            let new = NewSubscription {
                user: user(1),
                session: None,
                endpoint: format!("https://push{n}.example/secret"),
                p256dh: VapidKeyBytes::of(n),
                auth: [n; 16],
                expires_at: None,
            };
            directory.subscribe(new, 1).await.unwrap();
        }
        let stage = Arc::new(Stage {
            now: AtomicI64::new(1_000_000),
            random: AtomicU8::new(1),
            look: Mutex::new(Ok(Look::Tell(Box::new(news())))),
            answers: Mutex::default(),
            asked: Mutex::default(),
            requests: Mutex::default(),
        });
        let options = WorkerOptions {
            vapid: Some(Arc::new(VapidKey::from_secret([7; 32]))),
            subject: "mailto:a@b.example".to_owned(),
            webhooks: hooks.iter().map(|event| hook(event)).collect(),
        };
        let worker = Worker::new(Arc::clone(&directory) as _, Arc::clone(&stage) as _, options);
        let world = Self { stage, directory, worker };
        world.said(7).await;
        world
    }

    async fn said(&self, seq: Seq) {
        let now = self.stage.now();
        let new = NewErrand {
            key: "tell".to_owned(),
            kind: ErrandKind::Tell { user: user(1), conversation: place() },
            seq,
            mention_seq: 0,
            count: 1,
            due_at: now,
        };
        self.directory.put_errands(vec![new], now).await.unwrap();
    }

    fn answer(&self, answers: impl IntoIterator<Item = Result<Answered, String>>) {
        self.stage.answers.lock().extend(answers);
    }

    /// Works once after a while; the requests that were made.
    async fn after(&self, ms: Millis) -> Vec<Request> {
        self.stage.now.fetch_add(ms, Ordering::Relaxed);
        self.worker.run_once().await.unwrap();
        std::mem::take(&mut *self.stage.requests.lock())
    }

    async fn waiting(&self, sort: ErrandSort) -> u64 {
        self.directory.errand_stats(sort).await.unwrap().waiting
    }

    async fn dead(&self, sort: ErrandSort) -> Vec<String> {
        let dead = self.directory.dead_errands(sort, None, 10).await.unwrap();
        dead.into_iter().map(|errand| errand.error.unwrap_or_default()).collect()
    }
}

fn hook(event: &str) -> Webhook {
    Webhook {
        name: "crm".to_owned(),
        url: "https://crm.example/hook".to_owned(),
        secret: "hush".to_owned(),
        events: vec![event.to_owned()],
    }
}

/// Public keys of devices whose private keys nobody keeps.
struct VapidKeyBytes;

impl VapidKeyBytes {
    fn of(n: u8) -> [u8; 65] {
        use p256::elliptic_curve::sec1::ToEncodedPoint as _;
        let key = p256::SecretKey::from_slice(&[n + 1; 32]).unwrap();
        key.public_key().to_encoded_point(false).as_bytes().try_into().unwrap()
    }
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    &request.headers.iter().find(|(known, _)| *known == name).unwrap().1
}

#[tokio::test]
async fn all_devices_are_told_once() {
    let world = World::new(2, &[]).await;
    let sent = world.after(0).await;
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|request| !request.trusted));
    assert_eq!(header(&sent[0], "ttl"), "86400");
    assert_eq!(header(&sent[0], "urgency"), "high");
    assert_eq!(header(&sent[0], "topic"), header(&sent[1], "topic"));
    assert_eq!(header(&sent[0], "topic").len(), 32);
    assert!(header(&sent[0], "authorization").starts_with("vapid t="));
    assert_ne!(sent[0].body, sent[1].body);
    // The same again, as after a crash.
    world.said(7).await;
    assert_eq!(world.after(HELD_MS * 2).await.len(), 0);
    world.said(8).await;
    assert_eq!(world.after(0).await.len(), 2);
}

#[tokio::test]
async fn nobody_is_told_what_he_does_not_want() {
    let world = World::new(1, &[]).await;
    let setting = PushSetting { scope: PushScope::None, preview: true };
    world.directory.set_push_setting(user(1), setting).await.unwrap();
    assert_eq!(world.after(0).await.len(), 0);
    assert_eq!(world.waiting(ErrandSort::Push).await, 0);
    assert!(world.stage.asked.lock().is_empty());
    let setting = PushSetting { scope: PushScope::Mentions, preview: false };
    world.directory.set_push_setting(user(1), setting).await.unwrap();
    world.said(8).await;
    assert_eq!(world.after(0).await.len(), 1);
    assert!(world.stage.asked.lock()[0].mentions_only);
    let device = world.directory.subscriptions(user(1), 0).await.unwrap()[0].id;
    world.directory.enable_subscription(user(1), device, false).await.unwrap();
    world.said(9).await;
    assert_eq!(world.after(0).await.len(), 0);
}

#[tokio::test]
async fn what_is_read_meanwhile_is_not_told() {
    let world = World::new(1, &[]).await;
    *world.stage.look.lock() = Ok(Look::Later(Duration::from_secs(5)));
    assert_eq!(world.after(0).await.len(), 0);
    assert_eq!(world.after(4_999).await.len(), 0);
    *world.stage.look.lock() = Ok(Look::Silent("read"));
    assert_eq!(world.after(1).await.len(), 0);
    assert_eq!(world.waiting(ErrandSort::Push).await, 0);
    // A shard that does not answer is asked again.
    world.said(8).await;
    *world.stage.look.lock() = Err(Unavailable("gone".to_owned()));
    assert_eq!(world.after(0).await.len(), 0);
    *world.stage.look.lock() = Ok(Look::Tell(Box::new(news())));
    assert_eq!(world.after(5_000).await.len(), 1);
}

#[tokio::test]
async fn only_the_device_that_failed_is_told_again() {
    let world = World::new(2, &[]).await;
    world.answer([status(503), status(201)]);
    assert_eq!(world.after(0).await.len(), 2);
    assert_eq!(world.waiting(ErrandSort::Push).await, 1);
    world.answer([Ok(Answered { status: 429, retry_after: Some(Duration::from_secs(60)) })]);
    let again = world.after(5_000).await;
    assert_eq!((again.len(), again[0].url.as_str()), (1, "https://push0.example/secret"));
    assert_eq!(world.after(59_999).await.len(), 0, "the push service said when");
    assert_eq!(world.after(1).await.len(), 1);
    assert_eq!(world.waiting(ErrandSort::Push).await, 0);
}

#[tokio::test]
async fn a_device_that_is_gone_is_forgotten() {
    for code in [404, 410] {
        let world = World::new(2, &[]).await;
        world.answer([status(code)]);
        assert_eq!(world.after(0).await.len(), 2);
        let left = world.directory.subscriptions(user(1), 0).await.unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(
            (world.waiting(ErrandSort::Push).await, world.dead(ErrandSort::Push).await.len()),
            (0, 0)
        );
    }
}

#[tokio::test]
async fn what_is_too_large_is_told_without_its_text() {
    let world = World::new(1, &[]).await;
    world.answer([status(413), status(201)]);
    let sent = world.after(0).await;
    assert_eq!(sent.len(), 2);
    assert!(sent[1].body.len() < sent[0].body.len());
    assert_eq!(world.waiting(ErrandSort::Push).await, 0);
}

#[tokio::test]
async fn what_fails_for_long_is_given_up_and_can_be_replayed() {
    let world = World::new(1, &[]).await;
    world.answer((0..=ATTEMPTS_MAX).map(|_| Err("no answer".to_owned())));
    world.after(0).await;
    let mut tried = 1;
    while world.waiting(ErrandSort::Push).await > 0 {
        tried += world.after(3_600_000).await.len() as u32;
    }
    assert_eq!(tried, ATTEMPTS_MAX + 1);
    assert_eq!(world.dead(ErrandSort::Push).await, ["no answer"]);
    let now = world.stage.now();
    assert_eq!(world.directory.replay_errands(ErrandSort::Push, None, now).await.unwrap(), 1);
    world.stage.answers.lock().clear();
    assert_eq!(world.after(0).await.len(), 1);
    // A day is the end of it too.
    let world = World::new(1, &[]).await;
    world.answer([status(500)]);
    world.after(0).await;
    world.after(25 * 3_600_000).await;
    assert_eq!(world.dead(ErrandSort::Push).await, ["too old"]);
}

#[tokio::test]
async fn other_systems_are_told_who_is_away() {
    let world = World::new(0, &["message.offline"]).await;
    world.answer([status(500)]);
    assert_eq!(world.after(0).await.len(), 0, "the event is an errand of its own");
    let first = world.after(0).await;
    let again = world.after(5_000).await;
    assert_eq!((first.len(), again.len()), (1, 1));
    assert_eq!(first[0].body, again[0].body, "the event is the same");
    assert_eq!(header(&first[0], "ostracon-event-id"), header(&again[0], "ostracon-event-id"));
    assert_ne!(header(&first[0], "ostracon-signature"), header(&again[0], "ostracon-signature"));
    let expected = signature("hush", &again[0].body, world.stage.now());
    assert_eq!(header(&again[0], "ostracon-signature"), expected);
    assert!(again[0].trusted);
    let body: Value = serde_json::from_slice(&again[0].body).unwrap();
    assert_eq!(
        (&body["type"], &body["id"]),
        (&"message.offline".into(), &header(&again[0], "ostracon-event-id").into())
    );
    assert_eq!(body["data"]["user"]["external_id"], "x-alice");
    assert_eq!((&body["data"]["content"], &body["data"]["seq"]), (&"Lunch?".into(), &7.into()));
    // The same message again is the same event: it was told.
    world.said(7).await;
    world.after(0).await;
    assert_eq!(world.after(0).await.len(), 0);
}

#[tokio::test]
async fn events_without_a_system_are_given_up() {
    let world = World::new(0, &["message.created"]).await;
    let event = |hook: &str, seq| NewErrand {
        key: format!("{hook}:message.created:{seq}"),
        kind: ErrandKind::Event {
            hook: hook.to_owned(),
            event: "message.created".to_owned(),
            user: Some(user(2)),
            conversation: Some(place()),
        },
        seq,
        mention_seq: 0,
        count: 1,
        due_at: 0,
    };
    let put = vec![event("gone", 1), event("crm", 2), event("crm", 100)];
    world.directory.put_errands(put, world.stage.now()).await.unwrap();
    let sent = world.after(0).await;
    assert_eq!(sent.len(), 1, "the last one was deleted meanwhile");
    assert_eq!(world.dead(ErrandSort::Events).await, ["no webhook of this name is configured"]);
    let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
    assert_eq!(body["data"]["sender"]["external_id"], "b-1");
    assert!(body["data"].get("user").is_none());
}

#[tokio::test]
async fn other_systems_are_told_of_new_users() {
    let world = World::new(0, &["user.created"]).await;
    // It finds where to begin: who was there before is not told.
    world.after(0).await;
    world.after(0).await;
    let new = NewUser {
        username: Some("carol".to_owned()),
        external_id: None,
        display_name: "Carol".to_owned(),
        password_hash: None,
        role: AccountRole::User,
    };
    let carol = world.directory.create_user(new, world.stage.now()).await.unwrap();
    assert_eq!(world.after(500).await.len(), 0, "one before it may still be made");
    world.after(2_000).await;
    let sent = world.after(0).await;
    assert_eq!(sent.len(), 1);
    let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
    assert_eq!(
        (&body["type"], &body["data"]["user_id"]),
        (&"user.created".into(), &carol.id.get().into())
    );
    assert_eq!(body["data"]["username"], "carol");
    for _ in 0..5 {
        assert_eq!(world.after(10_000_000).await.len(), 0, "once");
    }
    assert_eq!((world.waiting(ErrandSort::Events).await, world.worker.endless()), (1, 1));
}
