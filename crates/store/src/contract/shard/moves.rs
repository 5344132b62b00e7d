//! The mover's part: notes of what changes, copies, comparisons, relabelling, purges, and a whole move made of them.

use ostracon_domain::{
    Action, Applied, ConversationId, Epoch, History, InboxChange, Row, Subject, UnitAt, UnitId,
    id::SLOTS,
};

use super::{
    ShardFixture,
    world::{
        ALICE, BOB, CAROL, DAVE, World, at, direct, done, edit, group, home_of, new_group, newest,
        order, react, send, sent, seqs,
    },
};
use crate::{
    read::MembersPage,
    shard::{Order, Read, ShardError},
    transfer::{Note, Relabel, SubjectVersion},
    unit_state::{
        Pair,
        UnitPhase::{Capturing, Frozen, Importing, Moved, Open},
    },
};

const CHILD: UnitId = UnitId(SLOTS as u32 + 7);
const ALL: u32 = 10_000;

fn of(conversation: ConversationId) -> Subject {
    Subject::Conversation(conversation)
}

fn unexpected<T: std::fmt::Debug>(answer: Result<T, ShardError>) {
    assert!(matches!(answer, Err(ShardError::Unexpected(_))), "{answer:?}");
}

impl World {
    async fn noted(&self, unit: UnitId) -> Vec<Note> {
        let mut notes = self.shard.notes(at(unit), ALL).await.unwrap();
        notes.sort();
        notes
    }

    async fn version(&self, unit: UnitId, subject: Subject) -> SubjectVersion {
        let heads = self.shard.heads(unit, None, ALL).await.unwrap();
        heads.into_iter().find(|head| head.subject == subject).unwrap().version
    }

    async fn digests(&self, unit: UnitId) -> Vec<crate::transfer::SubjectDigest> {
        let heads = self.shard.heads(unit, None, ALL).await.unwrap();
        let subjects: Vec<_> = heads.iter().map(|head| head.subject).collect();
        self.shard.digests(unit, &subjects).await.unwrap()
    }
}

pub(super) async fn every_change_of_a_captured_unit_is_noted(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(2).await;
    let unit = direct().slot().unit();
    world.step(unit, &[(Capturing, 1)]).await;
    assert_eq!(world.noted(unit).await, []);
    let subject = of(direct());
    let actions = [
        (ALICE, send("three")),
        (ALICE, edit(3, "edited")),
        (BOB, react(1, "👍", false)),
        (BOB, react(1, "👍", true)),
        (BOB, Action::MarkRead { seq: 3 }),
        (ALICE, Action::Delete { seq: 3 }),
    ];
    for (actor, action) in actions {
        let before = world.noted(unit).await;
        world.done(direct(), actor, action).await;
        let version = world.version(unit, subject).await;
        let after = world.noted(unit).await;
        assert_eq!(after, [Note { subject, version }]);
        assert_ne!(after, before);
    }
    // What changes nothing is no change.
    let before = world.noted(unit).await;
    world.done(direct(), BOB, Action::MarkRead { seq: 1 }).await;
    world.refused(direct(), CAROL, send("stranger")).await;
    assert_eq!(world.noted(unit).await, before);
    // A user's own rows, and a conversation that is born meanwhile.
    let own = home_of(ALICE).unit;
    world.step(own, &[(Capturing, 1)]).await;
    let change = InboxChange {
        conversation: direct(),
        applied: Applied { history: History(1), rev: 1, mark_rev: 0 },
        last_seq: 1,
        last_activity_at: 1,
        view: None,
        large: false,
        removed: false,
    };
    world.follow(ALICE, vec![change]).await;
    let version = world.version(own, Subject::User(ALICE)).await;
    let noted = world.noted(own).await;
    assert!(noted.contains(&Note { subject: Subject::User(ALICE), version }));
    let born = group(1);
    let unit = born.slot().unit();
    world.step(unit, &[(Capturing, 1)]).await;
    world.done(born, ALICE, new_group("born", &[BOB])).await;
    let version = world.version(unit, of(born)).await;
    assert_eq!(world.noted(unit).await, [Note { subject: of(born), version }]);
    // Frozen: they stay.
    world.step(unit, &[(Frozen, 1)]).await;
    assert_eq!(world.noted(unit).await.len(), 1);
}

