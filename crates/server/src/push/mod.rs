//! Reaching people who are away, as this server does it: its key, the work on the queue, and what that work needs.

mod around;
pub(crate) mod endpoint;
mod http;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use ostracon_engine::AwayOptions;
use ostracon_proto::ErrorCode;
use ostracon_push::{VapidKey, Webhook, Worker, WorkerOptions};
use ostracon_store::{Directory, DirectoryError};

use self::{around::Around, http::Post};
use crate::{app::App, config::Config, error::ApiError};

/// Under this name the directory keeps what the key is made from.
const SECRET: &str = "vapid";

/// What is read before the server is put together.
pub(crate) struct Setup {
    vapid: Option<Arc<VapidKey>>,
    options: WorkerOptions,
    post: Post,
    private_addresses: bool,
}

impl Setup {
    /// Reads the key; makes it at the first start.
    pub(crate) async fn load(
        config: &Config,
        directory: &dyn Directory,
    ) -> Result<Self, DirectoryError> {
        let push = &config.push;
        let vapid = match push.enabled {
            true => Some(Arc::new(VapidKey::from_secret(directory.secret(SECRET).await?))),
            false => None,
        };
        let webhooks = config.webhooks.iter().map(|hook| Webhook {
            name: hook.name.clone(),
            url: hook.url.clone(),
            secret: hook.secret.as_str().to_owned(),
            events: hook.events.clone(),
        });
        let options = WorkerOptions {
            vapid: vapid.clone(),
            subject: push.subject.clone(),
            webhooks: webhooks.collect(),
        };
        let post = Post::new(push.private_addresses).map_err(DirectoryError::Unavailable)?;
        Ok(Self { vapid, options, post, private_addresses: push.private_addresses })
    }
}

/// What the dispatchers note; none where nobody is told anything.
pub(crate) fn away_options(config: &Config) -> Option<AwayOptions> {
    let wants = |event: &str| {
        let event = event.to_owned();
        config.webhooks.iter().filter(move |hook| hook.events.contains(&event))
    };
    (config.push.enabled || !config.webhooks.is_empty()).then(|| AwayOptions {
        delay: Duration::from_millis(u64::from(config.push.delay_ms)),
        everybody: wants("message.offline").next().is_some(),
        created: wants("message.created").map(|hook| hook.name.clone()).collect(),
    })
}

pub(crate) struct Push {
    vapid: Option<Arc<VapidKey>>,
    pub(crate) worker: Worker,
    pub(crate) private_addresses: bool,
}

impl Push {
    pub(crate) fn new(setup: Setup, app: Weak<App>, directory: Arc<dyn Directory>) -> Self {
        let Setup { vapid, options, post, private_addresses } = setup;
        let around = Arc::new(Around::new(app, post));
        Self { vapid, worker: Worker::new(directory, around, options), private_addresses }
    }

    /// The server's key.
    ///
    /// # Errors
    /// `forbidden` where push is switched off.
    pub(crate) fn vapid(&self) -> Result<&VapidKey, ApiError> {
        let off = || ApiError::new(ErrorCode::Forbidden, "This server does not push.");
        self.vapid.as_deref().ok_or_else(off)
    }
}
