//! The work on the queue: takes what is due, a bounded number at once, and ends each errand. What it holds when it dies is
//! taken again by the next.

use std::{sync::Arc, time::Duration};

use ostracon_domain::{Millis, UserId};
use ostracon_store::{
    Directory, DirectoryError,
    directory::{Errand, ErrandEnd, ErrandKind, ErrandSort},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    backoff::LIFE_MS,
    follow::{self, CREATED, FOLLOW},
    hosts::Hosts,
    news::News,
    surroundings::Surroundings,
    tell::Stuck,
    vapid::VapidKey,
    webhook::Webhook,
};

/// Errands under way at once.
const AT_ONCE: usize = 128;
/// How long an errand is held: longer than all its requests may take.
const HELD_MS: Millis = 120_000;
/// How often the queue is looked at while nothing is due.
const POLL: Duration = Duration::from_millis(500);
/// When what could not be looked up is tried again.
const STUCK_MS: Millis = 5_000;
/// How often old errands are forgotten and the metrics set.
const TIDY: Duration = Duration::from_secs(10);
/// How long what was done is remembered, so that it is not done again.
const DONE_KEPT_MS: Millis = 3_600_000;
/// How long what was given up can be replayed.
const DEAD_KEPT_MS: Millis = 30 * 24 * 3_600_000;
const FORGOTTEN_AT_ONCE: u32 = 5_000;
/// How long a stop waits for what is under way.
const STOP_MAX: Duration = Duration::from_secs(5);

/// What a worker is told about the server.
#[derive(Debug)]
pub struct WorkerOptions {
    /// The server's key; none: no device is told.
    pub vapid: Option<Arc<VapidKey>>,
    /// Where the operator can be reached; empty: nowhere.
    pub subject: String,
    /// Other systems.
    pub webhooks: Vec<Webhook>,
}

/// What all work shares.
pub(crate) struct Shared {
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) around: Arc<dyn Surroundings>,
    pub(crate) options: WorkerOptions,
    pub(crate) hosts: Hosts,
}

/// The work on the queue of a directory. There may be several.
#[derive(Clone)]
pub struct Worker(Arc<Shared>);

impl Worker {
    /// One that does nothing yet.
    pub fn new(
        directory: Arc<dyn Directory>,
        around: Arc<dyn Surroundings>,
        options: WorkerOptions,
    ) -> Self {
        Self(Arc::new(Shared { directory, around, options, hosts: Hosts::default() }))
    }

    /// The other systems that are told.
    pub fn webhooks(&self) -> &[Webhook] {
        &self.0.options.webhooks
    }

    /// Sends a made-up message to all devices of a user; what became of each, by the number of the device.
    ///
    /// # Errors
    /// When the directory does not answer.
    pub async fn test(
        &self,
        user: UserId,
        news: &News,
    ) -> Result<Vec<(u64, String)>, DirectoryError> {
        self.0.test(user, news).await
    }

    /// Errands that never end, so that they do not count as waiting: one for each system that follows users.
    pub fn endless(&self) -> u64 {
        self.0.endless()
    }

    /// Works until it is stopped; then what is under way may end.
    pub async fn run(&self, stop: CancellationToken) {
        let mut under_way = JoinSet::new();
        let mut tidied = tokio::time::interval(TIDY);
        let mut failing = false;
        let mut begun = false;
        loop {
            if !begun {
                begun = self.0.begin().await.is_ok();
            }
            let mut pause = POLL;
            let room = AT_ONCE - under_way.len();
            if room > 0 {
                match self.0.take(room).await {
                    Ok(errands) => {
                        failing = false;
                        // There may be more.
                        if !errands.is_empty() {
                            pause = Duration::ZERO;
                        }
                        for errand in errands {
                            let shared = Arc::clone(&self.0);
                            under_way.spawn(async move { shared.carry_out(errand).await });
                        }
                    }
                    Err(error) => {
                        if !std::mem::replace(&mut failing, true) {
                            tracing::warn!(%error, "the queue of what is to be told outside cannot be read");
                        }
                    }
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = tidied.tick() => self.0.tidy().await,
                Some(_) = under_way.join_next(), if room == 0 => {}
                () = tokio::time::sleep(pause), if room > 0 => {}
            }
            while under_way.try_join_next().is_some() {}
        }
        let ending = async { while under_way.join_next().await.is_some() {} };
        // What does not end in time is taken again after the next start.
        drop(tokio::time::timeout(STOP_MAX, ending).await);
    }

    /// Does once what is due now, and waits for it: for tests, and for commands.
    ///
    /// # Errors
    /// When the directory does not answer.
    pub async fn run_once(&self) -> Result<usize, DirectoryError> {
        self.0.begin().await?;
        let errands = self.0.take(AT_ONCE).await?;
        let count = errands.len();
        for errand in errands {
            self.0.carry_out(errand).await;
        }
        Ok(count)
    }
}

impl Shared {
    fn endless(&self) -> u64 {
        self.options.webhooks.iter().filter(|hook| hook.wants(CREATED)).count() as u64
    }

