//! Writing frames. A server frame is encoded once and its bytes are shared by every connection
//! that gets it; an answer is encoded for its one connection.

use super::{ClientFrame, FrameRef, ServerData};
use crate::{Encoding, cbor};
use bytes::Bytes;

/// Most frames fit; larger ones grow.
const USUAL_FRAME_BYTES: usize = 512;

/// An event: no reference, shared by many.
#[must_use]
pub fn event<T: ServerData>(encoding: Encoding, data: &T) -> Bytes {
    frame(encoding, None, data)
}

/// An answer to the frame that carried this reference, if it carried one.
#[must_use]
pub fn answer<T: ServerData>(encoding: Encoding, id: Option<&FrameRef>, data: &T) -> Bytes {
    frame(encoding, id, data)
}

fn frame<T: ServerData>(encoding: Encoding, id: Option<&FrameRef>, data: &T) -> Bytes {
    let mut out = Vec::with_capacity(USUAL_FRAME_BYTES);
    frame_into(&mut out, encoding, id, data);
    out.into()
}

/// Appends a frame to what is there: for buffers that are used again.
pub fn frame_into<T: ServerData>(
    out: &mut Vec<u8>,
    encoding: Encoding,
    id: Option<&FrameRef>,
    data: &T,
) {
    write(out, encoding, T::TYPE, id, data);
}

/// Appends a client's frame, as our own client sends it.
pub fn client_frame_into(out: &mut Vec<u8>, encoding: Encoding, frame: &ClientFrame<'_>) {
    let (kind, id) = (frame.command.kind(), frame.id.as_ref());
    write(out, encoding, kind, id, &frame.command);
}

fn write<T: serde::Serialize>(
    out: &mut Vec<u8>,
    encoding: Encoding,
    kind: &str,
    id: Option<&FrameRef>,
    data: &T,
) {
    match encoding {
        Encoding::Json => write_json(out, kind, id, data),
        Encoding::Cbor => {
            let mut json = Vec::with_capacity(USUAL_FRAME_BYTES);
            write_json(&mut json, kind, id, data);
            let start = out.len();
            let written = cbor::from_json(&json, out);
            debug_assert!(written.is_ok(), "our own JSON has a CBOR form: {written:?}");
            if written.is_err() {
                out.truncate(start);
            }
        }
    }
}

fn write_json<T: serde::Serialize>(out: &mut Vec<u8>, kind: &str, id: Option<&FrameRef>, data: &T) {
    // Types are plain words of ours and need no escaping.
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.push(b'"');
    if let Some(id) = id {
        out.extend_from_slice(b",\"id\":");
        id.write_json(out);
    }
    out.extend_from_slice(b",\"data\":");
    let data_from = out.len();
    // A vector takes every write, and no type here has keys that are not text.
    let written = serde_json::to_writer(&mut *out, data);
    debug_assert!(written.is_ok(), "{kind}: {written:?}");
    if written.is_err() {
        out.truncate(data_from);
        out.extend_from_slice(b"{}");
    }
    out.push(b'}');
}

pub(super) fn write_number(out: &mut Vec<u8>, number: i64) {
    let written = serde_json::to_writer(out, &number);
    debug_assert!(written.is_ok(), "a vector takes every write");
}
