//! Uploads in the tables `media`, `media_use` and `media_object`.
//!
//! Who adds an upload locks the rows of its objects first; who forgets uploads locks their rows, then those of their objects,
//! by hash, and looks only then, in another statement, whether something else needs them.

use std::collections::BTreeSet;

use async_trait::async_trait;
use ostracon_domain::{Millis, UserId};
use ostracon_store::{
    DirectoryError, MediaIndex,
    directory::{
        ContentHash, MediaId, MediaObject, MediaRow, MediaTotals, MediaUse, MessagesGone,
        USED_AGAIN_MS,
    },
};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Found, PostgresDirectory, Result, in_session, in_transaction};
use crate::{
    error::PgError,
    session::Session,
    value::{self, get, number, uuid_of},
};

/// What [`media`] reads.
macro_rules! media_columns {
    () => {
        "id, owner, hash, size, mime, width, height, duration_ms, thumbhash, thumbnail, thumbnail_size, name, created_at"
    };
}

const ADD_OBJECT: &str = "INSERT INTO media_object (hash, size, dying) VALUES ($1, $2, false) \
     ON CONFLICT (hash) DO UPDATE SET size = excluded.size RETURNING dying";
const ADD: &str = concat!(
    "INSERT INTO media (",
    media_columns!(),
    ", keep_until) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
     ON CONFLICT (id) DO NOTHING RETURNING id"
);
const SELECT: &str =
    concat!("SELECT ", media_columns!(), " FROM media WHERE id = ANY($1) ORDER BY id");
const KEEP: &str = "UPDATE media SET keep_until = greatest(keep_until, $2) WHERE id = ANY($1)";
const BYTES: &str = "SELECT coalesce(sum(size), 0)::bigint FROM media WHERE owner = $1";
const USE: &str = "INSERT INTO media_use (media, conversation, seq) \
     SELECT media.id, used.conversation, used.seq \
     FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS used (media, conversation, seq) \
     JOIN media ON media.id = used.media ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING";
const UNUSE: &str = "DELETE FROM media_use \
     USING unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS gone (conversation, first, last) \
     WHERE media_use.conversation = gone.conversation AND seq BETWEEN gone.first AND gone.last \
     RETURNING media";
const SHORTEN: &str = "UPDATE media SET keep_until = $2 WHERE id = ANY($1) \
     AND NOT EXISTS (SELECT 1 FROM media_use WHERE media = media.id)";
const USES: &str = "SELECT conversation, seq FROM media_use WHERE media = $1 \
     ORDER BY conversation, seq LIMIT $2";
const LATER: &str = "UPDATE media SET keep_until = $2 WHERE id IN (SELECT id FROM media \
     WHERE keep_until < $1 AND EXISTS (SELECT 1 FROM media_use WHERE media = media.id) \
     ORDER BY id FOR UPDATE SKIP LOCKED)";
const LOCK_OVER: &str = "SELECT id FROM media WHERE keep_until < $1 \
     AND NOT EXISTS (SELECT 1 FROM media_use WHERE media = media.id) \
     ORDER BY keep_until, id LIMIT $2 FOR UPDATE SKIP LOCKED";
const LOCK: &str = "SELECT id FROM media WHERE id = ANY($1) ORDER BY id FOR UPDATE";
const REMOVE_USES: &str = "DELETE FROM media_use WHERE media = ANY($1)";
const REMOVE: &str = "DELETE FROM media WHERE id = ANY($1) \
     AND NOT EXISTS (SELECT 1 FROM media_use WHERE media = media.id) RETURNING hash, thumbnail";
const LOCK_OBJECTS: &str =
    "SELECT hash FROM media_object WHERE hash = ANY($1) ORDER BY hash FOR UPDATE";
const DIE: &str = "UPDATE media_object SET dying = true WHERE hash = ANY($1) \
     AND NOT EXISTS (SELECT 1 FROM media WHERE media.hash = media_object.hash) \
     AND NOT EXISTS (SELECT 1 FROM media WHERE media.thumbnail = media_object.hash)";
const DYING: &str = "SELECT hash, size FROM media_object WHERE dying ORDER BY hash LIMIT $1";
const REMOVED: &str = "DELETE FROM media_object WHERE hash = ANY($1) AND dying";
const OBJECTS: &str = "SELECT hash, size FROM media_object WHERE NOT dying AND hash > $1 \
     ORDER BY hash LIMIT $2";
const TOTALS: &str = "SELECT (SELECT count(*) FROM media), count(*), \
     coalesce(sum(size), 0)::bigint FROM media_object";

#[async_trait]
impl MediaIndex for PostgresDirectory {
    async fn add_media(&self, row: &MediaRow, keep_until: Millis) -> Result<()> {
        in_transaction!(self, |session| add(session, row, keep_until))
    }

    async fn media(&self, ids: &[MediaId]) -> Result<Vec<MediaRow>> {
        let ids = uuids(ids);
        in_session!(self, |session| select(session, &ids))
    }

    async fn keep_media(&self, ids: &[MediaId], until: Millis) -> Result<Vec<MediaRow>> {
        let ids = uuids(ids);
        in_transaction!(self, |session| keep(session, &ids, until))
    }

