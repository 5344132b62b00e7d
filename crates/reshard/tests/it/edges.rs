//! What is unusual: large, one's own, hot twice.

use std::{collections::BTreeSet, sync::Arc};

use ostracon_domain::{
    Action, Command, ConversationCommand, ConversationId, Limits, MapChange, MessageKind, NewGroup,
    NewMessage, PlacementMap, Row, ShardId, Slot, UnitAt, UserId,
};
use ostracon_reshard::plan;
use ostracon_store::{Answer, Batch, Moves, Order, Shard as _, Transfer as _, directory::JobState};

use crate::world::{START, World, talk, user};

/// Isolates a user with these conversations; the job.
async fn isolate(world: &World, hot: UserId, talks: &[ConversationId], to: &[ShardId]) -> u64 {
    let slots: BTreeSet<Slot> = talks.iter().map(|id| id.slot()).collect();
    let rank = world.directory.next_rank().await.unwrap();
    let first = world.directory.reserve_units(8).await.unwrap();
    let plan = plan::user(&world.map().await, hot, &slots, to, rank, first).unwrap();
    let job = world.begin(plan).await;
    assert_eq!(world.over(job).await, JobState::Done);
    job
}

async fn undo(world: &World, job: u64) {
    let moves = world.directory.moves_of(job).await.unwrap();
    let undo = plan::undo(&world.map().await, &moves).unwrap();
    let (state, moves) = world.run(undo).await;
    assert_eq!(state, JobState::Done, "{moves:?}");
}

fn shard_of(map: &PlacementMap, id: ConversationId) -> ShardId {
    map.home(map.unit_of(id)).unwrap().shard
}

#[tokio::test(start_paused = true)]
async fn a_talk_with_oneself_goes_with_a_hot_user() {
    let world = World::new(3).await;
    world.start();
    let (own, other) = (talk(1, 1), talk(1, 2));
    world.say(own, user(1), "a note").await;
    world.say(other, user(1), "hello").await;
    let job = isolate(&world, user(1), &[own, other], &[ShardId(2)]).await;
    let map = world.map().await;
    for id in [own, other] {
        assert_eq!(shard_of(&map, id), ShardId(2));
    }
    assert_eq!(world.say(own, user(1), "another note").await, 2);
    undo(&world, job).await;
    let map = world.map().await;
    assert_eq!(map.unit_of(own), own.slot().unit());
    assert_eq!(world.texts(own).await, ["a note", "another note"]);
    world.clean().await;
    world.check().await;
}

/// Of two hot users the older override decides about their conversation, also while either is taken back.
#[tokio::test(start_paused = true)]
async fn two_hot_users_and_one_is_undone() {
    let world = World::new(4).await;
    world.start();
    let shared = talk(1, 2);
    world.say(shared, user(1), "first").await;
    world.say(talk(1, 3), user(1), "of one").await;
    world.say(talk(2, 3), user(2), "of two").await;
    let older = isolate(&world, user(1), &[shared, talk(1, 3)], &[ShardId(1)]).await;
    let younger = isolate(&world, user(2), &[shared, talk(2, 3)], &[ShardId(2)]).await;
    let map = world.map().await;
    assert_eq!(shard_of(&map, shared), ShardId(1));
    assert_eq!(shard_of(&map, talk(2, 3)), ShardId(2));
    undo(&world, younger).await;
    let map = world.map().await;
    assert_eq!(shard_of(&map, shared), ShardId(1), "it was never the younger one's");
    assert_eq!(world.say(shared, user(2), "second").await, 2);
    undo(&world, older).await;
    let map = world.map().await;
    assert_eq!(map.unit_of(shared), shared.slot().unit());
    assert_eq!(world.texts(shared).await, ["first", "second"]);
    assert_eq!(world.texts(talk(2, 3)).await, ["of two"]);
    world.clean().await;
    world.check().await;
}

