//! Telling another system of an event: a signed request, tried again until it is taken or given up.

use ostracon_domain::{ConversationId, MessageId, MessageKind, Millis, PushSetting, Seq, UserId};
use ostracon_store::directory::{Errand, ErrandEnd};
use serde::Serialize;

use crate::{
    backoff::{ATTEMPTS_MAX, wait_ms},
    follow::{CREATED, FOLLOW},
    news::News,
    surroundings::Request,
    tell::{Stuck, done},
    webhook::{Webhook, event_id, signature},
    worker::{Shared, counted},
};

const CROWDED_MS: Millis = 500;

#[derive(Serialize)]
struct Event<'a, T> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    created_at: Millis,
    data: T,
}

#[derive(Serialize)]
struct Person<'a> {
    user_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
    display_name: &'a str,
}

#[derive(Serialize)]
struct MessageData<'a> {
    /// Who is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Person<'a>>,
    conversation_id: ConversationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    seq: Seq,
    message_id: MessageId,
    sender: Person<'a>,
    #[serde(rename = "type")]
    kind: MessageKind,
    content: &'a str,
    timestamp: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    mentioned: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unread: Option<u64>,
}

#[derive(Serialize)]
struct UserData<'a> {
    user_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    display_name: &'a str,
}

impl Shared {
    /// Tells another system.
    pub(crate) async fn tell_system(
        &self,
        errand: &Errand,
        hook: &str,
        event: &str,
        (user, conversation): (Option<UserId>, Option<ConversationId>),
    ) -> Result<ErrandEnd, Stuck> {
        if event == FOLLOW {
            return self.follow_users(errand, hook).await;
        }
        let Some(hook) = self.options.webhooks.iter().find(|known| known.name == hook) else {
            return Ok(ErrandEnd::Dead {
                error: "no webhook of this name is configured".to_owned(),
            });
        };
        // The key without the name of the system.
        let id = event_id(errand.key.split_once(':').map_or(&*errand.key, |(_, what)| what));
        let created_at = errand.created_at;
        let body = match (event, user, conversation) {
            ("message.offline", Some(user), Some(conversation)) => {
                let away = self.person(user).await?;
                let Some((name, external_id)) = away else { return Ok(done(errand, Vec::new())) };
                let setting = PushSetting::default();
                let news = match self.look(errand, user, conversation, setting).await? {
                    Ok(news) => news,
                    Err(end) => return Ok(end),
                };
                let away = Person {
                    user_id: user,
                    external_id: external_id.as_deref(),
                    display_name: &name,
                };
                let data = MessageData {
                    user: Some(away),
                    mentioned: Some(news.mentioned),
                    unread: Some(news.unread),
                    ..MessageData::of(&news)
                };
                self::body(&Event { id: &id, kind: event, created_at, data })
            }
            ("message.created", Some(sender), Some(conversation)) => {
                match self.around.message(sender, conversation, errand.seq).await? {
                    Some(news) => {
                        let data = MessageData::of(&news);
                        self::body(&Event { id: &id, kind: event, created_at, data })
                    }
                    // It was deleted meanwhile.
                    None => return Ok(done(errand, Vec::new())),
                }
            }
            (CREATED, Some(user), None) => {
                let Some(user) = self.directory.users(&[user]).await?.pop() else {
                    return Ok(done(errand, Vec::new()));
                };
                let data = UserData {
                    user_id: user.id,
                    external_id: user.external_id.as_deref(),
                    username: user.username.as_deref(),
                    display_name: &user.display_name,
                };
                self::body(&Event { id: &id, kind: event, created_at, data })
            }
            _ => return Ok(ErrandEnd::Dead { error: "there is no such event".to_owned() }),
        };
        Ok(self.post_event(errand, hook, event, id, body).await)
    }

    async fn post_event(
        &self,
        errand: &Errand,
        hook: &Webhook,
        event: &str,
        id: String,
        body: Vec<u8>,
    ) -> ErrandEnd {
        let now = self.around.now();
        let Some(_place) = self.hosts.enter(&hook.url) else {
            return ErrandEnd::Later { due_at: now + CROWDED_MS, error: None };
        };
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("ostracon-event", event.to_owned()),
            ("ostracon-event-id", id),
            ("ostracon-signature", signature(&hook.secret, &body, now)),
        ];
        let request = Request { url: hook.url.clone(), trusted: true, headers, body };
        let (error, told) = match self.around.post(request).await {
            Ok(answer) if (200..300).contains(&answer.status) => {
                counted("webhook", "sent");
                return done(errand, Vec::new());
            }
            Ok(answer) => (format!("status {}", answer.status), answer.retry_after),
            Err(error) => (error, None),
        };
        counted("webhook", "failed");
        if errand.attempts + 1 >= ATTEMPTS_MAX {
            return ErrandEnd::Dead { error };
        }
        let wait = wait_ms(errand.attempts + 1, told, self.chance());
        ErrandEnd::Later { due_at: now.saturating_add_unsigned(wait), error: Some(error) }
    }

    async fn person(&self, user: UserId) -> Result<Option<(String, Option<String>)>, Stuck> {
        let found = self.directory.users(&[user]).await?.pop();
        Ok(found.filter(|user| user.is_active).map(|user| (user.display_name, user.external_id)))
    }
}

impl<'a> MessageData<'a> {
    fn of(news: &'a News) -> Self {
        Self {
            user: None,
            conversation_id: news.conversation,
            group: news.group.as_deref(),
            seq: news.seq,
            message_id: news.message_id,
            sender: Person {
                user_id: news.sender.id,
                external_id: news.sender.external_id.as_deref(),
                display_name: &news.sender.name,
            },
            kind: news.kind,
            content: &news.text,
            timestamp: news.created_at,
            mentioned: None,
            unread: None,
        }
    }
}

fn body<T: Serialize>(event: &Event<'_, T>) -> Vec<u8> {
    // Texts and numbers can always be written.
    serde_json::to_vec(event).unwrap_or_default()
}
