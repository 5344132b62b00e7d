//! Readers of `x`: the fence, then the table snapshot, then the fence again, then the answer, then
//! the cache. A read must show whatever was acknowledged before it was asked.

use crate::{
    fence::Stance,
    guard::Guard,
    invariants::Violation,
    model::{Model, Successors},
    names::{Conversation, Epoch, Shard, Unit, Version},
    state::{Cached, Reader, State},
    subject::Content,
};

impl Model {
    /// What the readers can do next.
    pub(crate) fn readers(&self, state: &State, out: &mut Successors) -> Result<(), Violation> {
        for number in 0..2 {
            self.reader(state, number, out)?;
        }
        Ok(())
    }

    /// The fence of a read is that of a command: a frozen unit answers no reads.
    fn serves_reads(&self, state: &State, shard: Shard, epoch: Epoch) -> bool {
        let unfrozen = self.removed(Guard::ReadFreeze)
            && state.fences[shard][Unit::P].stance == Stance::Frozen
            && self.admits(state, shard, Unit::P, epoch, Conversation::X);
        unfrozen || self.serves(state, shard, Unit::P, epoch, Conversation::X)
    }

    fn reader(&self, state: &State, number: u8, out: &mut Successors) -> Result<(), Violation> {
        let version = |content: &Content| content.small.version;
        let stored = |shard: Shard| {
            state.rows[shard][Conversation::X].map_or(0, |row| row.content.small.version)
        };
        let becomes = |reader: Reader| {
            let mut next = state.clone();
            next.readers[usize::from(number)] = reader;
            next
        };
        let fresh = |seen: Version, need: Version| {
            if seen < need { Err(Violation::StaleRead { number, seen, need }) } else { Ok(()) }
        };
        match state.readers[usize::from(number)] {
            Reader::Idle => {
                let home = state.routers[usize::from(number)].map.p;
                let (shard, epoch) = (home.shard, home.epoch);
                if !self.serves_reads(state, shard, epoch) {
                    return Ok(());
                }
                let need = state.truth[Conversation::X].as_ref().map_or(0, version);
                // A cache entry of another unit or epoch may have missed changes.
                let cached = state.caches[shard][Conversation::X].filter(|cached| {
                    (cached.unit, cached.epoch) == (Unit::P, epoch) || self.removed(Guard::CacheKey)
                });
                if let Some(cached) = cached {
                    fresh(cached.version, need)?;
                    out.add(
                        format_args!("reader {number} answers from the cache of {shard}"),
                        becomes(Reader::Done),
                    );
                } else {
                    out.add(
                        format_args!(
                            "reader {number} passes the fence of {shard} at epoch {}",
                            epoch.0
                        ),
                        becomes(Reader::Passed { shard, epoch, need }),
                    );
                }
            }
            Reader::Passed { shard, epoch, need } => {
                let seen = stored(shard);
                out.add(
                    format_args!("reader {number} takes its table snapshot on {shard}"),
                    becomes(Reader::Snapshot { shard, epoch, need, seen }),
                );
            }
            Reader::Snapshot { shard, epoch, need, seen } => {
                // The unit may have left, and come back changed, before the snapshot began.
                if !self.removed(Guard::ReCheck) && !self.serves_reads(state, shard, epoch) {
                    out.add(
                        format_args!("reader {number} is fenced at the re-check"),
                        becomes(Reader::Idle),
                    );
                } else {
                    fresh(seen, need)?;
                    out.add(
                        format_args!("reader {number} answers on {shard}"),
                        becomes(Reader::Filling { shard, epoch, seen }),
                    );
                }
            }
            Reader::Filling { shard, epoch, seen } => {
                let mut next = becomes(Reader::Done);
                if stored(shard) <= seen {
                    next.caches[shard][Conversation::X] =
                        Some(Cached { unit: Unit::P, epoch, version: seen });
                    out.add(
                        format_args!(
                            "reader {number} fills the cache of {shard} with version {seen} of epoch {}",
                            epoch.0
                        ),
                        next,
                    );
                } else {
                    out.add(format_args!("reader {number} drops its fill"), next);
                }
            }
            Reader::Done => {}
        }
        Ok(())
    }
}
