//! The full-text index of one shard: a SQLite file of segments beside the tables, made from them and never backed up.
//!
//! A segment holds messages that were taken in together: a sorted dictionary with the list of messages of each token, and
//! the messages themselves, sorted by conversation. It never changes; small ones are joined into larger ones. What was removed
//! is noted beside its segment and is not found from then on; soon afterwards the segment is written anew without it, so that
//! no trace stays on disk. A file that is foreign, newer or damaged is thrown away and made again.

mod codec;
mod cut;
mod find;
mod join;
mod segment;
#[cfg(test)]
mod tests;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use ostracon_domain::{ConversationId, History, ShardId};
use ostracon_store::{Hit, Indexed, SearchFor, SearchIndex, SearchStats, ShardError, Update};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use crate::error::TableError;
use segment::Heads;

type Result<T> = std::result::Result<T, TableError>;

/// "OSsx": names an index's file among all SQLite files.
const APPLICATION_ID: i32 = i32::from_be_bytes(*b"OSsx");
/// Rises with every change of the format; another one is made again.
const FORMAT: i32 = 1;
/// Bytes of a page: several blocks fit on one.
const PAGE_BYTES: i64 = 16 << 10;
/// Page cache of the writing connection, KiB.
const WRITER_CACHE_KIB: i64 = 8 << 10;
/// Page cache of each reading connection, KiB.
const READER_CACHE_KIB: i64 = 4 << 10;
/// Reading connections that are kept.
const READERS: usize = 4;
/// How long what was removed may stay on disk before its segments are written anew.
pub(crate) const WIPE_AFTER: Duration = Duration::from_secs(120);
/// How long a connection waits for another one's lock, ms.
const BUSY_MS: u64 = 5_000;

const SCHEMA: &str = "
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    cluster BLOB NOT NULL,
    shard INTEGER NOT NULL
) STRICT;
CREATE TABLE conversation (
    key INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    history INTEGER,
    rev INTEGER,
    first_seq INTEGER NOT NULL,
    head_seq INTEGER NOT NULL,
    messages INTEGER NOT NULL
) STRICT;
CREATE TABLE segment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    docs INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    dirty INTEGER NOT NULL,
    oldest INTEGER NOT NULL,
    newest INTEGER NOT NULL,
    head BLOB NOT NULL
) STRICT;
CREATE TABLE block (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE chunk (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE removed (
    segment INTEGER NOT NULL,
    doc INTEGER NOT NULL,
    PRIMARY KEY (segment, doc)
) STRICT, WITHOUT ROWID;
";

/// Blocks and chunks of a segment have the ids from `segment << PART_BITS` on.
const PART_BITS: u32 = 24;

/// The index of one shard.
pub struct EmbeddedSearch {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    cluster: u128,
    shard: ShardId,
    wipe_after: Duration,
    /// Locked on blocking threads only, for as long as it writes.
    writer: Mutex<Writer>,
    idle: Mutex<Vec<Reader>>,
    heads: Heads,
}

struct Writer {
    conn: Connection,
    /// Since when something waits to be wiped off the disk.
    dirty_since: Option<Instant>,
}

/// A reading connection and the file that it belongs to: one that was thrown away is not read any more.
struct Reader {
    conn: Connection,
    made: u64,
}

impl EmbeddedSearch {
    /// Opens the index of a shard, made anew when it is missing, foreign, newer or damaged. Blocking.
    ///
    /// # Errors
    /// When the disk does not let us.
    pub fn open(
        path: &Path,
        cluster: u128,
        shard: ShardId,
    ) -> std::result::Result<Self, ShardError> {
        Self::open_with(path, cluster, shard, WIPE_AFTER)
    }

    pub(crate) fn open_with(
        path: &Path,
        cluster: u128,
        shard: ShardId,
        wipe_after: Duration,
    ) -> std::result::Result<Self, ShardError> {
        let conn = match open_known(path, cluster, shard) {
            Ok(conn) => conn,
            Err(error) => {
                if path.exists() {
                    tracing::warn!(%shard, %error, "the search index cannot be used and is made again");
                }
                make(path, cluster, shard)?
            }
        };
        let dirty: bool = conn
            .query_row("SELECT EXISTS (SELECT 1 FROM segment WHERE dirty = 1)", [], |row| {
                row.get(0)
            })
            .map_err(TableError::from)?;
        // How long it has waited already is not known.
        let dirty_since = dirty.then(Instant::now);
        let shared = Shared {
            path: path.to_owned(),
            cluster,
            shard,
            wipe_after,
            writer: Mutex::new(Writer { conn, dirty_since }),
            idle: Mutex::default(),
            heads: Heads::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &Heads) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, ShardError> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let answer = shared.read(work);
            shared.judge(answer)
        })
        .await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer, &Shared) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, ShardError> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let answer = work(&mut shared.writer.lock(), &shared);
            shared.judge(answer)
        })
        .await
    }
}

