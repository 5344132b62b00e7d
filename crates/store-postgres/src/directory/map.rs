//! The map and the shards in their tables: read whole, written by what differs.

use std::sync::Arc;

use ostracon_domain::{
    ConversationId, Epoch, PlacementMap, ShardId, Slot, UnitHome, UnitId, UserId, UserOverride,
};
use ostracon_store::directory::{ShardAdmission, ShardRow};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio_postgres::Row;
use uuid::Uuid;

use super::Found;
use crate::{
    error::PgError,
    session::{BEGIN_SNAPSHOT, Session},
    value::{self, get, number, small},
};

type Read<T> = std::result::Result<T, PgError>;

/// `override.kind` of a conversation.
const OF_CONVERSATION: i16 = 1;

const SHARDS: &str = "SELECT id, url, state FROM shard ORDER BY id";
const VERSION: &str = "SELECT map_version FROM cluster";
/// The newest version, and nobody else's turn until the end of the transaction.
const LOCK: &str = "SELECT map_version FROM cluster FOR NO KEY UPDATE";
const SET_VERSION: &str = "UPDATE cluster SET map_version = $1";

const UNITS: &str = "SELECT id, shard, epoch FROM unit ORDER BY id";
const OVERRIDES: &str = "SELECT subject, unit FROM override WHERE kind = $1";
const HOT_USERS: &str = "SELECT user_id, rank, own FROM hot_user ORDER BY user_id";
const HOT_SLOTS: &str = "SELECT user_id, slot, unit FROM hot_user_slot";
const HOT_TARGETS: &str = "SELECT user_id, shard FROM hot_user_target ORDER BY user_id, place";

const SET_UNITS: &str = "INSERT INTO unit (id, shard, epoch) \
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) \
     ON CONFLICT (id) DO UPDATE SET shard = excluded.shard, epoch = excluded.epoch";
const REMOVE_UNITS: &str = "DELETE FROM unit WHERE id = ANY($1)";
const SET_OVERRIDES: &str = "INSERT INTO override (rank, kind, subject, unit) \
     SELECT new.rank, $1, new.subject, new.unit \
     FROM unnest($2::bigint[], $3::uuid[], $4::bigint[]) AS new (rank, subject, unit) \
     ON CONFLICT (kind, subject) DO UPDATE SET unit = excluded.unit";
const REMOVE_OVERRIDES: &str = "DELETE FROM override WHERE kind = $1 AND subject = ANY($2)";
const SET_HOT_USER: &str = "INSERT INTO hot_user (user_id, rank, own) VALUES ($1, $2, $3) \
     ON CONFLICT (user_id) DO UPDATE SET own = excluded.own";
const SET_HOT_SLOTS: &str = "INSERT INTO hot_user_slot (user_id, slot, unit) \
     SELECT $1, new.slot, new.unit FROM unnest($2::bigint[], $3::bigint[]) AS new (slot, unit) \
     ON CONFLICT (user_id, slot) DO UPDATE SET unit = excluded.unit";
const REMOVE_HOT_SLOTS: &str = "DELETE FROM hot_user_slot WHERE user_id = $1 AND slot = ANY($2)";
const REMOVE_HOT_TARGETS: &str = "DELETE FROM hot_user_target WHERE user_id = $1";
const SET_HOT_TARGETS: &str = "INSERT INTO hot_user_target (user_id, place, shard) \
     SELECT $1, new.place, new.shard FROM unnest($2::bigint[], $3::bigint[]) AS new (place, shard)";
const REMOVE_HOT_USERS: [&str; 3] = [
    "DELETE FROM hot_user_slot WHERE user_id = ANY($1)",
    "DELETE FROM hot_user_target WHERE user_id = ANY($1)",
    "DELETE FROM hot_user WHERE user_id = ANY($1)",
];
const DRAW: &str = "UPDATE sequence SET last = last + $2 WHERE name = $1 RETURNING last";

/// `shard.state`.
pub(super) const fn admission(state: ShardAdmission) -> i16 {
    match state {
        ShardAdmission::Accepting => 0,
        ShardAdmission::Draining => 1,
    }
}

/// The shards, by number.
pub(super) async fn shards(session: &Session) -> Found<Vec<ShardRow>> {
    let rows = session.run(SHARDS, &[]).await?;
    Ok(rows.iter().map(shard).collect::<Read<_>>()?)
}

/// A row of `id, url, state`.
pub(super) fn shard(row: &Row) -> Read<ShardRow> {
    let state = match get::<i16>(row, 2)? {
        0 => ShardAdmission::Accepting,
        _ => ShardAdmission::Draining,
    };
    Ok(ShardRow { id: ShardId(small(row, 0)?), url: get(row, 1)?, state })
}

/// The map as it was last read or committed. A version is never two maps, so one that is still in force need not be read
/// again: 16,384 rows would be a good part of a freeze. Which version is in force is asked every time: others commit too.
#[derive(Clone, Default)]
pub(super) struct KnownMap(Arc<Mutex<Option<Arc<PlacementMap>>>>);

