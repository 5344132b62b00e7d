//! `debug`: where things are. Texts of messages are never shown.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use http::Method;
use ostracon_client::api::Query;
use ostracon_domain::{ConversationId, UserId, id::SLOTS};
use ostracon_server::admin::types::{MessagePlaces, ShardHolds, Sharding};
use serde::Serialize;

use crate::{output, reach::Reach};

/// What to look at.
#[derive(Debug, Subcommand)]
pub(crate) enum Debug {
    /// Messages, conversations and bytes of each shard, and how even they are
    Sharding(Shards),
    /// Where the messages of a conversation are
    Messages(Messages),
}

/// All shards.
#[derive(Debug, Args)]
pub(crate) struct Shards {
    #[command(flatten)]
    reach: Reach,
}

/// The messages of a conversation.
#[derive(Debug, Args)]
pub(crate) struct Messages {
    /// Id of a conversation, or USER:USER by number for a direct one
    conversation: String,
    /// How many
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Only those before this seq
    #[arg(long, value_name = "SEQ")]
    before: Option<u64>,
    #[command(flatten)]
    reach: Reach,
}

/// How even something is spread over shards.
#[derive(Debug, Serialize)]
struct Spread {
    mean: f64,
    /// Of the shards from their mean, squared.
    variance: f64,
    /// Standard deviation by mean.
    relative_deviation: f64,
}

impl Spread {
    /// Of those that answer.
    fn of(shards: &[ShardHolds], count: impl Fn(&ShardHolds) -> u64) -> Self {
        let answer = || shards.iter().filter(|shard| shard.error.is_none());
        let n = answer().count().max(1) as f64;
        let mean = answer().map(|shard| count(shard) as f64).sum::<f64>() / n;
        let squares = answer().map(|shard| (count(shard) as f64 - mean).powi(2));
        let variance = squares.sum::<f64>() / n;
        let relative_deviation = if mean > 0.0 { variance.sqrt() / mean } else { 0.0 };
        Self { mean, variance, relative_deviation }
    }
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    sharding: Sharding,
    messages: Spread,
    conversations: Spread,
    bytes: Spread,
    /// Conversations with an override by all conversations.
    override_share: f64,
    /// Whether the first map of so many shards puts a direct conversation on `pair_hash mod N`.
    slots_follow_pair_hash: bool,
}

