//! What is busy on this node, with a command that an operator could give. Nothing is done by itself.

use std::sync::Arc;

use axum::extract::State;
use ostracon_domain::{Party, ShardId, UnitId};
use ostracon_proto::{
    query::Limit,
    rest::admin::{Hot, HotThing},
};

use crate::{
    app::App,
    error::ApiResult,
    extract::{Operator, QueryText},
    moves::Facts,
    respond::ok,
};

const LIMIT: Limit = Limit { default: 10, max: 100 };
/// Shards that a hot user is spread over.
const SPREAD: usize = 2;

pub(crate) async fn hot(State(app): State<Arc<App>>, _: Operator, query: QueryText) -> ApiResult {
    let limit = query.get().limit(LIMIT)?;
    let facts = Facts::gather(&app).await?;
    let hottest = app.engine.hottest(limit as usize);
    let targets = targets(&facts);
    let home = |unit: UnitId| facts.map.home(unit).map_or(ShardId(u32::MAX), |home| home.shard);
    let elsewhere = |from: ShardId| targets.iter().copied().filter(move |id| *id != from);
    let units = hottest.units.iter().map(|hot| {
        let shard = home(hot.what);
        // A carved unit is moved by naming what is in it.
        let slot = hot.what.slot().is_some().then_some(hot.what.0);
        let to = elsewhere(shard).next();
        let suggestion = slot.zip(to).map(|(slot, to)| {
            format!("ostracon shards move --slot {slot}..{} --to {to}", slot + 1)
        });
        HotThing { what: hot.what.to_string(), shard: shard.0, cost: hot.cost, suggestion }
    });
    let conversations = hottest.conversations.iter().map(|hot| {
        let shard = home(facts.map.unit_of(hot.what));
        let which = match hot.what.party() {
            Party::Direct { lo, hi } => format!("--pair {lo}:{hi}"),
            Party::Group => format!("--conversation {}", hot.what),
        };
        let suggestion =
            elsewhere(shard).next().map(|to| format!("ostracon shards move {which} --to {to}"));
        HotThing { what: hot.what.to_string(), shard: shard.0, cost: hot.cost, suggestion }
    });
    let users = hottest.users.iter().map(|hot| {
        let shard = home(facts.map.unit_of_user(hot.what));
        let to: Vec<_> = elsewhere(shard).take(SPREAD).map(|id| id.to_string()).collect();
        let suggestion = (!to.is_empty())
            .then(|| format!("ostracon shards move --user {} --to {}", hot.what, to.join(",")));
        HotThing { what: hot.what.to_string(), shard: shard.0, cost: hot.cost, suggestion }
    });
    Ok(ok(&Hot {
        units: units.collect(),
        conversations: conversations.collect(),
        users: users.collect(),
    }))
}

/// Shards that take units and answer, those with the fewest messages first.
fn targets(facts: &Facts) -> Vec<ShardId> {
    let messages =
        |id: &ShardId| facts.stats.get(id).and_then(|stats| Some(stats.as_ref().ok()?.messages));
    let mut targets: Vec<_> = facts.accepting();
    targets.retain(|id| messages(id).is_some());
    targets.sort_by_key(|id| (messages(id), *id));
    targets
}