impl KnownMap {
    /// Remembers a map that is committed.
    pub(super) fn keep(&self, map: &Arc<PlacementMap>) {
        *self.0.lock() = Some(Arc::clone(map));
    }

    /// The server is another one: what it calls a version may be another map.
    pub(super) fn forget(&self) {
        *self.0.lock() = None;
    }

    fn of(&self, version: u64) -> Option<Arc<PlacementMap>> {
        self.0.lock().clone().filter(|map| map.version == version)
    }

    /// The newest map, for whoever only reads.
    pub(super) async fn read(&self, session: &Session) -> Found<Arc<PlacementMap>> {
        if let Some(known) = self.of(version(session, VERSION).await?) {
            return Ok(known);
        }
        // One snapshot: rows and version belong together.
        session.plain(BEGIN_SNAPSHOT).await?;
        let version = version(session, VERSION).await?;
        let map = Arc::new(load(session, version).await?);
        session.plain("COMMIT").await?;
        self.keep(&map);
        Ok(map)
    }

    /// The newest map, for whoever holds the lock and may change it.
    pub(super) async fn load(&self, session: &Session, version: u64) -> Found<Arc<PlacementMap>> {
        if let Some(known) = self.of(version) {
            return Ok(known);
        }
        let map = Arc::new(load(session, version).await?);
        self.keep(&map);
        Ok(map)
    }
}

/// Waits for the turn of this transaction to change map, shards or the units of moves; the version of the map.
///
/// Every such transaction begins with it, so that what it reads afterwards stays as it is until its end.
pub(super) async fn lock(session: &Session) -> Found<u64> {
    version(session, LOCK).await
}

async fn version(session: &Session, sql: &str) -> Found<u64> {
    let rows = session.run(sql, &[]).await?;
    let row = rows.first().ok_or(PgError::Damaged("cluster"))?;
    Ok(number(row, 0)?)
}

async fn load(session: &Session, version: u64) -> Found<PlacementMap> {
    let rows = session.run(UNITS, &[]).await?;
    let homes = rows.iter().map(home).collect::<Read<Vec<_>>>()?;
    let rows = session.run(OVERRIDES, &[&OF_CONVERSATION]).await?;
    let conversations = rows
        .iter()
        .map(|row| Ok((value::conversation_id(row, 0)?, UnitId(small(row, 1)?))))
        .collect::<Read<Vec<_>>>()?;
    Ok(PlacementMap::new(version, homes, conversations, hot_users(session).await?))
}

fn home(row: &Row) -> Read<(UnitId, UnitHome)> {
    let home = UnitHome { shard: ShardId(small(row, 1)?), epoch: Epoch(number(row, 2)?) };
    Ok((UnitId(small(row, 0)?), home))
}

async fn hot_users(session: &Session) -> Found<Vec<UserOverride>> {
    let mut users = Vec::new();
    let mut places = FxHashMap::<UserId, usize>::default();
    for row in session.run(HOT_USERS, &[]).await? {
        let mut hot = UserOverride::new(value::user(&row, 0)?, number(&row, 1)?, Vec::new());
        hot.own = get::<Option<i64>>(&row, 2)?.map(|_| small(&row, 2)).transpose()?.map(UnitId);
        places.insert(hot.user, users.len());
        users.push(hot);
    }
    if users.is_empty() {
        return Ok(users);
    }
    for row in session.run(HOT_SLOTS, &[]).await? {
        let slot = slot(&row, 1)?;
        let place = places.get(&value::user(&row, 0)?).copied();
        if let Some(hot) = place.and_then(|place| users.get_mut(place)) {
            hot.table.insert(slot, UnitId(small(&row, 2)?));
        }
    }
    for row in session.run(HOT_TARGETS, &[]).await? {
        let place = places.get(&value::user(&row, 0)?).copied();
        if let Some(hot) = place.and_then(|place| users.get_mut(place)) {
            hot.targets.push(ShardId(small(&row, 1)?));
        }
    }
    Ok(users)
}

/// A column with the number of a slot.
pub(super) fn slot(row: &Row, at: usize) -> Read<Slot> {
    let number = u16::try_from(get::<i64>(row, at)?).map_err(|_| PgError::Damaged("slot"))?;
    Slot::new(number).map_err(|_| PgError::Damaged("slot"))
}

fn unit_number(unit: &UnitId) -> i64 {
    i64::from(unit.0)
}

