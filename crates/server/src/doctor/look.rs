//! Everything the doctor compares, read once: the map, fences of all shards, moves, leftovers, and which subjects are
//! where they should not be.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use ostracon_domain::{Millis, PlacementMap, ShardId, Subject, UnitId};
use ostracon_store::{
    Shard, ShardError, Shards, UnitState,
    directory::{Garbage, MoveRow, ShardRow},
};

use super::DoctorError;
use crate::{app::App, verify::lines::Steps};

/// Subjects on a page.
const PAGE: u32 = 2_000;
/// Subjects of one wrong label that are remembered.
const LABELS_MAX: usize = 1_000;
/// Units that are looked at together: a database far away is waited for less often, and has connections left for others.
const TOGETHER: usize = 4;

/// One look.
pub(super) struct Look {
    pub(super) at: Millis,
    pub(super) map: PlacementMap,
    pub(super) rows: Vec<ShardRow>,
    /// Shards that are open here.
    pub(super) open: BTreeSet<ShardId>,
    /// Why a shard did not answer.
    pub(super) silent: BTreeMap<ShardId, String>,
    pub(super) states: BTreeMap<(ShardId, UnitId), UnitState>,
    pub(super) moves: Vec<MoveRow>,
    pub(super) garbage: Vec<Garbage>,
    /// Units with rows where they are not at home.
    pub(super) strays: BTreeSet<(ShardId, UnitId)>,
    /// Subjects that carry a unit (of this shard) that is not the map's: that one, and who.
    pub(super) labels: BTreeMap<(ShardId, UnitId, UnitId), Vec<Subject>>,
    pub(super) subjects: u64,
}

impl Look {
    pub(super) async fn take(app: &App, steps: &Steps) -> Result<Self, DoctorError> {
        let map = app.directory.map().await?;
        let shards = app.engine.shards();
        let mut look = Self {
            at: app.clock.now(),
            rows: app.directory.shards().await?,
            open: shards.keys().copied().collect(),
            silent: BTreeMap::new(),
            states: BTreeMap::new(),
            moves: app.directory.unfinished_moves().await?,
            garbage: app.directory.garbage().await?,
            strays: BTreeSet::new(),
            labels: BTreeMap::new(),
            subjects: 0,
            map,
        };
        look.fences(&shards).await;
        look.rows_of(&shards, steps).await?;
        Ok(look)
    }

    /// Whether a move has the unit now.
    pub(super) fn moves(&self, unit: UnitId) -> bool {
        self.moves.iter().any(|row| row.units().contains(&unit))
    }

    pub(super) fn is_garbage(&self, shard: ShardId, unit: UnitId) -> bool {
        self.garbage.iter().any(|left| (left.shard, left.unit) == (shard, unit))
    }

    async fn fences(&mut self, shards: &Shards) {
        for (id, shard) in shards {
            match shard.unit_states().await {
                Ok(states) => {
                    self.states.extend(states.into_iter().map(|state| ((*id, state.unit), state)));
                }
                Err(error) => {
                    self.silent.insert(*id, error.to_string());
                }
            }
        }
    }

    async fn rows_of(&mut self, shards: &Shards, steps: &Steps) -> Result<(), DoctorError> {
        let mut units = Vec::with_capacity(self.states.len());
        for (id, unit) in self.states.keys().copied() {
            let Some(shard) = shards.get(&id) else { continue };
            let lives_here = self.map.home(unit).is_some_and(|home| home.shard == id);
            // Leftovers hold rows, and nothing is said of them.
            if self.moves(unit) || !lives_here && self.is_garbage(id, unit) {
                continue;
            }
            units.push((Arc::clone(shard), id, unit, lives_here));
        }
        // Neighbours live on different shards: all of these work at the same time.
        units.sort_unstable_by_key(|(_, id, unit, _)| (*unit, *id));
        let total = units.len() as u64;
        let map = Arc::new(self.map.clone());
        let units = units.into_iter().map(|(shard, id, unit, lives_here)| {
            held(Arc::clone(&map), shard, (id, unit), lives_here).boxed()
        });
        let units: Vec<BoxFuture<'_, _>> = units.collect();
        let mut looks = stream::iter(units).buffer_unordered(TOGETHER);
        let mut done = 0;
        while let Some(((id, unit), found)) = looks.next().await {
            done += 1;
            match found {
                Ok(found) => {
                    self.subjects += found.subjects;
                    if found.is_stray {
                        self.strays.insert((id, unit));
                    }
                    let labels = found.labels.into_iter();
                    self.labels.extend(labels.map(|(right, who)| ((id, unit, right), who)));
                }
                Err(ShardError::Unavailable(why)) => {
                    self.silent.insert(id, why);
                }
                Err(error) => return Err(error.into()),
            }
            steps.at(done, total, || format!("{} subjects", self.subjects));
        }
        Ok(())
    }
}

/// What the rows of a unit on a shard say.
#[derive(Default)]
struct Held {
    subjects: u64,
    is_stray: bool,
    /// Who carries the unit and should carry another one: that one.
    labels: BTreeMap<UnitId, Vec<Subject>>,
}

async fn held(
    map: Arc<PlacementMap>,
    shard: Arc<dyn Shard>,
    at: (ShardId, UnitId),
    lives_here: bool,
) -> ((ShardId, UnitId), Result<Held, ShardError>) {
    let found =
        if lives_here { labels_of(&map, &*shard, at.1).await } else { stray(&*shard, at.1).await };
    (at, found)
}

/// Of a unit that lives elsewhere: whether there are rows.
async fn stray(shard: &dyn Shard, unit: UnitId) -> Result<Held, ShardError> {
    let is_stray = !shard.heads(unit, None, 1).await?.is_empty();
    Ok(Held { is_stray, ..Held::default() })
}

/// Of a unit at home: who is in it, and who should not be.
async fn labels_of(
    map: &PlacementMap,
    shard: &dyn Shard,
    unit: UnitId,
) -> Result<Held, ShardError> {
    let (mut held, mut after) = (Held::default(), None);
    loop {
        let page = shard.heads(unit, after, PAGE).await?;
        held.subjects += page.len() as u64;
        for head in &page {
            let right = match head.subject {
                Subject::Conversation(id) => map.unit_of(id),
                Subject::User(user) => map.unit_of_user(user),
            };
            if right == unit {
                continue;
            }
            let wrong = held.labels.entry(right).or_default();
            if wrong.len() < LABELS_MAX {
                wrong.push(head.subject);
            }
        }
        let Some(last) = page.last().filter(|_| page.len() >= PAGE as usize) else {
            return Ok(held);
        };
        after = Some(last.subject);
    }
}
