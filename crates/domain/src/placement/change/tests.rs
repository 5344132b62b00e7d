//! Changes of the map: what each one moves, what it leaves alone, and which do not fit.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Cover, MapChange, MapError};
use crate::{
    id::{ConversationId, Epoch, Party, SLOTS, ShardId, Slot, UnitId, UserId},
    placement::PlacementMap,
};

const USERS: u64 = 6;
const CHILDREN: u32 = 4;
const SHARDS: u32 = 2;

fn user(id: u64) -> UserId {
    UserId::new(id).expect("in range")
}

fn direct(a: u64, b: u64) -> ConversationId {
    ConversationId::direct(user(a), user(b))
}

fn carved(n: u32) -> UnitId {
    UnitId(u32::from(SLOTS) + n)
}

fn one_shard() -> PlacementMap {
    PlacementMap::initial(&[ShardId(0)])
}

fn hot(map: &PlacementMap, id: u64, rank: u64) -> PlacementMap {
    map.apply(&MapChange::AddUser { user: user(id), rank, targets: vec![ShardId(0)] })
        .expect("a new rank")
}

fn slots(id: u64, slots: &[Slot], own: bool) -> Cover {
    Cover::User { user: user(id), slots: slots.to_vec(), own }
}

fn carve(parents: &[UnitId], child: UnitId, cover: Cover) -> MapChange {
    MapChange::Carve { parents: parents.to_vec(), child, cover }
}

fn merge(child: UnitId, parents: &[UnitId], cover: Cover, last: bool) -> MapChange {
    MapChange::Merge { child, parents: parents.to_vec(), cover, last }
}

/// Every pair of a few users, and some groups.
fn talks() -> Vec<ConversationId> {
    let pairs = (1..=USERS).flat_map(|a| (a..=USERS).map(move |b| direct(a, b)));
    let groups = (0..8).map(|n| ConversationId::new_group(1_700_000_000_000, [n; 10]));
    pairs.chain(groups).collect()
}

fn placement(map: &PlacementMap) -> (Vec<UnitId>, Vec<UnitId>) {
    (
        talks().into_iter().map(|id| map.unit_of(id)).collect(),
        (1..=USERS).map(|id| map.unit_of_user(user(id))).collect(),
    )
}

#[test]
fn a_move_changes_homes_and_epochs_and_nothing_else() {
    let map = PlacementMap::initial(&[ShardId(0), ShardId(1)]);
    let units = vec![UnitId(0), UnitId(2)];
    let after = map.apply(&MapChange::Move { units, to: ShardId(1) }).expect("fits");
    assert_eq!(after.version, 2);
    for (unit, home) in after.units() {
        let moved = unit == UnitId(0) || unit == UnitId(2);
        let before = map.home(unit).expect("known");
        assert_eq!(home.shard, if moved { ShardId(1) } else { before.shard });
        assert_eq!(home.epoch, Epoch(1 + u64::from(moved)));
        assert_eq!(after.home(unit), Some(home));
    }
    assert_eq!(placement(&after), placement(&map));
}

#[test]
fn a_carve_takes_an_epoch_of_the_parent_only() {
    let map = one_shard();
    let (talk, child) = (direct(1, 2), carved(7));
    let parent = talk.slot().unit();
    let cover = Cover::Conversation(talk);
    let after = map.apply(&carve(&[parent], child, cover.clone())).expect("fits");
    assert_eq!(after.unit_of(talk), child);
    assert_eq!(after.home(child).map(|home| home.epoch), Some(Epoch(1)));
    assert_eq!(after.home(parent).map(|home| home.epoch), Some(Epoch(2)));
    assert_eq!(
        after.slots_of(&[child, parent]).into_values().collect::<Vec<_>>(),
        [BTreeSet::from([talk.slot()]), BTreeSet::from([talk.slot()])]
    );
    let back = after.apply(&merge(child, &[parent], cover, true)).expect("fits");
    assert_eq!(back.home(child), None);
    assert_eq!(back.home(parent).map(|home| home.epoch), Some(Epoch(2)));
    assert_eq!(back.unit_of(talk), parent);
}

