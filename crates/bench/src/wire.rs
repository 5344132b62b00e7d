//! Bytes on the wire, written and read with as little work as possible.

pub(crate) mod field;
pub(crate) mod http;
pub(crate) mod websocket;
