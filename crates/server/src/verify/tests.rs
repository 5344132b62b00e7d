//! A healthy store has no problem; every kind of seeded damage is found and named. Time passes by itself here.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{
    Action, Applied, ClientId, Command, ConversationCommand, ConversationId, Edit, Epoch,
    InboxAction, InboxChange, InboxCommand, Limits, MapChange, MessageKind, NewGroup, NewInvite,
    NewMessage, Reaction, Row, ShardId, Slot, UnitAt, UnitId, UserId,
};
use ostracon_store::{
    Answer, Batch, Cluster, Moves, Order, Pair, Shard, Shards, Transfer, UnitChange, UnitPhase,
    directory::{MovePhase, MoveRow, NewJob, NewMove, ShardRow},
    memory::{CountingIds, MemoryShard, directory::MemoryDirectory},
};

use super::{JournalRows, ProblemKind, Report, verify};

const NOW: i64 = 1_700_000_000_000;
const SHARDS: [ShardId; 2] = [ShardId(0), ShardId(1)];

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

fn direct() -> ConversationId {
    ConversationId::direct(user(1), user(2))
}

fn group() -> ConversationId {
    ConversationId::new_group(NOW, [7; 10])
}

struct World {
    directory: MemoryDirectory,
    shards: Shards,
}

impl World {
    /// Two shards of the first map, holding these rows.
    async fn new(rows: &[Row]) -> Self {
        let directory = MemoryDirectory::new(1);
        let shard_rows = SHARDS.map(|id| ShardRow::new(id, "embedded"));
        directory.found(&shard_rows).await.unwrap();
        let map = directory.map().await.unwrap();
        let parts = by_unit(rows);
        let mut shards = Shards::new();
        for id in SHARDS {
            let ids = Arc::new(CountingIds::new(id.0 as u16, 100));
            let of_it =
                map.units().filter(|(unit, home)| home.shard == id && !parts.contains_key(unit));
            let shard = MemoryShard::serving(id, ids, of_it.map(|(unit, _)| unit));
            for (unit, rows) in &parts {
                if map.home(*unit).unwrap().shard == id {
                    import(&shard, *unit, rows.clone(), UnitPhase::Open).await;
                }
            }
            shards.insert(id, Arc::new(shard));
        }
        Self { directory, shards }
    }

    async fn verify(&self) -> Report {
        self.verify_with(&JournalRows::default()).await
    }

    async fn verify_with(&self, journal: &JournalRows) -> Report {
        verify(&self.directory, &self.shards, journal, &|_| {}).await.unwrap()
    }

    async fn run(&self, at: UnitId, command: Command) -> Vec<Row> {
        let shard = &self.shards[&self.directory.map().await.unwrap().home(at).unwrap().shard];
        let order = Order { at: UnitAt { unit: at, epoch: Epoch(1) }, command };
        let batch = Batch { now: NOW, limits: Limits::default(), orders: Arc::new(vec![order]) };
        match shard.commit(batch).await.unwrap().answers.remove(0) {
            Answer::Done { rows, .. } => rows,
            other => panic!("{other:?}"),
        }
    }

    /// Somebody does something, and all lists follow.
    async fn act(&self, conversation: ConversationId, actor: u64, action: Action) {
        let command = ConversationCommand { conversation, actor: user(actor), action };
        let rows = self.run(conversation.slot().unit(), Command::Conversation(command)).await;
        let Some(row) = rows.iter().rev().find_map(|row| match row {
            Row::Conversation(row) => Some(row),
            _ => None,
        }) else {
            return;
        };
        for to in 1..=3 {
            if conversation == direct() && to == 3 {
                continue;
            }
            let change = InboxChange {
                conversation,
                applied: Applied { history: row.history, rev: row.rev, mark_rev: row.mark_rev },
                last_seq: row.head_seq,
                last_activity_at: row.last_activity_at,
                view: None,
                large: row.large,
                removed: row.deleted_at.is_some(),
            };
            let action = InboxAction::Apply(vec![change]);
            let command = InboxCommand { user: user(to), action };
            self.run(user(to).slot().unit(), Command::Inbox(command)).await;
        }
    }

    async fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (unit, home) in self.directory.map().await.unwrap().units() {
            rows.extend(
                self.shards[&home.shard].scan_unit(unit, None, u32::MAX).await.unwrap().rows,
            );
        }
        rows
    }
}