#[test]
fn a_hot_user_is_carved_step_by_step() {
    let map = hot(&one_shard(), 1, 1);
    let child = carved(0);
    let (a, b) = (direct(1, 2), direct(1, 3));
    let (first, second) = (slots(1, &[a.slot()], true), slots(1, &[b.slot()], false));
    let own = user(1).slot().unit();
    let one = map.apply(&carve(&[a.slot().unit(), own], child, first.clone())).expect("fits");
    assert_eq!((one.unit_of(a), one.unit_of(b)), (child, b.slot().unit()));
    assert_eq!(one.unit_of_user(user(1)), child);
    assert_eq!(one.unit_of(direct(2, 3)), direct(2, 3).slot().unit());
    let two = one.apply(&carve(&[b.slot().unit()], child, second.clone())).expect("fits");
    assert_eq!((two.unit_of(a), two.unit_of(b)), (child, child));
    assert_eq!(two.home(child).map(|home| home.epoch), Some(Epoch(1)));
    let parents = [a.slot().unit(), own];
    let early = two.apply(&merge(child, &parents, first.clone(), true));
    assert_eq!(early, Err(MapError::StillNamed(child)));
    let three = two.apply(&merge(child, &parents, first, false)).expect("fits");
    assert_eq!(three.home(child).map(|home| home.epoch), Some(Epoch(2)));
    assert_eq!(
        three.apply(&MapChange::ForgetUser { user: user(1) }),
        Err(MapError::NotEmpty(user(1)))
    );
    let four = three.apply(&merge(child, &[b.slot().unit()], second, true)).expect("fits");
    let gone = four.apply(&MapChange::ForgetUser { user: user(1) }).expect("empty");
    assert_eq!(gone.user_overrides().count(), 0);
    assert_eq!(placement(&gone), placement(&map));
}

#[test]
fn the_older_override_wins_also_where_its_table_is_empty() {
    let shared = direct(1, 2);
    let map = hot(&hot(&one_shard(), 1, 1), 2, 2);
    let unit = shared.slot().unit();
    let young = map.apply(&carve(&[unit], carved(0), slots(2, &[shared.slot()], false)));
    let young = young.expect("fits");
    assert_eq!(young.unit_of(shared), unit);
    let old = young.apply(&carve(&[unit], carved(1), slots(1, &[shared.slot()], false)));
    assert_eq!(old.expect("fits").unit_of(shared), carved(1));
    // Forgetting the older one would hand the conversation over behind the shard's back.
    let forget = MapChange::ForgetUser { user: user(1) };
    let shifts = MapError::Shifts { user: user(1), younger: user(2) };
    assert_eq!(young.apply(&forget), Err(shifts));
    let alone = young.apply(&carve(&[unit], carved(2), Cover::Conversation(shared))).expect("fits");
    let gone = alone.apply(&forget).expect("nothing shifts");
    assert_eq!(gone.unit_of(shared), carved(2));
    // Merged afterwards, it falls to the younger one's unit.
    let cover = Cover::Conversation(shared);
    let wrong = gone.apply(&merge(carved(2), &[unit], cover.clone(), true));
    assert_eq!(wrong, Err(MapError::WrongParents(vec![carved(0)])));
    let merged = gone.apply(&merge(carved(2), &[carved(0)], cover, true)).expect("fits");
    assert_eq!(merged.unit_of(shared), carved(0));
}

#[test]
fn what_does_not_fit_is_refused() {
    let map = hot(&PlacementMap::initial(&[ShardId(0), ShardId(1)]), 1, 5);
    let (talk, child) = (direct(1, 2), carved(0));
    let unit = talk.slot().unit();
    let other = UnitId(unit.0 ^ 1);
    let home = |unit| map.home(unit).expect("known").shard;
    let to = |units: &[UnitId], to| MapChange::Move { units: units.to_vec(), to };
    let by_talk = || Cover::Conversation(talk);
    let stranger = Cover::User { user: user(3), slots: vec![talk.slot()], own: false };
    let cases = [
        (to(&[], ShardId(0)), MapError::Nothing),
        (to(&[child], ShardId(0)), MapError::UnknownUnit(child)),
        (to(&[unit, unit], ShardId(9)), MapError::Twice(unit)),
        (to(&[unit], home(unit)), MapError::AtHome(unit)),
        (
            to(&[unit, other], ShardId(9)),
            MapError::Apart { unit: other, shard: home(other), other: home(unit) },
        ),
        (carve(&[unit], UnitId(3), by_talk()), MapError::NotCarved(UnitId(3))),
        (carve(&[], child, by_talk()), MapError::Nothing),
        (carve(&[UnitId(unit.0 ^ 2)], child, by_talk()), MapError::WrongParents(vec![unit])),
        (carve(&[unit], child, slots(1, &[], false)), MapError::Nothing),
        (carve(&[unit], child, stranger), MapError::UnknownUser(user(3))),
        (
            carve(&[unit], child, slots(1, &[talk.slot(), talk.slot()], false)),
            MapError::Covered(child),
        ),
        (merge(child, &[unit], by_talk(), true), MapError::UnknownUnit(child)),
        (MapChange::ForgetUser { user: user(2) }, MapError::UnknownUser(user(2))),
        (MapChange::AddUser { user: user(2), rank: 5, targets: Vec::new() }, MapError::Rank(5)),
    ];
    for (change, why) in cases {
        assert_eq!(map.apply(&change), Err(why), "{change:?}");
    }
    let there = map.apply(&carve(&[unit], child, by_talk())).expect("fits");
    let again = there.apply(&carve(&[child], carved(1), by_talk()));
    assert_eq!(again, Err(MapError::Covered(child)));
    let away = there.apply(&to(&[child], ShardId(9))).expect("fits");
    let apart = away.apply(&merge(child, &[unit], by_talk(), true));
    assert_eq!(apart, Err(MapError::Apart { unit: child, shard: ShardId(9), other: home(unit) }));
}

