//! Reaching people who are away: what is sent to push services and to other systems, and the work on the queue in the directory.
//!
//! It is not: a list of who is away (the live part knows, and is asked), and not HTTP (whoever starts it brings that along).
//! Clocks and randomness come with the [`Surroundings`].
//!
//! An errand's way: [`Worker`] takes it, `tell` or `event` asks the surroundings what there still is to tell, makes the request,
//! and says how the errand ends.

mod backoff;
mod encrypt;
mod event;
mod follow;
mod hosts;
mod news;
mod surroundings;
mod tell;
mod vapid;
mod webhook;
mod worker;

pub use backoff::{ATTEMPTS_MAX, LIFE_MS};
pub use encrypt::{DeviceKeys, EncryptError, Once, PLAIN_BYTES_MAX, encrypt};
pub use news::{Asked, Look, News, Sender};
pub use surroundings::{Answered, Request, Surroundings, Unavailable};
pub use vapid::VapidKey;
pub use webhook::{EVENTS, Webhook, signature};
pub use worker::{Worker, WorkerOptions};
