//! Shards as an operator sees them: what each is and holds, one more, one less; what lives apart; what is left behind.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Request, State},
    response::Response,
};
use ostracon_domain::{PlacementMap, ShardId};
use ostracon_proto::{Invalid, rest::admin};
use ostracon_store::{
    DirectoryError,
    directory::{Garbage, ShardAdmission, ShardRow},
};

use super::users::body;
use crate::{
    app::App,
    audit,
    config::ShardUrl,
    error::{ApiError, ApiResult},
    extract::{Operator, Params},
    moves::Facts,
    respond::{created, no_content, ok},
};

pub(crate) async fn list(State(app): State<Arc<App>>, _: Operator) -> ApiResult {
    let facts = Facts::gather(&app).await?;
    let active = app.directory.unfinished_moves().await?;
    let garbage = app.directory.garbage().await?;
    let mut shards: Vec<_> = facts.rows.iter().map(|row| shown(row, &facts)).collect();
    for shard in &mut shards {
        let names = |id: ShardId| id.0 == shard.shard;
        shard.moves =
            active.iter().filter(|row| names(row.source) || names(row.destination)).count() as u64;
        shard.garbage = garbage.iter().filter(|left| names(left.shard)).count() as u64;
    }
    Ok(ok(&admin::Shards {
        map_version: facts.map.version,
        shards,
        moves: active.len() as u64,
        garbage: garbage.len() as u64,
    }))
}

fn shown(row: &ShardRow, facts: &Facts) -> admin::Shard {
    let url = ShardUrl::from(row.url.as_str());
    let stats = match facts.stats.get(&row.id) {
        Some(stats) => stats.clone(),
        None => Err("it is not open here".to_owned()),
    };
    let (stats, error) = match stats {
        Ok(stats) => (stats, None),
        Err(error) => (Default::default(), Some(error)),
    };
    admin::Shard {
        shard: row.id.0,
        kind: if url.is_embedded() { "embedded" } else { "postgres" }.to_owned(),
        url: url.shown(),
        state: match row.state {
            ShardAdmission::Accepting => admin::ShardAdmission::Accepting,
            ShardAdmission::Draining => admin::ShardAdmission::Draining,
        },
        error,
        units: facts.map.units().filter(|(_, home)| home.shard == row.id).count() as u64,
        conversations: stats.conversations,
        messages: stats.messages,
        users: stats.users,
        bytes: stats.bytes,
        moves: 0,
        garbage: 0,
    }
}

/// A refusal by the directory is a sentence for the operator.
pub(super) fn refused(error: DirectoryError) -> ApiError {
    match error {
        DirectoryError::Refused(sentence) => ApiError::conflict(capital(&sentence)),
        error => error.into(),
    }
}

/// A sentence as sentences begin and end.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// A number of a path that names a shard the directory knows.
pub(super) async fn known(app: &App, id: u64) -> Result<ShardRow, ApiError> {
    let rows = app.directory.shards().await?;
    let row = rows.into_iter().find(|row| u64::from(row.id.0) == id);
    row.ok_or_else(|| {
        ApiError::not_found(format!("There is no shard {id}: `ostracon shards status` lists them."))
    })
}

pub(crate) async fn add(
    State(app): State<Arc<App>>,
    operator: Operator,
    request: Request,
) -> Result<Response, ApiError> {
    let wanted: admin::AddShard = body(request).await?;
    let url = ShardUrl::from(wanted.url.trim());
    if let Err(sentence) = app.backends.check(&url) {
        return Err(Invalid::new("url", sentence).into());
    }
    let _one = app.changing_shards.lock().await;
    // Its number comes first: tables are made for a number. Nobody uses the shard before the engine has it, and at a
    // start after a crash one without units is made again.
    let row = app.directory.add_shard(url.as_str()).await.map_err(refused)?;
    let opened = app.backends.add_shard(&row).await;
    let added = match opened {
        Ok(shard) => app.engine.add_shard(shard).await.map_err(|error| error.to_string()),
        Err(sentence) => Err(sentence),
    };
    if let Err(sentence) = added {
        app.backends.remove_shard(row.id).await;
        if let Err(error) = app.directory.remove_shard(row.id).await {
            tracing::error!(%error, shard = row.id.0, "a shard that could not be opened stays known");
        }
        return Err(ApiError::conflict(format!("The shard cannot be used: {sentence}.")));
    }
    let target = format!("shard {}", row.id);
    audit::record(&app, operator, "shard.add", target, url.shown()).await;
    let facts = Facts::gather(&app).await?;
    Ok(created(&shown(&row, &facts)))
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    operator: Operator,
    Params(id): Params<u64>,
) -> ApiResult {
    let row = known(&app, id).await?;
    let _one = app.changing_shards.lock().await;
    if app.directory.shards().await?.len() == 1 {
        return Err(ApiError::conflict("It is the last shard."));
    }
    // No move begins to it any more while the rest is looked at.
    app.directory.set_admission(row.id, ShardAdmission::Draining).await?;
    if let Err(error) = remove_known(&app, row.id).await {
        app.directory.set_admission(row.id, row.state).await?;
        return Err(error);
    }
    audit::record(&app, operator, "shard.remove", format!("shard {id}"), "").await;
    Ok(no_content())
}