/// Without the older override the younger one would claim a conversation whose rows lie elsewhere: it stays, empty, until
/// the younger one has gone.
#[tokio::test(start_paused = true)]
async fn an_older_override_stays_under_a_younger_one_that_would_take_its_rows() {
    let world = World::new(4).await;
    world.start();
    let shared = talk(1, 2);
    // Another conversation of the younger one, in the slot of the shared one.
    let same_slot = (3..).map(|id| talk(2, id)).find(|id| id.slot() == shared.slot()).unwrap();
    world.say(shared, user(1), "first").await;
    world.say(same_slot, user(2), "beside").await;
    let older = isolate(&world, user(1), &[shared], &[ShardId(1)]).await;
    isolate(&world, user(2), &[same_slot], &[ShardId(2)]).await;
    undo(&world, older).await;
    let map = world.map().await;
    assert_eq!(map.unit_of(shared), shared.slot().unit(), "its rows came home");
    assert_eq!(shard_of(&map, same_slot), ShardId(2));
    let forget = MapChange::ForgetUser { user: user(1) };
    let error = map.apply(&forget).unwrap_err();
    assert!(error.to_string().contains("isolate that conversation first"), "{error}");
    assert_eq!(world.say(shared, user(2), "second").await, 2);
    assert_eq!(world.texts(shared).await, ["first", "second"]);
    assert_eq!(world.texts(same_slot).await, ["beside"]);
    world.clean().await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_group_of_ten_thousand_moves_whole() {
    let world = World::new(2).await;
    world.start();
    let id = ConversationId::new_group(START, [7; 10]);
    let group = NewGroup {
        name: "all".to_owned(),
        members: vec![user(2)],
        create_hash: None,
        ..NewGroup::default()
    };
    world.act_within(10_000, id, user(1), Action::CreateGroup(group)).await;
    let everybody: Vec<UserId> = (3..=10_000).map(user).collect();
    for users in everybody.chunks(1_000) {
        let add = Action::AddMembers { users: users.to_vec() };
        world.act_within(10_000, id, user(1), add).await;
    }
    let from = shard_of(&world.map().await, id);
    let to = ShardId(1 - from.0);
    let job = world.begin_moves(world.one(id.slot().unit(), from.0, to.0)).await;
    for n in 1..=20 {
        assert_eq!(world.say(id, user(n * 400), &n.to_string()).await, n);
    }
    assert_eq!(world.over(job).await, JobState::Done);
    let rows = world.memory[&to].scan_unit(id.slot().unit(), None, 1_000_000).await.unwrap().rows;
    let present = rows.iter().filter(|row| matches!(row, Row::Member(row) if row.is_present()));
    assert_eq!(present.count(), 10_000);
    assert_eq!(world.texts(id).await.len(), 20);
    world.clean().await;
    world.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_conversation_of_a_million_messages_moves_while_it_grows() {
    const MESSAGES: usize = 1_000_000;
    const AT_ONCE: usize = 10_000;
    let world = World::wide(2).await;
    let id = talk(1, 2);
    let from = shard_of(&world.map().await, id);
    let unit = id.slot().unit();
    let at = UnitAt { unit, epoch: world.map().await.home(unit).unwrap().epoch };
    let message = NewMessage {
        kind: MessageKind::Text,
        content: "m".to_owned(),
        client_id: None,
        payload_hash: 0,
        reply_to: None,
        mentions: Vec::new(),
        attachments: Some(Vec::new()),
    };
    let send = Action::Send(message);
    let command = ConversationCommand { conversation: id, actor: user(1), action: send };
    let order = Order { at, command: Command::Conversation(command) };
    let orders = Arc::new(vec![order; AT_ONCE]);
    for n in 0..MESSAGES / AT_ONCE {
        let limits = Limits::default();
        let batch = Batch { now: START + n as i64, limits, orders: Arc::clone(&orders) };
        let commit = world.memory[&from].commit(batch).await.unwrap();
        assert!(commit.answers.iter().all(|answer| matches!(answer, Answer::Done { .. })));
    }
    world.start();
    let job = world.begin_moves(world.one(unit, from.0, 1 - from.0)).await;
    for n in 1..=20 {
        assert_eq!(world.say(id, user(2), "more").await, MESSAGES as u64 + n);
    }
    assert_eq!(world.over(job).await, JobState::Done);
    let heads = world.memory[&ShardId(1 - from.0)].heads(unit, None, 10).await.unwrap();
    assert_eq!(heads.first().unwrap().head_seq, MESSAGES as u64 + 20);
    assert_eq!(world.texts(id).await.len(), MESSAGES + 20);
    world.check().await;
}
