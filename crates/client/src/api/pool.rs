//! Kept-alive HTTP/1.1 connections to one address. Taken by one call at a time, given back when
//! its answer was read to the end. Idle ones above a bound are closed.

use super::ApiError;
use crate::{address::Address, stream::Stream};
use bytes::Bytes;
use http::{Request, response::Parts};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;

/// Idle connections kept; above it they close after their call.
const IDLE_MAX: usize = 64;
/// Largest answer that is read, in bytes; a larger one is `Unreadable`.
const ANSWER_BYTES_MAX: usize = 64 << 20;

type Sender = http1::SendRequest<Full<Bytes>>;

#[derive(Debug)]
pub(super) struct Pool {
    address: Address,
    /// Locked for a push or pop only.
    idle: Mutex<Vec<Sender>>,
}

impl Pool {
    pub(super) fn new(address: Address) -> Self {
        Self { address, idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Parts, Bytes), ApiError> {
        loop {
            let idle = self.idle.lock().pop();
            let reused = idle.is_some();
            let mut sender = match idle {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            if sender.ready().await.is_err() {
                if reused {
                    continue;
                }
                return Err(ApiError::Transport("the connection closed".to_owned()));
            }
            let answer = match sender.try_send_request(request).await {
                Ok(answer) => answer,
                Err(mut failed) => match failed.take_message() {
                    // The server had closed an idle connection; nothing was sent on it.
                    Some(unsent) if reused => {
                        request = unsent;
                        continue;
                    }
                    _ => return Err(ApiError::transport(failed.into_error())),
                },
            };
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX)
                .collect()
                .await
                .map_err(ApiError::transport)?
                .to_bytes();
            if !sender.is_closed() {
                let mut idle = self.idle.lock();
                if idle.len() < IDLE_MAX {
                    idle.push(sender);
                }
            }
            return Ok((head, body));
        }
    }

    async fn connect(&self) -> Result<Sender, ApiError> {
        let stream = Stream::connect(&self.address).await.map_err(ApiError::transport)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(ApiError::transport)?;
        // Ends with its sender; what goes wrong is told to the call that waits.
        tokio::spawn(connection);
        Ok(sender)
    }
}
