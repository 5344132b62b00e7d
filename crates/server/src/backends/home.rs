//! Where each shard is kept, as the directory and the configuration say.

use std::collections::BTreeMap;

use ostracon_domain::ShardId;
use ostracon_store::directory::ShardRow;
use ostracon_store_postgres::is_url;

use crate::config::{Config, ShardUrl};

/// Shards by where they are kept.
#[derive(Debug, Default)]
pub(super) struct Homes {
    /// In the data directory.
    pub(super) embedded: Vec<ShardId>,
    /// On PostgreSQL.
    pub(super) postgres: BTreeMap<ShardId, PostgresHome>,
}

/// Addresses of a shard.
#[derive(Debug)]
pub(super) struct PostgresHome {
    pub(super) url: ShardUrl,
    pub(super) replica: Option<ShardUrl>,
}

impl Homes {
    /// What the directory knows. Of shards on PostgreSQL the configuration's address counts, if it has one: hosts and
    /// passwords change.
    ///
    /// # Errors
    /// A sentence about a shard that cannot be opened; addresses hold passwords and are not in it.
    pub(super) fn of(known: &[ShardRow], config: &Config) -> Result<Self, String> {
        let mut homes = Self::default();
        for row in known {
            let id = row.id;
            let named = config.shards.iter().find(|shard| u32::from(shard.id) == id.0);
            let url =
                named.map_or_else(|| ShardUrl::from(row.url.as_str()), |shard| shard.url.clone());
            if url.is_embedded() != (row.url == ShardUrl::EMBEDDED) {
                return Err(format!(
                    "shard {id} is kept elsewhere than the configuration says: a shard's rows do not follow its url"
                ));
            }
            if url.is_embedded() {
                homes.embedded.push(id);
            } else if is_url(url.as_str()) {
                let replica = named.map(|shard| shard.replica.clone());
                let replica = replica.filter(|url| !url.is_none());
                homes.postgres.insert(id, PostgresHome { url, replica });
            } else {
                return Err(format!(
                    "shard {id} is kept somewhere that this version does not know: run the version that made it"
                ));
            }
        }
        Ok(homes)
    }
}

#[cfg(test)]
mod tests {
    use ostracon_domain::ShardId;
    use ostracon_store::directory::ShardRow;

    use super::Homes;
    use crate::config::{Config, Shard};

    fn row(id: u32, url: &str) -> ShardRow {
        ShardRow::new(ShardId(id), url)
    }

    fn config(shards: &[(u16, &str)]) -> Config {
        let shards = shards.iter().map(|(id, url)| Shard {
            id: *id,
            url: (*url).into(),
            ..Shard::default()
        });
        Config { shards: shards.collect(), ..Config::default() }
    }

    #[test]
    fn the_configuration_has_the_newer_address() {
        let known = [row(0, "embedded"), row(1, "postgres://old/db"), row(2, "postgres://two/db")];
        let homes = Homes::of(&known, &config(&[(1, "postgres://new/db")])).unwrap();
        assert_eq!(homes.embedded, [ShardId(0)]);
        let urls: Vec<_> = homes.postgres.values().map(|home| home.url.as_str()).collect();
        assert_eq!(urls, ["postgres://new/db", "postgres://two/db"]);
    }

    #[test]
    fn what_cannot_be_opened_is_refused_without_its_address() {
        let refused = |known, config| Homes::of(&[known], &config).unwrap_err();
        let errors = [
            refused(row(3, "mysql://me:secret@db"), config(&[])),
            refused(row(3, "embedded"), config(&[(3, "postgres://me:secret@db/db")])),
            refused(row(3, "postgres://me:secret@db/db"), config(&[(3, "embedded")])),
        ];
        for error in errors {
            assert!(error.contains("shard 3") && !error.contains("secret"), "{error}");
        }
    }
}
