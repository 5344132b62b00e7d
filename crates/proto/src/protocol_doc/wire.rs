//! The frames, refusals and close codes as JSON: what generators of clients in other languages read
//! beside the OpenAPI document. It is not a document for people.

use super::{CLIENT_FRAMES, FrameDoc, SERVER_FRAMES};
use crate::{CloseCode, ErrorCode, close_code::Reconnect, openapi};
use ostracon_domain::limits;
use serde_json::{Map, Value, json};

/// `schemas` by name, `client_frames` and `server_frames` in the order of the document, `limits`,
/// `errors`, `close_codes`.
#[must_use]
pub fn wire() -> Value {
    let all = CLIENT_FRAMES.iter().chain(SERVER_FRAMES);
    let parts = openapi::collect(all.map(|doc| doc.shape));
    let named = openapi::schemas();
    // The data of a frame has its schema in the frame; here is what it refers to.
    let frames = |docs: &[FrameDoc]| docs.iter().map(frame).collect::<Vec<_>>();
    let data = |name: &String| {
        CLIENT_FRAMES.iter().chain(SERVER_FRAMES).any(|doc| doc.shape.name() == *name)
    };
    let schemas: Map<String, Value> = parts
        .into_iter()
        .filter(|(name, _)| !data(name) || named.contains_key(name))
        .map(|(name, schema)| (name, json!(schema)))
        .collect();
    json!({
        "schemas": schemas,
        "client_frames": frames(CLIENT_FRAMES),
        "server_frames": frames(SERVER_FRAMES),
        "limits": {
            "excerpt_units": limits::EXCERPT_UNITS,
            "text_units": limits::TEXT_UNITS_MAX,
            "client_id_bytes": limits::CLIENT_ID_BYTES_MAX,
        },
        "errors": ErrorCode::ALL.map(|code| json!({
            "code": code.as_str(),
            "status": code.status(),
            "retry": code.retryable(),
        })),
        "close_codes": CloseCode::ALL.map(|code| json!({
            "code": code.number(),
            "meaning": code.meaning(),
            "reconnect": reconnect(code.reconnect()),
        })),
    })
}

/// `more` are fields beside those of the schema: name, type as in the document, meaning.
fn frame(doc: &FrameDoc) -> Value {
    json!({
        "type": doc.kind,
        "meaning": doc.meaning,
        "object": doc.object,
        "more": doc.more,
        "schema": doc.shape.schema(),
    })
}

const fn reconnect(advice: Reconnect) -> &'static str {
    match advice {
        Reconnect::Yes => "yes",
        Reconnect::AfterReason => "after_reason",
        Reconnect::AfterSignIn => "after_sign_in",
        Reconnect::No => "no",
    }
}
