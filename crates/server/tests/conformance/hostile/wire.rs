//! Bytes below the WebSocket: half a frame, masks, lengths that lie, fragments, control frames.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::is_well;
use crate::world::{User, World, within};

/// A WebSocket as bytes, after its upgrade and `hello`.
async fn open(address: SocketAddr, user: &User) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /api/v1/ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         authorization: Bearer {}\r\n\r\n",
        user.token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let hello = async {
        let mut buffer = [0; 1_024];
        while !String::from_utf8_lossy(&seen).contains("\"hello\"") {
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "{}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&buffer[..read]);
        }
    };
    within("hello", hello).await;
    let text = String::from_utf8_lossy(&seen);
    assert!(
        text.starts_with("HTTP/1.1 101") && text.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        "{text}"
    );
    stream
}

/// The code of the close frame that the server ends with; none if it just ends.
async fn close_code(mut stream: TcpStream) -> Option<u16> {
    let mut sent = Vec::new();
    let _ = within("the server to close", stream.read_to_end(&mut sent)).await;
    let at = sent.windows(2).rposition(|bytes| bytes[0] == 0x88 && bytes[1] < 126)?;
    let code = sent.get(at + 2..at + 4)?;
    Some(u16::from_be_bytes([code[0], code[1]]))
}

/// A frame of a client, masked with zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(0x80 | len as u8),
        len => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(payload);
    bytes
}

const HEARTBEAT: &[u8] = br#"{"type":"heartbeat","id":1}"#;

/// Half a frame, and then nothing: the server waits no longer than for any silent client.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_frame_is_silence() {
    let (world, [alice]) = World::start_with(["alice"], |config| {
        config.connections.heartbeat_s = 1;
        config.connections.silence_s = 2;
    })
    .await;
    let address = world.server.address();
    let whole = frame(0x81, HEARTBEAT);
    let mut ends = Vec::new();
    for cut in [1, 2, 5, 6, 10, whole.len() - 1] {
        let mut stream = open(address, &alice).await;
        stream.write_all(&whole[..cut]).await.unwrap();
        ends.push(close_code(stream));
    }
    for code in futures_util::future::join_all(ends).await {
        assert_eq!(code, Some(4408));
    }
    is_well(&world, &alice).await;
}

/// What breaks the WebSocket itself closes with 4400, a length beyond the bound with 4413.
#[tokio::test(flavor = "multi_thread")]
async fn broken_frames_close_with_the_documented_code() {
    let (world, [alice]) = World::start(["alice"]).await;
    let address = world.server.address();
    let mut unmasked = vec![0x81, HEARTBEAT.len() as u8];
    unmasked.extend_from_slice(HEARTBEAT);
    let huge = |length: u64| [&[0x81, 0x80 | 127][..], &length.to_be_bytes(), &[0; 4]].concat();
    for (what, bytes, code) in [
        ("no mask", unmasked, 4400),
        ("a reserved opcode", frame(0x83, b"x"), 4400),
        ("a reserved bit", frame(0xc1, HEARTBEAT), 4400),
        ("a continuation of nothing", frame(0x80, b"x"), 4400),
        ("text that is no UTF-8", frame(0x81, b"{\"type\":\"\xff\xfe\"}"), 4400),
        ("half a character", frame(0x81, b"{\"type\":\"\xe2\x82\"}"), 4400),
        ("a long ping", frame(0x89, &[0; 126]), 4400),
        ("a ping in pieces", frame(0x09, b"x"), 4400),
        ("two beginnings", [frame(0x01, b"{"), frame(0x01, b"{")].concat(), 4400),
        ("2^31 bytes announced", huge(1 << 31), 4413),
        ("2^63 bytes announced", huge(1 << 63), 4413),
        ("all bytes there are announced", huge(u64::MAX), 4413),
    ] {
        let mut stream = open(address, &alice).await;
        stream.write_all(&bytes).await.unwrap();
        assert_eq!(close_code(stream).await, Some(code), "{what}");
    }
    // Pieces that are small each and too large together.
    let mut stream = open(address, &alice).await;
    let piece = vec![b' '; 60_000];
    let mut wrote = stream.write_all(&frame(0x01, &piece)).await;
    for _ in 0..5 {
        if wrote.is_ok() {
            wrote = stream.write_all(&frame(0x00, &piece)).await;
        }
    }
    assert_eq!(close_code(stream).await, Some(4413));
    is_well(&world, &alice).await;
}

/// Unusual but good: pieces, empty pieces, pings between them, a byte at a time, frames behind the upgrade.
#[tokio::test(flavor = "multi_thread")]
async fn unusual_but_good_frames_are_read() {
    let (world, [alice]) = World::start(["alice"]).await;
    let mut stream = open(world.server.address(), &alice).await;
    let (start, end) = HEARTBEAT.split_at(9);
    let bytes = [
        frame(0x01, start),
        frame(0x89, b"between"),
        frame(0x00, b""),
        frame(0x8a, b"a pong nobody asked for"),
        frame(0x80, end),
        frame(0x89, b""),
    ]
    .concat();
    for byte in bytes {
        stream.write_all(&[byte]).await.unwrap();
    }
    let mut seen = Vec::new();
    let answered = async {
        let mut buffer = [0; 1_024];
        loop {
            let text = String::from_utf8_lossy(&seen).into_owned();
            if text.contains("user_rev") && text.contains("between") {
                break;
            }
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "{text}");
            seen.extend_from_slice(&buffer[..read]);
        }
    };
    within("an answer and a pong", answered).await;
    stream.write_all(&frame(0x88, &1000_u16.to_be_bytes())).await.unwrap();
    assert_eq!(close_code(stream).await, Some(1000), "a good-bye is answered");
    is_well(&world, &alice).await;
}

/// Upgrades that are none.
#[tokio::test(flavor = "multi_thread")]
async fn bad_upgrades_are_refused() {
    let (world, [alice]) = World::start(["alice"]).await;
    let good = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let ask = async |headers: &[(&str, &str)]| {
        let mut request = http::Request::get("/api/v1/ws").header("host", "x");
        request = request.header("authorization", format!("Bearer {}", alice.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(http_body_util::Full::default()).unwrap();
        crate::http::send(world.server.address(), request).await.status
    };
    for missing in 0..good.len() {
        let mut headers = good.to_vec();
        headers.remove(missing);
        assert_eq!(ask(&headers).await, 400, "{missing}");
    }
    for (at, value) in [(1, "h2c"), (2, "8"), (2, "")] {
        let mut headers = good.to_vec();
        headers[at].1 = value;
        assert_eq!(ask(&headers).await, 400, "{value}");
    }
    is_well(&world, &alice).await;
}