    async fn media_bytes(&self, owner: UserId) -> Result<u64> {
        let owner = owner.get().cast_signed();
        in_session!(self, |session| bytes_of(session, owner))
    }

    async fn use_media(&self, uses: &[MediaUse]) -> Result<()> {
        in_session!(self, |session| use_all(session, uses))
    }

    async fn unuse_media(&self, gone: &[MessagesGone], keep_until: Millis) -> Result<()> {
        in_transaction!(self, |session| unuse(session, gone, keep_until))
    }

    async fn media_uses(&self, media: MediaId, limit: u32) -> Result<Vec<MediaUse>> {
        in_session!(self, |session| uses(session, media, limit))
    }

    async fn forget_media(&self, now: Millis, limit: u32) -> Result<u32> {
        in_transaction!(self, |session| forget_over(session, now, limit))
    }

    async fn remove_media(&self, id: MediaId) -> Result<bool> {
        in_transaction!(self, |session| remove(session, id))
    }

    async fn dying_objects(&self, limit: u32) -> Result<Vec<MediaObject>> {
        in_session!(self, |session| dying(session, limit))
    }

    async fn objects_removed(&self, hashes: &[ContentHash]) -> Result<()> {
        in_session!(self, |session| removed(session, hashes))
    }

    async fn media_objects(
        &self,
        after: Option<ContentHash>,
        limit: u32,
    ) -> Result<Vec<MediaObject>> {
        in_session!(self, |session| objects(session, after, limit))
    }

    async fn media_totals(&self) -> Result<MediaTotals> {
        in_session!(self, |session| totals(session))
    }
}

fn uuids(ids: &[MediaId]) -> Vec<Uuid> {
    ids.iter().map(|id| Uuid::from_u128(id.0)).collect()
}

async fn add(session: &Session, row: &MediaRow, keep_until: Millis) -> Found<()> {
    let objects: BTreeSet<_> = [Some(row.object), row.thumbnail].into_iter().flatten().collect();
    for object in objects {
        let size = object.size.cast_signed();
        let rows = session.run(ADD_OBJECT, &[&object.hash.0.as_slice(), &size]).await?;
        if rows.first().map(|row| get::<bool>(row, 0)).transpose()?.unwrap_or(false) {
            return Err(DirectoryError::Taken("content").into());
        }
    }
    let thumbnail = row.thumbnail.map(|object| object.hash.0.to_vec());
    let added = session
        .run(
            ADD,
            &[
                &Uuid::from_u128(row.id.0),
                &row.owner.get().cast_signed(),
                &row.object.hash.0.as_slice(),
                &row.object.size.cast_signed(),
                &row.mime,
                &row.width.map(i64::from),
                &row.height.map(i64::from),
                &row.duration_ms.map(u64::cast_signed),
                &row.thumbhash,
                &thumbnail,
                &row.thumbnail.map(|object| object.size.cast_signed()),
                &row.name,
                &row.created_at,
                &keep_until,
            ],
        )
        .await?;
    if added.is_empty() { Err(DirectoryError::Taken("media id").into()) } else { Ok(()) }
}

async fn select(session: &Session, ids: &[Uuid]) -> Found<Vec<MediaRow>> {
    let rows = session.run(SELECT, &[&ids]).await?;
    Ok(rows.iter().map(media).collect::<std::result::Result<_, _>>()?)
}

async fn keep(session: &Session, ids: &[Uuid], until: Millis) -> Found<Vec<MediaRow>> {
    session.run(LOCK, &[&ids]).await?;
    session.run(KEEP, &[&ids, &until]).await?;
    select(session, ids).await
}

async fn bytes_of(session: &Session, owner: i64) -> Found<u64> {
    let rows = session.run(BYTES, &[&owner]).await?;
    Ok(rows.first().map(|row| number(row, 0)).transpose()?.unwrap_or(0))
}

async fn use_all(session: &Session, uses: &[MediaUse]) -> Found<()> {
    let media: Vec<_> = uses.iter().map(|one| Uuid::from_u128(one.media.0)).collect();
    let talks: Vec<_> = uses.iter().map(|one| uuid_of(one.conversation)).collect();
    let seqs: Vec<_> = uses.iter().map(|one| one.seq.cast_signed()).collect();
    session.run(USE, &[&media, &talks, &seqs]).await?;
    Ok(())
}

async fn unuse(session: &Session, gone: &[MessagesGone], keep_until: Millis) -> Found<()> {
    let bound = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
    let talks: Vec<_> = gone.iter().map(|one| uuid_of(one.conversation)).collect();
    let first: Vec<_> = gone.iter().map(|one| bound(one.from)).collect();
    let last: Vec<_> = gone.iter().map(|one| bound(one.to)).collect();
    let rows = session.run(UNUSE, &[&talks, &first, &last]).await?;
    let media = rows.iter().map(|row| get::<Uuid>(row, 0));
    let media: BTreeSet<_> = media.collect::<std::result::Result<_, _>>()?;
    if !media.is_empty() {
        let media: Vec<_> = media.into_iter().collect();
        session.run(LOCK, &[&media]).await?;
        session.run(SHORTEN, &[&media, &keep_until]).await?;
    }
    Ok(())
}

