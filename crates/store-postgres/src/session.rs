//! One connection in use. It goes back to its pool only when nothing is open on it: whoever drops it half-way,
//! a cancelled caller for one, closes it, and the server rolls back.

use bytes::Bytes;
use deadpool_postgres::Object;
use tokio_postgres::{Client, CopyInSink, Row, Statement, types::ToSql};

use crate::error::PgError;

type Result<T> = std::result::Result<T, PgError>;

/// Parameters of a statement.
pub(crate) type Params<'a> = [&'a (dyn ToSql + Sync)];

/// All rows of one snapshot, which is that of the first statement after it.
pub(crate) const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A connection of one's own.
pub(crate) struct Session {
    object: Option<Object>,
}

impl Session {
    pub(crate) const fn new(object: Object) -> Self {
        Self { object: Some(object) }
    }

    fn client(&self) -> Result<&Client> {
        match &self.object {
            Some(object) => Ok(object),
            None => Err(PgError::NoConnection("it was given back".to_owned())),
        }
    }

    /// A statement, planned once for the connection.
    pub(crate) async fn prepare(&self, sql: &str) -> Result<Statement> {
        match &self.object {
            Some(object) => Ok(object.prepare_cached(sql).await?),
            None => Err(PgError::NoConnection("it was given back".to_owned())),
        }
    }

    /// A statement without rows. Sent when it is first polled, as all the others: those of one flight are polled in order.
    pub(crate) async fn plain(&self, sql: &str) -> Result<()> {
        Ok(self.client()?.batch_execute(sql).await?)
    }

    /// Rows of a statement.
    pub(crate) async fn query(
        &self,
        statement: &Statement,
        params: &Params<'_>,
    ) -> Result<Vec<Row>> {
        Ok(self.client()?.query(statement, params).await?)
    }

    /// Rows of a statement, if there is any key to ask for.
    pub(crate) async fn query_keys(
        &self,
        keys: usize,
        statement: &Statement,
        params: &Params<'_>,
    ) -> Result<Vec<Row>> {
        if keys == 0 { Ok(Vec::new()) } else { self.query(statement, params).await }
    }

    /// Runs a statement alone, outside of a transaction.
    pub(crate) async fn run(&self, sql: &str, params: &Params<'_>) -> Result<Vec<Row>> {
        let statement = self.prepare(sql).await?;
        self.query(&statement, params).await
    }

    /// Begins to copy rows into a table.
    pub(crate) async fn copy(&self, statement: &Statement) -> Result<CopyInSink<Bytes>> {
        Ok(self.client()?.copy_in(statement).await?)
    }

    /// Goes back to the pool: nothing is open on it.
    pub(crate) fn close(mut self) {
        drop(self.object.take());
    }

    /// Ends what was begun and goes back, if the failure left the connection whole.
    pub(crate) async fn abandon(self, error: &PgError) {
        if error.leaves_session_usable() && self.plain("ROLLBACK").await.is_ok() {
            self.close();
        }
    }

    /// Ends a session by how its work went.
    pub(crate) async fn end<T>(self, done: Result<T>) -> Result<T> {
        match &done {
            Ok(_) => self.close(),
            Err(error) => self.abandon(error).await,
        }
        done
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}
