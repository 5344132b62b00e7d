//! A server with its users, on a port of its own and in a throw-away folder; it can be stopped and
//! started again. The one place that knows how a server is started.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use ostracon_domain::UserId;
use ostracon_engine::{Clock, SystemClock};
use ostracon_server::{Config, testing::TestServer};
use serde_json::{Value, json};

use crate::{backend, device::Device, http, http::Reply};

/// How long anything may take that a test waits for. Far more than needed on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something that must come.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited too long for {what}"),
    }
}

/// Where a server listens now; users keep it over a restart.
#[derive(Clone)]
pub(crate) struct Place(Arc<Mutex<SocketAddr>>);

impl Place {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self(Arc::new(Mutex::new(address)))
    }

    pub(crate) fn get(&self) -> SocketAddr {
        *self.0.lock().unwrap()
    }

    pub(crate) fn set(&self, address: SocketAddr) {
        *self.0.lock().unwrap() = address;
    }
}

/// Somebody who is signed in.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) token: String,
    pub(crate) place: Place,
}

pub(crate) struct World {
    pub(crate) server: TestServer,
    place: Place,
}

impl World {
    /// Starts a server that keeps everything in its data directory, wherever others do.
    pub(crate) async fn start_embedded<const N: usize>(names: [&str; N]) -> (Self, [User; N]) {
        Self::start_with(names, backend::embedded).await
    }

    /// Starts a server without rate limits.
    pub(crate) async fn start<const N: usize>(names: [&str; N]) -> (Self, [User; N]) {
        Self::start_with(names, |_| {}).await
    }

    /// The same with another configuration.
    pub(crate) async fn start_with<const N: usize>(
        names: [&str; N],
        change: impl FnOnce(&mut Config),
    ) -> (Self, [User; N]) {
        Self::start_at(names, Arc::new(SystemClock), change).await
    }

    /// The same with a clock of the test's.
    pub(crate) async fn start_at<const N: usize>(
        names: [&str; N],
        clock: Arc<dyn Clock>,
        change: impl FnOnce(&mut Config),
    ) -> (Self, [User; N]) {
        let server = TestServer::start_at(clock, |config| {
            backend::choose(config);
            change(config);
        });
        let server = server.await;
        let world = Self { place: Place::new(server.address()), server };
        let mut users = Vec::new();
        for name in names {
            users.push(world.user(name).await);
        }
        (world, users.try_into().unwrap_or_else(|_| panic!("as many users as names")))
    }

    /// A new user, signed in.
    pub(crate) async fn user(&self, name: &str) -> User {
        let (id, token) = self.server.user(name).await;
        User { id: id.get(), token, place: self.place.clone() }
    }

    /// Another session of a user.
    pub(crate) async fn session(&self, user: &User) -> User {
        let token = self.server.session(UserId::new(user.id).unwrap()).await;
        User { token, ..user.clone() }
    }

    /// Stops in good order and starts again on what is stored.
    pub(crate) async fn restart(&mut self) {
        within("the server to stop", self.server.stop()).await;
        self.server.start_again().await;
        self.place.set(self.server.address());
    }

    /// A call without a token.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        http::json(self.place.get(), method, path, None, body).await
    }

    /// Signs a new user up, with a password.
    pub(crate) async fn register(&self, name: &str, password: &str) -> User {
        let body = json!({"username": name, "password": password});
        let signed_in = self.call("POST", "/auth/register", Some(&body)).await.is(201);
        self.signed_in(&signed_in)
    }

    /// Signs a device in.
    pub(crate) async fn login(&self, name: &str, password: &str, device: &str) -> (User, String) {
        let body = json!({"username": name, "password": password, "device_name": device});
        let signed_in = self.call("POST", "/auth/login", Some(&body)).await.is(200);
        (self.signed_in(&signed_in), signed_in["session_id"].as_str().unwrap().to_owned())
    }

    fn signed_in(&self, signed_in: &Value) -> User {
        User {
            id: signed_in["user"]["user_id"].as_u64().unwrap(),
            token: signed_in["token"].as_str().unwrap().to_owned(),
            place: self.place.clone(),
        }
    }
}

impl User {
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        http::json(self.place.get(), method, path, Some(&self.token), body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.call("POST", path, Some(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Reply {
        self.call("PATCH", path, Some(&body)).await
    }

    pub(crate) async fn put(&self, path: &str) -> Reply {
        self.call("PUT", path, None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path, None).await
    }

    /// A WebSocket with JSON, after its `hello`.
    pub(crate) async fn connect(&self) -> Device {
        Device::connect(self.place.get(), &self.token).await
    }

    /// The direct conversation with another user.
    pub(crate) async fn direct(&self, other: &Self) -> String {
        let entry =
            self.post("/conversations", json!({"type": "direct", "user_id": other.id})).await;
        id_of(&entry.good())
    }

    /// A new group with these members.
    pub(crate) async fn group(&self, name: &str, members: &[&Self]) -> String {
        let ids: Vec<u64> = members.iter().map(|member| member.id).collect();
        let body = json!({"type": "group", "name": name, "member_ids": ids});
        id_of(&self.post("/conversations", body).await.is(201))
    }

    /// Sends text over REST; the message.
    pub(crate) async fn say(&self, conversation: &str, text: &str) -> Value {
        let path = format!("/conversations/{conversation}/messages");
        self.post(&path, json!({"content": text})).await.is(201)
    }

    /// One line of the chat list.
    pub(crate) async fn entry(&self, conversation: &str) -> Value {
        self.get(&format!("/conversations/{conversation}")).await.is(200)
    }

    /// Messages of a page, with a query such as `?limit=3`.
    pub(crate) async fn page(&self, conversation: &str, query: &str) -> Value {
        self.get(&format!("/conversations/{conversation}/messages{query}")).await.is(200)
    }

    pub(crate) async fn mark_read(&self, conversation: &str, seq: u64) {
        let path = format!("/conversations/{conversation}/read");
        self.post(&path, json!({"seq": seq})).await.is(200);
    }
}

fn id_of(entry: &Value) -> String {
    entry["conversation"]["conversation_id"].as_str().unwrap().to_owned()
}

/// The texts of a list of messages.
pub(crate) fn texts(messages: &Value) -> Vec<String> {
    let list = messages.as_array().unwrap().iter();
    list.map(|message| message["content"].as_str().unwrap_or("-").to_owned()).collect()
}

/// One number of each object of a list.
pub(crate) fn numbers(list: &Value, field: &str) -> Vec<u64> {
    list.as_array().unwrap().iter().map(|object| object[field].as_u64().unwrap()).collect()
}
