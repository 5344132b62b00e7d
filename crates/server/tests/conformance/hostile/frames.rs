//! Frames of the WebSocket that do not fit: answered in words where they can be read, closed with the
//! documented code where not.

use ostracon_proto::{Encoding, cbor};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::{TOKENS, filled, is_well, with_holes};
use crate::{
    calls::{COMMANDS, Cast},
    device::Device,
    world::World,
};

/// Every value of every command, exchanged for each of the odd ones: an answer, and the socket stays.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_values_in_every_command_are_refused_in_words() {
    let (world, users) = World::start(Cast::NAMES).await;
    let cast = Cast::new(users);
    let stage = cast.stage().await;
    let mut device = cast.owner.connect().await;
    let (mut tried, mut id) = (0, 1_000_000_u64);
    for row in COMMANDS {
        let data = row.data_in(&stage, &stage.group);
        for (at, text) in with_holes(&json!({"type": row.kind, "data": data})) {
            for value in TOKENS {
                let text = filled(&text, value);
                let Some(rest) = text.strip_prefix('{') else {
                    // The whole frame was exchanged: covered below.
                    continue;
                };
                id += 1;
                let comma = if rest.starts_with('}') { "" } else { "," };
                device.send(Message::text(format!("{{\"id\":{id}{comma}{rest}"))).await;
                let answer = device.answer(id).await;
                let code = answer["data"]["code"].as_str();
                let known =
                    ["bad_request", "invalid", "not_found", "conflict", "too_large", "forbidden"];
                assert!(code.is_none_or(|code| known.contains(&code)), "{at} {text}: {answer}");
                if code == Some("invalid") {
                    assert!(answer["data"]["details"]["field"].is_string(), "{text}: {answer}");
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 500, "{tried}");
    device.heartbeat().await;
    is_well(&world, &cast.owner).await;
}

/// JSON that is no frame: `bad_request`, and the socket stays.
#[tokio::test(flavor = "multi_thread")]
async fn json_that_is_no_command_is_a_bad_request() {
    let (world, [alice]) = World::start(["alice"]).await;
    let mut device = alice.connect().await;
    let long = "x".repeat(65);
    for (text, reference) in [
        ("null".to_owned(), Value::Null),
        ("7".to_owned(), Value::Null),
        ("\"text\"".to_owned(), Value::Null),
        ("[]".to_owned(), Value::Null),
        ("[{\"type\":\"heartbeat\"}]".to_owned(), Value::Null),
        ("{}".to_owned(), Value::Null),
        (r#"{"id":5}"#.to_owned(), json!(5)),
        (r#"{"id":"five","type":7}"#.to_owned(), json!("five")),
        (r#"{"id":6,"type":null}"#.to_owned(), json!(6)),
        (r#"{"id":7,"type":"no_such_thing","data":{}}"#.to_owned(), json!(7)),
        (r#"{"id":8,"type":"HEARTBEAT"}"#.to_owned(), json!(8)),
        (r#"{"id":9,"type":"hello"}"#.to_owned(), json!(9)),
        (r#"{"id":10,"type":"message_sent","data":{}}"#.to_owned(), json!(10)),
        (r#"{"id":[1],"type":"heartbeat"}"#.to_owned(), Value::Null),
        (r#"{"id":{},"type":"heartbeat"}"#.to_owned(), Value::Null),
        (r#"{"id":true,"type":"heartbeat"}"#.to_owned(), Value::Null),
        (format!(r#"{{"id":"{long}","type":"heartbeat"}}"#), Value::Null),
    ] {
        device.send(Message::text(text.clone())).await;
        let answer = device.frame(&text, |frame| frame["type"] == "error").await;
        assert_eq!(answer["data"]["code"], "bad_request", "{text}: {answer}");
        assert_eq!(answer["id"], reference, "{text}: {answer}");
    }
    for id in [
        json!("x".repeat(64)),
        json!(0),
        json!(-1),
        json!(9_007_199_254_740_993_u64),
        json!("ü \"q\" \\"),
    ] {
        device.send_json(&json!({"type": "heartbeat", "id": id})).await;
        device
            .frame("a heartbeat", |frame| frame["type"] == "heartbeat" && frame["id"] == id)
            .await;
    }
    // Commands without a reference are answered without one.
    device.send(Message::text(r#"{"type":"heartbeat"}"#)).await;
    device
        .frame("an answer", |frame| frame["type"] == "heartbeat" && frame.get("id").is_none())
        .await;
    let deep = "[".repeat(20_000) + &"]".repeat(20_000);
    device.send(Message::text(format!(r#"{{"id":77,"type":"heartbeat","data":{deep}}}"#))).await;
    match device.frame("an end or an answer", |frame| frame["id"] == 77).await["type"].as_str() {
        Some("error") => {}
        other => panic!("{other:?}"),
    }
    is_well(&world, &alice).await;
}

/// What cannot be read closes with 4400, what is too large with 4413; each on a socket of its own.
#[tokio::test(flavor = "multi_thread")]
async fn unreadable_frames_close_with_the_documented_code() {
    let (world, [alice]) = World::start(["alice"]).await;
    let address = world.server.address();
    let large = alice.connect().await.hello["max_frame_bytes"].as_u64().unwrap() as usize;
    let garbage: Vec<u8> = (0..=255).cycle().take(5_000).collect();
    let mut heartbeat = Vec::new();
    cbor::from_json(br#"{"type":"heartbeat","id":1}"#, &mut heartbeat).unwrap();
    let torn = heartbeat[..heartbeat.len() - 3].to_vec();
    let behind = [heartbeat.as_slice(), &[0]].concat();
    for (encoding, message, code) in [
        (Encoding::Json, Message::text(""), 4400),
        (Encoding::Json, Message::text("{"), 4400),
        (Encoding::Json, Message::text("nonsense"), 4400),
        (Encoding::Json, Message::text("{\"type\":\"heartbeat\"} x"), 4400),
        (Encoding::Json, Message::text("[".repeat(60_000)), 4400),
        (Encoding::Json, Message::binary(garbage.clone()), 4400),
        (Encoding::Json, Message::binary("{\"type\":\"heartbeat\"}"), 4400),
        (Encoding::Json, Message::binary(heartbeat.clone()), 4400),
        (Encoding::Cbor, Message::text("{\"type\":\"heartbeat\"}"), 4400),
        (Encoding::Cbor, Message::binary(garbage), 4400),
        (Encoding::Cbor, Message::binary(Vec::new()), 4400),
        (Encoding::Cbor, Message::binary(torn), 4400),
        (Encoding::Cbor, Message::binary(behind), 4400),
        (Encoding::Cbor, Message::binary(vec![0x9f; 60_000]), 4400),
        (
            Encoding::Cbor,
            Message::binary(vec![0xbf, 0x61, b'a', 0x5b, 255, 255, 255, 255, 255, 255, 255, 255]),
            4400,
        ),
        (Encoding::Cbor, Message::binary(vec![0x9b, 255, 255, 255, 255, 255, 255, 255, 255]), 4400),
        (Encoding::Json, Message::text("x".repeat(large + 1)), 4413),
        (Encoding::Json, Message::text("x".repeat(2 << 20)), 4413),
        (Encoding::Cbor, Message::binary(vec![0x60; large + 1]), 4413),
    ] {
        let shown: String = format!("{message:?}").chars().take(80).collect();
        let mut device = Device::open(address, &alice.token, encoding).await;
        // A server may close before everything was written.
        let _ = futures_util::SinkExt::send(&mut device.stream, message).await;
        assert_eq!(device.closed().await.0, code, "{shown}");
    }
    // The largest that is allowed is read.
    let mut device = alice.connect().await;
    let frame = r#"{"type":"heartbeat","id":1,"data":{},"padding":""}"#;
    let padding = "x".repeat(large - frame.len());
    let frame = frame.replace("\"padding\":\"\"", &format!("\"padding\":\"{padding}\""));
    assert_eq!(frame.len(), large);
    device.send(Message::text(frame)).await;
    device.answer(1).await;
    is_well(&world, &alice).await;
}

/// CBOR with an odd but good shape is the same frame.
#[tokio::test(flavor = "multi_thread")]
async fn cbor_of_other_writers_is_read() {
    let (world, [alice]) = World::start(["alice"]).await;
    let mut device = Device::open(world.server.address(), &alice.token, Encoding::Cbor).await;
    // Definite lengths; a tag before the map; a number in more bytes than it needs; half a float as id.
    for (bytes, id) in [
        (
            vec![
                0xa2, 0x64, b't', b'y', b'p', b'e', 0x69, b'h', b'e', b'a', b'r', b't', b'b', b'e',
                b'a', b't', 0x62, b'i', b'd', 0x07,
            ],
            json!(7),
        ),
        (
            vec![
                0xd9, 0xd9, 0xf7, 0xa2, 0x64, b't', b'y', b'p', b'e', 0x69, b'h', b'e', b'a', b'r',
                b't', b'b', b'e', b'a', b't', 0x62, b'i', b'd', 0x1b, 0, 0, 0, 0, 0, 0, 0, 8,
            ],
            json!(8),
        ),
    ] {
        device.send(Message::binary(bytes)).await;
        device
            .frame("a heartbeat", |frame| frame["type"] == "heartbeat" && frame["id"] == id)
            .await;
    }
    // Keys that are no names, byte strings that are no ids, NaN: refused, not guessed.
    for bytes in [
        vec![0xa1, 0x18, 0xff, 0x02],
        vec![0xa1, 0x20, 0x02],
        vec![0xa1, 0x64, b't', b'y', b'p', b'e', 0x41, 0],
        vec![0xa1, 0x64, b't', b'y', b'p', b'e', 0xf9, 0x7e, 0],
    ] {
        let mut device = Device::open(world.server.address(), &alice.token, Encoding::Cbor).await;
        device.send(Message::binary(bytes)).await;
        assert_eq!(device.closed().await.0, 4400);
    }
    is_well(&world, &alice).await;
}
