//! Which users are new: an errand that follows the numbers of accounts and never ends. Its seq is one above the last user that
//! was told, so that position and events are put in one step; 0 until it has found where to begin.

use ostracon_domain::{Millis, UserId};
use ostracon_store::directory::{Errand, ErrandEnd, ErrandKind, NewErrand};

use crate::{tell::Stuck, webhook::Webhook, worker::Shared};

/// What its errand is called.
pub(crate) const FOLLOW: &str = "user.follow";
/// The kind of event that it makes.
pub(crate) const CREATED: &str = "user.created";
/// How often it looks.
const PERIOD_MS: Millis = 2_000;
/// Accounts younger than that may still have an older one beside them that is being made.
const SETTLED_MS: Millis = 1_000;
/// When it looks whether its system is configured again.
const GONE_MS: Millis = 60_000;
const AT_ONCE: u32 = 200;
const BEGIN_AT_ONCE: u32 = 1_000;

/// The errand of a system that wants to be told of users; where it is known already nothing changes.
pub(crate) fn begin(hook: &Webhook, now: Millis) -> NewErrand {
    errand(&hook.name, 0, now)
}

fn errand(hook: &str, seq: u64, due_at: Millis) -> NewErrand {
    let event = FOLLOW.to_owned();
    NewErrand {
        key: format!("{hook}:{FOLLOW}"),
        kind: ErrandKind::Event { hook: hook.to_owned(), event, user: None, conversation: None },
        seq,
        mention_seq: 0,
        count: 1,
        due_at,
    }
}

impl Shared {
    /// Puts an event for each new user, and itself again behind them.
    pub(crate) async fn follow_users(&self, held: &Errand, hook: &str) -> Result<ErrandEnd, Stuck> {
        let now = self.around.now();
        let later = |ms| ErrandEnd::Later { due_at: now + ms, error: None };
        if !self.options.webhooks.iter().any(|known| known.name == hook && known.wants(CREATED)) {
            return Ok(later(GONE_MS));
        }
        if held.seq == 0 {
            let newest = self.newest_user().await?;
            let then = vec![errand(hook, newest + 1, now)];
            return Ok(ErrandEnd::Done { seq: held.seq, then });
        }
        let after = UserId::new(held.seq - 1).ok();
        let mut users = self.directory.find_users("", after, AT_ONCE).await?;
        let settled = users.iter().take_while(|user| user.created_at <= now - SETTLED_MS).count();
        users.truncate(settled);
        let Some(last) = users.last().map(|user| user.id.get()) else {
            return Ok(later(PERIOD_MS));
        };
        let mut then: Vec<_> = users
            .into_iter()
            .map(|user| NewErrand {
                key: format!("{hook}:{CREATED}:{}", user.id),
                kind: ErrandKind::Event {
                    hook: hook.to_owned(),
                    event: CREATED.to_owned(),
                    user: Some(user.id),
                    conversation: None,
                },
                seq: user.id.get(),
                mention_seq: 0,
                count: 1,
                due_at: now,
            })
            .collect();
        then.push(errand(hook, last + 1, now));
        Ok(ErrandEnd::Done { seq: held.seq, then })
    }

    async fn newest_user(&self) -> Result<u64, Stuck> {
        let mut newest = None;
        loop {
            let page = self.directory.find_users("", newest, BEGIN_AT_ONCE).await?;
            newest = page.last().map(|user| user.id).or(newest);
            if page.len() < BEGIN_AT_ONCE as usize {
                return Ok(newest.map_or(0, UserId::get));
            }
        }
    }
}
