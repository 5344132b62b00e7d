//! What the doctor says about looks that were made by hand: a healthy one, and one thing wrong at a time.

use std::collections::{BTreeMap, BTreeSet};

use ostracon_domain::{
    ConversationId, Epoch, MapChange, PlacementMap, ShardId, Subject, UnitId, UserId,
};
use ostracon_proto::rest::admin::FindingKind;
use ostracon_store::{
    Pair, UnitPhase, UnitState,
    directory::{Garbage, MovePhase, MoveRow, Progress, ShardRow},
};

use super::{
    findings::{Cure, Found, of},
    look::Look,
};

const SHARDS: [ShardId; 2] = [ShardId(0), ShardId(1)];
/// A unit of shard 0 and one of shard 1.
const HERE: UnitId = UnitId(10);
const THERE: UnitId = UnitId(11);

fn state(unit: UnitId, phase: UnitPhase, epoch: u64) -> UnitState {
    UnitState { unit, epoch: Epoch(epoch), phase, incarnation: 1, pair: Pair { lease: 3, step: 9 } }
}

fn healthy() -> Look {
    let map = PlacementMap::initial(&SHARDS);
    let states = map
        .units()
        .map(|(unit, home)| ((home.shard, unit), state(unit, UnitPhase::Open, 1)))
        .collect();
    Look {
        at: 0,
        map,
        rows: SHARDS.map(|id| ShardRow::new(id, "embedded")).to_vec(),
        open: SHARDS.into(),
        silent: BTreeMap::new(),
        states,
        moves: Vec::new(),
        garbage: Vec::new(),
        strays: BTreeSet::new(),
        labels: BTreeMap::new(),
        subjects: 0,
    }
}

/// The only finding after a change of a healthy look.
fn only(change: impl FnOnce(&mut Look)) -> Found {
    let mut look = healthy();
    change(&mut look);
    let mut found = of(&look);
    let texts: Vec<_> = found.iter().map(|one| one.finding.text.clone()).collect();
    assert_eq!(found.len(), 1, "{texts:?}");
    found.remove(0)
}

fn set(look: &mut Look, shard: ShardId, unit: UnitId, phase: UnitPhase, epoch: u64) {
    look.states.insert((shard, unit), state(unit, phase, epoch));
}

fn way(found: &Found) -> Option<&[UnitPhase]> {
    match &found.cure {
        Some(Cure::Steps { way, .. }) => Some(way),
        _ => None,
    }
}

#[test]
fn a_healthy_look_has_no_findings() {
    let mut look = healthy();
    assert!(of(&look).is_empty());
    // What has moved away and what was given up leave a row; listed leftovers are expected.
    set(&mut look, SHARDS[1], HERE, UnitPhase::Moved, 0);
    look.garbage.push(Garbage { id: 1, shard: SHARDS[1], unit: HERE, epoch: Epoch(1), since: 0 });
    assert!(of(&look).is_empty());
}

#[test]
fn a_unit_frozen_for_no_move_is_thawed() {
    let found = only(|look| set(look, SHARDS[0], HERE, UnitPhase::Frozen, 1));
    assert_eq!((found.finding.kind, found.finding.unit), (FindingKind::NotServed, Some(HERE.0)));
    assert_eq!(way(&found), Some(&[UnitPhase::Open][..]));
    assert!(found.finding.repair.is_some() && found.finding.effect.is_some());
    let found = only(|look| set(look, SHARDS[0], HERE, UnitPhase::Capturing, 1));
    assert_eq!(way(&found), Some(&[UnitPhase::Open][..]));
}

#[test]
fn a_unit_of_a_move_is_left_alone() {
    let mut look = healthy();
    set(&mut look, SHARDS[0], HERE, UnitPhase::Frozen, 1);
    set(&mut look, SHARDS[1], HERE, UnitPhase::Importing, 2);
    look.moves.push(MoveRow {
        id: 1,
        job: 1,
        source: SHARDS[0],
        destination: SHARDS[1],
        change: MapChange::Move { units: vec![HERE], to: SHARDS[1] },
        phase: MovePhase::Freezing,
        attempt: 1,
        lease: 1,
        freeze: 1,
        created_at: 0,
        since: 0,
        progress: Progress::default(),
        error: None,
        retry_at: None,
    });
    look.at = 4_999;
    assert!(of(&look).is_empty());
    // One that stands still for long is named; only the move may thaw it.
    look.at = 5_000;
    let found = of(&look);
    let one = &found[0].finding;
    assert_eq!((found.len(), one.kind, one.unit), (1, FindingKind::Move, Some(HERE.0)));
    assert!(one.text.contains("in its freeze since 1970-01-01T00:00:00"), "{}", one.text);
    assert!(found[0].cure.is_none());
    set(&mut look, SHARDS[1], HERE, UnitPhase::Open, 2);
    assert!(of(&look).is_empty(), "it is served there already");
    set(&mut look, SHARDS[1], HERE, UnitPhase::Importing, 2);
    look.at = 0;
    look.silent.insert(SHARDS[1], "it hangs".to_owned());
    let kinds: Vec<_> = of(&look).iter().map(|one| one.finding.kind).collect();
    assert_eq!(kinds, [FindingKind::Shard, FindingKind::Move]);
}

