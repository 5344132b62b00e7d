//! `hub`: one user who writes to very many, one after the other.

use anyhow::Result;

use super::Bench;
use crate::{report::Report, swarm::Role};

const PEERS: usize = 20_000;
const IN_FLIGHT: usize = 64;

pub(super) async fn run(bench: &mut Bench<'_>) -> Result<Report> {
    let peers = bench.options.scale.unwrap_or(PEERS);
    let in_flight = bench.options.in_flight.unwrap_or(IN_FLIGHT);
    let mut users = bench.users(peers + 1).await?.into_iter();
    let Some(user) = users.next() else { return Ok(Report::default()) };
    bench.say(&format!("user {} writes to {peers}", user.user_id));
    let targets = users.map(|peer| format!("\"to\":{}", peer.user_id)).collect();
    let (report, _) = bench.talk(vec![Role { user, targets, in_flight }]).await?;
    Ok(report)
}
