//! Files: in by a form or in parts, out by signed addresses, and nothing left of what was refused.

use std::{fs, io::Cursor, path::PathBuf};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ostracon_server::testing::TestServer;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::client::{Answer, Caller, PATIENCE};

/// An answer whose body is no text.
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Raw {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn is(self, status: u16) -> Value {
        let Self { headers, body, .. } = self;
        let text = String::from_utf8_lossy(&body).into_owned();
        Answer { status: self.status.try_into().unwrap(), headers, text }.is(status)
    }

    pub(crate) fn refused(self, status: u16, code: &str) {
        let body = self.is(status);
        assert_eq!(body["error"]["code"], code, "{body}");
    }
}

async fn call(
    server: &TestServer,
    caller: Option<&Caller>,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Raw {
    let mut request = Request::builder().method(method).uri(path).header("host", "test");
    if let Some(token) = caller.and_then(|caller| caller.token.as_deref()) {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let call = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Raw { status: parts.status.as_u16(), headers: parts.headers, body }
    };
    tokio::time::timeout(PATIENCE, call).await.unwrap()
}

pub(crate) async fn get(server: &TestServer, path: &str, headers: &[(&str, &str)]) -> Raw {
    call(server, None, "GET", path, headers, b"").await
}

const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=XYZ");

fn form(name: &str, kind: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!(
        "--XYZ\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nhello\r\n--XYZ\r\n\
         content-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\ncontent-type: {kind}\r\n\r\n"
    );
    [head.as_bytes(), bytes, b"\r\n--XYZ--\r\n"].concat()
}

pub(crate) async fn upload(
    server: &TestServer,
    caller: &Caller,
    name: &str,
    kind: &str,
    bytes: &[u8],
) -> Raw {
    let body = form(name, kind, bytes);
    call(server, Some(caller), "POST", "/api/v1/media/upload", &[FORM], &body).await
}

pub(crate) fn picture(width: u32, height: u32) -> Vec<u8> {
    let image = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7]));
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Every file under the folder of media.
pub(crate) fn files(server: &TestServer) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![server.data_dir().join("media")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

#[tokio::test]
async fn a_picture_goes_in_and_comes_out() {
    let server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    let media = upload(&server, &alice, "caf\u{e9} 1.png", "image/jpeg", &picture(640, 480)).await;
    let media = media.is(201);
    assert_eq!(media["mime"], "image/png");
    assert_eq!((&media["width"], &media["height"]), (&640.into(), &480.into()));
    assert_eq!(media["name"], "caf\u{e9} 1.png");
    assert!(media["thumbhash"].is_string());
    let url = media["url"].as_str().unwrap();

    let file = get(&server, url, &[]).await;
    assert_eq!(file.status, 200);
    assert_eq!(file.body.len() as u64, media["size"].as_u64().unwrap());
    assert_eq!(image::load_from_memory(&file.body).unwrap().to_rgb8().dimensions(), (640, 480));
    assert_eq!(file.header("content-type"), "image/png");
    assert_eq!(file.header("x-content-type-options"), "nosniff");
    assert_eq!(file.header("accept-ranges"), "bytes");
    assert!(file.header("content-security-policy").contains("sandbox"));
    let cache = file.header("cache-control");
    assert!(cache.starts_with("public, max-age=") && cache.ends_with("immutable"), "{cache}");
    let disposition = file.header("content-disposition");
    assert_eq!(disposition, "inline; filename=\"caf_ 1.png\"; filename*=UTF-8''caf%C3%A9%201.png");

    let small = get(&server, media["thumbnail_url"].as_str().unwrap(), &[]).await;
    assert_eq!((small.status, small.header("content-type")), (200, "image/jpeg"));
    assert_eq!(image::load_from_memory(&small.body).unwrap().to_rgb8().dimensions(), (320, 240));

    let head = call(&server, None, "HEAD", url, &[], b"").await;
    assert_eq!(head.header("content-length"), file.body.len().to_string());
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn parts_and_copies_are_served_as_they_are_asked_for() {
    let server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    let bytes: Vec<u8> = (0..600_000u32).map(|n| (n % 251) as u8).collect();
    let media = upload(&server, &alice, "x.bin", "application/octet-stream", &bytes).await.is(201);
    let url = media["url"].as_str().unwrap();
    let whole = get(&server, url, &[]).await;
    assert_eq!(whole.body, bytes);
    assert!(whole.header("content-disposition").starts_with("attachment"));
    let tag = whole.header("etag");

    let part = get(&server, url, &[("range", "bytes=300000-"), ("if-range", tag)]).await;
    assert_eq!((part.status, part.header("content-range")), (206, "bytes 300000-599999/600000"));
    assert_eq!(part.body, bytes[300_000..]);
    let last = get(&server, url, &[("range", "bytes=-5")]).await;
    assert_eq!((last.status, &last.body[..]), (206, &bytes[599_995..]));
    let other = get(&server, url, &[("range", "bytes=0-4"), ("if-range", "\"else\"")]).await;
    assert_eq!((other.status, other.body.len()), (200, 600_000));
    let beyond = get(&server, url, &[("range", "bytes=600000-")]).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */600000"));
    let same = get(&server, url, &[("if-none-match", &format!("\"x\", {tag}"))]).await;
    assert_eq!((same.status, same.body.len(), same.header("etag")), (304, 0, tag));
}

#[tokio::test]
async fn addresses_are_signed_and_end() {
    let clock = std::sync::Arc::new(ostracon_engine::ManualClock::new(1_800_000_000_000));
    let server = TestServer::start_at(clock.clone(), |config| {
        config.media.base_url = "https://cdn.example".to_owned();
    });
    let mut server = server.await;
    let alice = Caller::new(&server, "alice").await;
    let bob = Caller::new(&server, "bob").await;
    let media = upload(&server, &alice, "a.txt", "text/plain", b"of alice").await.is(201);
    let url = media["url"].as_str().unwrap().strip_prefix("https://cdn.example").unwrap();
    assert_eq!(get(&server, url, &[]).await.body, &b"of alice"[..]);
    let (path, _) = url.split_once('?').unwrap();
    for bad in [path.to_owned(), url.replace("signature=", "signature=A"), format!("{url}x")] {
        get(&server, &bad, &[]).await.refused(403, "forbidden");
    }
    let about = format!("/api/v1/media/{}", media["media_id"].as_str().unwrap());
    assert_eq!(alice.get(&about).await.is(200), media);
    bob.get(&about).await.refused(404, "not_found");
    alice.get("/api/v1/media/0123").await.refused(404, "not_found");
    // It is the same after a restart, and good until its end.
    server.restart().await;
    assert_eq!(get(&server, url, &[]).await.status, 200);
    clock.advance(2 * 86_400_000);
    get(&server, url, &[]).await.refused(403, "forbidden");
    let again = alice.at(&server).get(&about).await.is(200);
    let again = again["url"].as_str().unwrap().strip_prefix("https://cdn.example").unwrap();
    assert_eq!(get(&server, again, &[]).await.status, 200);
}

#[tokio::test]
async fn active_content_is_only_ever_a_download() {
    let server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    let page = b"<!doctype html><script>alert(document.cookie)</script>";
    let drawing = b"<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0h9'/></svg>";
    for (bytes, mime) in [
        (page.as_slice(), "text/html"),
        (drawing, "image/svg+xml"),
        (b"%PDF-1.7 /JS (app.alert(1))", "application/pdf"),
    ] {
        let media = upload(&server, &alice, "x.html", "text/plain", bytes).await.is(201);
        assert_eq!(media["mime"], mime);
        let file = get(&server, media["url"].as_str().unwrap(), &[]).await;
        assert_eq!(file.header("content-type"), "application/octet-stream", "{mime}");
        assert!(file.header("content-disposition").starts_with("attachment"), "{mime}");
        assert!(file.header("content-security-policy").contains("sandbox"));
        assert_eq!(file.header("x-content-type-options"), "nosniff");
        assert_eq!(file.body, bytes);
    }
}

#[tokio::test]
async fn hostile_files_leave_nothing_behind() {
    let server = TestServer::start_with(|config| {
        config.media.file_bytes_max = 200_000;
        config.media.picture_pixels_max = 1_000_000;
    });
    let server = server.await;
    let alice = Caller::new(&server, "alice").await;
    let png = picture(300, 300);
    // A picture of 50,000 x 50,000 pixels: the head says so, the checksum of the head is right.
    let mut bomb = png.clone();
    bomb[16..24].copy_from_slice(&[0, 0, 0xc3, 0x50, 0, 0, 0xc3, 0x50]);
    let mut crc = !0u32;
    for byte in &bomb[12..29] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    bomb[29..33].copy_from_slice(&(!crc).to_be_bytes());
    let script = b"<?xml version='1.0'?><svg><script>alert(1)</script></svg>";
    let handler = b"<svg xmlns='http://www.w3.org/2000/svg'><path onload='alert(1)'/></svg>";
    let laughs = b"<!DOCTYPE svg [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]><svg>&b;</svg>";
    // A canvas of a million pixels and many tiny frames.
    let mut film = b"GIF89a\xe8\x03\xe8\x03\0\0\0".to_vec();
    for _ in 0..17 {
        film.extend_from_slice(b"\x2c\0\0\0\0\x01\0\x01\0\x80\0\0\0\xff\xff\xff\x02\x02\x44\x01\0");
    }
    film.push(0x3b);
    let scans = [b"\xff\xd8".as_slice(), &b"\xff\xda\0\x02".repeat(70)].concat();
    for (what, kind, bytes, status, code) in [
        ("a bomb", "image/png", &bomb[..], 413, "too_large"),
        ("too many pixels", "image/png", &picture(1_001, 1_000), 413, "too_large"),
        ("cut off", "image/png", &png[..png.len() / 2], 415, "unsupported_media"),
        ("damaged", "image/jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0garbage", 415, "unsupported_media"),
        ("script and picture", "image/gif", b"GIF89a=1;alert(1)//", 415, "unsupported_media"),
        ("a script in a drawing", "image/svg+xml", script, 415, "unsupported_media"),
        ("a handler in a drawing", "image/svg+xml", handler, 415, "unsupported_media"),
        ("entities in a drawing", "image/svg+xml", laughs, 415, "unsupported_media"),
        ("many large frames", "image/gif", &film, 413, "too_large"),
        ("many scans", "image/jpeg", &scans, 413, "too_large"),
        ("a program", "image/png", b"MZ\x90\0\x03", 415, "unsupported_media"),
        ("a page as film", "video/mp4", b"<html><script>", 415, "unsupported_media"),
        ("nothing", "image/png", b"", 422, "invalid"),
        ("too long", "text/plain", &[b'x'; 200_001], 413, "too_large"),
    ] {
        let answer = upload(&server, &alice, "x", kind, bytes).await;
        assert!(answer.body.len() > 20, "{what}");
        answer.refused(status, code);
        assert_eq!(files(&server), Vec::<PathBuf>::new(), "{what}");
    }
    let all = form("x", "text/plain", b"hello");
    for (what, header, body) in [
        ("no form", ("content-type", "image/png"), &b"x"[..]),
        ("no boundary", ("content-type", "multipart/form-data"), &all),
        ("cut off", FORM, &all[..all.len() - 12]),
        (
            "no file",
            FORM,
            &b"--XYZ\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\nb\r\n--XYZ--\r\n"[..],
        ),
        ("garbage", FORM, &[0xff; 1_000]),
    ] {
        let answer =
            call(&server, Some(&alice), "POST", "/api/v1/media/upload", &[header], body).await;
        assert!((400..500).contains(&answer.status), "{what}: {}", answer.status);
        assert_eq!(files(&server), Vec::<PathBuf>::new(), "{what}");
    }
    // What hides behind a picture does not come through.
    let both = [&png[..], b"PK\x03\x04 SECRET <script>alert(1)</script>"].concat();
    let media = upload(&server, &alice, "x.png", "image/png", &both).await.is(201);
    let file = get(&server, media["url"].as_str().unwrap(), &[]).await;
    assert!(!file.body.windows(6).any(|six| six == b"SECRET"));
}

/// Writes a request as it is, ends it there, and reads what comes back.
async fn spoken(server: &TestServer, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let talk = async {
        // Who is refused early may be hung up on.
        let _ = stream.write_all(request).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::time::timeout(PATIENCE, talk).await.unwrap()
}

#[tokio::test]
async fn lengths_that_lie_leave_nothing() {
    let server = TestServer::start_with(|config| config.media.file_bytes_max = 200_000).await;
    let alice = Caller::new(&server, "alice").await;
    let token = alice.token.as_deref().unwrap();
    let all = form("x", "text/plain", &[b'x'; 1_000]);
    let cut = &all[..600];
    let chunk = [format!("{:x}\r\n", cut.len()).as_bytes(), cut, b"\r\n"].concat();
    let cases: [(&str, &str, Vec<u8>); 7] = [
        ("more is promised than comes", "content-length: 5000", cut.to_vec()),
        ("less is promised than comes", "content-length: 300", all.clone()),
        ("more than is allowed", "content-length: 300000", cut.to_vec()),
        ("more than there can be", "content-length: 99999999999999999999", cut.to_vec()),
        ("less than nothing", "content-length: -1", cut.to_vec()),
        (
            "a chunk that lies",
            "transfer-encoding: chunked",
            [&chunk[..], b"ffffffff\r\nx"].concat(),
        ),
        ("a chunk that is none", "transfer-encoding: chunked", [&chunk[..], b"zz\r\n"].concat()),
    ];
    for (what, length, body) in cases {
        let head = format!(
            "POST /api/v1/media/upload HTTP/1.1\r\nhost: test\r\nauthorization: Bearer {token}\r\n\
             content-type: multipart/form-data; boundary=XYZ\r\n{length}\r\n\r\n"
        );
        let answer = spoken(&server, &[head.as_bytes(), &body].concat()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{what}: {answer}");
        let gone = async {
            while !files(&server).is_empty() {
                tokio::task::yield_now().await
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.expect(what);
    }
    // The server is well, and what is true is taken.
    upload(&server, &alice, "x", "text/plain", b"hello").await.is(201);
}

const TUS: (&str, &str) = ("tus-resumable", "1.0.0");
const BYTES: (&str, &str) = ("content-type", "application/offset+octet-stream");

#[tokio::test]
async fn an_upload_may_be_interrupted() {
    let mut server = TestServer::start().await;
    let alice = Caller::new(&server, "alice").await;
    let bob = Caller::new(&server, "bob").await;
    let able = call(&server, None, "OPTIONS", "/api/v1/media/uploads", &[], b"").await;
    assert_eq!((able.status, able.header("tus-version")), (204, "1.0.0"));
    assert!(able.header("tus-extension").contains("creation"));
    assert_eq!(able.header("tus-max-size"), (100 << 20).to_string());

    let bytes = picture(900, 700);
    let length = bytes.len().to_string();
    let named = ("upload-metadata", "filename Zm90by5wbmc=,filetype aW1hZ2UvcG5n");
    let uploads = "/api/v1/media/uploads";
    let begin = [TUS, ("upload-length", length.as_str()), named];
    let begun = call(&server, Some(&alice), "POST", uploads, &begin, b"").await;
    assert_eq!(begun.status, 201);
    assert!(begun.header("upload-expires").ends_with("GMT"));
    let place = begun.header("location").to_owned();

    let half = bytes.len() / 2;
    let at = |offset: usize| offset.to_string();
    let patch = async |server: &TestServer, caller: &Caller, from: usize, bytes: &[u8]| {
        let from = at(from);
        let headers = [TUS, BYTES, ("upload-offset", from.as_str())];
        call(server, Some(caller), "PATCH", &place, &headers, bytes).await
    };
    let first = patch(&server, &alice, 0, &bytes[..half]).await;
    assert_eq!((first.status, first.header("upload-offset")), (204, at(half).as_str()));
    patch(&server, &alice, 3, &bytes[3..]).await.refused(409, "conflict");
    patch(&server, &bob, half, &bytes[half..]).await.refused(404, "not_found");
    server.restart().await;
    let head = call(&server, Some(&alice), "HEAD", &place, &[TUS], b"").await;
    assert_eq!((head.status, head.header("upload-offset")), (200, at(half).as_str()));
    assert_eq!(
        (head.header("upload-length"), head.header("cache-control")),
        (length.as_str(), "no-store")
    );
    let last = patch(&server, &alice, half, &bytes[half..]).await;
    assert_eq!((last.status, last.header("upload-offset")), (204, length.as_str()));
    let id = last.header("media-id").to_owned();
    // The answer may have been lost.
    let head = call(&server, Some(&alice), "HEAD", &place, &[TUS], b"").await;
    assert_eq!(
        (head.header("upload-offset"), head.header("media-id")),
        (length.as_str(), id.as_str())
    );
    let media = alice.at(&server).get(&format!("/api/v1/media/{id}")).await.is(200);
    assert_eq!((&media["name"], &media["width"]), (&"foto.png".into(), &900.into()));
    let done = call(&server, Some(&alice), "DELETE", &place, &[TUS], b"").await;
    assert_eq!(done.status, 204);
    assert_eq!(files(&server).len(), 2);
}

#[tokio::test]
async fn uploads_in_parts_that_lie_leave_nothing() {
    let server = TestServer::start_with(|config| config.media.file_bytes_max = 10_000).await;
    let alice = Caller::new(&server, "alice").await;
    let uploads = "/api/v1/media/uploads";
    let begin = async |length: &str, more: (&str, &str)| {
        let headers = [TUS, ("upload-length", length), more];
        call(&server, Some(&alice), "POST", uploads, &headers, b"").await
    };
    let none = ("x-none", "x");
    begin("10001", none).await.refused(413, "too_large");
    begin("0", none).await.refused(422, "invalid");
    begin("-1", none).await.refused(422, "invalid");
    begin("5", ("upload-metadata", "filename %%%")).await.refused(422, "invalid");
    let other = call(&server, Some(&alice), "POST", uploads, &[("upload-length", "5")], b"").await;
    assert_eq!((other.status, other.header("tus-version")), (412, "1.0.0"));
    assert_eq!(files(&server), Vec::<PathBuf>::new());

    let patch = async |place: &str, kind: (&str, &str), bytes: &[u8]| {
        let headers = [TUS, kind, ("upload-offset", "0")];
        call(&server, Some(&alice), "PATCH", place, &headers, bytes).await
    };
    // More than it was said to have; no picture at all; a picture that is cut off.
    let place = begin("5", none).await.header("location").to_owned();
    patch(&place, ("content-type", "text/plain"), b"12345").await.refused(415, "unsupported_media");
    patch(&place, BYTES, b"123456").await.refused(413, "too_large");
    patch(&place, BYTES, b"12345").await.refused(404, "not_found");
    let typed = ("upload-metadata", "filetype aW1hZ2UvcG5n");
    let place = begin("5", typed).await.header("location").to_owned();
    patch(&place, BYTES, b"12345").await.refused(415, "unsupported_media");
    let cut = &picture(50, 50)[..100];
    let place = begin("100", none).await.header("location").to_owned();
    patch(&place, BYTES, cut).await.refused(415, "unsupported_media");
    let place = begin("5", none).await.header("location").to_owned();
    assert_eq!(call(&server, Some(&alice), "DELETE", &place, &[TUS], b"").await.status, 204);
    assert_eq!(files(&server), Vec::<PathBuf>::new());
    for odd in ["x", "..%2f..%2fdirectory", "0123456789abcdef0123456789abcdef"] {
        let path = format!("{uploads}/{odd}");
        assert_eq!(call(&server, Some(&alice), "HEAD", &path, &[TUS], b"").await.status, 404);
        call(&server, Some(&alice), "DELETE", &path, &[TUS], b"").await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_user_has_so_much_room_and_so_many_uploads() {
    let server = TestServer::start_with(|config| {
        config.media.user_bytes_max = 1_000;
        config.rate_limits.enabled = true;
        config.media.uploads_per_minute = 4;
    });
    let server = server.await;
    let alice = Caller::new(&server, "alice").await;
    let bob = Caller::new(&server, "bob").await;
    upload(&server, &alice, "1", "text/plain", &[b'a'; 600]).await.is(201);
    upload(&server, &alice, "2", "text/plain", &[b'b'; 600]).await.refused(413, "too_large");
    upload(&server, &alice, "3", "text/plain", &[b'c'; 400]).await.is(201);
    upload(&server, &bob, "3", "text/plain", &[b'd'; 900]).await.is(201);
    upload(&server, &alice, "4", "text/plain", &[b'e'; 1]).await.refused(413, "too_large");
    let refused = upload(&server, &alice, "5", "text/plain", &[b'e'; 1]).await;
    assert!(refused.headers.contains_key("retry-after"));
    refused.refused(429, "rate_limited");
    assert_eq!(files(&server).len(), 3);
}
