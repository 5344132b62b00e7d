//! Everything the doctor compares, read once: the map, fences of all shards, moves, leftovers, and which subjects are
//! where they should not be.

use std::collections::{BTreeMap, BTreeSet};

use ostracon_domain::{PlacementMap, ShardId, Subject, UnitId};
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

/// One look.
pub(super) struct Look {
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
        let all: Vec<_> = self.states.keys().copied().collect();
        let total = all.len() as u64;
        for (done, (id, unit)) in all.into_iter().enumerate() {
            steps.at(done as u64, total, || format!("{} subjects", self.subjects));
            let Some(shard) = shards.get(&id) else { continue };
            if self.moves(unit) {
                continue;
            }
            let looked = match self.map.home(unit) {
                Some(home) if home.shard == id => self.labels_of(&**shard, id, unit).await,
                _ => self.stray(&**shard, id, unit).await,
            };
            match looked {
                Ok(()) => {}
                Err(ShardError::Unavailable(why)) => {
                    self.silent.insert(id, why);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn stray(
        &mut self,
        shard: &dyn Shard,
        id: ShardId,
        unit: UnitId,
    ) -> Result<(), ShardError> {
        if !self.is_garbage(id, unit) && !shard.heads(unit, None, 1).await?.is_empty() {
            self.strays.insert((id, unit));
        }
        Ok(())
    }

    async fn labels_of(
        &mut self,
        shard: &dyn Shard,
        id: ShardId,
        unit: UnitId,
    ) -> Result<(), ShardError> {
        let mut after = None;
        loop {
            let page = shard.heads(unit, after, PAGE).await?;
            self.subjects += page.len() as u64;
            for head in &page {
                let right = match head.subject {
                    Subject::Conversation(id) => self.map.unit_of(id),
                    Subject::User(user) => self.map.unit_of_user(user),
                };
                if right == unit {
                    continue;
                }
                let wrong = self.labels.entry((id, unit, right)).or_default();
                if wrong.len() < LABELS_MAX {
                    wrong.push(head.subject);
                }
            }
            let Some(last) = page.last().filter(|_| page.len() >= PAGE as usize) else {
                return Ok(());
            };
            after = Some(last.subject);
        }
    }
}
