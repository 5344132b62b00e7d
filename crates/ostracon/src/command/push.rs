//! `push` and `webhooks`: the queue of what a running server tells outside, what was given up, and doing that again.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use http::Method;
use ostracon_server::admin::types::{
    DeadErrands, PushQueue, PushStatus, PushTest, PushTested, Replay, Replayed,
};

use super::user::post;
use crate::{output, reach::Reach};

const PATH: &str = "/api/v1/admin/push";

/// What devices are told.
#[derive(Debug, Subcommand)]
pub(crate) enum Push {
    /// How full the queue is
    Status(Reach),
    /// What was given up
    Dead(Reach),
    /// Try again what was given up
    Replay(Again),
    /// Send a message to all devices of a user
    Test(Test),
}

/// What other systems are told.
#[derive(Debug, Subcommand)]
pub(crate) enum Webhooks {
    /// The other systems, and how full the queue is
    List(Reach),
    /// What was given up
    Dead(Reach),
    /// Try again what was given up
    Replay(Again),
}

/// What to try again.
#[derive(Debug, Args)]
pub(crate) struct Again {
    /// Its number, as listed by `dead`; all without it
    id: Option<u64>,
    #[command(flatten)]
    reach: Reach,
}

/// Whose devices.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// A number, `ext:` with an external id, or a name
    user: String,
    #[command(flatten)]
    reach: Reach,
}

impl Push {
    pub(crate) fn run(self, json: bool) -> Result<ExitCode> {
        super::small_runtime()?.block_on(async {
            match self {
                Self::Status(reach) => status(&reach, false, json).await,
                Self::Dead(reach) => dead(&reach, "push", json).await,
                Self::Replay(again) => again.run("push", json).await,
                Self::Test(test) => test.run(json).await,
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Webhooks {
    pub(crate) fn run(self, json: bool) -> Result<ExitCode> {
        super::small_runtime()?.block_on(async {
            match self {
                Self::List(reach) => status(&reach, true, json).await,
                Self::Dead(reach) => dead(&reach, "events", json).await,
                Self::Replay(again) => again.run("events", json).await,
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn status(reach: &Reach, hooks: bool, json: bool) -> Result<()> {
    let api = reach.api().await?;
    let status: PushStatus = api.call(Method::GET, PATH, None::<&()>).await?.read()?;
    if json {
        return output::json(&status);
    }
    if !hooks {
        let key = status.vapid_key.as_deref().unwrap_or("push is switched off");
        output::line(format!("Key: {key}"))?;
        return output::line(queue(&[("devices", status.push), ("webhooks", status.events)]));
    }
    let rows = status
        .webhooks
        .into_iter()
        .map(|hook| vec![hook.name, hook.host.unwrap_or_default(), hook.events.join(", ")]);
    output::line(output::table(&["name", "host", "events"], &[], rows))?;
    output::line(queue(&[("webhooks", status.events)]))
}

fn queue(queues: &[(&str, PushQueue)]) -> String {
    let rows = queues.iter().map(|(name, queue)| {
        vec![
            (*name).to_owned(),
            output::number(queue.waiting),
            output::number(queue.failing),
            output::number(queue.dead),
            format!("{} s", output::number(queue.late_s)),
        ]
    });
    output::table(&["", "waiting", "failing", "given up", "late"], &[1, 2, 3, 4], rows).to_string()
}

async fn dead(reach: &Reach, of: &str, json: bool) -> Result<()> {
    let api = reach.api().await?;
    let path = format!("{PATH}/dead?of={of}");
    let dead: DeadErrands = api.call(Method::GET, &path, None::<&()>).await?.read()?;
    if json {
        return output::json(&dead);
    }
    let text = |value: Option<String>| value.unwrap_or_default();
    let rows = dead.errands.into_iter().map(|one| {
        vec![
            one.id.to_string(),
            one.what,
            text(one.user_id.map(|user| user.to_string())),
            text(one.conversation_id.map(|id| id.to_string())),
            one.attempts.to_string(),
            output::time(one.given_up_at),
            text(one.error),
        ]
    });
    let head = ["id", "what", "user", "conversation", "attempts", "given up (UTC)", "why"];
    output::line(output::table(&head, &[0, 4], rows))
}

impl Again {
    async fn run(self, of: &str, json: bool) -> Result<()> {
        let api = self.reach.api().await?;
        let body = Replay { of: Some(of.to_owned()), id: self.id };
        let replayed: Replayed = post(&api, &format!("{PATH}/replay"), &body).await?;
        if json {
            return output::json(&replayed);
        }
        output::line(format!("{} to be tried again.", output::number(replayed.replayed)))
    }
}

impl Test {
    async fn run(self, json: bool) -> Result<()> {
        let api = self.reach.api().await?;
        let body = PushTest { user: self.user };
        let tested: PushTested = post(&api, &format!("{PATH}/test"), &body).await?;
        if json {
            return output::json(&tested);
        }
        if tested.devices.is_empty() {
            return output::line("This user has no device that can be reached.");
        }
        let rows = tested
            .devices
            .into_iter()
            .map(|device| vec![device.subscription_id.to_string(), device.result]);
        output::line(output::table(&["device", "result"], &[0], rows))
    }
}