#[test]
fn a_change_survives_json() {
    let talk = direct(1, 2);
    for change in [
        MapChange::Move { units: vec![UnitId(1)], to: ShardId(2) },
        carve(&[UnitId(1)], carved(0), Cover::Conversation(talk)),
        merge(carved(0), &[UnitId(1)], slots(1, &[talk.slot()], true), true),
        MapChange::AddUser { user: user(1), rank: 3, targets: vec![ShardId(4)] },
        MapChange::ForgetUser { user: user(1) },
    ] {
        let text = serde_json::to_string(&change).expect("writes");
        assert_eq!(serde_json::from_str::<MapChange>(&text).expect("reads"), change);
    }
    // Stored: the words may not change.
    let text = serde_json::to_string(&carve(&[UnitId(1)], carved(0), slots(1, &[], true)));
    assert_eq!(
        text.expect("writes"),
        r#"{"carve":{"parents":[1],"child":16384,"cover":{"user":{"user":1,"slots":[],"own":true}}}}"#
    );
}

/// A wish; made into a change by looking at the map, so that many of them fit.
#[derive(Debug, Clone)]
enum Wish {
    Hot(u64),
    Forget(u64),
    CarveTalk(usize, u32),
    MergeTalk(usize, bool),
    CarveUser(u64, BTreeSet<usize>, u32, bool),
    MergeUser(u64, u32, bool),
    Move(u32, u32),
}

fn wish() -> impl Strategy<Value = Wish> {
    let (who, talk) = (1..=USERS, 0..talks().len());
    let some = proptest::collection::btree_set(talk.clone(), 1..6);
    prop_oneof![
        who.clone().prop_map(Wish::Hot),
        who.clone().prop_map(Wish::Forget),
        (talk.clone(), 0..CHILDREN).prop_map(|(t, c)| Wish::CarveTalk(t, c)),
        (talk, any::<bool>()).prop_map(|(t, last)| Wish::MergeTalk(t, last)),
        (who.clone(), some, 0..CHILDREN, any::<bool>())
            .prop_map(|(u, t, c, own)| Wish::CarveUser(u, t, c, own)),
        (who, 0..CHILDREN, any::<bool>()).prop_map(|(u, c, last)| Wish::MergeUser(u, c, last)),
        (0..CHILDREN, 0..SHARDS).prop_map(|(c, s)| Wish::Move(c, s)),
    ]
}

fn parents(cover: &Cover) -> Vec<UnitId> {
    cover.slots().into_iter().map(Slot::unit).collect()
}

fn change(map: &PlacementMap, wish: &Wish) -> MapChange {
    match wish {
        Wish::Hot(id) => MapChange::AddUser {
            user: user(*id),
            rank: map.user_overrides().map(|hot| hot.rank).max().unwrap_or(0) + 1,
            targets: Vec::new(),
        },
        Wish::Forget(id) => MapChange::ForgetUser { user: user(*id) },
        Wish::CarveTalk(talk, child) => {
            let id = talks()[*talk];
            carve(&[map.unit_of(id)], carved(*child), Cover::Conversation(id))
        }
        Wish::MergeTalk(talk, last) => {
            let id = talks()[*talk];
            let rest = map.overrides().filter(|(other, _)| *other != id);
            let users = map.user_overrides().cloned();
            let without = PlacementMap::new(0, map.units(), rest, users);
            merge(map.unit_of(id), &[without.unit_of(id)], Cover::Conversation(id), *last)
        }
        Wish::CarveUser(id, some, child, own) => {
            let known = map.user_override(user(*id));
            let wanted: BTreeSet<Slot> = some.iter().map(|talk| talks()[*talk].slot()).collect();
            let free = |slot: &Slot| known.is_none_or(|hot| !hot.table.contains_key(slot));
            let wanted: Vec<Slot> = wanted.into_iter().filter(free).collect();
            let cover = slots(*id, &wanted, *own && known.is_none_or(|hot| hot.own.is_none()));
            carve(&parents(&cover), carved(*child), cover)
        }
        Wish::MergeUser(id, child, last) => {
            let child = carved(*child);
            let known = map.user_override(user(*id));
            let table = known.into_iter().flat_map(|hot| &hot.table);
            let held: Vec<Slot> =
                table.filter(|(_, unit)| **unit == child).map(|(slot, _)| *slot).collect();
            let own = known.is_some_and(|hot| hot.own == Some(child));
            let cover = slots(*id, &held, own);
            merge(child, &parents(&cover), cover, *last)
        }
        Wish::Move(child, to) => MapChange::Move { units: vec![carved(*child)], to: ShardId(*to) },
    }
}

