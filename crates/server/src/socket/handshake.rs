//! The request that becomes a WebSocket, and its answer (RFC 6455, section 4.2).

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ostracon_proto::{Encoding, ErrorCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::error::ApiError;

pub(super) struct Handshake {
    pub(super) encoding: Encoding,
    /// The sub-protocol, if the client named one of ours.
    protocol: Option<&'static str>,
    accept_key: HeaderValue,
}

impl Handshake {
    /// # Errors
    /// `bad_request` when it is no WebSocket handshake of version 13.
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, ApiError> {
        let refuse = |message| ApiError::new(ErrorCode::BadRequest, message);
        if !has_token(headers, header::CONNECTION, "upgrade")
            || !has_token(headers, header::UPGRADE, "websocket")
        {
            return Err(refuse("This call opens a WebSocket."));
        }
        let version = headers.get(header::SEC_WEBSOCKET_VERSION);
        if version.is_none_or(|version| version != "13") {
            return Err(refuse("The WebSocket version must be 13."));
        }
        let key = headers
            .get(header::SEC_WEBSOCKET_KEY)
            .ok_or_else(|| refuse("Sec-WebSocket-Key is missing."))?;
        let accept_key = derive_accept_key(key.as_bytes());
        let chosen =
            tokens(headers, header::SEC_WEBSOCKET_PROTOCOL).find_map(Encoding::from_subprotocol);
        Ok(Self {
            encoding: chosen.unwrap_or_default(),
            protocol: chosen.map(Encoding::subprotocol),
            accept_key: HeaderValue::from_str(&accept_key)
                .map_err(|error| ApiError::internal(&error))?,
        })
    }

    pub(super) fn accept(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept_key);
        if let Some(protocol) = self.protocol {
            let protocol = HeaderValue::from_static(protocol);
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        response
    }
}

fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

fn has_token(headers: &HeaderMap, name: HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}
