//! Whether a configuration makes sense: every problem as one sentence, nothing is opened but key files.

use std::{collections::BTreeSet, net::SocketAddr};

use super::{Config, JwtAlgorithm, MediaStore, Shard};
use crate::backends::{check_url, is_url};

/// What is wrong with a configuration, one sentence a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .sentences.join("\n"))]
pub struct ConfigError {
    /// The sentences.
    pub sentences: Vec<String>,
}

impl ConfigError {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self { sentences: vec![sentence.into()] }
    }
}

/// Shards that one node can hold.
const SHARDS_MAX: usize = 1_024;

impl Config {
    /// Checks what the types alone cannot.
    ///
    /// # Errors
    /// Every problem at once.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut wrong = Vec::new();
        let mut need = |holds: bool, sentence: &str| {
            if !holds {
                wrong.push(sentence.to_owned());
            }
        };
        need(
            is_address(&self.listen),
            "listen: must be an address and a port, such as 127.0.0.1:8080 or localhost:8080.",
        );
        need(
            self.admin.listen.is_empty() || is_address(&self.admin.listen),
            "admin.listen: must be empty, or an address and a port.",
        );
        need(
            self.admin.listen.is_empty() || self.admin.listen != self.listen,
            "admin.listen: must be another address than listen.",
        );
        need(!self.data_dir.as_os_str().is_empty(), "data_dir: must name a folder.");
        let directory = self.directory.url.as_str();
        if is_url(directory) {
            let read = check_url(directory);
            need(read.is_ok(), &format!("directory.url: {}.", sentence(&read)));
        } else {
            need(
                self.directory.url.is_embedded(),
                "directory.url: must be \"embedded\" or begin with postgres://.",
            );
        }
        for shard in &self.shards {
            let id = shard.id;
            if is_url(shard.url.as_str()) {
                let read = check_url(shard.url.as_str());
                need(read.is_ok(), &format!("shards: shard {id}: {}.", sentence(&read)));
            } else {
                let known = shard.url.is_embedded();
                need(
                    known,
                    &format!(
                        "shards: the url of shard {id} must be \"embedded\" or begin with postgres://."
                    ),
                );
            }
        }
        for Shard { id, url, replica } in self.shards.iter().filter(|one| !one.replica.is_none()) {
            let can_have = is_url(url.as_str()) && is_url(replica.as_str());
            need(
                can_have,
                &format!(
                    "shards: the replica of shard {id} must begin with postgres://, as its url."
                ),
            );
            let read = check_url(replica.as_str());
            need(
                !can_have || read.is_ok(),
                &format!("shards: replica of shard {id}: {}.", sentence(&read)),
            );
        }
        let ids: BTreeSet<_> = self.shards.iter().map(|shard| shard.id).collect();
        need(ids.len() == self.shards.len(), "shards: every id may be there once only.");
        need(self.shards.len() <= SHARDS_MAX, "shards: at most 1,024.");
        let limits = &self.limits;
        need(
            (2..=100_000).contains(&limits.group_members_max),
            "limits.group_members_max: must be 2 to 100,000.",
        );
        let sizes = 48 << 10..=16 << 20;
        need(
            sizes.contains(&limits.body_bytes_max),
            "limits.body_bytes_max: must be 49,152 (a text of 10,000 characters has to fit) to 16,777,216.",
        );
        need(
            sizes.contains(&limits.frame_bytes_max),
            "limits.frame_bytes_max: must be 49,152 (a text of 10,000 characters has to fit) to 16,777,216.",
        );
        need(limits.connections_max > 0, "limits.connections_max: must be 1 or more.");
        let rates = &self.rate_limits;
        need(
            !rates.enabled || (rates.burst >= 4 && rates.per_second >= 4),
            "rate_limits: burst and per_second must be 4 or more; enabled = false ends the limits.",
        );
        need(
            !rates.enabled || rates.sign_ins_per_minute > 0,
            "rate_limits.sign_ins_per_minute: must be 1 or more.",
        );
        let subject = &self.push.subject;
        need(
            subject.is_empty() || subject.starts_with("mailto:") || subject.starts_with("https://"),
            "push.subject: must be empty, or begin with mailto: or https://.",
        );
        need(self.push.delay_ms <= 60_000, "push.delay_ms: must be at most 60,000.");
        for hook in &self.webhooks {
            let name = &hook.name;
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            need(
                (1..=32).contains(&name.len()) && name.chars().all(is_plain),
                "webhooks: every name must be 1 to 32 letters, digits, - or _.",
            );
            let is_url = hook.url.starts_with("https://") || hook.url.starts_with("http://");
            need(
                is_url && reqwest::Url::parse(&hook.url).is_ok(),
                &format!("webhooks: the url of {name} must begin with https:// or http://."),
            );
            need(
                hook.secret.as_str().len() >= 16,
                &format!("webhooks: the secret of {name} must have at least 16 characters."),
            );
            let known = |event: &String| ostracon_push::EVENTS.contains(&event.as_str());
            need(
                !hook.events.is_empty() && hook.events.iter().all(known),
                &format!(
                    "webhooks: the events of {name} must be some of {}.",
                    ostracon_push::EVENTS.join(", ")
                ),
            );
        }
        let names: BTreeSet<_> = self.webhooks.iter().map(|hook| &hook.name).collect();
        need(names.len() == self.webhooks.len(), "webhooks: every name may be there once only.");
        let connections = &self.connections;
        need(
            (1..=600).contains(&connections.heartbeat_s),
            "connections.heartbeat_s: must be 1 to 600.",
        );
        need(
            connections.silence_s > connections.heartbeat_s,
            "connections.silence_s: must be more than heartbeat_s.",
        );
        need(connections.write_stall_s > 0, "connections.write_stall_s: must be 1 or more.");
        need(connections.request_head_s > 0, "connections.request_head_s: must be 1 or more.");
        let moves = &self.moves;
        need(moves.rows_per_s > 0, "moves.rows_per_s: must be 1 or more.");
        need((1..=64).contains(&moves.moves_max), "moves.moves_max: must be 1 to 64.");
        need(
            (20..=4_000).contains(&moves.freeze_budget_ms),
            "moves.freeze_budget_ms: must be 20 to 4,000 (commands wait 5 seconds at most).",
        );
        let media = &self.media;
        need(
            (1..=16 << 30).contains(&media.file_bytes_max),
            "media.file_bytes_max: must be 1 to 17,179,869,184.",
        );
        need(
            (1..=1_000_000_000).contains(&media.picture_pixels_max),
            "media.picture_pixels_max: must be 1 to 1,000,000,000.",
        );
        need((1..=256).contains(&media.threads), "media.threads: must be 1 to 256.");
        need(media.uploads_per_minute > 0, "media.uploads_per_minute: must be 1 or more.");
        need((1..=8_760).contains(&media.url_hours), "media.url_hours: must be 1 to 8,760.");
        need(
            (1..=10_080).contains(&media.deleted_minutes),
            "media.deleted_minutes: must be 1 to 10,080 (a message on its way needs some time).",
        );
        need(media.unused_hours > 0, "media.unused_hours: must be 1 or more.");
        need(
            media.base_url.is_empty() || is_web(&media.base_url),
            "media.base_url: must be empty or begin with http:// or https://.",
        );
        if media.store == MediaStore::S3 {
            need(
                is_web(&media.s3_endpoint),
                "media.s3_endpoint: must begin with http:// or https://.",
            );
            need(!media.s3_bucket.is_empty(), "media.s3_bucket: must name a bucket.");
            need(!media.s3_key_id.is_empty(), "media.s3_key_id: must be there.");
            let place = crate::media::place(media);
            need(place.is_ok(), &place.err().unwrap_or_default());
        }
        if self.jwt.algorithm != JwtAlgorithm::Off
            && let Err(sentence) = crate::auth::JwtVerifier::load(&self.jwt)
        {
            wrong.push(sentence);
        }
        if wrong.is_empty() { Ok(()) } else { Err(ConfigError { sentences: wrong }) }
    }
}

fn sentence<E: std::fmt::Display>(checked: &Result<(), E>) -> String {
    checked.as_ref().err().map(ToString::to_string).unwrap_or_default()
}

/// An address of the web, without a query.
fn is_web(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['?', '#', ' ']))
}

/// `host:port`, where the host may be a name.
fn is_address(text: &str) -> bool {
    text.parse::<SocketAddr>().is_ok()
        || text
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
