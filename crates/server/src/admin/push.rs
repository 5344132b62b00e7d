//! The queue of what is told outside: how full it is, what was given up, and doing that again.

use std::sync::Arc;

use axum::extract::{Request, State};
use ostracon_domain::{ConversationId, MessageId, MessageKind, Millis, UserId};
use ostracon_proto::Invalid;
use ostracon_push::{News, Sender};
use ostracon_store::directory::{Errand, ErrandKind, ErrandSort};
use reqwest::Url;

use super::{
    types::{
        DeadErrand, DeadErrands, PushQueue, PushStatus, PushTest, PushTested, Replay, Replayed,
        TestedDevice, WebhookState,
    },
    users::{body, named},
};
use crate::{
    app::App,
    audit,
    error::{ApiError, ApiResult},
    extract::{Operator, QueryText},
    respond::ok,
};

/// What was given up and is listed.
const LISTED_MAX: u32 = 1_000;

pub(crate) async fn status(State(app): State<Arc<App>>, _: Operator) -> ApiResult {
    let webhooks = app.push.worker.webhooks().iter().map(|hook| WebhookState {
        name: hook.name.clone(),
        // The rest of the address may be a secret.
        host: Url::parse(&hook.url).ok().and_then(|url| Some(url.host_str()?.to_owned())),
        events: hook.events.clone(),
    });
    Ok(ok(&PushStatus {
        enabled: app.push.vapid().is_ok(),
        vapid_key: app.push.vapid().ok().map(|key| key.public().to_owned()),
        push: queue(&app, ErrandSort::Push).await?,
        events: queue(&app, ErrandSort::Events).await?,
        webhooks: webhooks.collect(),
    }))
}

async fn queue(app: &App, sort: ErrandSort) -> Result<PushQueue, ApiError> {
    let stats = app.directory.errand_stats(sort).await?;
    let endless = if sort == ErrandSort::Events { app.push.worker.endless() } else { 0 };
    let age = stats.oldest_due_at.map_or(0, |due_at| (app.clock.now() - due_at).max(0));
    Ok(PushQueue {
        waiting: stats.waiting.saturating_sub(endless),
        failing: stats.failing,
        dead: stats.dead,
        late_s: u64::try_from(age / 1_000).unwrap_or(0),
    })
}

pub(crate) async fn dead(State(app): State<Arc<App>>, _: Operator, query: QueryText) -> ApiResult {
    let sort = sort_of(query.get().get("of").as_deref())?;
    let found = app.directory.dead_errands(sort, None, LISTED_MAX).await?;
    Ok(ok(&DeadErrands { errands: found.into_iter().map(shown).collect() }))
}

pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    operator: Operator,
    request: Request,
) -> ApiResult {
    let wanted: Replay = body(request).await?;
    let sort = sort_of(wanted.of.as_deref())?;
    let replayed = app.directory.replay_errands(sort, wanted.id, app.clock.now()).await?;
    let target = wanted.id.map_or_else(|| "all".to_owned(), |id| format!("errand {id}"));
    audit::record(&app, operator, "push.replay", target, format!("{replayed} replayed")).await;
    Ok(ok(&Replayed { replayed }))
}

pub(crate) async fn test(
    State(app): State<Arc<App>>,
    operator: Operator,
    request: Request,
) -> ApiResult {
    app.push.vapid()?;
    let wanted: PushTest = body(request).await?;
    let user = named(&app, &wanted.user).await?;
    let told = app.push.worker.test(user.id, &made_up(user.id, app.clock.now())?).await?;
    audit::record(&app, operator, "push.test", format!("user {}", user.id), "").await;
    let devices = told.into_iter().map(|(id, result)| TestedDevice { subscription_id: id, result });
    Ok(ok(&PushTested { user_id: user.id, devices: devices.collect() }))
}

/// A message that nobody wrote, in the user's conversation with himself.
fn made_up(user: UserId, now: Millis) -> Result<News, ApiError> {
    Ok(News {
        conversation: ConversationId::direct(user, user),
        group: None,
        seq: 0,
        message_id: MessageId::from_parts(now, 0, 0)
            .ok_or_else(|| ApiError::internal(&"a clock far from now"))?,
        sender: Sender { id: user, name: "Ostracon".to_owned(), external_id: None },
        kind: MessageKind::System,
        text: "Push works.".to_owned(),
        created_at: now,
        mentioned: false,
        unread: 0,
    })
}

fn sort_of(text: Option<&str>) -> Result<ErrandSort, ApiError> {
    match text {
        None | Some("push") => Ok(ErrandSort::Push),
        Some("events") => Ok(ErrandSort::Events),
        Some(_) => Err(Invalid::new("of", "must be push or events").into()),
    }
}

fn shown(errand: Errand) -> DeadErrand {
    let (what, user, conversation, subscription) = match errand.kind {
        ErrandKind::Tell { user, conversation } => {
            ("push".to_owned(), Some(user), Some(conversation), None)
        }
        ErrandKind::Device { user, conversation, subscription } => {
            ("push".to_owned(), Some(user), Some(conversation), Some(subscription))
        }
        ErrandKind::Event { hook, event, user, conversation } => {
            (format!("{event} to {hook}"), user, conversation, None)
        }
    };
    DeadErrand {
        id: errand.id,
        what,
        user_id: user,
        conversation_id: conversation,
        subscription_id: subscription,
        seq: errand.seq,
        attempts: errand.attempts,
        created_at: errand.created_at,
        given_up_at: errand.due_at,
        error: errand.error,
    }
}
