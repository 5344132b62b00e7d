//! Telling a user who is away: his devices through their push services, and other systems.

use futures_util::future::join_all;
use ostracon_domain::{ConversationId, Millis, PushScope, PushSetting, UserId};
use ostracon_store::{
    DirectoryError,
    directory::{Errand, ErrandEnd, ErrandKind, NewErrand, Subscription},
};
use ring::digest;

use crate::{
    backoff::{ATTEMPTS_MAX, LIFE_MS, wait_ms},
    encrypt::{DeviceKeys, EncryptError, Once, encrypt},
    hosts::origin_of,
    news::{Asked, Look, News},
    surroundings::{Request, Unavailable},
    worker::{Shared, counted},
};

/// When a device is tried again whose push service has enough to do with us.
const CROWDED_MS: Millis = 1_000;

/// What became of a message to one device.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sent {
    Yes,
    /// The device is gone, and forgotten.
    Gone,
    /// Again later; when it failed, why.
    Later {
        wait_ms: u64,
        error: Option<String>,
    },
    /// It will never be taken.
    Never(String),
}

/// Why the work on an errand stopped: it is tried again.
#[derive(Debug)]
pub(crate) struct Stuck(pub(crate) String);

impl From<DirectoryError> for Stuck {
    fn from(error: DirectoryError) -> Self {
        Self(error.to_string())
    }
}

impl From<Unavailable> for Stuck {
    fn from(error: Unavailable) -> Self {
        Self(error.0)
    }
}

