//! The twin's queue.

use std::collections::BTreeMap;

use async_trait::async_trait;
use ostracon_domain::Millis;

use super::{MemoryDirectory, Result};
use crate::directory::{
    Errand, ErrandEnd, ErrandKind, ErrandSort, ErrandState, ErrandStats, Errands, NewErrand,
};

#[derive(Default)]
pub(super) struct Queue {
    errands: BTreeMap<u64, Errand>,
    last: u64,
}

const fn is_of(errand: &Errand, sort: ErrandSort) -> bool {
    let is_event = matches!(errand.kind, ErrandKind::Event { .. });
    is_event == matches!(sort, ErrandSort::Events)
}

impl Queue {
    fn put(&mut self, new: NewErrand, now: Millis) {
        let NewErrand { key, kind, seq, mention_seq, count, due_at } = new;
        let Some(known) = self.errands.values_mut().find(|known| known.key == key) else {
            self.last += 1;
            let errand = Errand {
                id: self.last,
                key,
                kind,
                seq,
                mention_seq,
                count,
                state: ErrandState::Waiting,
                attempts: 0,
                created_at: now,
                due_at,
                held_until: 0,
                error: None,
            };
            self.errands.insert(self.last, errand);
            return;
        };
        if seq <= known.seq {
            return;
        }
        let waits = known.state == ErrandState::Waiting;
        if !waits || known.held_until > now {
            known.due_at = due_at;
            known.count = 0;
        }
        if !waits {
            known.state = ErrandState::Waiting;
            (known.attempts, known.created_at, known.held_until) = (0, now, 0);
            known.error = None;
        }
        known.seq = seq;
        known.count = known.count.saturating_add(count);
        known.mention_seq = known.mention_seq.max(mention_seq);
    }
}

#[async_trait]
impl Errands for MemoryDirectory {
    async fn put_errands(&self, new: Vec<NewErrand>, now: Millis) -> Result<()> {
        let mut state = self.state.lock();
        new.into_iter().for_each(|new| state.queue.put(new, now));
        Ok(())
    }

    async fn take_errands(&self, now: Millis, until: Millis, limit: u32) -> Result<Vec<Errand>> {
        let mut state = self.state.lock();
        let mut due: Vec<_> = state
            .queue
            .errands
            .values_mut()
            .filter(|one| {
                one.state == ErrandState::Waiting && one.due_at <= now && one.held_until <= now
            })
            .collect();
        due.sort_by_key(|one| (one.due_at, one.id));
        due.truncate(limit as usize);
        Ok(due
            .into_iter()
            .map(|one| {
                one.held_until = until;
                one.clone()
            })
            .collect())
    }

    async fn end_errand(&self, held: &Errand, end: ErrandEnd, now: Millis) -> Result<bool> {
        let mut state = self.state.lock();
        let known = state.queue.errands.get_mut(&held.id).filter(|known| {
            known.held_until == held.held_until && known.state == ErrandState::Waiting
        });
        let Some(known) = known else { return Ok(false) };
        known.held_until = 0;
        match end {
            ErrandEnd::Done { seq, then } => {
                if known.seq <= seq {
                    known.state = ErrandState::Done;
                    known.due_at = now;
                } else {
                    (known.attempts, known.created_at) = (0, now);
                }
                known.error = None;
                then.into_iter().for_each(|new| state.queue.put(new, now));
            }
            ErrandEnd::Later { due_at, error } => {
                known.due_at = due_at;
                if error.is_some() {
                    known.attempts += 1;
                    known.error = error;
                }
            }
            ErrandEnd::Dead { error } => {
                known.state = ErrandState::Dead;
                known.due_at = now;
                known.attempts += 1;
                known.error = Some(error);
            }
        }
        Ok(true)
    }

    async fn errand_stats(&self, sort: ErrandSort) -> Result<ErrandStats> {
        let state = self.state.lock();
        let mut stats = ErrandStats::default();
        for one in state.queue.errands.values().filter(|one| is_of(one, sort)) {
            match one.state {
                ErrandState::Waiting => {
                    stats.waiting += 1;
                    stats.failing += u64::from(one.attempts > 0);
                    let oldest = stats.oldest_due_at.unwrap_or(one.due_at);
                    stats.oldest_due_at = Some(oldest.min(one.due_at));
                }
                ErrandState::Done => {}
                ErrandState::Dead => stats.dead += 1,
            }
        }
        Ok(stats)
    }

    async fn dead_errands(
        &self,
        sort: ErrandSort,
        below: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Errand>> {
        let state = self.state.lock();
        let dead = |one: &&Errand| {
            is_of(one, sort)
                && one.state == ErrandState::Dead
                && below.is_none_or(|below| one.id < below)
        };
        Ok(state.queue.errands.values().rev().filter(dead).take(limit as usize).cloned().collect())
    }

    async fn replay_errands(&self, sort: ErrandSort, id: Option<u64>, now: Millis) -> Result<u64> {
        let mut state = self.state.lock();
        let mut count = 0;
        for one in state.queue.errands.values_mut() {
            let is_meant = id.is_none_or(|id| one.id == id) && is_of(one, sort);
            if is_meant && one.state == ErrandState::Dead {
                one.state = ErrandState::Waiting;
                (one.attempts, one.created_at, one.due_at) = (0, now, now);
                one.error = None;
                count += 1;
            }
        }
        Ok(count)
    }

    async fn forget_errands(
        &self,
        done_before: Millis,
        dead_before: Millis,
        limit: u32,
    ) -> Result<u64> {
        let mut state = self.state.lock();
        let is_old = |one: &&Errand| match one.state {
            ErrandState::Waiting => false,
            ErrandState::Done => one.due_at < done_before,
            ErrandState::Dead => one.due_at < dead_before,
        };
        let old = state.queue.errands.values().filter(is_old).take(limit as usize);
        let old: Vec<u64> = old.map(|one| one.id).collect();
        for id in &old {
            state.queue.errands.remove(id);
        }
        Ok(old.len() as u64)
    }
}