/// Writes what differs between two maps, and the version of the second. `units` are those whose homes may differ.
///
/// References hold at every moment: units come before what names them and go after it. The caller holds the lock.
pub(super) async fn store(
    session: &Session,
    before: &PlacementMap,
    after: &PlacementMap,
    units: &[UnitId],
) -> Found<()> {
    set_units(session, units.iter().filter_map(|unit| Some((*unit, after.home(*unit)?)))).await?;
    store_conversations(session, before, after).await?;
    for hot in after.user_overrides() {
        let old = before.user_override(hot.user);
        if old != Some(hot) {
            store_user(session, old, hot).await?;
        }
    }
    let cold = before.user_overrides().filter(|hot| after.user_override(hot.user).is_none());
    let cold: Vec<_> = cold.map(|hot| hot.user.get().cast_signed()).collect();
    if !cold.is_empty() {
        for sql in REMOVE_HOT_USERS {
            session.run(sql, &[&cold]).await?;
        }
    }
    let gone: Vec<_> =
        units.iter().filter(|unit| after.home(**unit).is_none()).map(unit_number).collect();
    if !gone.is_empty() {
        session.run(REMOVE_UNITS, &[&gone]).await?;
    }
    session.run(SET_VERSION, &[&after.version.cast_signed()]).await?;
    Ok(())
}

/// Writes a map where none was. The caller holds the lock.
pub(super) async fn store_first(session: &Session, map: &PlacementMap) -> Found<()> {
    set_units(session, map.units()).await?;
    session.run(SET_VERSION, &[&map.version.cast_signed()]).await?;
    Ok(())
}

async fn set_units(
    session: &Session,
    homes: impl Iterator<Item = (UnitId, UnitHome)> + Send,
) -> Found<()> {
    let (mut units, mut shards, mut epochs) = (Vec::new(), Vec::new(), Vec::new());
    for (unit, home) in homes {
        units.push(unit_number(&unit));
        shards.push(i64::from(home.shard.0));
        epochs.push(home.epoch.0.cast_signed());
    }
    if !units.is_empty() {
        session.run(SET_UNITS, &[&units, &shards, &epochs]).await?;
    }
    Ok(())
}

async fn store_conversations(
    session: &Session,
    before: &PlacementMap,
    after: &PlacementMap,
) -> Found<()> {
    let old: FxHashMap<_, _> = before.overrides().collect();
    let new: FxHashMap<_, _> = after.overrides().collect();
    let subject = |id: &ConversationId| Uuid::from_u128(id.as_u128());
    let gone: Vec<_> = old.keys().filter(|id| !new.contains_key(id)).map(subject).collect();
    if !gone.is_empty() {
        session.run(REMOVE_OVERRIDES, &[&OF_CONVERSATION, &gone]).await?;
    }
    let changed = new.iter().filter(|(id, unit)| old.get(id) != Some(unit));
    let (subjects, units): (Vec<_>, Vec<_>) =
        changed.map(|(id, unit)| (subject(id), unit_number(unit))).unzip();
    if !subjects.is_empty() {
        let last = draw(session, "rank", subjects.len()).await?.cast_signed();
        let ranks: Vec<_> = (0..subjects.len() as i64).rev().map(|back| last - back).collect();
        session.run(SET_OVERRIDES, &[&OF_CONVERSATION, &ranks, &subjects, &units]).await?;
    }
    Ok(())
}

async fn store_user(
    session: &Session,
    old: Option<&UserOverride>,
    hot: &UserOverride,
) -> Found<()> {
    let user = hot.user.get().cast_signed();
    let own = hot.own.as_ref().map(unit_number);
    session.run(SET_HOT_USER, &[&user, &hot.rank.cast_signed(), &own]).await?;
    let known = |slot: &Slot| old.and_then(|old| old.table.get(slot));
    let changed = hot.table.iter().filter(|(slot, unit)| known(slot) != Some(unit));
    let (slots, units): (Vec<_>, Vec<_>) =
        changed.map(|(slot, unit)| (i64::from(slot.get()), unit_number(unit))).unzip();
    if !slots.is_empty() {
        session.run(SET_HOT_SLOTS, &[&user, &slots, &units]).await?;
    }
    let gone = old.into_iter().flat_map(|old| old.table.keys());
    let gone: Vec<_> = gone
        .filter(|slot| !hot.table.contains_key(slot))
        .map(|slot| i64::from(slot.get()))
        .collect();
    if !gone.is_empty() {
        session.run(REMOVE_HOT_SLOTS, &[&user, &gone]).await?;
    }
    if old.is_none_or(|old| old.targets != hot.targets) {
        session.run(REMOVE_HOT_TARGETS, &[&user]).await?;
        let places: Vec<_> = (0..hot.targets.len() as i64).collect();
        let shards: Vec<_> = hot.targets.iter().map(|shard| i64::from(shard.0)).collect();
        session.run(SET_HOT_TARGETS, &[&user, &places, &shards]).await?;
    }
    Ok(())
}

/// Draws `n` numbers of a sequence; the last of them. The sequence is held until the end of the transaction.
pub(super) async fn draw(session: &Session, name: &str, n: usize) -> Found<u64> {
    let rows = session.run(DRAW, &[&name, &(n as i64)]).await?;
    let row = rows.first().ok_or(PgError::Damaged("sequence"))?;
    Ok(number(row, 0)?)
}