async fn uses(session: &Session, media: MediaId, limit: u32) -> Found<Vec<MediaUse>> {
    let id = Uuid::from_u128(media.0);
    let rows = session.run(USES, &[&id, &i64::from(limit)]).await?;
    let read = |row| {
        let conversation = value::conversation_id(row, 0)?;
        Ok::<_, PgError>(MediaUse { media, conversation, seq: number(row, 1)? })
    };
    Ok(rows.iter().map(read).collect::<std::result::Result<_, _>>()?)
}

async fn forget_over(session: &Session, now: Millis, limit: u32) -> Found<u32> {
    session.run(LATER, &[&now, &now.saturating_add(USED_AGAIN_MS)]).await?;
    let rows = session.run(LOCK_OVER, &[&now, &i64::from(limit)]).await?;
    let ids = rows.iter().map(|row| get::<Uuid>(row, 0));
    let ids: Vec<_> = ids.collect::<std::result::Result<_, _>>()?;
    forget(session, &ids).await
}

async fn remove(session: &Session, id: MediaId) -> Found<bool> {
    let ids = vec![Uuid::from_u128(id.0)];
    session.run(LOCK, &[&ids]).await?;
    session.run(REMOVE_USES, &[&ids]).await?;
    Ok(forget(session, &ids).await? > 0)
}

/// Forgets uploads whose rows are locked, unless something uses them by now; objects that no other has are dying.
async fn forget(session: &Session, ids: &[Uuid]) -> Found<u32> {
    let rows = session.run(REMOVE, &[&ids]).await?;
    let mut hashes: BTreeSet<Vec<u8>> = BTreeSet::new();
    for row in &rows {
        hashes.insert(get(row, 0)?);
        hashes.extend(get::<Option<Vec<u8>>>(row, 1)?);
    }
    if !hashes.is_empty() {
        let hashes: Vec<_> = hashes.into_iter().collect();
        session.run(LOCK_OBJECTS, &[&hashes]).await?;
        session.run(DIE, &[&hashes]).await?;
    }
    Ok(rows.len() as u32)
}

async fn dying(session: &Session, limit: u32) -> Found<Vec<MediaObject>> {
    let rows = session.run(DYING, &[&i64::from(limit)]).await?;
    Ok(rows.iter().map(object).collect::<std::result::Result<_, _>>()?)
}

async fn removed(session: &Session, hashes: &[ContentHash]) -> Found<()> {
    let hashes: Vec<_> = hashes.iter().map(|hash| hash.0.to_vec()).collect();
    session.run(REMOVED, &[&hashes]).await?;
    Ok(())
}

async fn objects(
    session: &Session,
    after: Option<ContentHash>,
    limit: u32,
) -> Found<Vec<MediaObject>> {
    let after = after.map(|hash| hash.0.to_vec()).unwrap_or_default();
    let rows = session.run(OBJECTS, &[&after, &i64::from(limit)]).await?;
    Ok(rows.iter().map(object).collect::<std::result::Result<_, _>>()?)
}

async fn totals(session: &Session) -> Found<MediaTotals> {
    let rows = session.run(TOTALS, &[]).await?;
    let row = rows.first().ok_or(PgError::Damaged("totals"))?;
    Ok(MediaTotals { uploads: number(row, 0)?, objects: number(row, 1)?, bytes: number(row, 2)? })
}

fn hash_of(bytes: &[u8]) -> std::result::Result<ContentHash, PgError> {
    bytes.try_into().map(ContentHash).map_err(|_| PgError::Damaged("hash"))
}

fn object(row: &Row) -> std::result::Result<MediaObject, PgError> {
    Ok(MediaObject { hash: hash_of(get(row, 0)?)?, size: number(row, 1)? })
}

fn media(row: &Row) -> std::result::Result<MediaRow, PgError> {
    let pixels = |at| {
        let number = get::<Option<i64>>(row, at)?;
        number.map(|n| u32::try_from(n).map_err(|_| PgError::Damaged("pixels"))).transpose()
    };
    let thumbnail = get::<Option<&[u8]>>(row, 9)?.map(hash_of).transpose()?;
    let thumbnail_size = get::<Option<i64>>(row, 10)?;
    Ok(MediaRow {
        id: MediaId(get::<Uuid>(row, 0)?.as_u128()),
        owner: value::user(row, 1)?,
        object: MediaObject { hash: hash_of(get(row, 2)?)?, size: number(row, 3)? },
        mime: get(row, 4)?,
        width: pixels(5)?,
        height: pixels(6)?,
        duration_ms: get::<Option<i64>>(row, 7)?.map(i64::cast_unsigned),
        thumbhash: get(row, 8)?,
        thumbnail: thumbnail
            .zip(thumbnail_size)
            .map(|(hash, size)| MediaObject { hash, size: size.cast_unsigned() }),
        name: get(row, 11)?,
        created_at: get(row, 12)?,
    })
}