pub(super) async fn a_note_is_dropped_in_its_version_only(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(1).await;
    let unit = direct().slot().unit();
    world.step(unit, &[(Capturing, 1)]).await;
    world.say(direct(), ALICE, "two").await;
    let old = world.noted(unit).await;
    world.say(direct(), ALICE, "three").await;
    let new = world.noted(unit).await;
    assert_ne!(old, new);
    world.shard.drop_notes(at(unit), &old, world.pair()).await.unwrap();
    assert_eq!(world.noted(unit).await, new);
    let pair = world.pair();
    world.shard.drop_notes(at(unit), &new, pair).await.unwrap();
    assert_eq!(world.noted(unit).await, []);
    world.shard.drop_notes(at(unit), &new, pair).await.unwrap();
    // A late one drops nothing.
    world.say(direct(), ALICE, "four").await;
    let newest = world.noted(unit).await;
    let late = Pair { lease: pair.lease, step: pair.step - 1 };
    unexpected(world.shard.drop_notes(at(unit), &newest, late).await);
    assert_eq!(world.noted(unit).await, newest);
}

pub(super) async fn notes_need_a_capture(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(1).await;
    let unit = direct().slot().unit();
    unexpected(world.shard.notes(at(unit), ALL).await);
    unexpected(world.shard.drop_notes(at(unit), &[], world.pair()).await);
    world.step(unit, &[(Capturing, 1)]).await;
    let later = UnitAt { unit, epoch: Epoch(2) };
    unexpected(world.shard.notes(later, ALL).await);
    world.say(direct(), ALICE, "two").await;
    assert_eq!(world.noted(unit).await.len(), 1);
    // Captured anew, the notes begin empty; thawed, they stay.
    world.step(unit, &[(Open, 1), (Capturing, 1)]).await;
    assert_eq!(world.noted(unit).await, []);
    world.say(direct(), ALICE, "three").await;
    world.step(unit, &[(Frozen, 1), (Capturing, 1)]).await;
    world.say(direct(), BOB, "four").await;
    assert_eq!(world.noted(unit).await.len(), 1);
    world.step(unit, &[(Frozen, 1), (Moved, 1)]).await;
    unexpected(world.shard.notes(at(unit), ALL).await);
}

pub(super) async fn a_restart_loses_a_capture_and_an_import(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(2).await;
    let unit = direct().slot().unit();
    let rows = world.scan(unit, ALL).await;
    let other = group(1).slot().unit();
    world.step(unit, &[(Capturing, 1)]).await;
    world.step(other, &[(Capturing, 1), (Frozen, 1), (Moved, 1), (Importing, 2)]).await;
    let Some(world) = world.reopened(fixture).await else {
        return;
    };
    let new_start = world.unit_state(unit).await.unwrap().incarnation != world.shard.incarnation();
    if !new_start {
        // A store whose notes are in its tables keeps them.
        world.say(direct(), ALICE, "three").await;
        assert_eq!(world.noted(unit).await.len(), 1);
        return;
    }
    assert_eq!(world.shard.notes(at(unit), ALL).await, Err(ShardError::Restarted));
    let pair = Pair { lease: 1 << 40, step: 1 };
    let next = |step| Pair { step, ..pair };
    let dropped = world.shard.drop_notes(at(unit), &[], pair).await;
    assert_eq!(dropped, Err(ShardError::Restarted));
    let there = UnitAt { unit: other, epoch: Epoch(2) };
    let applied = world.shard.apply_rows(there, rows.clone(), pair).await;
    assert_eq!(applied, Err(ShardError::Restarted));
    let complete = world.shard.import_complete(there, next(2)).await;
    assert_eq!(complete, Err(ShardError::Restarted));
    // Begun anew, both go on.
    world.step(other, &[(Importing, 2)]).await;
    let later = Pair { lease: 1 << 41, step: 1 };
    world.shard.apply_rows(there, rows, later).await.unwrap();
    world.shard.import_complete(there, Pair { step: 2, ..later }).await.unwrap();
    world.step(unit, &[(Open, 1), (Capturing, 1)]).await;
    world.say(direct(), ALICE, "three").await;
    assert_eq!(world.noted(unit).await.len(), 1);
}

