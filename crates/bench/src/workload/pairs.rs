//! `ping` and `pairs`: users who write to each other.

use anyhow::Result;

use super::Bench;
use crate::{report::Report, swarm::Role};

pub(super) async fn run(
    bench: &mut Bench<'_>,
    pairs: usize,
    in_flight: usize,
    one_sided: bool,
) -> Result<Report> {
    let pairs = bench.options.scale.unwrap_or(pairs);
    let in_flight = bench.options.in_flight.unwrap_or(in_flight);
    let users = bench.users(2 * pairs).await?;
    let mut roles = Vec::with_capacity(users.len());
    for pair in users.chunks_exact(2) {
        for (user, peer, sends) in [(&pair[0], &pair[1], true), (&pair[1], &pair[0], !one_sided)] {
            let target = sends.then(|| format!("\"to\":{}", peer.user_id));
            let targets = target.into_iter().collect();
            // A pair's messages in flight are shared by its two senders.
            let share = if one_sided { in_flight } else { in_flight.div_ceil(2) };
            roles.push(Role { user: user.clone(), targets, in_flight: share });
        }
    }
    let (mut report, seen) = bench.talk(roles).await?;
    for pair in seen.chunks_exact(2) {
        // Both ends of a conversation have seen the same head.
        for (id, head) in pair[0].heads() {
            report.lost += head.abs_diff(pair[1].head(id));
        }
    }
    Ok(report)
}
