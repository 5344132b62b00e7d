//! The map and the shards in their tables: read whole, written by what differs.

use std::sync::Arc;

use ostracon_domain::{
    ConversationId, Epoch, PlacementMap, ShardId, Slot, UnitHome, UnitId, UserId, UserOverride,
};
use ostracon_store::directory::{ShardAdmission, ShardRow};
use parking_lot::Mutex;
use rusqlite::{Connection, Row, Transaction, params, types::Type};
use rustc_hash::FxHashMap;

use super::failure::Failure;

/// `override.kind` of a conversation.
const OF_CONVERSATION: i64 = 1;

/// `shard.state`.
pub(super) const fn admission(state: ShardAdmission) -> i64 {
    match state {
        ShardAdmission::Accepting => 0,
        ShardAdmission::Draining => 1,
    }
}

/// The shards, by number.
pub(super) fn shards(conn: &Connection) -> Result<Vec<ShardRow>, Failure> {
    let mut statement = conn.prepare_cached("SELECT id, url, state FROM shard ORDER BY id")?;
    let found = statement.query_map([], shard)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// A row of `id, url, state`.
pub(super) fn shard(row: &Row<'_>) -> rusqlite::Result<ShardRow> {
    let state = match row.get::<_, i64>(2)? {
        0 => ShardAdmission::Accepting,
        _ => ShardAdmission::Draining,
    };
    Ok(ShardRow { id: ShardId(row.get(0)?), url: row.get(1)?, state })
}

/// The map as it was last read or committed. A version is never two maps, so one that is still in force need not be read
/// again: 16,384 rows would be a good part of a freeze.
#[derive(Clone, Default)]
pub(super) struct KnownMap(Arc<Mutex<Option<Arc<PlacementMap>>>>);

impl KnownMap {
    /// The whole map. The caller is in a transaction: rows and version belong together.
    pub(super) fn load(&self, tx: &Transaction<'_>) -> Result<Arc<PlacementMap>, Failure> {
        let version: u64 = tx.query_row("SELECT map_version FROM cluster", [], |row| row.get(0))?;
        let known = self.0.lock().clone();
        if let Some(map) = known.filter(|map| map.version == version) {
            return Ok(map);
        }
        let map = Arc::new(load(tx)?);
        self.keep(&map);
        Ok(map)
    }

    /// Remembers a map that is committed.
    pub(super) fn keep(&self, map: &Arc<PlacementMap>) {
        let mut known = self.0.lock();
        if known.as_ref().is_none_or(|old| old.version < map.version) {
            *known = Some(Arc::clone(map));
        }
    }
}

fn load(tx: &Transaction<'_>) -> Result<PlacementMap, Failure> {
    let version = tx.query_row("SELECT map_version FROM cluster", [], |row| row.get(0))?;
    let home = |row: &Row<'_>| {
        let home = UnitHome { shard: ShardId(row.get(1)?), epoch: Epoch(row.get(2)?) };
        Ok((UnitId(row.get(0)?), home))
    };
    let homes = tx
        .prepare_cached("SELECT id, shard, epoch FROM unit ORDER BY id")?
        .query_map([], home)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let conversations = tx
        .prepare_cached("SELECT subject, unit FROM override WHERE kind = ?1")?
        .query_map([OF_CONVERSATION], conversation_override)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(PlacementMap::new(version, homes, conversations, hot_users(tx)?))
}

fn hot_users(tx: &Transaction<'_>) -> Result<Vec<UserOverride>, Failure> {
    let mut places = FxHashMap::default();
    let mut users = Vec::new();
    let mut statement = tx.prepare_cached("SELECT user, rank, own FROM hot_user ORDER BY user")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let user = UserId::new(row.get(0)?).map_err(|e| unreadable(0, Type::Integer, e))?;
        let mut hot = UserOverride::new(user, row.get(1)?, Vec::new());
        hot.own = row.get::<_, Option<u32>>(2)?.map(UnitId);
        places.insert(user.get(), users.len());
        users.push(hot);
    }
    if users.is_empty() {
        return Ok(users);
    }
    let mut statement = tx.prepare_cached("SELECT user, slot, unit FROM hot_user_slot")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let slot = Slot::new(row.get(1)?).map_err(|e| unreadable(1, Type::Integer, e))?;
        let place = places.get(&row.get::<_, u64>(0)?).copied();
        if let Some(hot) = place.and_then(|place| users.get_mut(place)) {
            hot.table.insert(slot, UnitId(row.get(2)?));
        }
    }
    let sql = "SELECT user, shard FROM hot_user_target ORDER BY user, place";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let place = places.get(&row.get::<_, u64>(0)?).copied();
        if let Some(hot) = place.and_then(|place| users.get_mut(place)) {
            hot.targets.push(ShardId(row.get(1)?));
        }
    }
    Ok(users)
}

fn conversation_override(row: &Row<'_>) -> rusqlite::Result<(ConversationId, UnitId)> {
    let id: [u8; 16] = row.get(0)?;
    let id = ConversationId::from_u128(u128::from_be_bytes(id))
        .map_err(|e| unreadable(0, Type::Blob, e))?;
    Ok((id, UnitId(row.get(1)?)))
}

