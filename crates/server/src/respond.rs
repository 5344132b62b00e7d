//! Answers as JSON.

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// About a message with 200 bytes of text, as JSON.
const ROW_BYTES: usize = 512;

/// A JSON body. What cannot be written as JSON is a fault of ours; it becomes an empty 500.
pub(crate) fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    sized(status, body, 512)
}

/// A page of so many rows: its room is taken at once, growing a large answer would copy it several times.
pub(crate) fn page_of<T: Serialize>(body: &T, rows: usize) -> Response {
    sized(StatusCode::OK, body, 512 + rows * ROW_BYTES)
}

fn sized<T: Serialize>(status: StatusCode, body: &T, expect: usize) -> Response {
    let mut bytes = Vec::with_capacity(expect);
    if let Err(error) = serde_json::to_writer(&mut bytes, body) {
        tracing::error!(%error, "an answer could not be written");
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    }
    typed(status, HeaderValue::from_static("application/json"), bytes)
}

pub(crate) fn ok<T: Serialize>(body: &T) -> Response {
    json(StatusCode::OK, body)
}

pub(crate) fn created<T: Serialize>(body: &T) -> Response {
    json(StatusCode::CREATED, body)
}

pub(crate) fn no_content() -> Response {
    empty(StatusCode::NO_CONTENT)
}

pub(crate) fn typed(status: StatusCode, kind: HeaderValue, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