/// Whether a change may give this conversation another unit, told by the words of the rule.
fn covers(map: &PlacementMap, change: &MapChange, id: ConversationId) -> bool {
    let (MapChange::Carve { cover, .. } | MapChange::Merge { cover, .. }) = change else {
        return false;
    };
    match (cover, id.party()) {
        (Cover::Conversation(one), _) => *one == id,
        (Cover::User { .. }, Party::Group) => false,
        (Cover::User { user, slots, .. }, Party::Direct { lo, hi }) => {
            let isolated = map.overrides().any(|(other, _)| other == id);
            let rank = |user| map.user_override(user).map_or(u64::MAX, |hot| hot.rank);
            let oldest = if rank(lo) <= rank(hi) { lo } else { hi };
            !isolated && oldest == *user && slots.contains(&id.slot())
        }
    }
}

fn covers_own(change: &MapChange, id: UserId) -> bool {
    matches!(
        change,
        MapChange::Carve { cover: Cover::User { user, own: true, .. }, .. }
            | MapChange::Merge { cover: Cover::User { user, own: true, .. }, .. } if *user == id
    )
}

/// Checks one change that fitted.
fn check(before: &PlacementMap, change: &MapChange, after: &PlacementMap) {
    assert_eq!(after.version, before.version + 1);
    let own = (1..=USERS)
        .map(user)
        .map(|id| (before.unit_of_user(id), after.unit_of_user(id), covers_own(change, id)));
    let talk = talks()
        .into_iter()
        .map(|id| (before.unit_of(id), after.unit_of(id), covers(before, change, id)));
    for (was, is, covered) in talk.chain(own) {
        match change {
            MapChange::Carve { parents, child, .. } if covered => {
                assert!(parents.contains(&was) && is == *child);
            }
            MapChange::Merge { parents, child, .. } if covered => {
                assert!(parents.contains(&is) && was == *child);
            }
            _ => assert_eq!(was, is, "{change:?}"),
        }
        assert!(after.home(is).is_some(), "{is} has no home after {change:?}");
    }
    // Who gives rows away takes an epoch; nobody's falls.
    for (unit, home) in before.units().filter(|(unit, _)| unit.0 >= 16_384 || unit.0 % 97 == 0) {
        let Some(now) = after.home(unit) else { continue };
        assert!(now.epoch >= home.epoch);
        assert!(now.shard == home.shard || now.epoch > home.epoch);
    }
    if let MapChange::Carve { parents, .. } = change {
        for parent in parents {
            let epoch = |map: &PlacementMap| map.home(*parent).expect("known").epoch.0;
            assert_eq!(epoch(after), epoch(before) + 1);
        }
    }
}

/// Undoes a carve and compares with the map before it.
fn undo(before: &PlacementMap, change: &MapChange, after: &PlacementMap) {
    let MapChange::Carve { parents, child, cover } = change else { return };
    let last = before.home(*child).is_none();
    let back = after.apply(&merge(*child, parents, cover.clone(), last)).expect("it was carved");
    assert_eq!(placement(&back), placement(before));
    assert!(back.overrides().eq(before.overrides()));
    assert!(back.user_overrides().eq(before.user_overrides()));
    let known = |map: &PlacementMap| map.units().map(|(unit, home)| (unit, home.shard)).collect();
    let (was, is): (Vec<_>, Vec<_>) = (known(before), known(&back));
    assert_eq!(was, is);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn only_what_a_change_covers_gets_another_unit(
        wishes in proptest::collection::vec(wish(), 1..40),
    ) {
        let mut map = one_shard();
        for wish in &wishes {
            let change = change(&map, wish);
            if let Ok(after) = map.apply(&change) {
                check(&map, &change, &after);
                undo(&map, &change, &after);
                map = after;
            }
        }
    }
}