    /// Puts the errands that never end.
    async fn begin(&self) -> Result<(), DirectoryError> {
        let now = self.around.now();
        let hooks = self.options.webhooks.iter().filter(|hook| hook.wants(CREATED));
        self.directory.put_errands(hooks.map(|hook| follow::begin(hook, now)).collect(), now).await
    }

    async fn take(&self, room: usize) -> Result<Vec<Errand>, DirectoryError> {
        let now = self.around.now();
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        self.directory.take_errands(now, now + HELD_MS, room).await
    }

    async fn carry_out(&self, errand: Errand) {
        let channel = channel(&errand);
        let now = self.around.now();
        let lives = now.saturating_sub(errand.created_at) <= LIFE_MS || is_endless(&errand.kind);
        let end = if !lives {
            let error = errand.error.clone().unwrap_or_else(|| "too old".to_owned());
            ErrandEnd::Dead { error }
        } else {
            let ended = match &errand.kind {
                ErrandKind::Tell { user, conversation } => {
                    self.tell(&errand, *user, *conversation).await
                }
                ErrandKind::Device { user, conversation, subscription } => {
                    self.tell_device(&errand, *user, *conversation, *subscription).await
                }
                ErrandKind::Event { hook, event, user, conversation } => {
                    self.tell_system(&errand, hook, event, (*user, *conversation)).await
                }
            };
            ended.unwrap_or_else(|Stuck(error)| {
                tracing::debug!(error, "an errand waits");
                ErrandEnd::Later { due_at: self.around.now() + STUCK_MS, error: None }
            })
        };
        if let ErrandEnd::Dead { error } = &end {
            counted(channel, "dead");
            tracing::warn!(
                errand = errand.id,
                channel,
                error,
                "something was not told outside and is given up"
            );
        }
        // When that does not work either it is taken again, once nobody holds it any more.
        if let Err(error) = self.directory.end_errand(&errand, end, self.around.now()).await {
            tracing::debug!(%error, "the end of an errand was not noted");
        }
    }

    async fn tidy(&self) {
        let now = self.around.now();
        let (done, dead) = (now - DONE_KEPT_MS, now - DEAD_KEPT_MS);
        let forgotten = self.directory.forget_errands(done, dead, FORGOTTEN_AT_ONCE).await;
        if let Err(error) = forgotten {
            tracing::debug!(%error, "old errands stay for now");
        }
        for (sort, channel) in [(ErrandSort::Push, "push"), (ErrandSort::Events, "webhook")] {
            let Ok(stats) = self.directory.errand_stats(sort).await else { continue };
            let age = stats.oldest_due_at.map_or(0, |due_at| now.saturating_sub(due_at).max(0));
            let endless = if sort == ErrandSort::Events { self.endless() } else { 0 };
            let waiting = stats.waiting.saturating_sub(endless);
            metrics::gauge!("push_queued", "channel" => channel).set(waiting as f64);
            metrics::gauge!("push_dead", "channel" => channel).set(stats.dead as f64);
            metrics::gauge!("push_oldest_seconds", "channel" => channel).set(age as f64 / 1_000.0);
        }
    }

    /// A random number, or none in the middle of the range where the system has none.
    pub(crate) fn chance(&self) -> u32 {
        let mut bytes = [0; 4];
        match self.around.fill(&mut bytes) {
            Ok(()) => u32::from_ne_bytes(bytes),
            Err(_) => u32::MAX / 2,
        }
    }
}

fn is_endless(kind: &ErrandKind) -> bool {
    matches!(kind, ErrandKind::Event { event, .. } if event == FOLLOW)
}

const fn channel(errand: &Errand) -> &'static str {
    match errand.kind {
        ErrandKind::Event { .. } => "webhook",
        ErrandKind::Tell { .. } | ErrandKind::Device { .. } => "push",
    }
}

/// Counts what became of a message to a push service or another system.
pub(crate) fn counted(channel: &'static str, result: &'static str) {
    metrics::counter!("push_messages_total", "channel" => channel, "result" => result).increment(1);
}

#[cfg(test)]
mod tests;
