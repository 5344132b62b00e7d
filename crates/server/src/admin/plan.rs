//! From what an operator asks for to a job: spreading, draining, balancing, moving by hand.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::extract::{Request, State};
use ostracon_domain::{
    ConversationId, MapChange, Party, Row, ShardId, Slot, Subject, UnitAt, UnitId, UserId,
    id::SLOTS,
};
use ostracon_engine::EngineError;
use ostracon_proto::{
    Invalid,
    rest::admin::{MoveRequest, PlanRequest, PlanShard, Planned},
};
use ostracon_reshard::plan::{self, NoPlan, Plan};
use ostracon_store::{
    Read, SubjectVersion,
    directory::{MovePhase, ShardAdmission},
};
use serde_json::json;

use super::{
    jobs::{begin, store},
    shards::{capital, known, refused},
    users::{body, named},
};
use crate::{
    app::App,
    audit,
    error::{ApiError, ApiResult},
    extract::{Operator, Params},
    moves::{Asked, Facts},
    respond::{created, ok},
};

/// Shards that a plan may count in.
const SHARDS_MAX: u32 = 1_024;
/// Units that were moved to even things out stay for so long, milliseconds.
const REST_MS: i64 = 60 * 60 * 1_000;
/// Jobs that are looked at for such units.
const JOBS: u32 = 100;
/// Characters of a text of a request: two users by external ids fit.
const TEXT_CHARS_MAX: usize = 600;

/// A plan with what is told of it.
struct Drawn {
    plan: Plan,
    title: String,
    /// Shards that are not there yet.
    ghosts: Vec<ShardId>,
    asked: Asked,
}

pub(crate) async fn plan(
    State(app): State<Arc<App>>,
    operator: Operator,
    request: Request,
) -> ApiResult {
    let wanted: PlanRequest = body(request).await?;
    let facts = Facts::gather(&app).await?;
    let mut drawn = draw(&app, &facts, &wanted).await?;
    let mut planned = planned(&facts, &drawn);
    if wanted.dry_run || drawn.plan.moves.is_empty() {
        return Ok(ok(&planned));
    }
    (drawn.asked.rows, drawn.asked.bytes) = (planned.rows, planned.bytes);
    let job = store(&app, operator, drawn.title, &drawn.asked, drawn.plan.moves).await?;
    planned.job_id = Some(job.id);
    Ok(created(&planned))
}

pub(crate) async fn drain(
    State(app): State<Arc<App>>,
    operator: Operator,
    Params(id): Params<u64>,
) -> ApiResult {
    let row = known(&app, id).await?;
    let facts = Facts::gather(&app).await?;
    let wanted = PlanRequest { drain: Some(row.id.0), ..PlanRequest::default() };
    let mut drawn = draw(&app, &facts, &wanted).await?;
    let planned = planned(&facts, &drawn);
    (drawn.asked.rows, drawn.asked.bytes) = (planned.rows, planned.bytes);
    let job = store(&app, operator, drawn.title, &drawn.asked, drawn.plan.moves).await?;
    Ok(created(&begin(&app, operator, job).await?))
}

