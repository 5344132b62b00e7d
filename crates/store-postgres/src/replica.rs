//! A streaming replica of a shard's server: pages of messages for readers who take older ones while the primary is away.
//! It decides nothing and nothing is written here.

use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime,
};
use ostracon_domain::{ConversationId, UnitAt, UserId};
use ostracon_store::{MessagePage, Messages, Read, ShardError};
use tokio::time::timeout;
use tokio_postgres::Row;

use crate::{
    error::{OpenError, PgError},
    migration::{STEPS, check_owner},
    options::PostgresOptions,
    pool::given,
    read,
    session::Session,
    value::get,
};

const HELLO: &str = "SELECT cluster, shard, (SELECT max(version) FROM migration) FROM meta";
/// Readers who take older pages have waited for the primary already.
const WAIT: Duration = Duration::from_secs(2);
const CONNECTIONS: usize = 4;

/// A handle of a replica. It connects when it is first asked.
pub struct PostgresReplica {
    pool: Pool,
}

fn check(row: &Row, options: &PostgresOptions) -> Result<(), OpenError> {
    STEPS.check(options.schema(), get(row, 2)?)?;
    check_owner(options, get(row, 0)?, get(row, 1)?)
}

impl PostgresReplica {
    /// A replica; `options` are those of its shard with the replica's address.
    ///
    /// # Errors
    /// When the driver does not take the options.
    pub fn new(options: PostgresOptions) -> Result<Self, OpenError> {
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(
            options.access.config(&options.access.serving()),
            options.access.tls.clone(),
            config,
        );
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(WAIT))
            .post_create(Hook::async_fn(move |client: &mut ClientWrapper, _| {
                let options = options.clone();
                Box::pin(async move {
                    let row = client.query_one(HELLO, &[]).await.map_err(HookError::Backend)?;
                    check(&row, &options).map_err(|error| HookError::message(error.to_string()))
                })
            }))
            .build()
            .map_err(|error| OpenError::Unavailable(error.to_string()))?;
        Ok(Self { pool })
    }

    /// A page as of some moment in the past; whoever asks looks at its rev.
    ///
    /// # Errors
    /// When the replica does not serve either.
    pub async fn messages(
        &self,
        at: UnitAt,
        conversation: ConversationId,
        reader: UserId,
        page: MessagePage,
    ) -> Result<Read<Messages>, ShardError> {
        let work = async {
            let session = Session::new(given(self.pool.get().await)?);
            let done = read::messages(&session, at, conversation, reader, page).await;
            session.end(done).await
        };
        let done = timeout(WAIT, work).await.unwrap_or(Err(PgError::Silent(WAIT)));
        Ok(done?)
    }
}
