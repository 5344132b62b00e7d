//! Dispatch, registration and sync interleaved by force: nothing is missed, nothing counts twice.

use std::{collections::BTreeSet, sync::Arc};

use ostracon_domain::ConversationId;
use ostracon_proto::{Encoding, frame::ServerFrame};

use crate::world::{ALICE, BOB, Line, World, yield_all};

/// Revs of messages that a connection was told of, and whether `hello` came first.
fn told(line: &Line) -> (Vec<u64>, bool) {
    let frames = line.read();
    let hello = frames.first().is_some_and(|frame| frame.contains("\"hello\""));
    let rev = |frame: &String| match ServerFrame::decode(frame).unwrap().frame {
        ServerFrame::NewMessage(new) => Some(new.0.rev),
        _ => None,
    };
    (frames.iter().filter_map(rev).collect(), hello)
}

#[tokio::test(start_paused = true)]
async fn a_message_between_snapshot_and_attach_is_seen_exactly_once() {
    const POINTS: usize = 6;
    // A message is committed at one point, dispatching is paused from one point to another.
    for message_at in 0..POINTS {
        for (pause_at, resume_at) in (0..POINTS).flat_map(|a| (a..=POINTS).map(move |b| (a, b))) {
            let world = World::new().await;
            let id = ConversationId::direct(ALICE, BOB);
            world.say(ALICE, id, "old").await;
            world.settle().await;
            let shard = Arc::clone(world.shard_of_user(BOB));
            shard.hold_answer("inbox_large");
            let (mut connecting, mut line, mut synced, mut sending) = (None, None, None, None);
            for point in 0..=POINTS {
                if point == resume_at {
                    world.engine().resume_dispatch();
                    yield_all().await;
                }
                if point == pause_at && pause_at < resume_at {
                    world.engine().pause_dispatch();
                }
                if point == message_at {
                    let (engine, action) = (Arc::clone(world.engine()), world.text("new"));
                    sending = Some(tokio::spawn(async move {
                        engine.run(ALICE, id, action).await.unwrap();
                    }));
                    yield_all().await;
                }
                match point {
                    1 => {
                        let engine = Arc::clone(world.engine());
                        connecting = Some(tokio::spawn(async move {
                            engine.connect(BOB, 1, Encoding::Json).await.unwrap()
                        }));
                        yield_all().await;
                    }
                    2 => shard.release_answer(),
                    3 => {
                        // The list may be waiting for a lane, and that for the dispatcher.
                        yield_all().await;
                        if connecting.as_ref().unwrap().is_finished() {
                            let connection = connecting.take().unwrap().await.unwrap();
                            line = Some(Line { connection });
                        }
                    }
                    4 if line.is_some() => {
                        let engine = Arc::clone(world.engine());
                        synced =
                            Some(tokio::spawn(
                                async move { engine.sync(BOB, None, 10).await.unwrap() },
                            ));
                        yield_all().await;
                    }
                    _ => {}
                }
            }
            world.engine().resume_dispatch();
            let line = match line {
                Some(line) => line,
                None => Line { connection: connecting.unwrap().await.unwrap() },
            };
            let page = match synced {
                Some(synced) => synced.await.unwrap(),
                None => world.engine().sync(BOB, None, 10).await.unwrap(),
            };
            sending.unwrap().await.unwrap();
            world.settle().await;
            let (events, hello) = told(&line);
            let case = format!("message {message_at}, pause {pause_at}..{resume_at}");
            assert!(hello, "{case}");
            // What the list holds, and events above it without a gap; an event up to it is ignored.
            let held = page.entries[0].overview.conversation.rev;
            let unique: BTreeSet<u64> = events.iter().copied().collect();
            assert_eq!(unique.len(), events.len(), "{case}");
            let above: Vec<u64> = unique.into_iter().filter(|rev| *rev > held).collect();
            let missing: Vec<u64> = (held + 1..=5).collect();
            assert_eq!(above, missing, "{case}: list at {held}, events {events:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_stops_connecting_is_forgotten() {
    let world = World::new().await;
    let shard = Arc::clone(world.shard_of_user(BOB));
    shard.hold_answer("inbox_large");
    let engine = Arc::clone(world.engine());
    let connecting =
        tokio::spawn(async move { engine.connect(BOB, 1, Encoding::Json).await.unwrap() });
    shard.until_held().await;
    assert_eq!(world.engine().connection_count(), 1);
    connecting.abort();
    assert!(connecting.await.is_err());
    assert_eq!(world.engine().connection_count(), 0);
}