async fn draw(app: &App, facts: &Facts, wanted: &PlanRequest) -> Result<Drawn, ApiError> {
    let (map, sizes) = (&facts.map, facts.sizes());
    let accepting = facts.accepting();
    let units = facts.units();
    let mut ghosts = Vec::new();
    let mut asked = Asked {
        what: json!({"add": wanted.add, "drain": wanted.drain, "shards": wanted.shards, "balance": wanted.balance}),
        ..Asked::default()
    };
    let next = facts.rows.iter().map(|row| row.id.0 + 1).max().unwrap_or(0);
    let mut missing = |field: &'static str, count: usize, there: &str| {
        if count == 0 {
            return Ok(Vec::new());
        }
        if !wanted.dry_run {
            let told = format!(
                "{there}: add {count} more with `ostracon shards add --url URL`, or look with --dry-run"
            );
            return Err(ApiError::from(Invalid::new(field, told)));
        }
        ghosts = (0..count as u32).map(|n| ShardId(next + n)).collect();
        Ok(ghosts.clone())
    };
    let (plan, title) = match (wanted.add, wanted.drain, wanted.shards, wanted.balance) {
        (Some(count), None, None, false) => {
            bounded("add", count)?;
            let (used, empty): (Vec<_>, Vec<_>) =
                accepting.iter().partition(|id| units.contains_key(id));
            let mut new: Vec<ShardId> = empty.into_iter().take(count as usize).collect();
            let there = format!("{} shards hold nothing yet", new.len());
            new.extend(missing("add", count as usize - new.len(), &there)?);
            let title = format!("spread slots over shards {} and new {}", list(&used), list(&new));
            (plan::add(map, &sizes, &used, &new), title)
        }
        (None, Some(id), None, false) => {
            let row = known(app, u64::from(id)).await?;
            asked.drains = Some(id);
            (plan::drain(map, &sizes, &accepting, row.id), format!("empty shard {id}"))
        }
        (None, None, Some(count), false) => {
            bounded("shards", count)?;
            let mut targets: Vec<_> = accepting.iter().copied().take(count as usize).collect();
            let there = format!("{} shards take units", targets.len());
            targets.extend(missing("shards", count as usize - targets.len(), &there)?);
            let title = format!("spread everything over shards {}", list(&targets));
            (plan::resize(map, &sizes, &targets), title)
        }
        (None, None, None, true) => {
            asked.balances = true;
            let resting = resting(app).await?;
            let title = format!("even out shards {}", list(&accepting));
            (plan::balance(map, &sizes, &accepting, &resting), title)
        }
        _ => {
            let told = "give exactly one of add, drain, shards and balance";
            return Err(Invalid::new("add", told).into());
        }
    };
    Ok(Drawn { plan: plan.map_err(no_plan)?, title, ghosts, asked })
}

fn bounded(field: &'static str, count: u32) -> Result<(), ApiError> {
    if (1..=SHARDS_MAX).contains(&count) {
        return Ok(());
    }
    Err(Invalid::new(field, "must be 1 to 1,024").into())
}

fn no_plan(why: NoPlan) -> ApiError {
    ApiError::conflict(capital(&why.to_string()))
}