pub(super) async fn subjects_since_a_version(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(20).await;
    world.done(direct(), BOB, react(2, "👍", false)).await;
    let unit = direct().slot().unit();
    let subject = of(direct());
    let since = world.version(unit, subject).await;
    let ask = async |since| {
        let mut answers = world.shard.subjects_since(unit, &[(subject, since)]).await.unwrap();
        answers.pop().unwrap().unwrap()
    };
    // All of it, as a scan gives it.
    let all = ask(SubjectVersion::default()).await;
    assert_eq!((all.rows, all.version), (world.scan(unit, ALL).await, since));
    // Nothing but the own row.
    assert_eq!(ask(since).await.rows.len(), 1);
    world.done(direct(), ALICE, edit(3, "edited")).await;
    world.done(direct(), BOB, react(2, "🎂", false)).await;
    world.done(direct(), BOB, Action::MarkRead { seq: 5 }).await;
    world.say(direct(), ALICE, "21").await;
    let now = ask(since).await;
    assert_eq!(now.version, world.version(unit, subject).await);
    let messages: Vec<u64> = now
        .rows
        .iter()
        .filter_map(|row| match row {
            Row::Message(row) => Some(row.seq),
            _ => None,
        })
        .collect();
    assert_eq!(messages, [2, 3, 21]);
    let reactions = now.rows.iter().filter(|row| matches!(row, Row::Reaction(_))).count();
    assert_eq!(reactions, 2);
    // A subject of another unit is not there; nor is one that does not exist.
    let elsewhere = [
        (of(group(1)), SubjectVersion::default()),
        (subject, since),
        (Subject::User(DAVE), SubjectVersion::default()),
    ];
    let answers = world.shard.subjects_since(unit, &elsewhere).await.unwrap();
    assert_eq!(answers.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false]);
    let foreign = world.shard.subjects_since(CHILD, &[(subject, since)]).await.unwrap();
    assert_eq!(foreign, [None]);
}

pub(super) async fn heads_and_digests_tell_differences(fixture: &dyn ShardFixture) {
    let (one, two) = (World::new(fixture).await, World::new(fixture).await);
    let unit = direct().slot().unit();
    for world in [&one, &two] {
        world.talk(3).await;
        world.done(direct(), BOB, react(1, "👍", false)).await;
    }
    assert_eq!(one.digests(unit).await, two.digests(unit).await);
    assert_eq!(one.digests(unit).await.len(), 1);
    let head = one.shard.heads(unit, None, ALL).await.unwrap().remove(0);
    assert_eq!((head.subject, head.head_seq), (of(direct()), 3));
    assert_eq!(one.shard.heads(unit, Some(head.subject), ALL).await.unwrap(), []);
    assert_eq!(one.shard.heads(unit, None, 0).await.unwrap(), []);
    // The same version, other rows.
    one.done(direct(), ALICE, edit(1, "one thing")).await;
    two.done(direct(), ALICE, edit(1, "another")).await;
    assert_eq!(one.shard.heads(unit, None, ALL).await, two.shard.heads(unit, None, ALL).await);
    assert_ne!(one.digests(unit).await, two.digests(unit).await);
    assert_eq!(one.shard.digests(unit, &[of(group(1))]).await.unwrap(), []);
}

pub(super) async fn imports_obey_their_pair(fixture: &dyn ShardFixture) {
    let source = World::new(fixture).await;
    source.talk(3).await;
    let unit = direct().slot().unit();
    let old = source.scan(unit, ALL).await;
    let world = World::new(fixture).await;
    world.step(unit, &[(Capturing, 1), (Frozen, 1), (Moved, 1), (Importing, 2)]).await;
    let there = UnitAt { unit, epoch: Epoch(2) };
    let pair = world.pair();
    world.shard.apply_rows(there, old.clone(), pair).await.unwrap();
    world.shard.apply_rows(there, old.clone(), pair).await.unwrap();
    let late = Pair { lease: pair.lease, step: pair.step - 1 };
    unexpected(world.shard.apply_rows(there, old.clone(), late).await);
    unexpected(world.shard.import_complete(there, late).await);
    unexpected(world.shard.import_complete(at(unit), world.pair()).await);
    world.shard.import_complete(there, world.pair()).await.unwrap();
    assert_eq!(world.scan(unit, ALL).await, old);
    // Given up: rows are left, and nothing more is taken.
    world.step(unit, &[(Moved, 2)]).await;
    unexpected(world.shard.apply_rows(there, old, world.pair()).await);
}

