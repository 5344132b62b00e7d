//! Another system that is told of events: where, and how it knows that it is us (HMAC-SHA256 over time and body).

use std::{fmt, fmt::Write as _};

use ostracon_domain::Millis;
use ring::{digest, hmac};

/// Kinds of events that there are.
pub const EVENTS: [&str; 3] = ["message.offline", "message.created", "user.created"];

/// Another system.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name in the configuration; errands name it.
    pub name: String,
    /// Where it is told.
    pub url: String,
    /// What events are signed with.
    pub secret: String,
    /// The kinds of events that it wants.
    pub events: Vec<String>,
}

/// Secrets reach no log.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Webhook {
    /// Whether it wants events of a kind.
    pub fn wants(&self, event: &str) -> bool {
        self.events.iter().any(|wanted| wanted == event)
    }
}

/// The header of an event: `t=<Unix seconds>,v1=<hex>`, the HMAC-SHA256 with the secret over `<Unix seconds>.<body>`.
pub fn signature(secret: &str, body: &[u8], now: Millis) -> String {
    let seconds = now.div_euclid(1_000);
    let mut signing =
        hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
    signing.update(format!("{seconds}.").as_bytes());
    signing.update(body);
    format!("t={seconds},v1={}", hex(signing.sign().as_ref()))
}

/// The id of an event: the same for the same event, however often and to whomever it is told.
pub(crate) fn event_id(what: &str) -> String {
    let digest = digest::digest(&digest::SHA256, what.as_bytes());
    format!("evt_{}", hex(&digest.as_ref()[..16]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{Webhook, event_id, signature};

    #[test]
    fn what_is_signed_can_be_checked() {
        // printf '1800000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let expected = "t=1800000000,v1=";
        let signed = signature("secret", br#"{"a":1}"#, 1_800_000_000_999);
        assert!(signed.starts_with(expected) && signed.len() == expected.len() + 64, "{signed}");
        assert_ne!(signed, signature("other", br#"{"a":1}"#, 1_800_000_000_000));
        assert_ne!(signed, signature("secret", br#"{"a":2}"#, 1_800_000_000_000));
        assert_eq!(signed, signature("secret", br#"{"a":1}"#, 1_800_000_000_000));
    }

    #[test]
    fn ids_are_stable_and_secrets_are_not_printed() {
        assert_eq!(event_id("a"), event_id("a"));
        assert_ne!(event_id("a"), event_id("b"));
        assert_eq!(event_id("a").len(), 36);
        let hook = Webhook {
            name: "crm".to_owned(),
            url: "https://crm.example/token".to_owned(),
            secret: "hush".to_owned(),
            events: vec!["user.created".to_owned()],
        };
        assert!(hook.wants("user.created") && !hook.wants("message.created"));
        let printed = format!("{hook:?}");
        assert!(!printed.contains("hush") && !printed.contains("token"), "{printed}");
    }
}
