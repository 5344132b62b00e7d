//! Which calls are slow, lost, repeated, or the last one of their node. Drawn from the seed; counted by step.

use std::{collections::BTreeMap, time::Duration};

use parking_lot::Mutex;

use crate::random::Random;

/// Cases of a million calls.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// The request never arrives.
    pub lost_requests: u32,
    /// It arrives and runs, and its answer does not.
    pub lost_answers: u32,
    /// The caller gives up while the request is still on its way.
    pub late: u32,
    /// A mover's request arrives once more, later.
    pub repeated: u32,
    /// It waits for seconds.
    pub slow: u32,
    /// Its node stands still for seconds, before or after.
    pub stalls: u32,
    /// The coordinator that asked dies, before or after.
    pub crashes: u32,
    /// The shard that is asked starts anew, before or after.
    pub restarts: u32,
    /// Everything takes so many times as long.
    pub slowness: u32,
}

impl Weather {
    /// Every fault there is.
    pub const fn storm() -> Self {
        Self {
            lost_requests: 4_000,
            lost_answers: 5_000,
            late: 9_000,
            repeated: 30_000,
            slow: 600,
            stalls: 700,
            crashes: 2_500,
            restarts: 2_000,
            slowness: 1,
        }
    }

    /// Slow networks only.
    pub const fn calm() -> Self {
        Self {
            lost_requests: 0,
            lost_answers: 0,
            late: 0,
            repeated: 0,
            slow: 0,
            stalls: 0,
            crashes: 0,
            restarts: 0,
            slowness: 1,
        }
    }
}

/// How much more often something happens at a step that is rare.
const RARE: u32 = 6;

/// Who calls: that decides what may happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A step of a move that changes something.
    Step,
    /// One that comes once in a move, or less.
    Rare,
    /// A question of a coordinator.
    Question,
    /// A batch of clients' commands; `floats` when each of them is harmless to run at any later time.
    Batch { floats: bool },
}

/// What happens to one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fate {
    pub(crate) before: Duration,
    pub(crate) after: Duration,
    pub(crate) request_lost: bool,
    pub(crate) answer_lost: bool,
    pub(crate) patience: Option<Duration>,
    pub(crate) again_after: Option<Duration>,
    /// It runs right behind the n-th step that comes after it at the same place.
    pub(crate) behind: Option<u64>,
    /// The place starts anew, before or after.
    pub(crate) restart: Option<When>,
    pub(crate) stall: Option<(When, Duration)>,
    pub(crate) crash: Option<When>,
}

/// Around the moment at which a request runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    After,
}

/// Kinds of faults, as they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The coordinator died at this step.
    Crash,
    /// The node stood still at this step.
    Stall,
    /// The request ran after its sender had given it up.
    Late,
    /// The request ran once more.
    Repeat,
    /// The request or the answer was lost.
    Lost,
    /// A shard was started anew.
    Restart,
    /// A clock jumped.
    Clock,
    /// The directory did not answer for a while.
    Outage,
    /// The task of a move was killed.
    Kill,
    /// A node did not hear of changes of the map for a while.
    Deaf,
}

/// Faults by step.
pub type Faults = BTreeMap<(&'static str, Fault), u64>;

/// The weather and what it has done.
pub(crate) struct Sky {
    weather: Mutex<Weather>,
    faults: Mutex<Faults>,
}

impl Sky {
    pub(crate) fn new(weather: Weather) -> Self {
        Self { weather: Mutex::new(weather), faults: Mutex::default() }
    }

    pub(crate) fn clear_up(&self) {
        *self.weather.lock() = Weather::calm();
    }

    pub(crate) fn count(&self, step: &'static str, fault: Fault) {
        *self.faults.lock().entry((step, fault)).or_default() += 1;
    }

    pub(crate) fn faults(&self) -> Faults {
        self.faults.lock().clone()
    }

    pub(crate) fn draw(&self, random: &Random, caller: Caller) -> Fate {
        let mut weather = *self.weather.lock();
        if caller == Caller::Rare {
            for cases in [
                &mut weather.lost_requests,
                &mut weather.lost_answers,
                &mut weather.late,
                &mut weather.crashes,
            ] {
                *cases *= RARE;
            }
        }
        // Deaths between two steps are all the same; those around a step are not.
        let crashes = match caller {
            Caller::Step | Caller::Rare => weather.crashes,
            Caller::Question => weather.crashes / 10,
            Caller::Batch { .. } => 0,
        };
        let stalls = match caller {
            Caller::Step => weather.stalls * 4,
            Caller::Rare => weather.stalls * 4 * RARE,
            _ => weather.stalls / 4,
        };
        let when = |random: &Random| if random.percent(50) { When::Before } else { When::After };
        let mut fate = Fate {
            before: delay(random) * weather.slowness,
            after: delay(random) * weather.slowness,
            request_lost: random.of_a_million(weather.lost_requests),
            answer_lost: random.of_a_million(weather.lost_answers),
            patience: None,
            again_after: None,
            behind: None,
            restart: None,
            stall: None,
            crash: None,
        };
        let (slow, longest) = match caller {
            // About as long as a freeze: a straggler.
            Caller::Batch { .. } => (weather.slow * 8, 400),
            _ => (weather.slow, 3_000),
        };
        if random.of_a_million(slow) {
            fate.before += Duration::from_millis(random.between(20, longest));
        }
        let floats = !matches!(caller, Caller::Batch { floats: false });
        if floats && random.of_a_million(weather.late) {
            fate.patience = Some(Duration::from_millis(random.between(1, 40)));
            fate.before = Duration::from_millis(match random.below(4) {
                0 => random.between(200, 4_000),
                _ => random.between(5, 200),
            });
        }
        let repeats = matches!(caller, Caller::Step | Caller::Rare);
        if repeats && random.of_a_million(weather.repeated) {
            fate.again_after = Some(Duration::from_millis(match random.below(4) {
                0 => random.between(100, 5_000),
                1 => random.between(20, 300),
                _ => random.between(1, 20),
            }));
        }
        if repeats && random.of_a_million(weather.late) {
            // Between two steps of whoever went on without it: the worst moment for most things.
            fate.behind = Some(random.between(1, 6));
        }
        if repeats && random.of_a_million(weather.restarts) {
            fate.restart = Some(when(random));
        }
        if random.of_a_million(stalls) {
            fate.stall = Some((when(random), Duration::from_millis(random.between(100, 6_000))));
        }
        if random.of_a_million(crashes) {
            fate.crash = Some(when(random));
        }
        fate
    }
}

/// Mostly nothing, seldom long.
fn delay(random: &Random) -> Duration {
    let ms = match random.below(1_000) {
        0..=699 => 0,
        700..=899 => 1,
        900..=989 => random.between(2, 5),
        990..=998 => random.between(6, 40),
        _ => random.between(41, 300),
    };
    Duration::from_millis(ms)
}