impl Shared {
    fn read<T>(&self, work: impl FnOnce(&Connection, &Heads) -> Result<T>) -> Result<T> {
        let made = self.heads.made();
        let idle = self.idle.lock().pop().filter(|reader| reader.made == made);
        let reader = match idle {
            Some(reader) => reader,
            None => Reader { conn: open_reader(&self.path)?, made },
        };
        let tx = reader.conn.unchecked_transaction()?;
        let answer = work(&tx, &self.heads);
        drop(tx);
        if answer.is_ok() {
            let mut idle = self.idle.lock();
            if idle.len() < READERS {
                idle.push(reader);
            }
        }
        answer
    }

    /// Throws a damaged file away. Whoever feeds the index finds it empty and fills it again.
    fn judge<T>(&self, answer: Result<T>) -> std::result::Result<T, ShardError> {
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) if !error.is_damage() => {
                return Err(ShardError::Unavailable(error.sentence()));
            }
            Err(error) => error,
        };
        let mut writer = self.writer.lock();
        let shard = self.shard;
        tracing::error!(%shard, %error, "the search index is damaged and is made again");
        // The old file must be closed before it goes.
        writer.conn = Connection::open_in_memory().map_err(TableError::from)?;
        self.idle.lock().clear();
        self.heads.forget_all();
        writer.conn = make(&self.path, self.cluster, shard)?;
        writer.dirty_since = None;
        Err(ShardError::Corrupt("the search index was damaged and is made again".to_owned()))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::result::Result<T, ShardError> + Send + 'static,
) -> std::result::Result<T, ShardError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ShardError::Unavailable("the search index is closing".to_owned()))?
}

fn set_up(conn: &Connection) -> Result<()> {
    conn.busy_timeout(Duration::from_millis(BUSY_MS))?;
    conn.pragma_update(None, "page_size", PAGE_BYTES)?;
    conn.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    // Content must be gone for good once it is deleted.
    conn.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.set_prepared_statement_cache_capacity(32);
    Ok(())
}

fn open_known(path: &Path, cluster: u128, shard: ShardId) -> Result<Connection> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    let number = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    if (number("application_id")?, number("user_version")?) != (APPLICATION_ID, FORMAT) {
        return Err(TableError::Damaged("format"));
    }
    let owner: ([u8; 16], u32) = conn
        .query_row("SELECT cluster, shard FROM meta", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if owner != (cluster.to_be_bytes(), shard.0) {
        return Err(TableError::Damaged("owner"));
    }
    set_up(&conn)?;
    Ok(conn)
}

fn make(path: &Path, cluster: u128, shard: ShardId) -> std::result::Result<Connection, ShardError> {
    remove(path).map_err(|error| ShardError::Unavailable(error.to_string()))?;
    let make = || -> Result<Connection> {
        let mut conn = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::SQLITE_OPEN_CREATE
                | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        set_up(&conn)?;
        let tx = conn.transaction()?;
        tx.execute_batch(SCHEMA)?;
        tx.execute(
            "INSERT INTO meta (id, cluster, shard) VALUES (0, ?, ?)",
            params![cluster.to_be_bytes(), shard.0],
        )?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", FORMAT)?;
        tx.commit()?;
        Ok(conn)
    };
    Ok(make()?)
}