impl Shared {
    /// Tells a user wherever he can be reached.
    pub(crate) async fn tell(
        &self,
        errand: &Errand,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<ErrandEnd, Stuck> {
        let (setting, devices) = self.devices(user).await?;
        let hooks: Vec<_> =
            self.options.webhooks.iter().filter(|hook| hook.wants("message.offline")).collect();
        if setting.scope == PushScope::None || (devices.is_empty() && hooks.is_empty()) {
            return Ok(done(errand, Vec::new()));
        }
        let news = match self.look(errand, user, conversation, setting).await? {
            Ok(news) => news,
            Err(end) => return Ok(end),
        };
        let sent = devices.iter().map(|device| self.send(errand, device, &news, setting, 0));
        let sent = join_all(sent).await;
        let now = self.around.now();
        let mut then = Vec::new();
        for (device, sent) in devices.iter().zip(sent) {
            let kind = ErrandKind::Device { user, conversation, subscription: device.id };
            if let Sent::Later { wait_ms, .. } = sent {
                then.push(NewErrand {
                    key: format!("device:{}:{conversation}", device.id),
                    kind,
                    seq: errand.seq,
                    mention_seq: errand.mention_seq,
                    count: errand.count,
                    due_at: now.saturating_add_unsigned(wait_ms),
                });
            }
        }
        for hook in hooks {
            let event = "message.offline".to_owned();
            then.push(NewErrand {
                key: format!("{}:{event}:{user}:{conversation}:{}", hook.name, news.seq),
                kind: ErrandKind::Event {
                    hook: hook.name.clone(),
                    event,
                    user: Some(user),
                    conversation: Some(conversation),
                },
                seq: news.seq,
                mention_seq: if news.mentioned { news.seq } else { 0 },
                count: 1,
                due_at: now,
            });
        }
        Ok(done(errand, then))
    }

    /// Tells one device that could not be reached before.
    pub(crate) async fn tell_device(
        &self,
        errand: &Errand,
        user: UserId,
        conversation: ConversationId,
        subscription: u64,
    ) -> Result<ErrandEnd, Stuck> {
        let (setting, devices) = self.devices(user).await?;
        let device = devices.iter().find(|device| device.id == subscription);
        let Some(device) = device.filter(|_| setting.scope != PushScope::None) else {
            return Ok(done(errand, Vec::new()));
        };
        let news = match self.look(errand, user, conversation, setting).await? {
            Ok(news) => news,
            Err(end) => return Ok(end),
        };
        let sent = self.send(errand, device, &news, setting, errand.attempts).await;
        Ok(match sent {
            Sent::Yes | Sent::Gone => done(errand, Vec::new()),
            Sent::Never(error) => ErrandEnd::Dead { error },
            Sent::Later { error: Some(error), .. } if errand.attempts + 1 >= ATTEMPTS_MAX => {
                ErrandEnd::Dead { error }
            }
            Sent::Later { wait_ms, error } => {
                let due_at = self.around.now().saturating_add_unsigned(wait_ms);
                ErrandEnd::Later { due_at, error }
            }
        })
    }

    /// Sends a made-up message to all devices of a user; what became of each, by the number of the device.
    ///
    /// # Errors
    /// When the directory does not answer.
    pub(crate) async fn test(
        &self,
        user: UserId,
        news: &News,
    ) -> Result<Vec<(u64, String)>, DirectoryError> {
        let now = self.around.now();
        let devices = self.directory.subscriptions(user, now).await?;
        let mut told = Vec::new();
        for device in devices {
            let setting = PushSetting::default();
            let result = match self.send_at(now, &device, news, setting, 0).await {
                Sent::Yes => "sent".to_owned(),
                Sent::Gone => "gone, and forgotten".to_owned(),
                Sent::Never(error) => error,
                Sent::Later { error, .. } => error.unwrap_or_else(|| "busy".to_owned()),
            };
            told.push((device.id, result));
        }
        Ok(told)
    }

    async fn devices(&self, user: UserId) -> Result<(PushSetting, Vec<Subscription>), Stuck> {
        let setting = self.directory.push_setting(user).await?;
        let mut devices = Vec::new();
        if self.options.vapid.is_some() {
            devices = self.directory.subscriptions(user, self.around.now()).await?;
            devices.retain(|device| device.enabled);
        }
        Ok((setting, devices))
    }

    /// What there is to tell, or how the errand ends without it.
    pub(crate) async fn look(
        &self,
        errand: &Errand,
        user: UserId,
        conversation: ConversationId,
        setting: PushSetting,
    ) -> Result<Result<News, ErrandEnd>, Stuck> {
        let asked = Asked {
            user,
            conversation,
            seq: errand.seq,
            mention_seq: errand.mention_seq,
            count: errand.count,
            mentions_only: setting.scope == PushScope::Mentions,
        };
        Ok(match self.around.look(asked).await? {
            Look::Tell(news) => Ok(*news),
            Look::Silent(why) => {
                metrics::counter!("push_suppressed_total", "why" => why).increment(1);
                Err(done(errand, Vec::new()))
            }
            Look::Later(wait) => {
                let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                let due_at = self.around.now().saturating_add_unsigned(wait);
                Err(ErrandEnd::Later { due_at, error: None })
            }
        })
    }

    async fn send(
        &self,
        errand: &Errand,
        device: &Subscription,
        news: &News,
        setting: PushSetting,
        failures: u32,
    ) -> Sent {
        let sent = self.send_at(errand.created_at, device, news, setting, failures).await;
        match &sent {
            Sent::Yes => counted("push", "sent"),
            Sent::Gone => counted("push", "gone"),
            Sent::Later { error: Some(_), .. } => counted("push", "failed"),
            Sent::Later { error: None, .. } => {}
            Sent::Never(error) => {
                counted("push", "refused");
                tracing::warn!(device = device.id, error, "a push service refuses a message");
            }
        }
        sent
    }

    async fn send_at(
        &self,
        created_at: Millis,
        device: &Subscription,
        news: &News,
        setting: PushSetting,
        failures: u32,
    ) -> Sent {
        let Some(_place) = self.hosts.enter(&device.endpoint) else {
            return Sent::Later { wait_ms: CROWDED_MS as u64, error: None };
        };
        let mut preview = setting.preview;
        loop {
            let answered = match self.request(created_at, device, news, preview) {
                Ok(request) => self.around.post(request).await,
                Err(sent) => return sent,
            };
            let (error, told) = match answered {
                Ok(answer) => match answer.status {
                    200..=299 => return Sent::Yes,
                    404 | 410 => return self.forget(device).await,
                    413 if preview => {
                        preview = false;
                        continue;
                    }
                    status @ (408 | 429 | 500..=599) => {
                        (format!("status {status}"), answer.retry_after)
                    }
                    status => return Sent::Never(format!("status {status}")),
                },
                Err(error) => (error, None),
            };
            let wait_ms = wait_ms(failures + 1, told, self.chance());
            return Sent::Later { wait_ms, error: Some(error) };
        }
    }

    async fn forget(&self, device: &Subscription) -> Sent {
        match self.directory.unsubscribe(device.user, device.id).await {
            Ok(_) => {
                tracing::debug!(device = device.id, "a device is gone");
                Sent::Gone
            }
            // The next message finds it gone again.
            Err(_) => Sent::Gone,
        }
    }

    fn request(
        &self,
        created_at: Millis,
        device: &Subscription,
        news: &News,
        preview: bool,
    ) -> Result<Request, Sent> {
        let keys = DeviceKeys { p256dh: device.p256dh, auth: device.auth };
        let body = self.encrypted(&news.for_device(preview), &keys)?;
        let now = self.around.now();
        let left_s = (LIFE_MS - now.saturating_sub(created_at)).clamp(0, LIFE_MS) / 1_000;
        let urgent = news.group.is_none() || news.mentioned;
        let Some(vapid) = &self.options.vapid else {
            return Err(Sent::Never("push is switched off".to_owned()));
        };
        let headers = vec![
            (
                "authorization",
                vapid.authorization(origin_of(&device.endpoint), &self.options.subject, now),
            ),
            ("content-encoding", "aes128gcm".to_owned()),
            ("content-type", "application/octet-stream".to_owned()),
            ("ttl", left_s.to_string()),
            ("urgency", if urgent { "high" } else { "normal" }.to_owned()),
            ("topic", topic(news.conversation)),
        ];
        Ok(Request { url: device.endpoint.clone(), trusted: false, headers, body })
    }

    fn encrypted(&self, plain: &[u8], keys: &DeviceKeys) -> Result<Vec<u8>, Sent> {
        let later = |error: &dyn ToString| Sent::Later {
            wait_ms: CROWDED_MS as u64,
            error: Some(error.to_string()),
        };
        loop {
            let mut once = Once { key: [0; 32], salt: [0; 16] };
            self.around.fill(&mut once.key).map_err(|error| later(&error))?;
            self.around.fill(&mut once.salt).map_err(|error| later(&error))?;
            match encrypt(plain, keys, &once) {
                Ok(body) => return Ok(body),
                Err(EncryptError::OnceKey) => {}
                Err(error) => return Err(Sent::Never(error.to_string())),
            }
        }
    }
}

pub(crate) fn done(errand: &Errand, then: Vec<NewErrand>) -> ErrandEnd {
    ErrandEnd::Done { seq: errand.seq, then }
}

/// Of messages with one topic a push service keeps the newest only: at most 32 characters.
fn topic(conversation: ConversationId) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let digest = digest::digest(&digest::SHA256, conversation.to_string().as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..24])
}
