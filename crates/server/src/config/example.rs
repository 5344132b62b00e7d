//! `config.example.toml`, and the configuration in force, as commented TOML. The same input gives the same bytes.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Config, Section, Shard, Webhook};

/// The example file: every key with its meaning and default.
pub fn example() -> String {
    Config::default().to_toml()
}

impl Config {
    /// This configuration as a commented file that reads back as the same, but for passwords: `***` stands there.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        about::<Self>(&mut out);
        out.push_str(
            "# A variable OSTRACON_LISTEN, OSTRACON_DATA_DIR … or OSTRACON_SECTION__KEY overrides a key; flags override both.\n\n",
        );
        keys(&mut out, self);
        section(&mut out, "directory", &self.directory);
        about::<Shard>(out_line(&mut out));
        if self.shards.is_empty() {
            out.push_str(
                "# Left out: four embedded shards.\n# [[shards]]\n# id = 0\n# url = \"embedded\"\n# [[shards]]\n# id = 1\n# url = \"postgres://ostracon:password@127.0.0.1:5432/ostracon?schema=shard_1\"\n# replica = \"postgres://ostracon:password@127.0.0.2:5432/ostracon\"\n",
            );
        }
        for shard in &self.shards {
            out.push_str("[[shards]]\n");
            keys(&mut out, shard);
        }
        section(&mut out, "limits", &self.limits);
        section(&mut out, "groups", &self.groups);
        section(&mut out, "rate_limits", &self.rate_limits);
        section(&mut out, "connections", &self.connections);
        section(&mut out, "auth", &self.auth);
        section(&mut out, "jwt", &self.jwt);
        section(&mut out, "log", &self.log);
        section(&mut out, "admin", &self.admin);
        section(&mut out, "moves", &self.moves);
        section(&mut out, "search", &self.search);
        section(&mut out, "media", &self.media);
        section(&mut out, "messages", &self.messages);
        section(&mut out, "push", &self.push);
        about::<Webhook>(out_line(&mut out));
        if self.webhooks.is_empty() {
            out.push_str(
                "# Left out: none.\n# [[webhooks]]\n# name = \"crm\"\n# url = \"https://crm.example/ostracon\"\n# secret = \"at least 16 characters\"\n# events = [\"message.offline\", \"user.created\"]\n",
            );
        }
        for hook in &self.webhooks {
            out.push_str("[[webhooks]]\n");
            keys(&mut out, hook);
        }
        out
    }
}

fn section<T: Section + Serialize>(out: &mut String, name: &str, value: &T) {
    about::<T>(out_line(out));
    // Writing to a String cannot fail.
    let _ = writeln!(out, "[{name}]");
    keys(out, value);
}

fn out_line(out: &mut String) -> &mut String {
    out.push('\n');
    out
}

fn about<T: Section>(out: &mut String) {
    for line in T::ABOUT {
        let _ = writeln!(out, "#{line}");
    }
}

fn keys<T: Section + Serialize>(out: &mut String, value: &T) {
    let table = toml::Table::try_from(value).unwrap_or_default();
    for (key, lines) in T::KEYS {
        for line in *lines {
            let _ = writeln!(out, "#{line}");
        }
        if let Some(value) = table.get(*key) {
            let _ = writeln!(out, "{key} = {value}");
        }
    }
}

/// The keys of the whole configuration that stand in no section, for the environment.
pub(super) fn plain_keys() -> impl Iterator<Item = &'static str> {
    Config::KEYS.iter().map(|(key, _)| *key)
}
