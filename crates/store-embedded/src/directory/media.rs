//! Uploads in the tables `media`, `media_use` and `media_object`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use ostracon_domain::{ConversationId, Millis, UserId};
use ostracon_store::{
    DirectoryError, MediaIndex,
    directory::{
        ContentHash, MediaId, MediaObject, MediaRow, MediaTotals, MediaUse, MessagesGone,
        USED_AGAIN_MS,
    },
};
use rusqlite::{Connection, OptionalExtension as _, Row, params, types::Type};

use super::{SqliteDirectory, failure::Failure};

type Result<T> = std::result::Result<T, DirectoryError>;
type Done<T> = std::result::Result<T, Failure>;

/// What [`media`] reads.
const COLUMNS: &str = "id, owner, hash, size, mime, width, height, duration_ms, thumbhash, thumbnail, thumbnail_size, name, created_at";

#[async_trait]
impl MediaIndex for SqliteDirectory {
    async fn add_media(&self, row: &MediaRow, keep_until: Millis) -> Result<()> {
        let row = row.clone();
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                insert(&tx, &row, keep_until)?;
                Ok(tx.commit()?)
            })
            .await
    }

    async fn media(&self, ids: &[MediaId]) -> Result<Vec<MediaRow>> {
        let ids: BTreeSet<_> = ids.iter().copied().collect();
        self.threads.look_up(move |conn| Ok(select(conn, &ids)?)).await
    }

    async fn keep_media(&self, ids: &[MediaId], until: Millis) -> Result<Vec<MediaRow>> {
        let ids: BTreeSet<_> = ids.iter().copied().collect();
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                {
                    let sql = "UPDATE media SET keep_until = ?2 WHERE id = ?1 AND keep_until < ?2";
                    let mut statement = tx.prepare_cached(sql)?;
                    for id in &ids {
                        statement.execute(params![id.0.to_be_bytes(), until])?;
                    }
                }
                let kept = select(&tx, &ids)?;
                tx.commit()?;
                Ok(kept)
            })
            .await
    }

    async fn media_bytes(&self, owner: UserId) -> Result<u64> {
        self.threads
            .look_up(move |conn| {
                let sql = "SELECT coalesce(sum(size), 0) FROM media WHERE owner = ?1";
                let mut statement = conn.prepare_cached(sql)?;
                Ok(statement.query_row([owner.get()], |row| row.get(0))?)
            })
            .await
    }

    async fn use_media(&self, uses: &[MediaUse]) -> Result<()> {
        let uses = uses.to_vec();
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                {
                    let mut statement = tx.prepare_cached(
                        "INSERT OR IGNORE INTO media_use (media, conversation, seq)
                         SELECT id, ?2, ?3 FROM media WHERE id = ?1",
                    )?;
                    for one in &uses {
                        let conversation = one.conversation.as_u128().to_be_bytes();
                        statement.execute(params![
                            one.media.0.to_be_bytes(),
                            conversation,
                            one.seq
                        ])?;
                    }
                }
                Ok(tx.commit()?)
            })
            .await
    }

    async fn unuse_media(&self, gone: &[MessagesGone], keep_until: Millis) -> Result<()> {
        let gone = gone.to_vec();
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                unuse(&tx, &gone, keep_until)?;
                Ok(tx.commit()?)
            })
            .await
    }

    async fn media_uses(&self, id: MediaId, limit: u32) -> Result<Vec<MediaUse>> {
        self.threads
            .look_up(move |conn| {
                let mut statement = conn.prepare_cached(
                    "SELECT conversation, seq FROM media_use WHERE media = ?1
                     ORDER BY conversation, seq LIMIT ?2",
                )?;
                let found = statement.query_map(params![id.0.to_be_bytes(), limit], |row| {
                    let conversation = u128::from_be_bytes(row.get(0)?);
                    let conversation =
                        ConversationId::from_u128(conversation).map_err(|e| damaged(0, e))?;
                    Ok(MediaUse { media: id, conversation, seq: row.get(1)? })
                })?;
                Ok(found.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn forget_media(&self, now: Millis, limit: u32) -> Result<u32> {
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                tx.prepare_cached(
                    "UPDATE media SET keep_until = ?2 WHERE keep_until < ?1
                     AND EXISTS (SELECT 1 FROM media_use WHERE media = media.id)",
                )?
                .execute(params![now, now.saturating_add(USED_AGAIN_MS)])?;
                let over: Vec<[u8; 16]> = {
                    let mut statement = tx.prepare_cached(
                        "SELECT id FROM media WHERE keep_until < ?1
                         AND NOT EXISTS (SELECT 1 FROM media_use WHERE media = media.id)
                         ORDER BY keep_until, id LIMIT ?2",
                    )?;
                    let over = statement.query_map(params![now, limit], |row| row.get(0))?;
                    over.collect::<rusqlite::Result<_>>()?
                };
                for id in &over {
                    forget(&tx, id)?;
                }
                tx.commit()?;
                Ok(over.len() as u32)
            })
            .await
    }

    async fn remove_media(&self, id: MediaId) -> Result<bool> {
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                let was_there = forget(&tx, &id.0.to_be_bytes())?;
                tx.commit()?;
                Ok(was_there)
            })
            .await
    }

    async fn dying_objects(&self, limit: u32) -> Result<Vec<MediaObject>> {
        self.threads
            .look_up(move |conn| {
                let sql =
                    "SELECT hash, size FROM media_object WHERE dying = 1 ORDER BY hash LIMIT ?1";
                let mut statement = conn.prepare_cached(sql)?;
                let found = statement.query_map([limit], object)?;
                Ok(found.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn objects_removed(&self, hashes: &[ContentHash]) -> Result<()> {
        let hashes = hashes.to_vec();
        self.threads
            .write(move |conn| {
                let tx = conn.transaction()?;
                {
                    let sql = "DELETE FROM media_object WHERE hash = ?1 AND dying = 1";
                    let mut statement = tx.prepare_cached(sql)?;
                    for hash in &hashes {
                        statement.execute([hash.0])?;
                    }
                }
                Ok(tx.commit()?)
            })
            .await
    }

    async fn media_objects(
        &self,
        after: Option<ContentHash>,
        limit: u32,
    ) -> Result<Vec<MediaObject>> {
        self.threads
            .scan(move |conn| {
                let mut statement = conn.prepare_cached(
                    "SELECT hash, size FROM media_object
                     WHERE dying = 0 AND (?1 IS NULL OR hash > ?1) ORDER BY hash LIMIT ?2",
                )?;
                let after = after.map(|hash| hash.0);
                let found = statement.query_map(params![after, limit], object)?;
                Ok(found.collect::<rusqlite::Result<_>>()?)
            })
            .await
    }

    async fn media_totals(&self) -> Result<MediaTotals> {
        self.threads
            .scan(move |conn| {
                let mut statement = conn.prepare_cached(
                    "SELECT (SELECT count(*) FROM media), count(*), coalesce(sum(size), 0)
                     FROM media_object",
                )?;
                Ok(statement.query_row([], |row| {
                    let (uploads, objects, bytes) = (row.get(0)?, row.get(1)?, row.get(2)?);
                    Ok(MediaTotals { uploads, objects, bytes })
                })?)
            })
            .await
    }
}

fn insert(conn: &Connection, row: &MediaRow, keep_until: Millis) -> Done<()> {
    let id = row.id.0.to_be_bytes();
    let known = conn
        .prepare_cached("SELECT 1 FROM media WHERE id = ?1")?
        .query_row([id], |_| Ok(()))
        .optional()?;
    if known.is_some() {
        return Err(DirectoryError::Taken("media id").into());
    }
    for object in [Some(row.object), row.thumbnail].into_iter().flatten() {
        let dying: bool = conn
            .prepare_cached(
                "INSERT INTO media_object (hash, size, dying) VALUES (?1, ?2, 0)
                 ON CONFLICT (hash) DO UPDATE SET size = excluded.size RETURNING dying",
            )?
            .query_row(params![object.hash.0, object.size], |row| row.get(0))?;
        if dying {
            return Err(DirectoryError::Taken("content").into());
        }
    }
    let sql = format!(
        "INSERT INTO media ({COLUMNS}, keep_until)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
    );
    conn.prepare_cached(&sql)?.execute(params![
        id,
        row.owner.get(),
        row.object.hash.0,
        row.object.size,
        row.mime,
        row.width,
        row.height,
        row.duration_ms,
        row.thumbhash,
        row.thumbnail.map(|object| object.hash.0),
        row.thumbnail.map(|object| object.size),
        row.name,
        row.created_at,
        keep_until,
    ])?;
    Ok(())
}

fn select(conn: &Connection, ids: &BTreeSet<MediaId>) -> rusqlite::Result<Vec<MediaRow>> {
    let mut statement =
        conn.prepare_cached(&format!("SELECT {COLUMNS} FROM media WHERE id = ?1"))?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(statement.query_row([id.0.to_be_bytes()], media).optional()?);
    }
    Ok(found)
}

fn unuse(conn: &Connection, gone: &[MessagesGone], keep_until: Millis) -> Done<()> {
    let mut touched: BTreeSet<[u8; 16]> = BTreeSet::new();
    for one in gone {
        let conversation = one.conversation.as_u128().to_be_bytes();
        let mut statement = conn.prepare_cached(
            "DELETE FROM media_use WHERE conversation = ?1 AND seq BETWEEN ?2 AND ?3
             RETURNING media",
        )?;
        let (from, to) = (one.from.min(i64::MAX as u64), one.to.min(i64::MAX as u64));
        let removed = statement.query_map(params![conversation, from, to], |row| row.get(0))?;
        for media in removed {
            touched.insert(media?);
        }
    }
    let mut statement = conn.prepare_cached(
        "UPDATE media SET keep_until = ?2
         WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM media_use WHERE media = media.id)",
    )?;
    for media in touched {
        statement.execute(params![media, keep_until])?;
    }
    Ok(())
}

/// Forgets an upload; objects that no other has are dying.
fn forget(conn: &Connection, id: &[u8; 16]) -> Done<bool> {
    conn.prepare_cached("DELETE FROM media_use WHERE media = ?1")?.execute([id])?;
    let removed: Option<([u8; 32], Option<[u8; 32]>)> = conn
        .prepare_cached("DELETE FROM media WHERE id = ?1 RETURNING hash, thumbnail")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((hash, thumbnail)) = removed else { return Ok(false) };
    let mut statement = conn.prepare_cached(
        "UPDATE media_object SET dying = 1 WHERE hash = ?1
         AND NOT EXISTS (SELECT 1 FROM media WHERE hash = ?1)
         AND NOT EXISTS (SELECT 1 FROM media WHERE thumbnail = ?1)",
    )?;
    for hash in [Some(hash), thumbnail].into_iter().flatten() {
        statement.execute([hash])?;
    }
    Ok(true)
}

fn object(row: &Row<'_>) -> rusqlite::Result<MediaObject> {
    Ok(MediaObject { hash: ContentHash(row.get(0)?), size: row.get(1)? })
}

fn media(row: &Row<'_>) -> rusqlite::Result<MediaRow> {
    let thumbnail: Option<[u8; 32]> = row.get(9)?;
    let thumbnail_size: Option<u64> = row.get(10)?;
    Ok(MediaRow {
        id: MediaId(u128::from_be_bytes(row.get(0)?)),
        owner: UserId::new(row.get(1)?).map_err(|e| damaged(1, e))?,
        object: MediaObject { hash: ContentHash(row.get(2)?), size: row.get(3)? },
        mime: row.get(4)?,
        width: row.get(5)?,
        height: row.get(6)?,
        duration_ms: row.get(7)?,
        thumbhash: row.get(8)?,
        thumbnail: thumbnail
            .zip(thumbnail_size)
            .map(|(hash, size)| MediaObject { hash: ContentHash(hash), size }),
        name: row.get(11)?,
        created_at: row.get(12)?,
    })
}

fn damaged(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, Box::new(error))
}
