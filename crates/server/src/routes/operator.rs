//! The description of the API.

use std::sync::OnceLock;

use axum::response::Response;
use http::{HeaderValue, StatusCode};

use crate::respond::typed;

static DOCUMENT: OnceLock<String> = OnceLock::new();

pub(crate) fn openapi() -> std::future::Ready<Response> {
    let document = DOCUMENT.get_or_init(ostracon_proto::openapi::document);
    let kind = HeaderValue::from_static("application/json");
    std::future::ready(typed(StatusCode::OK, kind, document.as_str()))
}
