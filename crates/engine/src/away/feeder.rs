//! From the notes of the dispatchers into the queue of the directory: one task, many at once, again and again until it works.

use std::sync::Arc;

use ostracon_domain::{ConversationId, Subject, UserId};
use ostracon_store::{
    MembersPage, Shard,
    directory::{ErrandKind, NewErrand},
};

use tokio_util::sync::CancellationToken;

use super::{
    Away,
    feed::{Noted, Said, Taken},
};
use crate::{
    engine::Core,
    error::EngineError,
    limits::{AWAY_AT_ONCE, AWAY_LAST_MAX, AWAY_PERIOD, AWAY_RETRY, MEMBERS_PER_READ},
};

/// Runs until the committers are told to stop.
pub(crate) async fn run(core: Arc<Core>) {
    let Some(away) = core.away.clone() else { return };
    let stop = core.stop_committers.clone();
    let mut failing = false;
    // What is being put is never cut off: whoever took it would have to give it back.
    while unless(&stop, away.wake.notified()).await {
        // What comes in a burst is put together.
        if !unless(&stop, tokio::time::sleep(AWAY_PERIOD)).await {
            return;
        }
        while let Err(error) = drain(&core, &away).await {
            if !std::mem::replace(&mut failing, true) {
                tracing::warn!(%error, "what is to be told outside cannot be queued; it is tried again");
            }
            if !unless(&stop, tokio::time::sleep(AWAY_RETRY)).await {
                return;
            }
        }
        failing = false;
    }
}

/// Waits for something; `false` when it is told to stop before.
async fn unless(stop: &CancellationToken, waiting: impl Future<Output = ()>) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = waiting => true,
    }
}

/// Puts what is left when everything has been dispatched. What does not get in is repeated after the next start.
pub(crate) async fn drain_last(core: &Core) {
    let Some(away) = &core.away else { return };
    if !matches!(tokio::time::timeout(AWAY_LAST_MAX, drain(core, away)).await, Ok(Ok(()))) {
        tracing::warn!("some of what is to be told outside is queued after the next start");
    }
}

async fn drain(core: &Core, away: &Away) -> Result<(), EngineError> {
    let feeds: Vec<_> = away.feeds.lock().values().cloned().collect();
    let mut first = Ok(());
    for feed in feeds {
        let Some(mut taken) = feed.take() else { continue };
        match put(core, away, &mut taken).await {
            Ok(()) => feed.settled(&taken),
            Err(error) => {
                feed.give_back(taken);
                first = first.and(Err(error));
            }
        }
    }
    first
}

async fn put(core: &Core, away: &Away, taken: &mut Taken) -> Result<(), EngineError> {
    while let Some((conversation, said)) = taken.whole.last().cloned() {
        let users = concerned(core, conversation, &said).await?;
        for user in users.into_iter().filter(|user| *user != said.sender && away.wants(*user)) {
            let mention_seq = if said.mentions.contains(&user) { said.seq } else { 0 };
            taken.note(user, conversation, Noted { seq: said.seq, mention_seq, count: 1 });
        }
        taken.whole.pop();
    }
    let now = core.clock.now();
    let due_at = now.saturating_add_unsigned(away.options.delay.as_millis() as u64);
    let mut new = Vec::with_capacity(taken.told.len() + taken.created.len());
    for ((user, conversation), noted) in &taken.told {
        new.push(NewErrand {
            key: format!("tell:{user}:{conversation}"),
            kind: ErrandKind::Tell { user: *user, conversation: *conversation },
            seq: noted.seq,
            mention_seq: noted.mention_seq,
            count: noted.count,
            due_at,
        });
    }
    for (conversation, seq, sender) in &taken.created {
        new.extend(away.options.created.iter().map(|hook| NewErrand {
            key: format!("{hook}:message.created:{conversation}:{seq}"),
            kind: ErrandKind::Event {
                hook: hook.clone(),
                event: "message.created".to_owned(),
                user: Some(*sender),
                conversation: Some(*conversation),
            },
            seq: *seq,
            mention_seq: 0,
            count: 1,
            due_at: now,
        }));
    }
    while !new.is_empty() {
        let rest = new.split_off(new.len().min(AWAY_AT_ONCE));
        core.directory.put_errands(std::mem::replace(&mut new, rest), now).await?;
    }
    Ok(())
}

/// Whom a message concerns: the members, of a large group only those whom it mentions. Who may really read it is looked at
/// when it is told.
async fn concerned(
    core: &Core,
    id: ConversationId,
    said: &Said,
) -> Result<Vec<UserId>, EngineError> {
    let mut users = Vec::new();
    let mut after = None;
    loop {
        let page = MembersPage { after, limit: MEMBERS_PER_READ };
        let ask = |shard: Arc<dyn Shard>, at| async move { shard.members(at, id, page).await };
        let found = match core.ask(Subject::Conversation(id), ask).await {
            Ok(found) => found,
            Err(EngineError::Refused(_)) => return Ok(users),
            Err(error) => return Err(error),
        };
        if found.conversation.large {
            return Ok(said.mentions.clone());
        }
        after = found.members.last().map(|row| row.user);
        users.extend(found.members.iter().filter(|row| row.is_present()).map(|row| row.user));
        if !found.more || after.is_none() {
            return Ok(users);
        }
    }
}