/// One unit from a shard to another, by hand, while it changes; then life goes on there.
pub(super) async fn a_whole_move(fixture: &dyn ShardFixture) {
    let (source, target) = (World::new(fixture).await, World::with_units(fixture, &[]).await);
    source.talk(30).await;
    let unit = direct().slot().unit();
    let there = UnitAt { unit, epoch: Epoch(2) };
    target.step(unit, &[(Importing, 2)]).await;
    source.step(unit, &[(Capturing, 1)]).await;
    // A page, then a change in it and one behind it.
    let first = source.shard.scan_unit(unit, None, 10).await.unwrap();
    let base = source.version(unit, of(direct())).await;
    target.shard.apply_rows(there, first.rows, target.pair()).await.unwrap();
    source.done(direct(), ALICE, edit(1, "edited")).await;
    source.done(direct(), BOB, react(2, "👍", false)).await;
    source.say(direct(), BOB, "31").await;
    let mut next = first.next;
    while next.is_some() {
        let page = source.shard.scan_unit(unit, next, 10).await.unwrap();
        target.shard.apply_rows(there, page.rows, target.pair()).await.unwrap();
        next = page.next;
    }
    source.step(unit, &[(Frozen, 1)]).await;
    let notes = source.noted(unit).await;
    assert_eq!(notes.len(), 1);
    let asked = [(of(direct()), base)];
    let changed = source.shard.subjects_since(unit, &asked).await.unwrap();
    for changed in changed.into_iter().flatten() {
        target.shard.apply_rows(there, changed.rows, target.pair()).await.unwrap();
    }
    target.shard.import_complete(there, target.pair()).await.unwrap();
    assert_eq!(target.scan(unit, ALL).await, source.scan(unit, ALL).await);
    assert_eq!(target.digests(unit).await, source.digests(unit).await);
    target.step(unit, &[(Open, 2)]).await;
    source.step(unit, &[(Moved, 1)]).await;
    let here = |action| Order { at: there, ..order(direct(), ALICE, action) };
    let (next, _) = sent(target.one(here(send("32"))).await);
    assert_eq!(next.message.seq, 32);
    assert!(matches!(
        source.one(order(direct(), ALICE, send("no"))).await,
        crate::Answer::Fenced(_)
    ));
    // And back: what was left behind is purged first.
    while !source.shard.purge(at(unit), 7).await.unwrap().done {}
    assert_eq!(source.scan(unit, ALL).await, []);
    let again = UnitAt { unit, epoch: Epoch(3) };
    source.step(unit, &[(Importing, 3)]).await;
    let rows = target.scan(unit, ALL).await;
    source.shard.apply_rows(again, rows.clone(), source.pair()).await.unwrap();
    source.shard.import_complete(again, source.pair()).await.unwrap();
    source.step(unit, &[(Open, 3)]).await;
    let page = source.shard.messages(again, direct(), BOB, newest(2)).await.unwrap();
    assert_eq!(seqs(&super::world::rows(page).messages), [31, 32]);
    assert_eq!(source.scan(unit, ALL).await, rows);
}