/// A value that no version wrote.
pub(super) fn unreadable(
    column: usize,
    kind: Type,
    why: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(why))
}

/// Writes what differs between two maps, and the version of the second. `units` are those whose homes may differ.
///
/// References hold at every moment: units come before what names them and go after it.
pub(super) fn store(
    tx: &Transaction<'_>,
    before: &PlacementMap,
    after: &PlacementMap,
    units: &[UnitId],
) -> Result<(), Failure> {
    let mut set = tx.prepare_cached(
        "INSERT INTO unit (id, shard, epoch) VALUES (?1, ?2, ?3)
         ON CONFLICT (id) DO UPDATE SET shard = excluded.shard, epoch = excluded.epoch",
    )?;
    for unit in units {
        if let Some(home) = after.home(*unit) {
            set.execute(params![unit.0, home.shard.0, home.epoch.0])?;
        }
    }
    store_conversations(tx, before, after)?;
    for hot in after.user_overrides() {
        let old = before.user_override(hot.user);
        if old != Some(hot) {
            store_user(tx, old, hot)?;
        }
    }
    for hot in before.user_overrides() {
        if after.user_override(hot.user).is_none() {
            for table in ["hot_user_slot", "hot_user_target", "hot_user"] {
                tx.execute(&format!("DELETE FROM {table} WHERE user = ?1"), [hot.user.get()])?;
            }
        }
    }
    let mut remove = tx.prepare_cached("DELETE FROM unit WHERE id = ?1")?;
    for unit in units {
        if after.home(*unit).is_none() {
            remove.execute([unit.0])?;
        }
    }
    tx.prepare_cached("UPDATE cluster SET map_version = ?1")?.execute([after.version])?;
    Ok(())
}

fn store_conversations(
    tx: &Transaction<'_>,
    before: &PlacementMap,
    after: &PlacementMap,
) -> Result<(), Failure> {
    let old: FxHashMap<_, _> = before.overrides().collect();
    let new: FxHashMap<_, _> = after.overrides().collect();
    for id in old.keys().filter(|id| !new.contains_key(id)) {
        let sql = "DELETE FROM override WHERE kind = ?1 AND subject = ?2";
        tx.prepare_cached(sql)?.execute(params![OF_CONVERSATION, id.as_u128().to_be_bytes()])?;
    }
    for (id, unit) in new.iter().filter(|(id, unit)| old.get(id) != Some(unit)) {
        let rank = draw(tx, "rank", 1)?;
        tx.prepare_cached(
            "INSERT INTO override (rank, kind, subject, unit) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (kind, subject) DO UPDATE SET unit = excluded.unit",
        )?
        .execute(params![rank, OF_CONVERSATION, id.as_u128().to_be_bytes(), unit.0])?;
    }
    Ok(())
}

fn store_user(
    tx: &Transaction<'_>,
    old: Option<&UserOverride>,
    hot: &UserOverride,
) -> Result<(), Failure> {
    let user = hot.user.get();
    tx.prepare_cached(
        "INSERT INTO hot_user (user, rank, own) VALUES (?1, ?2, ?3)
         ON CONFLICT (user) DO UPDATE SET own = excluded.own",
    )?
    .execute(params![user, hot.rank, hot.own.map(|unit| unit.0)])?;
    let mut set = tx.prepare_cached(
        "INSERT INTO hot_user_slot (user, slot, unit) VALUES (?1, ?2, ?3)
         ON CONFLICT (user, slot) DO UPDATE SET unit = excluded.unit",
    )?;
    let known = |slot: &Slot| old.and_then(|old| old.table.get(slot));
    for (slot, unit) in hot.table.iter().filter(|(slot, unit)| known(slot) != Some(unit)) {
        set.execute(params![user, slot.get(), unit.0])?;
    }
    let gone = old.into_iter().flat_map(|old| old.table.keys());
    for slot in gone.filter(|slot| !hot.table.contains_key(slot)) {
        let sql = "DELETE FROM hot_user_slot WHERE user = ?1 AND slot = ?2";
        tx.prepare_cached(sql)?.execute(params![user, slot.get()])?;
    }
    if old.is_none_or(|old| old.targets != hot.targets) {
        tx.execute("DELETE FROM hot_user_target WHERE user = ?1", [user])?;
        for (place, shard) in hot.targets.iter().enumerate() {
            let sql = "INSERT INTO hot_user_target (user, place, shard) VALUES (?1, ?2, ?3)";
            tx.prepare_cached(sql)?.execute(params![user, place, shard.0])?;
        }
    }
    Ok(())
}

/// Draws `n` numbers of a sequence; the last of them.
pub(super) fn draw(tx: &Transaction<'_>, name: &str, n: u32) -> rusqlite::Result<u64> {
    tx.prepare_cached("UPDATE sequence SET last = last + ?2 WHERE name = ?1 RETURNING last")?
        .query_row(params![name, n], |row| row.get(0))
}