async fn remove_known(app: &App, id: ShardId) -> Result<(), ApiError> {
    let in_use = |why: String| Err(ApiError::conflict(format!("Shard {id} is in use: {why}.")));
    let map = app.directory.map().await?;
    let units = map.units().filter(|(_, home)| home.shard == id).count();
    if units > 0 {
        return in_use(format!(
            "it is the home of {units} units, `ostracon shards drain {id}` empties it"
        ));
    }
    if app.directory.garbage().await?.iter().any(|left| left.shard == id) {
        return in_use(
            "leftovers of moves are still being removed, try again in a moment".to_owned(),
        );
    }
    app.engine.refresh_map().await?;
    // What it has committed must have been told to everybody before it is forgotten.
    if let Some(shard) = app.engine.shards().get(&id).cloned() {
        app.engine.remove_shard(id).await?;
        if let Err(error) = app.directory.remove_shard(id).await {
            app.engine.add_shard(shard).await?;
            return Err(refused(error));
        }
    } else {
        app.directory.remove_shard(id).await.map_err(refused)?;
    }
    app.backends.remove_shard(id).await;
    Ok(())
}

pub(crate) async fn accept(
    State(app): State<Arc<App>>,
    operator: Operator,
    Params(id): Params<u64>,
) -> ApiResult {
    let row = known(&app, id).await?;
    set_admission(&app, operator, row.id, ShardAdmission::Accepting).await?;
    let facts = Facts::gather(&app).await?;
    let row = facts.row(row.id).cloned().unwrap_or(row);
    Ok(ok(&shown(&row, &facts)))
}

/// Changes whether a shard takes units, and writes it down.
pub(super) async fn set_admission(
    app: &App,
    operator: Operator,
    id: ShardId,
    to: ShardAdmission,
) -> Result<(), ApiError> {
    app.directory.set_admission(id, to).await?;
    let word = match to {
        ShardAdmission::Accepting => "accepting",
        ShardAdmission::Draining => "draining",
    };
    audit::record(app, operator, "shard.state", format!("shard {id}"), word).await;
    Ok(())
}

pub(crate) async fn overrides(State(app): State<Arc<App>>, _: Operator) -> ApiResult {
    let map = app.directory.map().await?;
    Ok(ok(&overrides_of(&map)))
}

fn overrides_of(map: &PlacementMap) -> admin::Overrides {
    let home = |unit| map.home(unit).map_or(u32::MAX, |home| home.shard.0);
    let conversations = map.overrides().map(|(id, unit)| admin::IsolatedConversation {
        conversation_id: id.to_string(),
        unit: unit.0,
        shard: home(unit),
    });
    let mut users: Vec<_> = map
        .user_overrides()
        .map(|hot| {
            let mut slots: BTreeMap<_, u64> = BTreeMap::new();
            hot.table.values().for_each(|unit| *slots.entry(*unit).or_default() += 1);
            let units = slots.into_iter().map(|(unit, slots)| admin::SlotUnits {
                unit: unit.0,
                shard: home(unit),
                slots,
            });
            admin::HotUser {
                user_id: hot.user.get(),
                rank: hot.rank,
                targets: hot.targets.iter().map(|id| id.0).collect(),
                own_unit: hot.own.map(|unit| unit.0),
                units: units.collect(),
            }
        })
        .collect();
    users.sort_by_key(|hot| hot.rank);
    admin::Overrides { map_version: map.version, conversations: conversations.collect(), users }
}

pub(crate) async fn garbage(State(app): State<Arc<App>>, _: Operator) -> ApiResult {
    Ok(ok(&leftovers(app.directory.garbage().await?)))
}

/// Asks for a look at leftovers; what cannot be removed yet is looked at again and again.
pub(crate) async fn collect(State(app): State<Arc<App>>, operator: Operator) -> ApiResult {
    app.moves.coordinator.wake();
    audit::record(&app, operator, "shards.gc", "leftovers", "").await;
    Ok(ok(&leftovers(app.directory.garbage().await?)))
}

fn leftovers(garbage: Vec<Garbage>) -> admin::Garbage {
    let garbage = garbage.into_iter().map(|left| admin::Leftover {
        garbage_id: left.id,
        shard: left.shard.0,
        unit: left.unit.0,
        epoch: left.epoch.0,
        since: left.since,
    });
    admin::Garbage { garbage: garbage.collect() }
}