/// `0, 1, 2`, shortened where there are many.
fn list(ids: &[ShardId]) -> String {
    match ids {
        [first, .., last] if ids.len() > 8 => format!("{first} … {last}"),
        ids => ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Units that were moved a short time ago to even things out.
async fn resting(app: &App) -> Result<BTreeSet<UnitId>, ApiError> {
    let since = app.clock.now() - REST_MS;
    let mut resting = BTreeSet::new();
    for job in app.directory.jobs(None, JOBS).await? {
        if job.updated_at < since || !Asked::of(&job).balances {
            continue;
        }
        let moves = app.directory.moves_of(job.id).await?;
        let done = moves.iter().filter(|row| row.phase == MovePhase::Done);
        resting.extend(done.flat_map(|row| row.units()));
    }
    Ok(resting)
}

fn planned(facts: &Facts, drawn: &Drawn) -> Planned {
    let estimate = facts.sizes().estimate(&drawn.plan);
    let (mut leaving, mut coming) = (BTreeMap::new(), BTreeMap::new());
    for new in &drawn.plan.moves {
        if let MapChange::Move { units, .. } = &new.change {
            *leaving.entry(new.source).or_insert(0) += units.len() as u64;
            *coming.entry(new.destination).or_insert(0) += units.len() as u64;
        }
    }
    let units = facts.units();
    let of = |map: &BTreeMap<ShardId, u64>, id| map.get(&id).copied().unwrap_or_default();
    let shard = |id: ShardId, is_there| PlanShard {
        shard: id.0,
        is_there,
        units: of(&units, id),
        leaving: of(&leaving, id),
        coming: of(&coming, id),
    };
    let there = facts.rows.iter().map(|row| shard(row.id, true));
    Planned {
        job_id: None,
        title: drawn.title.clone(),
        moves: drawn.plan.moves.len() as u64,
        units: estimate.units,
        rows: estimate.rows,
        bytes: estimate.bytes,
        seconds: estimate.time.as_secs_f64().ceil() as u64,
        shards: there.chain(drawn.ghosts.iter().map(|id| shard(*id, false))).collect(),
    }
}

pub(crate) async fn move_units(
    State(app): State<Arc<App>>,
    operator: Operator,
    request: Request,
) -> ApiResult {
    let wanted: MoveRequest = body(request).await?;
    check_texts(&wanted)?;
    let facts = Facts::gather(&app).await?;
    let to = targets(&facts, &wanted.to)?;
    let one = || match to.as_slice() {
        [one] => Ok(*one),
        _ => Err(ApiError::from(Invalid::new(
            "to",
            "name one shard: only a user is spread over several",
        ))),
    };
    let (map, sizes) = (&facts.map, facts.sizes());
    let mut isolated = None;
    let (plan, title) = match (&wanted.slot, &wanted.pair, &wanted.conversation, &wanted.user) {
        (Some(slots), None, None, None) => {
            let to = one()?;
            let range = slot_range(slots)?;
            let title = format!("move slots {}..{} to shard {to}", range.start, range.end);
            let units = range.map(UnitId);
            (plan::to_shard(map, &sizes, units, to).map_err(no_plan)?, title)
        }
        (None, Some(pair), None, None) => {
            let to = one()?;
            let (a, b) = users_of(&app, pair).await?;
            let id = ConversationId::direct(a, b);
            (isolate(&app, &facts, id, to).await?, format!("move pair {a}:{b} to shard {to}"))
        }
        (None, None, Some(text), None) => {
            let to = one()?;
            let id: ConversationId = text
                .parse()
                .map_err(|_| Invalid::new("conversation", "must be the id of a conversation"))?;
            must_exist(&app, &facts, id).await?;
            (isolate(&app, &facts, id, to).await?, format!("move conversation {id} to shard {to}"))
        }
        (None, None, None, Some(name)) => {
            let user = named(&app, name).await?.id;
            isolated = Some(user);
            let plan = spread_user(&app, &facts, user, &to, wanted.dry_run).await?;
            (plan, format!("move user {user} to shards {}", list(&to)))
        }
        _ => {
            let told = "give exactly one of slot, pair, conversation and user";
            return Err(Invalid::new("slot", told).into());
        }
    };
    let what = serde_json::to_value(&wanted).unwrap_or_default();
    let drawn = Drawn {
        plan,
        title,
        ghosts: Vec::new(),
        asked: Asked { what, user: isolated.map(UserId::get), ..Asked::default() },
    };
    let planned = planned(&facts, &drawn);
    if wanted.dry_run {
        return Ok(ok(&planned));
    }
    if let Some(change) = &drawn.plan.before
        && !drawn.plan.moves.is_empty()
    {
        let version = app.directory.change_overrides(change).await.map_err(refused)?;
        let detail = format!("map version {version}");
        audit::record(&app, operator, "map.override", drawn.title.clone(), detail).await;
        app.engine.refresh_map().await?;
    }
    let asked = Asked { rows: planned.rows, bytes: planned.bytes, ..drawn.asked };
    let job = match store(&app, operator, drawn.title, &asked, drawn.plan.moves).await {
        Ok(job) => job,
        Err(error) => {
            // An override that was there before is not empty, and stays.
            if let Some(user) = isolated {
                drop(app.directory.change_overrides(&MapChange::ForgetUser { user }).await);
            }
            return Err(error);
        }
    };
    Ok(created(&begin(&app, operator, job).await?))
}

/// Shards that are there and take units, each once.
fn targets(facts: &Facts, wanted: &[u32]) -> Result<Vec<ShardId>, ApiError> {
    let mut to = Vec::new();
    for id in wanted.iter().copied().map(ShardId) {
        let Some(row) = facts.row(id) else {
            return Err(Invalid::new("to", NoPlan::NoShard(id).to_string()).into());
        };
        if row.state == ShardAdmission::Draining {
            let told = format!("shard {id} is draining: it takes no units");
            return Err(Invalid::new("to", told).into());
        }
        if to.contains(&id) {
            return Err(Invalid::new("to", format!("shard {id} is named twice")).into());
        }
        to.push(id);
    }
    if to.is_empty() {
        return Err(Invalid::new("to", "must name a shard").into());
    }
    Ok(to)
}

/// What is asked for is kept with its job and shown in tables: texts have a bound, and are one line.
fn check_texts(wanted: &MoveRequest) -> Result<(), Invalid> {
    let MoveRequest { slot, pair, conversation, user, to: _, dry_run: _ } = wanted;
    let texts = [("slot", slot), ("pair", pair), ("conversation", conversation), ("user", user)];
    for (field, text) in texts {
        let Some(text) = text else { continue };
        if text.chars().take(TEXT_CHARS_MAX + 1).count() > TEXT_CHARS_MAX {
            return Err(Invalid::new(field, format!("has more than {TEXT_CHARS_MAX} characters")));
        }
        if text.chars().any(char::is_control) {
            return Err(Invalid::new(field, "has a control character"));
        }
    }
    Ok(())
}

/// `A..B` without B, or `A`.
fn slot_range(text: &str) -> Result<std::ops::Range<u32>, Invalid> {
    let number = |text: &str| text.trim().parse::<u32>().ok();
    let range = match text.split_once("..") {
        Some((from, to)) => number(from).zip(number(to)).map(|(from, to)| from..to),
        None => number(text).map(|slot| slot..slot.saturating_add(1)),
    };
    range
        .filter(|range| !range.is_empty() && range.end <= u32::from(SLOTS))
        .ok_or_else(|| Invalid::new("slot", "must be A..B with 0 <= A < B <= 16384, or one slot"))
}

/// The users of `U:V`, each a number, `ext:ID` or a name.
async fn users_of(app: &App, pair: &str) -> Result<(UserId, UserId), ApiError> {
    // An external id may hold colons itself; then the second user begins at its own `ext:`.
    let split = pair.find(":ext:").filter(|at| *at > 0).or_else(|| pair.rfind(':'));
    let (a, b) = split
        .and_then(|at| pair.split_at_checked(at))
        .map(|(a, b)| (a, b.trim_start_matches(':')))
        .filter(|(a, b)| !a.is_empty() && !b.is_empty())
        .ok_or_else(|| Invalid::new("pair", "must be USER:USER"))?;
    Ok((named(app, a).await?.id, named(app, b).await?.id))
}

/// A group that nobody has made has no place to be moved from.
async fn must_exist(app: &App, facts: &Facts, id: ConversationId) -> Result<(), ApiError> {
    let unit = facts.map.unit_of(id);
    let home = facts.map.home(unit).ok_or(EngineError::Internal)?;
    let shard = app.engine.shards().get(&home.shard).cloned().ok_or(EngineError::Unavailable)?;
    let nobody = UserId::new(1).map_err(|_| EngineError::Internal)?;
    let asked = [(UnitAt { unit, epoch: home.epoch }, id)];
    let found = shard.overviews(nobody, &asked).await.map_err(EngineError::from)?;
    match found.into_iter().next() {
        Some(Read::Absent) | None => Err(ApiError::no_conversation()),
        // One that moves just now is there.
        Some(Read::Rows(_) | Read::Fenced(_)) => Ok(()),
    }
}

async fn isolate(
    app: &App,
    facts: &Facts,
    id: ConversationId,
    to: ShardId,
) -> Result<Plan, ApiError> {
    let unit = facts.map.unit_of(id);
    if facts.map.home(unit).is_some_and(|home| home.shard == to) {
        return Ok(Plan::default());
    }
    let child = app.directory.reserve_units(1).await?;
    plan::conversation(&facts.map, id, to, child).map_err(no_plan)
}

async fn spread_user(
    app: &App,
    facts: &Facts,
    user: UserId,
    to: &[ShardId],
    dry_run: bool,
) -> Result<Plan, ApiError> {
    let slots = slots_of(app, facts, user).await?;
    let map = &facts.map;
    let hot = map.user_override(user);
    let place = |slot: Slot, own: bool| {
        let carved = hot.and_then(|hot| if own { hot.own } else { hot.table.get(&slot).copied() });
        map.home(carved.unwrap_or(slot.unit())).map(|home| home.shard)
    };
    let target = |slot: Slot| to.get(usize::from(slot.get()) % to.len()).copied();
    let is_there = slots.iter().all(|slot| place(*slot, false) == target(*slot))
        && place(user.slot(), true) == target(user.slot());
    if is_there {
        return Ok(Plan::default());
    }
    let homes: BTreeSet<_> =
        slots.iter().chain([&user.slot()]).filter_map(|slot| place(*slot, false)).collect();
    let children = u32::try_from(homes.len() * to.len()).unwrap_or(u32::MAX).max(1);
    // Numbers are never reused, so that a dry run takes none.
    let (rank, first) = if dry_run {
        let rank = map.user_overrides().map(|hot| hot.rank + 1).max().unwrap_or(1);
        let first = map.units().map(|(unit, _)| unit.0 + 1).max().unwrap_or(u32::from(SLOTS));
        (rank, UnitId(first))
    } else {
        (app.directory.next_rank().await?, app.directory.reserve_units(children).await?)
    };
    plan::user(map, user, &slots, to, rank, first).map_err(no_plan)
}

/// The slots in which the user has a direct conversation, from the user's own list.
async fn slots_of(app: &App, facts: &Facts, user: UserId) -> Result<BTreeSet<Slot>, ApiError> {
    let unit = facts.map.unit_of_user(user);
    let home = facts.map.home(unit).ok_or(EngineError::Internal)?.shard;
    let shard = app.engine.shards().get(&home).cloned().ok_or(EngineError::Unavailable)?;
    let asked = [(Subject::User(user), SubjectVersion::default())];
    let found = shard.subjects_since(unit, &asked).await.map_err(EngineError::from)?;
    let Some(list) = found.into_iter().next().flatten() else { return Ok(BTreeSet::new()) };
    let slots = list.rows.iter().filter_map(|row| match row {
        Row::Inbox(entry) => match entry.conversation.party() {
            Party::Direct { .. } => Some(entry.conversation.slot()),
            Party::Group => None,
        },
        _ => None,
    });
    Ok(slots.collect())
}

#[cfg(test)]
mod tests {
    use ostracon_proto::rest::admin::MoveRequest;

    use super::{check_texts, slot_range};

    #[test]
    fn texts_are_short_and_one_line() {
        let user = |text: String| MoveRequest { user: Some(text), ..MoveRequest::default() };
        let slot = |text: String| MoveRequest { slot: Some(text), ..MoveRequest::default() };
        let longest = format!("ext:{}", "é".repeat(255));
        assert!(check_texts(&user(longest)).is_ok());
        for wrong in
            [format!("{}5", "0".repeat(300_000)), "5\n\n".to_owned(), "\u{1b}[2J5".to_owned()]
        {
            assert_eq!(check_texts(&slot(wrong.clone())).unwrap_err().field, "slot");
            assert_eq!(check_texts(&user(wrong)).unwrap_err().field, "user");
        }
    }

    #[test]
    fn ranges_of_slots() {
        assert_eq!(slot_range("0..16384").unwrap(), 0..16_384);
        assert_eq!(slot_range("7").unwrap(), 7..8);
        assert_eq!(slot_range("5 .. 9").unwrap(), 5..9);
        for wrong in ["", "a", "5..5", "9..5", "0..16385", "16384", "-1", "1..2..3"] {
            assert!(slot_range(wrong).is_err(), "{wrong}");
        }
    }
}
