//! Devices: signing in, the list of sessions, revoking, tickets.

use ostracon_proto::Encoding;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Error;

use crate::{
    device::{Device, opening},
    world::{User, World},
};

async fn sessions(user: &User) -> Vec<Value> {
    user.get("/auth/sessions").await.is(200)["sessions"].as_array().unwrap().clone()
}

/// `DeviceManagement`: a user sees the own devices and nobody else's, by name, one of them the present.
#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_sessions_has_the_own_devices() {
    let (world, [other]) = World::start(["other"]).await;
    let first = world.register("alice", "correct horse").await;
    let (phone, phone_id) = world.login("Alice", "correct horse", "phone").await;
    let (laptop, laptop_id) = world.login("alice", "correct horse", "laptop").await;
    let list = sessions(&phone).await;
    assert_eq!(list.len(), 3);
    let named = |id: &str| list.iter().find(|row| row["session_id"] == id).unwrap();
    assert_eq!(named(&phone_id)["device_name"], "phone");
    assert_eq!(named(&laptop_id)["device_name"], "laptop");
    let current: Vec<&Value> = list.iter().filter(|row| row["current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["session_id"], json!(phone_id));
    assert!(list.iter().any(|row| row["device_name"].is_null()), "that of the registration");
    assert!(list.iter().all(|row| row["created_at"].is_u64()));
    let of_laptop = sessions(&laptop).await;
    assert_eq!(of_laptop.len(), 3);
    assert_eq!(sessions(&other).await.len(), 1);
    let text = phone.get("/auth/sessions").await.text();
    assert!(!text.contains(&first.token) && !text.contains("token"), "{text}");
}

/// `DeviceManagement`: a revoked session is signed out at once, its sockets too; others stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_is_out_at_once() {
    let (world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let phone = world.session(&alice).await;
    let list = sessions(&phone).await;
    let phone_id = list.iter().find(|row| row["current"] == true).unwrap()["session_id"].clone();
    let path = format!("/auth/sessions/{}", phone_id.as_str().unwrap());
    let (mut one, mut two) = (phone.connect().await, phone.connect().await);
    let mut stays = alice.connect().await;
    let ticket = phone.post("/auth/ticket", json!({})).await.is(200)["ticket"].clone();

    bob.delete(&path).await.refused(404, "not_found");
    phone.get("/me").await.is(200);
    alice.delete(&path).await.is(204);
    phone.get("/me").await.refused(401, "unauthorized");
    assert_eq!(one.closed().await.0, 4401);
    assert_eq!(two.closed().await.0, 4401);
    let path_of_ticket = format!("/api/v1/ws?ticket={}", ticket.as_str().unwrap());
    assert_eq!(refusal(&world, &path_of_ticket, None).await, 401, "its tickets are worthless");
    assert_eq!(refusal(&world, "/api/v1/ws", Some(&phone.token)).await, 401);
    alice.delete(&path).await.refused(404, "not_found");
    assert_eq!(sessions(&alice).await.len(), 1);
    stays.heartbeat().await;
    let id = bob.direct(&alice).await;
    bob.say(&id, "still there").await;
    stays.hears("still there").await;
}

/// `DeviceManagement`: signing out ends this session only, also over a restart.
#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_one_session() {
    let (mut world, [alice]) = World::start(["alice"]).await;
    let phone = world.session(&alice).await;
    let mut socket = phone.connect().await;
    phone.post("/auth/logout", json!({})).await.is(204);
    assert_eq!(socket.closed().await.0, 4401);
    phone.get("/me").await.refused(401, "unauthorized");
    alice.get("/me").await.is(200);
    world.restart().await;
    phone.get("/me").await.refused(401, "unauthorized");
    alice.get("/me").await.is(200);
    assert_eq!(sessions(&alice).await.len(), 1);
}

/// A ticket opens one socket, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_good_once() {
    let (world, [alice]) = World::start(["alice"]).await;
    let ticket = alice.post("/auth/ticket", json!({})).await.is(200)["ticket"].clone();
    let path = format!("/api/v1/ws?ticket={}", ticket.as_str().unwrap());
    let request = opening(world.server.address(), &path, None, None);
    let device = Device::try_open(world.server.address(), request, Encoding::Json).await.unwrap();
    assert_eq!(device.hello["user_id"], alice.id);
    assert_eq!(refusal(&world, &path, None).await, 401, "used up");
    assert_eq!(refusal(&world, "/api/v1/ws?ticket=nonsense", None).await, 401);
    assert_eq!(refusal(&world, "/api/v1/ws?ticket=", None).await, 401);
    alice.get(&format!("/me?ticket={}", ticket.as_str().unwrap())).await.is(200);
}

/// The status with which a socket is refused.
async fn refusal(world: &World, path: &str, token: Option<&str>) -> u16 {
    let address = world.server.address();
    let request = opening(address, path, token, None);
    match Device::try_open(address, request, Encoding::Json).await {
        Err(Error::Http(answer)) => answer.status().as_u16(),
        Err(error) => panic!("{path}: {error}"),
        Ok(_) => panic!("{path}: opened"),
    }
}

/// Names and passwords: the same answer for a wrong name and a wrong password, rules as documented.
#[tokio::test(flavor = "multi_thread")]
async fn names_and_passwords() {
    let (world, []) = World::start([]).await;
    world.register("alice.B-1_", "correct horse").await;
    let sign_up = async |name: &str, password: &str| {
        let body = json!({"username": name, "password": password});
        world.call("POST", "/auth/register", Some(&body)).await
    };
    sign_up("ALICE.b-1_", "another password").await.refused(409, "conflict");
    for name in ["ab", "with space", "ümlaut", "a/b", "", &"x".repeat(33)] {
        sign_up(name, "correct horse").await.refused(422, "invalid");
    }
    for password in ["short12", "", &"x".repeat(257)] {
        sign_up("fine", password).await.refused(422, "invalid");
    }
    let sign_in = async |name: &str, password: &str| {
        let body = json!({"username": name, "password": password});
        world.call("POST", "/auth/login", Some(&body)).await
    };
    let wrong_name = sign_in("nobody", "correct horse").await;
    let wrong_password = sign_in("alice.b-1_", "wrong horse").await;
    wrong_name.refused(401, "unauthorized");
    assert_eq!(wrong_name.body, wrong_password.body);
    sign_in("Alice.B-1_", "correct horse").await.is(200);
}

/// CBOR carries the same objects as JSON.
#[tokio::test(flavor = "multi_thread")]
async fn both_sub_protocols_say_the_same() {
    let (world, [alice, bob]) = World::start(["alice", "bob"]).await;
    let id = alice.direct(&bob).await;
    let mut json_device = bob.connect().await;
    let address = world.server.address();
    let mut cbor_device = Device::open(address, &bob.token, Encoding::Cbor).await;
    let mut speaker = Device::open(address, &alice.token, Encoding::Cbor).await;
    let data = json!({"conversation_id": id, "content": "grüße 🚀", "client_id": "c"});
    let sent = speaker.good("send_message", data).await;
    assert_eq!(json_device.hears("grüße 🚀").await, cbor_device.hears("grüße 🚀").await);
    assert_eq!(sent["message"]["client_id"], "c");
    bob.mark_read(&id, 1).await;
    let receipt = speaker.event("receipt").await;
    assert_eq!(receipt["read_seq"], 1);
    speaker.refused("send_message", json!({"conversation_id": id}), "invalid").await;
    // A client that asks for something else gets JSON.
    let request = opening(address, "/api/v1/ws", Some(&bob.token), None);
    Device::try_open(address, request, Encoding::Json).await.unwrap();
}
