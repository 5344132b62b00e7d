//! Input that no good client sends: a refusal with a code, never a fault of the server, and everybody
//! else goes on.

mod bodies;
mod frames;
mod requests;
mod slow_reader;
mod wire;

use ostracon_proto::ErrorCode;
use serde_json::Value;

use crate::{
    http::Reply,
    world::{User, World},
};

/// JSON values that fit hardly anywhere.
const TOKENS: &[&str] = &[
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "1e400",
    "-9223372036854775809",
    "9007199254740992",
    "18446744073709551616",
    "99999999999999999999999999999999",
    r#""""#,
    r#""x""#,
    r#""12""#,
    r#""\u0000""#,
    r#""a\u0000b""#,
    r#""\ud800""#,
    r#""\udfff x""#,
    r#""\u202e\ufeff\u200b""#,
    r#""ext:""#,
    r#""ext:\u0000""#,
    "[]",
    "[[[[]]]]",
    "[null]",
    "[1,1,1]",
    "{}",
    r#"{"a":{"b":[]}}"#,
];

/// What stands for the value that is exchanged.
const HOLE: &str = "@@hole@@";

/// The object with each of its values exchanged for a hole, one at a time, however deep; as JSON text.
fn with_holes(whole: &Value) -> Vec<(String, String)> {
    fn holes(at: &mut Value, path: &str, found: &mut Vec<String>) {
        found.push(path.to_owned());
        match at {
            Value::Object(map) => {
                for (name, inner) in map {
                    holes(inner, &format!("{path}/{name}"), found);
                }
            }
            Value::Array(list) => {
                for (index, inner) in list.iter_mut().enumerate() {
                    holes(inner, &format!("{path}/{index}"), found);
                }
            }
            _ => {}
        }
    }
    let mut paths = Vec::new();
    holes(&mut whole.clone(), "", &mut paths);
    let hole = |path: &String| {
        let mut exchanged = whole.clone();
        *exchanged.pointer_mut(path).unwrap() = HOLE.into();
        (path.clone(), exchanged.to_string())
    };
    paths.iter().map(hole).collect()
}

fn filled(text: &str, token: &str) -> String {
    text.replace(&format!("\"{HOLE}\""), token)
}

/// An answer that a server may give to anything: below 500, and a refusal has its code and status.
fn fair(reply: &Reply, input: &str) {
    let shown: String = input.chars().take(300).collect();
    assert!(reply.status < 500, "{} {shown}: {} {}", reply.call, reply.status, reply.text());
    if reply.status >= 400 && reply.status != 405 {
        let code = reply.code();
        let known = ErrorCode::ALL.iter().find(|known| known.as_str() == code);
        let known = known.unwrap_or_else(|| panic!("{} {shown}: {}", reply.call, reply.text()));
        assert_eq!(known.status(), reply.status, "{} {shown}", reply.call);
        if *known == ErrorCode::Invalid {
            let error: Value = serde_json::from_slice(&reply.body).unwrap();
            let field = &error["error"]["details"]["field"];
            assert!(field.is_string(), "{} {shown}: no field in {error}", reply.call);
        }
    }
}

/// The server serves still.
async fn is_well(world: &World, user: &User) {
    world.call("GET", "/healthz", None).await.is(200);
    world.call("GET", "/readyz", None).await.is(200);
    let own = user.direct(user).await;
    let mut device = user.connect().await;
    device.say(&own, "still here").await;
    device.leave().await;
}