fn by_unit(rows: &[Row]) -> BTreeMap<UnitId, Vec<Row>> {
    let mut units: BTreeMap<UnitId, Vec<Row>> = BTreeMap::new();
    let mut unit = UnitId(0);
    for row in rows {
        match row {
            Row::Conversation(row) => unit = row.unit,
            Row::User(row) => unit = row.unit,
            _ => {}
        }
        units.entry(unit).or_default().push(row.clone());
    }
    units
}

async fn import(shard: &MemoryShard, unit: UnitId, rows: Vec<Row>, then: UnitPhase) {
    let step = |expect, phase, step| UnitChange {
        unit,
        expect,
        phase,
        epoch: Epoch(1),
        pair: Pair { lease: 1, step },
    };
    shard.set_unit_state(step(None, UnitPhase::Importing, 1)).await.unwrap();
    let at = UnitAt { unit, epoch: Epoch(1) };
    shard.apply_rows(at, rows, Pair { lease: 1, step: 2 }).await.unwrap();
    let importing = Some((UnitPhase::Importing, Epoch(1)));
    shard.set_unit_state(step(importing, then, 3)).await.unwrap();
}

fn text(content: &str, client_id: Option<&str>) -> Action {
    Action::Send(NewMessage {
        kind: MessageKind::Text,
        content: content.to_owned(),
        client_id: client_id.and_then(ClientId::new),
        payload_hash: 1,
        reply_to: None,
        mentions: Vec::new(),
        attachments: Some(Vec::new()),
    })
}

