//! The directory in one schema of a database: accounts, sessions, shards, map, moves, node numbers, secrets, audit log.
//!
//! It is: [`PostgresDirectory`], which keeps the contract of [`ostracon_store::Directory`]. Several handles, also of
//! several processes, may use one schema: whoever changes the map, the shards or the units of a move holds the row
//! `cluster` until the end of its transaction; a step of one move compares and sets its row in one statement.

mod accounts;
mod audit;
mod cluster;
mod content;
mod errands;
mod failure;
mod invites;
mod job_rows;
mod map;
mod media;
mod move_rows;
mod moves;
mod options;
mod people;
mod push;
mod sessions;

use std::{future::Future, sync::Arc};

use ostracon_store::DirectoryError;

pub use self::options::DirectoryOptions;
use self::{content::DirectoryContent, failure::Failure};
use crate::{error::OpenError, pool::Connections, session::Session};

type Result<T> = std::result::Result<T, DirectoryError>;
type Found<T> = std::result::Result<T, Failure>;

/// Somebody else was in the way so often that something must be wrong.
const RACES_MAX: u32 = 10;

/// A handle of a directory in PostgreSQL. There may be several of one directory, in several processes.
///
/// A lost connection is answered with `Unavailable`; the next call makes a new one. Whether a change was made whose
/// answer was lost shows when it is asked for.
pub struct PostgresDirectory {
    connections: Connections,
    content: Arc<DirectoryContent>,
}

impl PostgresDirectory {
    /// Opens the directory, makes it if the schema holds nothing, and brings an older one up to date.
    ///
    /// # Errors
    /// When the schema holds something else, another cluster's directory or a newer version, when a directory that was
    /// there is gone, or when the server cannot be reached. Nothing was changed then.
    pub async fn connect(options: DirectoryOptions) -> std::result::Result<Self, OpenError> {
        let access = options.access.clone();
        let content = Arc::new(DirectoryContent::new(options));
        let connections = Connections::open(&access, Arc::clone(&content) as _, true).await?;
        Ok(Self { connections, content })
    }

    /// Does work in a session of its own, and again when another process was in the way.
    async fn run<T, F>(&self, work: impl Fn() -> F + Send + Sync) -> Result<T>
    where
        T: Send,
        F: Future<Output = Found<T>> + Send,
    {
        let mut races = 0;
        loop {
            // A refusal is an answer as any other to those who watch over the connections.
            let done = self.connections.timed(async {
                match work().await {
                    Ok(done) => Ok(Ok(done)),
                    Err(Failure::Directory(refusal)) => Ok(Err(refusal)),
                    Err(Failure::Postgres(error)) => match failure::refusal(&error) {
                        Some(refusal) => Ok(Err(refusal)),
                        None => Err(error),
                    },
                }
            });
            match done.await {
                Ok(done) => return done,
                Err(error) if failure::is_race(&error) && races < RACES_MAX => races += 1,
                Err(error) => return Err(Failure::from(error).named()),
            }
        }
    }
}

/// Ends a session by how its work went.
async fn end<T>(session: Session, done: Found<T>) -> Found<T> {
    match &done {
        Ok(_) => session.close(),
        Err(Failure::Postgres(error)) => session.abandon(error).await,
        Err(Failure::Directory(_)) => {
            if session.plain("ROLLBACK").await.is_ok() {
                session.close();
            }
        }
    }
    done
}

/// Statements that stand alone.
macro_rules! in_session {
    ($self:expr, |$session:ident| $work:expr) => {
        $self
            .run(|| async {
                let session = $self.connections.session().await?;
                let done = {
                    let $session = &session;
                    $work.await
                };
                super::end(session, done).await
            })
            .await
    };
}

/// One transaction: all or nothing. Every statement sees what was committed before it.
macro_rules! in_transaction {
    ($self:expr, |$session:ident| $work:expr) => {
        super::in_transaction!($self, "BEGIN", |$session| $work)
    };
    ($self:expr, $begin:expr, |$session:ident| $work:expr) => {
        $self
            .run(|| async {
                let session = $self.connections.session().await?;
                let done = async {
                    session.plain($begin).await?;
                    let done = {
                        let $session = &session;
                        $work.await?
                    };
                    session.plain("COMMIT").await?;
                    Ok(done)
                };
                let done = done.await;
                super::end(session, done).await
            })
            .await
    };
}

use {in_session, in_transaction};