pub(super) async fn carved_and_merged(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(3).await;
    let parent = direct().slot().unit();
    let relabel = |away, pair| Relabel {
        frozen: at(parent),
        other: CHILD,
        away,
        subjects: vec![of(direct()), of(group(1))],
        pair,
    };
    unexpected(world.shard.relabel(relabel(true, world.pair())).await);
    world.step(parent, &[(Capturing, 1), (Frozen, 1)]).await;
    let before = world.scan(parent, ALL).await;
    let pair = world.pair();
    world.shard.relabel(relabel(true, pair)).await.unwrap();
    world.shard.relabel(relabel(true, pair)).await.unwrap();
    assert_eq!(world.scan(parent, ALL).await, []);
    assert_eq!(world.scan(CHILD, ALL).await.len(), before.len());
    let child = world.unit_state(CHILD).await.unwrap();
    assert_eq!((child.phase, child.epoch), (Importing, Epoch(1)));
    // Back: the child is closed.
    world.shard.relabel(relabel(false, world.pair())).await.unwrap();
    assert_eq!(world.scan(parent, ALL).await, before);
    assert_eq!(world.unit_state(CHILD).await.unwrap().phase, Moved);
    unexpected(world.shard.relabel(relabel(true, Pair { lease: 1, step: 1 })).await);
    assert_eq!(world.scan(parent, ALL).await, before);
    // Again, to the end: the parent is open at the next epoch, the child at its first.
    world.shard.relabel(relabel(true, world.pair())).await.unwrap();
    world.step(CHILD, &[(Open, 1)]).await;
    world.step(parent, &[(Open, 2)]).await;
    let at_parent = UnitAt { unit: parent, epoch: Epoch(2) };
    let place = |at, action| Order { at, ..order(direct(), ALICE, action) };
    for stale in [at(parent), at_parent] {
        let answer = world.one(place(stale, send("no"))).await;
        assert!(matches!(answer, crate::Answer::Fenced(_)));
    }
    done(world.one(place(at(CHILD), send("four"))).await);
    let page = world.shard.messages(at(CHILD), direct(), BOB, newest(9)).await.unwrap();
    assert_eq!(seqs(&super::world::rows(page).messages), [1, 2, 3, 4]);
    let Some(world) = world.reopened(fixture).await else {
        return;
    };
    assert_eq!(world.unit_state(CHILD).await.unwrap().phase, Open);
    done(world.one(place(at(CHILD), send("five"))).await);
    // Merged: the child gives all back while it is frozen.
    world.step(CHILD, &[(Capturing, 1), (Frozen, 1)]).await;
    let merge = Relabel {
        frozen: at(CHILD),
        other: parent,
        away: true,
        subjects: vec![of(direct())],
        pair: Pair { lease: 1 << 40, step: 1 },
    };
    world.shard.relabel(merge).await.unwrap();
    assert_eq!(world.unit_state(parent).await.unwrap().phase, Open);
    let (next, _) = sent(world.one(place(at_parent, send("six"))).await);
    assert_eq!(next.message.seq, 6);
}

pub(super) async fn a_purge_takes_what_is_garbage(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    world.talk(12).await;
    world.done(direct(), BOB, react(1, "👍", false)).await;
    let unit = direct().slot().unit();
    let kept = group(1);
    world.done(kept, ALICE, new_group("kept", &[BOB])).await;
    let count = world.scan(unit, ALL).await.len() as u64;
    let stays = world.scan(kept.slot().unit(), ALL).await;
    for phases in [&[][..], &[(Capturing, 1)], &[(Frozen, 1)]] {
        world.step(unit, phases).await;
        unexpected(world.shard.purge(at(unit), ALL).await);
    }
    world.step(unit, &[(Moved, 1)]).await;
    unexpected(world.shard.purge(UnitAt { unit, epoch: Epoch(2) }, ALL).await);
    unexpected(world.shard.purge(at(CHILD), ALL).await);
    assert_eq!(world.scan(unit, ALL).await.len() as u64, count);
    let mut gone = 0;
    loop {
        let page = world.shard.purge(at(unit), 3).await.unwrap();
        gone += page.rows;
        if page.done {
            break;
        }
        assert!(page.rows > 0);
    }
    assert_eq!(gone, count);
    assert_eq!(world.scan(unit, ALL).await, []);
    assert_eq!(world.scan(kept.slot().unit(), ALL).await, stays);
    // A client id that went away with its message is no duplicate here.
    let again = world.shard.purge(at(unit), ALL).await.unwrap();
    assert_eq!((again.rows, again.done), (0, true));
    let Some(world) = world.reopened(fixture).await else {
        return;
    };
    assert_eq!(world.scan(unit, ALL).await, []);
    assert_eq!(world.scan(kept.slot().unit(), ALL).await, stays);
}

pub(super) async fn members_are_read_behind_a_fence(fixture: &dyn ShardFixture) {
    let world = World::new(fixture).await;
    let id = group(1);
    world.done(id, ALICE, new_group("g", &[BOB, CAROL])).await;
    world.step(id.slot().unit(), &[(Capturing, 1), (Frozen, 1)]).await;
    let page = MembersPage { after: None, limit: 2 };
    let read = world.shard.members(at(id.slot().unit()), id, page).await.unwrap();
    assert!(matches!(read, Read::Fenced(_)));
    let here = world.shard.members_here(id, page).await.unwrap().unwrap();
    let users: Vec<_> = here.members.iter().map(|member| member.user).collect();
    assert_eq!((users, here.more), (vec![ALICE, BOB], true));
    assert_eq!(world.shard.members_here(group(2), page).await.unwrap(), None);
}