#[test]
fn what_may_be_whole_elsewhere_is_left_to_a_person() {
    for (phase, epoch) in [
        (UnitPhase::Importing, 1),
        (UnitPhase::Moved, 1),
        (UnitPhase::Open, 2),
        (UnitPhase::Open, 0),
    ] {
        // Epoch 0 stands for a unit that the shard never had: it is opened, if nobody else has it.
        let found = only(|look| set(look, SHARDS[0], HERE, phase, epoch));
        assert_eq!(found.finding.kind, FindingKind::NotServed);
        assert_eq!(found.cure.is_some(), epoch == 0, "{phase:?} {epoch}");
    }
    let mut look = healthy();
    look.states.remove(&(SHARDS[0], HERE));
    set(&mut look, SHARDS[1], HERE, UnitPhase::Open, 1);
    assert!(of(&look).iter().all(|one| one.cure.is_none()), "its rows are perhaps over there");
}

#[test]
fn what_is_served_twice_is_closed_where_it_is_older() {
    let found = only(|look| {
        look.map = look.map.apply(&MapChange::Move { units: vec![HERE], to: SHARDS[1] }).unwrap();
        set(look, SHARDS[1], HERE, UnitPhase::Open, 2);
        set(look, SHARDS[0], HERE, UnitPhase::Open, 1);
    });
    assert_eq!((found.finding.kind, found.finding.shard), (FindingKind::Astray, Some(0)));
    let expected = [UnitPhase::Capturing, UnitPhase::Frozen, UnitPhase::Moved];
    assert_eq!(way(&found), Some(&expected[..]));
    // The younger one is perhaps right: a directory may be an old copy.
    let found = only(|look| set(look, SHARDS[1], HERE, UnitPhase::Open, 5));
    assert_eq!((found.finding.kind, found.cure), (FindingKind::Astray, None));
}

#[test]
fn rows_that_no_leftover_names_are_removed_where_nobody_serves_them() {
    let stray = |phase| {
        only(|look| {
            set(look, SHARDS[1], HERE, phase, 1);
            look.strays.insert((SHARDS[1], HERE));
        })
    };
    let found = stray(UnitPhase::Moved);
    assert_eq!(found.finding.kind, FindingKind::Rows);
    let cure = Cure::Purge { shard: SHARDS[1], unit: HERE, epoch: Epoch(1) };
    assert_eq!(found.cure, Some(cure));
}

#[test]
fn a_wrong_label_is_changed_on_the_same_shard_only() {
    let who = Subject::Conversation(ConversationId::direct(
        UserId::new(1).unwrap(),
        UserId::new(2).unwrap(),
    ));
    let label = |right: UnitId| {
        only(|look| {
            look.labels.insert((SHARDS[0], HERE, right), vec![who]);
        })
    };
    let found = label(UnitId(12));
    assert_eq!(found.finding.kind, FindingKind::Label);
    assert!(matches!(found.cure, Some(Cure::Relabel { to: UnitId(12), .. })));
    assert_eq!(label(THERE).cure, None);
}

#[test]
fn a_leftover_of_a_unit_at_home_is_forgotten() {
    let found = only(|look| {
        let left = Garbage { id: 8, shard: SHARDS[0], unit: HERE, epoch: Epoch(1), since: 0 };
        look.garbage.push(left);
    });
    assert_eq!(found.finding.kind, FindingKind::Garbage);
    assert_eq!(found.cure, Some(Cure::Forget { garbage: 8 }));
}

#[test]
fn a_silent_shard_is_one_finding() {
    let found = only(|look| {
        look.silent.insert(SHARDS[1], "gone".to_owned());
        look.states.retain(|(shard, _), _| *shard != SHARDS[1]);
    });
    assert_eq!((found.finding.kind, found.finding.shard), (FindingKind::Shard, Some(1)));
    assert!(found.cure.is_none());
}
