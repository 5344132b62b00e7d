//! One random schedule of a configuration: anything may happen for a while, then only what needs
//! nobody's help, to its end.

use super::{Fault, configs::Config, tables::Tables, world::World};

/// Steps after which a quiet run would have ended long ago.
const QUIET_STEPS_MAX: usize = 2_000;

pub(super) fn walk(config: &'static Config, fault: Option<Fault>, seed: u64) -> Result<(), String> {
    let tables = Tables::new(config);
    let mut world = World::new(&tables, fault);
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd1b5_4a32_d192_ed03;
    let mut pick = move |count: usize| {
        // xorshift64*, enough for choosing steps.
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        (random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % count
    };
    let wild = 10 + pick(60);
    for at in 0..wild + QUIET_STEPS_MAX {
        let mut steps = world.steps();
        if at >= wild {
            steps.retain(|step| step.quiet);
        }
        if steps.is_empty() {
            if at >= wild {
                return world.good();
            }
            continue;
        }
        let chosen = pick(steps.len());
        let step = steps.swap_remove(chosen);
        world.check_step(&step.world)?;
        step.world.check()?;
        world = step.world;
    }
    Err("livelock: reactions never end".to_owned())
}