/// Removes the files of an index, if there are any.
///
/// # Errors
/// What the system says.
pub(crate) fn remove(path: &Path) -> std::io::Result<()> {
    for end in ["", "-wal", "-shm"] {
        let mut name = path.to_owned().into_os_string();
        name.push(end);
        match std::fs::remove_file(name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn open_reader(path: &Path) -> Result<Connection> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.busy_timeout(Duration::from_millis(BUSY_MS))?;
    conn.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    conn.set_prepared_statement_cache_capacity(32);
    Ok(conn)
}

fn id_bytes(id: ConversationId) -> [u8; 16] {
    id.as_u128().to_be_bytes()
}

fn id_of(bytes: [u8; 16]) -> Result<ConversationId> {
    ConversationId::from_u128(u128::from_be_bytes(bytes))
        .map_err(|_| TableError::Damaged("conversation id"))
}

fn indexed_of(history: Option<i64>, rev: Option<u64>) -> Option<Indexed> {
    Some(Indexed { history: History(history?.cast_unsigned()), rev: rev? })
}

#[async_trait]
impl SearchIndex for EmbeddedSearch {
    async fn indexed(
        &self,
        of: &[ConversationId],
    ) -> std::result::Result<Vec<Option<Indexed>>, ShardError> {
        let of = of.to_vec();
        self.read(move |conn, _| {
            let mut look =
                conn.prepare_cached("SELECT history, rev FROM conversation WHERE id = ?")?;
            of.into_iter()
                .map(|id| {
                    let row = look.query_row([id_bytes(id)], |row| Ok((row.get(0)?, row.get(1)?)));
                    Ok(row.optional()?.and_then(|(history, rev)| indexed_of(history, rev)))
                })
                .collect()
        })
        .await
    }

    async fn conversations(
        &self,
        after: Option<ConversationId>,
        limit: u32,
    ) -> std::result::Result<Vec<(ConversationId, Option<Indexed>)>, ShardError> {
        self.read(move |conn, _| {
            let after = after.map_or([0; 16], id_bytes);
            let mut list = conn.prepare_cached(
                "SELECT id, history, rev FROM conversation WHERE id > ? ORDER BY id LIMIT ?",
            )?;
            let rows = list.query_map(params![after, limit], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
            rows.map(|row| {
                let (id, history, rev) = row?;
                Ok((id_of(id)?, indexed_of(history, rev)))
            })
            .collect()
        })
        .await
    }

    async fn update(&self, updates: Vec<Update>) -> std::result::Result<(), ShardError> {
        self.write(move |writer, shared| {
            if write::update(&mut writer.conn, &shared.heads, updates)? {
                writer.dirty_since.get_or_insert_with(Instant::now);
            }
            Ok(())
        })
        .await
    }

    async fn search(&self, wanted: SearchFor) -> std::result::Result<Vec<Hit>, ShardError> {
        self.read(move |conn, heads| find::search(conn, heads, &wanted)).await
    }

    async fn tend(&self) -> std::result::Result<bool, ShardError> {
        self.write(|writer, shared| {
            let due = writer.dirty_since.is_some_and(|since| since.elapsed() >= shared.wipe_after);
            if due && join::wipe_one(&mut writer.conn, &shared.heads)? {
                return Ok(true);
            }
            if due {
                // Readers may hold the log for a moment; then the next time does it.
                let busy: bool =
                    writer
                        .conn
                        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
                if !busy {
                    writer.dirty_since = None;
                }
            }
            let joined = join::join_some(&mut writer.conn, &shared.heads)?;
            join::give_back(&writer.conn)?;
            Ok(joined)
        })
        .await
    }

    async fn clear(&self) -> std::result::Result<(), ShardError> {
        self.write(|writer, shared| {
            writer.conn = Connection::open_in_memory()?;
            shared.idle.lock().clear();
            shared.heads.forget_all();
            match make(&shared.path, shared.cluster, shared.shard) {
                Ok(conn) => writer.conn = conn,
                Err(_) => return Err(TableError::Damaged("file")),
            }
            writer.dirty_since = None;
            Ok(())
        })
        .await
    }

    async fn stats(&self) -> std::result::Result<SearchStats, ShardError> {
        self.read(|conn, _| {
            let (conversations, messages) = conn.query_row(
                "SELECT count(*), coalesce(sum(messages), 0) FROM conversation",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let pages: u64 = conn.pragma_query_value(None, "page_count", |row| row.get(0))?;
            Ok(SearchStats { conversations, messages, bytes: pages * PAGE_BYTES.cast_unsigned() })
        })
        .await
    }
}
