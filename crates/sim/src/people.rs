//! Who talks with whom: a few users, chosen so that conversations, groups and users' own rows meet in the same slots.

use std::{collections::BTreeSet, sync::OnceLock};

use ostracon_domain::{ConversationId, PlacementMap, ShardId, Slot, UnitHome, UserId};
use ostracon_domain::{Epoch, Party};

#[derive(Debug, Clone)]
pub(crate) struct People {
    pub(crate) users: Vec<UserId>,
    /// Each with its members; the first of a group makes it.
    pub(crate) talks: Vec<(ConversationId, Vec<UserId>)>,
}

fn user(id: u64) -> UserId {
    // Only numbers of this file come here.
    UserId::new(id).unwrap_or_else(|_| unreachable!("{id} is a user id"))
}

/// The first user from `from` on for whom it holds.
fn first(from: u64, holds: impl Fn(UserId) -> bool) -> UserId {
    (from..).map(user).find(|id| holds(*id)).unwrap_or_else(|| user(from))
}

fn group(in_slot: Slot) -> ConversationId {
    let id = |n: u64| {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        ConversationId::retried_group(bytes)
    };
    (1..).map(id).find(|id| id.slot() == in_slot).unwrap_or_else(|| id(0))
}

impl People {
    pub(crate) fn some() -> &'static Self {
        static PEOPLE: OnceLock<People> = OnceLock::new();
        PEOPLE.get_or_init(Self::find)
    }

    fn find() -> Self {
        let talk = ConversationId::direct;
        let [ann, bob, cid, dan] = [1, 2, 3, 4].map(user);
        let shared = talk(ann, bob).slot();
        let eve = first(1_000, |id| talk(ann, id).slot() == shared);
        let fay = first(100_000, |id| talk(bob, id).slot() == shared);
        let gus = first(200_000, |id| id.slot() == talk(cid, dan).slot());
        let direct = [
            (ann, bob),
            (ann, cid),
            (ann, dan),
            (ann, eve),
            (ann, gus),
            (ann, ann),
            (bob, cid),
            (bob, fay),
            (bob, dan),
            (cid, dan),
            (eve, fay),
        ];
        let mut talks: Vec<_> = direct
            .into_iter()
            .map(|(a, b)| (talk(a, b), BTreeSet::from([a, b]).into_iter().collect()))
            .collect();
        talks.push((group(shared), vec![ann, cid, fay]));
        talks.push((group(talk(ann, cid).slot()), vec![bob, dan, eve]));
        talks.push((group(ann.slot()), vec![gus, ann]));
        Self { users: vec![ann, bob, cid, dan, eve, fay, gus], talks }
    }

    /// A map of the slots that these people need, over some shards.
    pub(crate) fn map(&self, shards: &[ShardId]) -> PlacementMap {
        let talks = self.talks.iter().map(|(id, _)| id.slot());
        let slots: BTreeSet<Slot> = talks.chain(self.users.iter().map(|id| id.slot())).collect();
        let homes = slots.into_iter().enumerate().filter_map(|(place, slot)| {
            let shard = *shards.get(place % shards.len().max(1))?;
            Some((slot.unit(), UnitHome { shard, epoch: Epoch(1) }))
        });
        PlacementMap::new(1, homes, [], [])
    }

    /// The slots of a user's direct conversations.
    pub(crate) fn slots_of(&self, user: UserId) -> BTreeSet<Slot> {
        let own = self.talks.iter().filter(|(id, members)| {
            members.contains(&user) && matches!(id.party(), Party::Direct { .. })
        });
        own.map(|(id, _)| id.slot()).collect()
    }
}
