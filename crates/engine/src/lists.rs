//! Which lane keeps the changes of a user's list: that of the shard where the user's slot lives. (A hot user's own rows
//! may live elsewhere: lanes send to wherever they do.)
//!
//! Changes of one user must be committed in order, also when the user moves: then what waits in the former lane goes
//! over into the new one with the next change, and while some of it is being committed there, the former one goes on.
//! Locks: a slot's here, then those of lanes, the one with the smaller shard number first.

use std::{collections::BTreeSet, sync::Arc};

use ostracon_domain::{InboxChange, ShardId, UnitId, UserId, id::SLOTS};
use parking_lot::Mutex;

use crate::{engine::Core, lane::Lane};

pub(crate) struct Lists(Box<[Mutex<Slot>]>);

#[derive(Default)]
struct Slot {
    /// Whose lane it is; none before the first change.
    home: Option<ShardId>,
    /// Lanes that may still hold something of these users.
    former: Vec<Former>,
}

struct Former {
    lane: Arc<Lane>,
    /// A flush of everything that began later leaves nothing that was put in before.
    flushes: u64,
}

impl Lists {
    pub(crate) fn new() -> Self {
        Self((0..SLOTS).map(|_| Mutex::default()).collect())
    }

    /// Puts a change of a user's list into the right lane.
    pub(crate) fn put(&self, core: &Core, user: UserId, change: InboxChange) {
        let online = core.hub.is_online(user);
        let topology = core.topology.load();
        let mut slot = self.0[usize::from(user.slot().get())].lock();
        let Slot { home, former } = &mut *slot;
        let home = match *home {
            Some(home) => home,
            None => match core.map.load().home(user.slot().unit()) {
                Some(now) => *home.insert(now.shard),
                None => return,
            },
        };
        // A lane always is there: a map may name a shard that this node does not know yet.
        let Some(lane) = topology.lane(home) else { return };
        former.retain(|former| former.lane.flushed() <= former.flushes);
        for former in former {
            if !Arc::ptr_eq(&former.lane, lane) && !former.lane.hand_over(lane, user) {
                former.flushes = former.lane.flushes();
                return former.lane.put(user, change, online);
            }
        }
        lane.put(user, change, online);
    }

    /// A newer map is installed, by which something in these slots lives elsewhere.
    pub(crate) fn moved(&self, core: &Core, slots: &BTreeSet<u16>) {
        let (map, topology) = (core.map.load(), core.topology.load());
        for slot in slots {
            let Some(home) = map.home(UnitId(u32::from(*slot))) else { continue };
            let mut slot = self.0[usize::from(*slot)].lock();
            let Some(before) = slot.home.replace(home.shard).filter(|before| *before != home.shard)
            else {
                continue;
            };
            if let Some(lane) = topology.lane(before) {
                let former = Former { lane: Arc::clone(lane), flushes: lane.flushes() };
                slot.former.retain(|other| !Arc::ptr_eq(&other.lane, lane));
                slot.former.push(former);
            }
        }
    }

    /// A shard is here now that maps may have named before: until then another lane kept its users' changes.
    pub(crate) fn appeared(&self, shard: ShardId, until_now: &Arc<Lane>) {
        for slot in &self.0 {
            let mut slot = slot.lock();
            if slot.home == Some(shard) {
                let former = Former { lane: Arc::clone(until_now), flushes: until_now.flushes() };
                slot.former.push(former);
            }
        }
    }
}