impl Debug {
    pub(crate) fn run(self, json: bool) -> Result<ExitCode> {
        super::small_runtime()?.block_on(async {
            match self {
                Self::Sharding(command) => command.run(json).await,
                Self::Messages(command) => command.run(json).await,
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Shards {
    async fn run(self, json: bool) -> Result<()> {
        let api = self.reach.api().await?;
        let answer = api.call(Method::GET, "/api/v1/admin/sharding", None::<&()>).await?;
        let sharding: Sharding = answer.read()?;
        let conversations: u64 = sharding.shards.iter().map(|shard| shard.conversations).sum();
        let report = Report {
            messages: Spread::of(&sharding.shards, |shard| shard.messages),
            conversations: Spread::of(&sharding.shards, |shard| shard.conversations),
            bytes: Spread::of(&sharding.shards, |shard| shard.bytes),
            override_share: sharding.overrides as f64 / conversations.max(1) as f64,
            slots_follow_pair_hash: is_divisor_of_slots(sharding.shards.len()),
            sharding,
        };
        if json {
            return output::json(&report);
        }
        let rows = report.sharding.shards.iter().map(|shard| {
            // Nobody knows what a silent one holds.
            let known = |text: String| if shard.error.is_some() { "?".to_owned() } else { text };
            vec![
                shard.shard.to_string(),
                output::number(shard.units),
                known(output::number(shard.conversations)),
                known(output::number(shard.messages)),
                known(output::number(shard.users)),
                known(output::bytes(shard.bytes)),
                known(output::bytes(shard.pending_bytes)),
                known(output::number(shard.overridden)),
            ]
        });
        let head = [
            "shard",
            "units",
            "conversations",
            "messages",
            "users",
            "bytes",
            "waiting",
            "overridden",
        ];
        output::line(output::table(&head, &[0, 1, 2, 3, 4, 5, 6, 7], rows))?;
        for shard in &report.sharding.shards {
            if let Some(error) = &shard.error {
                let error = output::plain(error);
                output::line(format!("shard {} does not answer: {error}", shard.shard))?;
            }
        }
        for (what, spread) in
            [("messages", &report.messages), ("conversations", &report.conversations)]
        {
            output::line(format!(
                "{what}: mean {:.1}, variance {:.1}, deviation {:.1} % of the mean",
                spread.mean,
                spread.variance,
                100.0 * spread.relative_deviation
            ))?;
        }
        output::line(format!(
            "overrides: {}, {:.2} % of conversations; map version {}",
            output::number(report.sharding.overrides),
            100.0 * report.override_share,
            report.sharding.map_version
        ))?;
        let n = report.sharding.shards.len();
        output::line(if report.slots_follow_pair_hash {
            format!(
                "{n} divides {SLOTS}: the first map puts a direct conversation on shard pair_hash mod {n}."
            )
        } else {
            format!(
                "{n} does not divide {SLOTS}: a slot's shard is slot mod {n}, which is not pair_hash mod {n}."
            )
        })
    }
}

fn is_divisor_of_slots(n: usize) -> bool {
    n > 0 && usize::from(SLOTS).is_multiple_of(n)
}

impl Messages {
    async fn run(self, json: bool) -> Result<()> {
        let id = conversation(&self.conversation)?;
        let api = self.reach.api().await?;
        let path = Query::new("/api/v1/admin/messages")
            .with("conversation", Some(id))
            .with("limit", Some(self.limit))
            .with("before", self.before);
        let answer = api.call(Method::GET, &path.finish(), None::<&()>).await?;
        let places: MessagePlaces = answer.read()?;
        if json {
            return output::json(&places);
        }
        output::line(format!(
            "{id}: shard {}, unit {}, epoch {}, head {}, rev {}",
            places.shard, places.unit, places.epoch, places.head_seq, places.rev
        ))?;
        let rows = places.messages.into_iter().map(|message| {
            vec![
                message.seq.to_string(),
                message.rev.to_string(),
                message.message_id.to_string(),
                message.sender_id.to_string(),
                output::time(message.created_at),
                if message.deleted { "deleted" } else { "" }.to_owned(),
            ]
        });
        let head = ["seq", "rev", "message id", "sender", "time (UTC)", ""];
        output::line(output::table(&head, &[0, 1, 3], rows))
    }
}

/// An id, or two user numbers.
fn conversation(text: &str) -> Result<ConversationId> {
    if let Some((a, b)) = text.split_once(':')
        && let (Ok(a), Ok(b)) = (a.parse::<UserId>(), b.parse::<UserId>())
    {
        return Ok(ConversationId::direct(a, b));
    }
    match text.parse() {
        Ok(id) => Ok(id),
        Err(_) => bail!("{text:?} is no conversation: give its id, or USER:USER by number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_a_population_variance() {
        let shard = |messages| ShardHolds {
            shard: 0,
            units: 0,
            conversations: 0,
            messages,
            users: 0,
            bytes: 0,
            overridden: 0,
            pending_bytes: 0,
            error: None,
        };
        let silent = ShardHolds { error: Some("it is down".to_owned()), ..shard(0) };
        let spread = Spread::of(&[shard(2), silent, shard(4), shard(6)], |shard| shard.messages);
        assert_eq!(spread.mean, 4.0);
        assert!((spread.variance - 8.0 / 3.0).abs() < 1e-9);
        assert!(is_divisor_of_slots(4) && !is_divisor_of_slots(3) && !is_divisor_of_slots(0));
    }

    #[test]
    fn two_users_name_their_conversation() {
        let (a, b) = (UserId::new(7).unwrap(), UserId::new(3).unwrap());
        assert_eq!(conversation("7:3").unwrap(), ConversationId::direct(a, b));
        let id = ConversationId::direct(a, b).to_string();
        assert_eq!(conversation(&id).unwrap().to_string(), id);
        assert!(conversation("7:0").is_err() && conversation("x").is_err());
    }
}
