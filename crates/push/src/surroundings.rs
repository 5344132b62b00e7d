//! What the work on the queue needs of the server around it: what there is to tell, HTTP, time and chance.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use ostracon_domain::{ConversationId, Millis, Seq, UserId};

use crate::news::{Asked, Look, News};

/// Something does not answer now; try again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// A request to a push service or another system: a POST.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Where to; a secret.
    pub url: String,
    /// Whether the address comes from the operator; those of devices lead into the open network only.
    pub trusted: bool,
    /// Headers besides those of every request.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Addresses and signatures reach no log.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// What the other side answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// How long to wait, if it says so.
    pub retry_after: Option<Duration>,
}

/// The server around the work on the queue.
#[async_trait]
pub trait Surroundings: Send + Sync {
    /// Unix milliseconds, UTC.
    fn now(&self) -> Millis;
    /// Random bytes that nobody can guess.
    ///
    /// # Errors
    /// When the system has none.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Unavailable>;
    /// What there still is to tell somebody.
    ///
    /// # Errors
    /// When it cannot be looked up now.
    async fn look(&self, asked: Asked) -> Result<Look, Unavailable>;
    /// One message as a member reads it; none if it is not there to be read any more.
    ///
    /// # Errors
    /// When it cannot be looked up now.
    async fn message(
        &self,
        reader: UserId,
        conversation: ConversationId,
        seq: Seq,
    ) -> Result<Option<News>, Unavailable>;
    /// Sends a request; it ends within some seconds.
    ///
    /// # Errors
    /// Why there was no answer: a sentence without the address.
    async fn post(&self, request: Request) -> Result<Answered, String>;
}
