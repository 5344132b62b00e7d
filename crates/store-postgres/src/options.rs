//! Where a shard's or a directory's database is, and how it is used.

use std::{fmt, sync::Arc, time::Duration};

use ostracon_domain::ShardId;
use ostracon_store::Ids;
use tokio_postgres::Config;

use crate::{
    address::{Address, parse},
    tls::Tls,
};

/// A schema's name: lower-case letters, digits and underscores, at most 63, no digit first.
///
/// The only text that ever becomes part of a statement, which is why it may hold nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaName(String);

impl SchemaName {
    /// Checks the name; `None` when it is another.
    pub fn new(name: &str) -> Option<Self> {
        let letters = name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
        let fits = (1..=63).contains(&name.len())
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && !name.starts_with("pg_");
        (letters && fits).then(|| Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text is no address of a shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a PostgreSQL address: {0}")]
pub struct UrlError(String);

impl UrlError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// How to reach a schema of a database, and how long anything may take.
#[derive(Clone)]
pub struct Access {
    /// Server, database, user.
    pub(crate) server: Config,
    /// The schema.
    pub(crate) schema: SchemaName,
    /// How connections are protected.
    pub(crate) tls: Tls,
    /// At most so many connections; whatever writes and reads shares them.
    pub connections: usize,
    /// A statement that takes longer is cancelled by the server.
    pub statement_timeout: Duration,
    /// Waiting for another writer, or for a lock of the schema, ends after this.
    pub lock_timeout: Duration,
    /// Making a connection takes at most this.
    pub connect_timeout: Duration,
    /// A transaction or a read without an answer after this is given up, with its connection: the server hangs.
    pub answer_timeout: Duration,
    /// A server that says nothing at all for so long hangs: everything that waits for it is given up.
    pub silence: Duration,
}

impl Access {
    /// The address, with a schema's name for one that names none.
    pub(crate) fn new(url: &str, schema: String) -> Result<Self, UrlError> {
        let Address { server, schema: named, tls } = parse(url)?;
        Ok(Self {
            server,
            schema: named.unwrap_or(SchemaName(schema)),
            tls,
            connections: 8,
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_secs(3),
            answer_timeout: Duration::from_secs(15),
            silence: Duration::from_secs(2),
        })
    }

    /// The schema.
    pub const fn schema(&self) -> &SchemaName {
        &self.schema
    }

    /// What a connection starts with. `settings` are more settings, as `-c name=value`.
    pub(crate) fn config(&self, settings: &str) -> Config {
        let mut config = self.server.clone();
        let own = config.get_options().unwrap_or_default();
        let options = format!("{own} -c search_path={} {settings}", self.schema);
        config
            .options(options.trim_start())
            .application_name("ostracon")
            .connect_timeout(self.connect_timeout)
            .tcp_user_timeout(self.answer_timeout)
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(10));
        config
    }

    /// Settings of the connections that serve.
    ///
    /// A transaction lies idle for as long as a decision takes, so one second means that its client is gone.
    /// Every statement is a look-up by key and is planned once: statistics of young, growing tables would talk the
    /// planner into scans that are right at noon and ruinous in the evening.
    pub(crate) fn serving(&self) -> String {
        format!(
            "-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout=1000 \
             -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off \
             -c enable_mergejoin=off -c jit=off",
            self.statement_timeout.as_millis(),
            self.lock_timeout.as_millis()
        )
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// How to reach a shard, and whose it is.
#[derive(Clone)]
pub struct PostgresOptions {
    /// Where it is, and how long anything may take.
    pub access: Access,
    /// The cluster that the shard belongs to.
    pub cluster: u128,
    /// The shard's number.
    pub shard: ShardId,
    /// Where message ids and histories come from.
    pub ids: Arc<dyn Ids>,
}

impl PostgresOptions {
    /// Options for `postgres://user:password@host:port/database?schema=name`; without a schema it is `shard_<number>`.
    /// `sslmode` and `sslrootcert` say how connections are protected, as other clients of PostgreSQL read them; without
    /// `sslmode` they are plain.
    ///
    /// # Errors
    /// When the address cannot be read, or the schema's name has other letters than it may.
    pub fn new(
        url: &str,
        cluster: u128,
        shard: ShardId,
        ids: Arc<dyn Ids>,
    ) -> Result<Self, UrlError> {
        let access = Access::new(url, format!("shard_{}", shard.0))?;
        Ok(Self { access, cluster, shard, ids })
    }

    /// The same shard on another server, in the same schema unless the address names one.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn on(&self, url: &str) -> Result<Self, UrlError> {
        let Address { server, schema, tls } = parse(url)?;
        let schema = schema.unwrap_or_else(|| self.access.schema.clone());
        let access = Access { server, schema, tls, ..self.access.clone() };
        Ok(Self { access, ..self.clone() })
    }

    /// The schema that holds the shard.
    pub const fn schema(&self) -> &SchemaName {
        self.access.schema()
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("schema", &self.access.schema)
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ostracon_domain::ShardId;
    use ostracon_store::memory::CountingIds;

    use super::{PostgresOptions, SchemaName};

    fn options(url: &str) -> Result<PostgresOptions, super::UrlError> {
        PostgresOptions::new(url, 1, ShardId(7), Arc::new(CountingIds::new(0, 1)))
    }

    #[test]
    fn an_address_names_server_and_schema() {
        let options =
            options("postgres://me:secret@db.example:5433/chat?schema=s0&sslmode=disable");
        let options = options.unwrap();
        assert_eq!(options.access.schema.as_str(), "s0");
        assert_eq!(options.access.server.get_dbname(), Some("chat"));
        assert_eq!(options.access.server.get_ports(), [5433]);
        assert!(!format!("{options:?}").contains("secret"));
    }

    #[test]
    fn a_shard_has_a_schema_of_its_own() {
        assert_eq!(options("postgres://me@db/chat").unwrap().schema().as_str(), "shard_7");
    }

    #[test]
    fn what_could_be_sql_is_no_name() {
        for name in ["", "A", "1a", "a b", "a;b", "a\"", "a-b", "pg_x", "é", &"a".repeat(64)] {
            assert_eq!(SchemaName::new(name), None, "{name}");
        }
        assert!(SchemaName::new(&"a".repeat(63)).is_some());
        let error = options("postgres://me:secret@db/chat?schema=a'b").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        let error = options("postgres://me:secret@db:x/chat").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