/// A direct conversation and a group in which everything happened once.
async fn healthy() -> World {
    let world = World::new(&[]).await;
    for n in 0..6 {
        world.act(direct(), 1 + n % 2, text("hello", Some(&format!("c{n}")))).await;
    }
    let edit = Edit { seq: 1, content: "hello again".to_owned(), if_content_rev: None };
    world.act(direct(), 1, Action::Edit(edit)).await;
    world.act(direct(), 2, Action::React { seq: 3, emoji: "👍".to_owned(), remove: false }).await;
    world.act(direct(), 1, Action::Delete { seq: 5 }).await;
    world.act(direct(), 2, Action::MarkRead { seq: 6 }).await;
    let new = NewGroup {
        name: "all".to_owned(),
        members: vec![user(2), user(3)],
        create_hash: None,
        ..NewGroup::default()
    };
    world.act(group(), 1, Action::CreateGroup(new)).await;
    for n in 1..=3 {
        world.act(group(), n, text("hi", None)).await;
    }
    let link = NewInvite { place: 0, hash: [1; 32], expires_at: None, max_uses: None };
    world.act(group(), 1, Action::CreateInvite(link)).await;
    world.act(group(), 1, Action::Ban { user: user(3), until: None }).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_healthy_store_has_no_problem() {
    let world = healthy().await;
    let report = world.verify().await;
    assert_eq!(report.problems, []);
    assert!(report.is_clean());
    let counts = report.counts;
    assert_eq!((counts.shards, counts.units), (2, 16_384));
    assert_eq!((counts.conversations, counts.messages, counts.members), (2, 9, 5));
    assert_eq!((counts.reactions, counts.users, counts.entries), (1, 3, 5));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_group_is_healthy_too() {
    let world = healthy().await;
    world.act(group(), 1, Action::DeleteGroup).await;
    assert_eq!(world.verify().await.problems, []);
}

/// Puts damage into a copy of a healthy store and checks that it is found as what it is.
async fn found(kind: ProblemKind, damage: impl Fn(&mut Vec<Row>)) {
    let mut rows = healthy().await.rows().await;
    assert_eq!(World::new(&rows).await.verify().await.problems, []);
    damage(&mut rows);
    let report = World::new(&rows).await.verify().await;
    let kinds: Vec<_> = report.problems.iter().map(|problem| problem.kind).collect();
    assert!(kinds.contains(&kind), "{kind:?} is not among {:?}", report.problems);
}

fn change<T: Clone>(row: &mut Arc<T>, change: impl FnOnce(&mut T)) {
    change(Arc::make_mut(row));
}

/// Changes the one row that `pick` accepts.
macro_rules! edit {
    ($kind:ident, |$row:ident| $pick:expr, $change:expr) => {
        |rows: &mut Vec<Row>| {
            let row = rows.iter_mut().find_map(|row| match row {
                Row::$kind($row) if $pick => Some($row),
                _ => None,
            });
            change(row.unwrap(), $change);
        }
    };
}

#[tokio::test(start_paused = true)]
async fn a_lost_message_is_found() {
    let lose = |seq| {
        move |rows: &mut Vec<Row>| {
            rows.retain(|row| !matches!(row, Row::Message(row) if row.conversation == direct() && row.seq == seq));
        }
    };
    found(ProblemKind::Seq, lose(2)).await;
    found(ProblemKind::Seq, lose(6)).await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_number_is_found() {
    found(ProblemKind::Rev, edit!(Message, |row| row.seq == 2, |row| row.rev = 4)).await;
    found(ProblemKind::Rev, edit!(Conversation, |row| row.id == direct(), |row| row.rev += 1))
        .await;
    found(
        ProblemKind::MarkRev,
        edit!(Conversation, |row| row.id == direct(), |row| row.mark_rev += 1),
    )
    .await;
    found(
        ProblemKind::MarkRev,
        edit!(Member, |row| row.conversation == direct() && row.user == user(2), |row| row
            .mark_rev -=
            1),
    )
    .await;
    found(ProblemKind::UserRev, edit!(User, |row| row.user == user(1), |row| row.user_rev += 1))
        .await;
    found(
        ProblemKind::Head,
        edit!(Conversation, |row| row.id == direct(), |row| row.last_activity_at += 1),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_out_of_order_is_found() {
    found(ProblemKind::Order, edit!(Message, |row| row.seq == 4, |row| row.created_at -= 1)).await;
    let sent_before = |rows: &mut Vec<Row>| {
        let id = rows.iter().find_map(|row| match row {
            Row::Message(row) if row.seq == 1 => Some(row.message_id),
            _ => None,
        });
        edit!(Message, |row| row.seq == 2, |row| row.message_id = id.unwrap())(rows);
    };
    found(ProblemKind::Order, sent_before).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_id_used_twice_is_found() {
    // Alice sent messages 1 and 3 of the direct conversation.
    let again = edit!(Message, |row| row.conversation == direct() && row.seq == 3, |row| row
        .client_id =
        ClientId::new("c0"));
    found(ProblemKind::ClientId, again).await;
}

#[tokio::test(start_paused = true)]
async fn members_that_do_not_fit_are_found() {
    found(
        ProblemKind::Members,
        edit!(Conversation, |row| row.id == group(), |row| row.member_count = 3),
    )
    .await;
    found(
        ProblemKind::Members,
        edit!(Member, |row| row.conversation == direct(), |row| row.read_seq = 99),
    )
    .await;
    let no_owner =
        edit!(Member, |row| row.conversation == group() && row.user == user(1), |row| row.role =
            ostracon_domain::Role::Admin);
    found(ProblemKind::Members, no_owner).await;
}

#[tokio::test(start_paused = true)]
async fn a_tombstone_with_content_is_found() {
    let speaks =
        edit!(Message, |row| row.deleted.is_some(), |row| row.content = "still here".to_owned());
    found(ProblemKind::Message, speaks).await;
    let counted = edit!(Message, |row| row.deleted.is_some(), |row| row.uncounted = false);
    found(ProblemKind::Message, counted).await;
    let with_reaction = |rows: &mut Vec<Row>| {
        let at =
            rows.iter().position(|row| matches!(row, Row::Message(row) if row.deleted.is_some()));
        let reaction =
            Reaction { conversation: direct(), seq: 5, user: user(2), emoji: "👍".to_owned() };
        rows.insert(at.unwrap() + 1, Row::Reaction(Arc::new(reaction)));
    };
    found(ProblemKind::Reaction, with_reaction).await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_does_not_follow_is_found() {
    let of = |rows: &mut Vec<Row>, lose: bool| {
        let at = rows.iter().position(
            |row| matches!(row, Row::Inbox(row) if row.user == user(2) && row.conversation == direct()),
        );
        if lose {
            rows.remove(at.unwrap());
        }
    };
    found(ProblemKind::List, move |rows| of(rows, true)).await;
    let behind = edit!(Inbox, |row| row.conversation == direct(), |row| row.applied.rev -= 1);
    found(ProblemKind::List, behind).await;
    let ahead = edit!(Inbox, |row| row.conversation == direct(), |row| row.applied.rev += 1);
    found(ProblemKind::List, ahead).await;
    let lost = edit!(Inbox, |row| row.conversation == direct(), |row| row.removed = true);
    found(ProblemKind::List, lost).await;
    let strange = |rows: &mut Vec<Row>| {
        rows.retain(|row| !matches!(row, Row::Member(row) if row.conversation == group() && row.user == user(3)));
    };
    found(ProblemKind::List, strange).await;
}

#[tokio::test(start_paused = true)]
async fn a_row_in_the_wrong_place_is_found() {
    let slot =
        edit!(Conversation, |row| row.id == direct(), |row| row.slot = Slot::new(5).unwrap());
    found(ProblemKind::Placement, slot).await;

    // A whole conversation on the other shard, in a unit that this one does not serve.
    let world = healthy().await;
    let unit = direct().slot().unit();
    let home = world.directory.map().await.unwrap().home(unit).unwrap().shard;
    let other = SHARDS.into_iter().find(|id| *id != home).unwrap();
    let rows: Vec<Row> = by_unit(&world.rows().await).remove(&unit).unwrap();
    let stray = MemoryShard::serving(
        other,
        Arc::new(CountingIds::new(9, 9)),
        world
            .directory
            .map()
            .await
            .unwrap()
            .units()
            .filter(|(_, home)| home.shard == other)
            .map(|(unit, _)| unit),
    );
    import(&stray, unit, rows, UnitPhase::Moved).await;
    let mut shards = Shards::from([(other, Arc::new(stray) as Arc<dyn Shard>)]);
    shards.insert(home, Arc::clone(&world.shards[&home]));
    let report = World { directory: world.directory, shards }.verify().await;
    let stray = report
        .problems
        .iter()
        .find(|problem| problem.subject == format!("conversation {}", direct()));
    assert_eq!(
        stray.map(|problem| (problem.kind, problem.shard)),
        Some((ProblemKind::Placement, other.0))
    );
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_nobody_serves_is_found() {
    let world = healthy().await;
    let ids = Arc::new(CountingIds::new(9, 9));
    let mut shards = world.shards.clone();
    let units = (0..16_384).filter(|unit| unit % 2 == 0 && *unit != 4_000).map(UnitId);
    shards.insert(SHARDS[0], Arc::new(MemoryShard::serving(SHARDS[0], ids, units)));
    let report = World { directory: world.directory, shards }.verify().await;
    let unit = report.problems.iter().find(|problem| problem.subject == "unit 4000").unwrap();
    assert_eq!(unit.kind, ProblemKind::Placement);
}

#[tokio::test(start_paused = true)]
async fn what_only_the_journal_has_is_found() {
    let world = healthy().await;
    let rows = world.rows().await;
    let map = world.directory.map().await.unwrap();
    let shard = map.home(direct().slot().unit()).unwrap().shard;
    let mut journal = JournalRows::default();
    for (unit, rows) in by_unit(&rows) {
        journal.take(map.home(unit).unwrap().shard, &rows);
    }
    assert_eq!(world.verify_with(&journal).await.problems, []);

    let newer = |row: &Row| match row {
        Row::Message(row) if row.conversation == direct() && row.seq == 2 => {
            let mut row = row.as_ref().clone();
            row.rev += 100;
            Some(Row::Message(Arc::new(row)))
        }
        Row::Message(row) if row.conversation == direct() && row.seq == 6 => {
            let mut row = row.as_ref().clone();
            row.seq = 7;
            Some(Row::Message(Arc::new(row)))
        }
        _ => None,
    };
    journal.take(shard, &rows.iter().filter_map(newer).collect::<Vec<_>>());
    let report = world.verify_with(&journal).await;
    let kinds: Vec<_> = report.problems.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::Journal, ProblemKind::Journal]);
}

/// A move of these units from shard 0 to shard 1 that has begun, in the directory only.
async fn begun(world: &World, units: &[UnitId]) -> MoveRow {
    let change = MapChange::Move { units: units.to_vec(), to: SHARDS[1] };
    let new = NewMove { source: SHARDS[0], destination: SHARDS[1], change };
    let job = NewJob {
        title: "a job".to_owned(),
        request: "{}".to_owned(),
        by: "a test".to_owned(),
        moves: vec![new],
    };
    let job = world.directory.plan_job(job, NOW).await.unwrap();
    let row = world.directory.moves_of(job.id).await.unwrap().remove(0);
    world.directory.begin_move(row.id, NOW).await.unwrap()
}

async fn step(shard: &dyn Shard, unit: UnitId, from: Option<UnitPhase>, to: UnitPhase, step: u64) {
    let change = UnitChange {
        unit,
        expect: from.map(|phase| (phase, Epoch(if phase == UnitPhase::Importing { 2 } else { 1 }))),
        phase: to,
        epoch: Epoch(if to == UnitPhase::Importing { 2 } else { 1 }),
        pair: Pair { lease: 10, step },
    };
    shard.set_unit_state(change).await.unwrap();
}

/// A unit of shard 0 that holds something.
async fn busy_unit(world: &World) -> UnitId {
    let map = world.directory.map().await.unwrap();
    let units = [direct().slot().unit(), group().slot().unit(), user(1).slot().unit()]
        .into_iter()
        .chain([user(2).slot().unit(), user(3).slot().unit()]);
    let mut here = units.filter(|unit| map.home(*unit).unwrap().shard == SHARDS[0]);
    here.next().expect("something is on each shard")
}

#[tokio::test(start_paused = true)]
async fn a_unit_on_the_move_is_no_problem_and_what_it_leaves_behind_is_none() {
    let world = healthy().await;
    let unit = busy_unit(&world).await;
    let row = begun(&world, &[unit]).await;
    let (source, destination) = (&*world.shards[&SHARDS[0]], &*world.shards[&SHARDS[1]]);
    step(destination, unit, None, UnitPhase::Importing, 1).await;
    step(source, unit, Some(UnitPhase::Open), UnitPhase::Capturing, 1).await;
    assert!(world.verify().await.is_clean(), "while it is copied");
    let rows = source.scan_unit(unit, None, u32::MAX).await.unwrap().rows;
    let at = UnitAt { unit, epoch: Epoch(2) };
    destination.apply_rows(at, rows, Pair { lease: 10, step: 2 }).await.unwrap();
    let report = world.verify().await;
    assert!(report.is_clean(), "with all rows on both sides: {report:?}");

    step(source, unit, Some(UnitPhase::Capturing), UnitPhase::Frozen, 2).await;
    let (copying, freezing) = (MovePhase::Copying, MovePhase::Freezing);
    let row =
        world.directory.advance_move(row.id, row.lease, copying, freezing, NOW).await.unwrap();
    world.directory.commit_move(row.id, row.lease, row.freeze, NOW).await.unwrap();
    let change = UnitChange {
        unit,
        expect: Some((UnitPhase::Importing, Epoch(2))),
        phase: UnitPhase::Open,
        epoch: Epoch(2),
        pair: Pair { lease: 10, step: 3 },
    };
    destination.set_unit_state(change).await.unwrap();
    step(source, unit, Some(UnitPhase::Frozen), UnitPhase::Moved, 3).await;
    let (committed, done) = (MovePhase::Committed, MovePhase::Done);
    world.directory.advance_move(row.id, row.lease, committed, done, NOW).await.unwrap();
    let report = world.verify().await;
    assert!(report.is_clean(), "with leftovers that are listed: {report:?}");

    let garbage = world.directory.garbage().await.unwrap();
    assert_eq!(garbage.len(), 1);
    world.directory.delete_garbage(garbage[0].id).await.unwrap();
    let report = world.verify().await;
    let kinds: Vec<_> = report.problems.iter().map(|problem| problem.kind).collect();
    assert!(kinds.contains(&ProblemKind::Placement), "rows that nobody knows of: {report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_is_frozen_for_no_move_is_a_problem() {
    let world = healthy().await;
    let map = world.directory.map().await.unwrap();
    let empty = map.units().find(|(unit, home)| home.shard == SHARDS[0] && unit.0 > 100).unwrap().0;
    let source = &*world.shards[&SHARDS[0]];
    step(source, empty, Some(UnitPhase::Open), UnitPhase::Capturing, 1).await;
    assert!(world.verify().await.is_clean(), "it serves");
    step(source, empty, Some(UnitPhase::Capturing), UnitPhase::Frozen, 2).await;
    let report = world.verify().await;
    assert_eq!(report.problems.len(), 1, "{report:?}");
    assert_eq!(report.problems[0].subject, format!("unit {empty}"));
}
