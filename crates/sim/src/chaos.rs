//! What breaks by itself: shards start anew, nodes stand still, clocks jump, the directory is out, tasks die.

use std::{sync::Arc, time::Duration};

use ostracon_domain::ShardId;
use ostracon_reshard::{Coordinator, Options};
use ostracon_store::Directory;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    faulty_directory::Outage,
    ground::Ground,
    node::{Node, SimHost},
    operator::Seat,
    random::Random,
    weather::Fault,
};

pub(crate) struct Chaos {
    pub(crate) ground: Arc<Ground>,
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) seats: Vec<Arc<Seat>>,
    pub(crate) outage: Arc<Outage>,
    pub(crate) calm: CancellationToken,
}

impl Chaos {
    pub(crate) async fn reign(&self) {
        let Ground { random, sky, journal, .. } = &*self.ground;
        let shards: Vec<ShardId> = self.ground.shards.keys().copied().collect();
        let pause = random.between(100, 1_500);
        while !self.calm.is_cancelled() {
            sleep(Duration::from_millis(random.between(10, pause))).await;
            let ms = |low, high| Duration::from_millis(random.between(low, high));
            let Some(node) = random.pick(&self.nodes) else { return };
            match random.below(100) {
                0..30 => {
                    let Some(id) = random.pick(&shards) else { return };
                    let Some(shard) = self.ground.shards.get(id) else { return };
                    journal.note(format_args!("chaos: shard {id} starts anew"));
                    sky.count("shard", Fault::Restart);
                    shard.restart();
                }
                30..55 => {
                    let Some(seat) = random.pick(&self.seats) else { return };
                    let coordinator = seat.lock().clone();
                    for id in coordinator.iter().flat_map(|one| one.moves_under_way()) {
                        if random.percent(50) {
                            journal.note(format_args!("chaos: the task of move {id} dies"));
                            sky.count("move", Fault::Kill);
                            if let Some(one) = &coordinator {
                                one.kill(id);
                            }
                        }
                    }
                }
                55..70 => {
                    sky.count("node", Fault::Deaf);
                    node.deafen(ms(10, 2_000));
                }
                70..78 => {
                    journal.note(format_args!("chaos: node {} stands still", node.id));
                    sky.count("node", Fault::Stall);
                    node.stall(ms(50, 5_000));
                }
                78..90 => {
                    let off = random.below(20_000) as i64 - 10_000;
                    journal.note(format_args!("chaos: the clock of node {} is off {off}", node.id));
                    sky.count("node", Fault::Clock);
                    node.set_clock(off);
                }
                90..95 => {
                    sky.count("directory", Fault::Outage);
                    self.outage.lasts(ms(20, 1_200));
                }
                _ => {
                    sky.count("coordinator", Fault::Crash);
                    node.die();
                }
            }
        }
        for node in &self.nodes {
            node.set_clock(0);
        }
    }
}

/// Bounds that make small things large.
pub(crate) fn options(random: &Random) -> Options {
    // From "never in time, if anything is slow" to the real one.
    let budget = [30, 60, 120, 250].get(random.below(4) as usize).copied().unwrap_or(250);
    Options {
        freeze_budget: Duration::from_millis(budget),
        page_rows: 20,
        subjects_at_once: 3,
        backlog_small: 2,
        rounds_max: 6,
        freezes_max: 5,
        freeze_pause: Duration::from_millis(20),
        retry: Duration::from_millis(15),
        tick: Duration::from_millis(50),
        purge_rows: 9,
        ..Options::default()
    }
}

/// Keeps a coordinator on its seat: one that dies is followed by a new one.
pub(crate) async fn supervise(
    ground: Arc<Ground>,
    host: Arc<SimHost>,
    directory: Arc<dyn Directory>,
    seat: Arc<Seat>,
) {
    let node = Arc::clone(&host.node);
    loop {
        let host = Arc::clone(&host);
        let coordinator =
            Coordinator::new(host, Arc::clone(&directory), options(&ground.random), node.id);
        *seat.lock() = Some(Arc::clone(&coordinator));
        let stop = CancellationToken::new();
        let mut task = tokio::spawn(coordinator.run(stop.clone()));
        tokio::select! {
            biased;
            () = node.died.notified() => {}
            ended = &mut task => {
                ground.fail(format!("a coordinator ended by itself: {ended:?}"));
                return;
            }
        }
        *seat.lock() = None;
        // Some are told to stop before.
        let orderly = ground.random.percent(10);
        if orderly {
            stop.cancel();
        } else {
            task.abort();
        }
        if timeout(Duration::from_secs(5), &mut task).await.is_err() {
            task.abort();
        }
        let pause = if ground.random.percent(20) { 4_000 } else { 300 };
        sleep(Duration::from_millis(ground.random.between(1, pause))).await;
    }
}
