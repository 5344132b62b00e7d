//! Shards, plans and jobs as tables and lines for people.

use comfy_table::Table;
use ostracon_proto::rest::admin::{
    HotUser, Job, JobReport, JobState, MoveItem, Planned, Shard, ShardAdmission,
};

use crate::output::{bytes, number, plain, table, time};

pub(super) fn shards(shards: &[Shard]) -> Table {
    let rows = shards.iter().map(|shard| {
        vec![
            shard.shard.to_string(),
            shard.kind.clone(),
            match (shard.error.is_some(), shard.state) {
                (true, _) => "unavailable",
                (false, ShardAdmission::Accepting) => "accepting",
                (false, ShardAdmission::Draining) => "draining",
            }
            .to_owned(),
            number(shard.units),
            number(shard.conversations),
            number(shard.messages),
            bytes(shard.bytes),
            number(shard.moves),
            number(shard.garbage),
            shard.url.clone(),
        ]
    });
    let head = [
        "shard",
        "kind",
        "state",
        "units",
        "conversations",
        "messages",
        "bytes",
        "moves",
        "leftovers",
        "kept at",
    ];
    table(&head, &[0, 3, 4, 5, 6, 7, 8], rows)
}

pub(super) fn hot_users(users: &[HotUser]) -> Table {
    let rows = users.iter().map(|hot| {
        let units = hot
            .units
            .iter()
            .map(|unit| format!("{} on {} ({} slots)", unit.unit, unit.shard, unit.slots))
            .collect::<Vec<_>>();
        let targets: Vec<_> = hot.targets.iter().map(ToString::to_string).collect();
        vec![
            hot.user_id.to_string(),
            targets.join(","),
            hot.own_unit.map_or_else(|| "in its slot".to_owned(), |unit| unit.to_string()),
            units.join(", "),
        ]
    });
    table(&["user", "to", "own rows", "units"], &[0], rows)
}

pub(super) fn plan(planned: &Planned) -> Table {
    let rows = planned.shards.iter().map(|shard| {
        vec![
            shard.shard.to_string(),
            if shard.is_there { "" } else { "to be added" }.to_owned(),
            number(shard.units),
            number(shard.leaving),
            number(shard.coming),
            number(shard.units + shard.coming - shard.leaving.min(shard.units)),
        ]
    });
    table(&["shard", "", "units", "leave", "come", "after"], &[0, 2, 3, 4, 5], rows)
}

pub(super) fn jobs(jobs: &[Job]) -> Table {
    let rows = jobs.iter().map(|job| {
        vec![
            job.report.job_id.to_string(),
            word(job.report.state).to_owned(),
            format!("{}/{}", job.report.moves, job.moves_total),
            number(job.report.rows),
            number(job.rows_per_s),
            job.eta_s.map_or_else(String::new, duration),
            number(job.report.freezes),
            format!("{:.1}", job.report.freeze_ms.max),
            job.by.clone(),
            job.title.clone(),
        ]
    });
    let head =
        ["job", "state", "moves", "rows", "rows/s", "left", "freezes", "longest ms", "by", "what"];
    table(&head, &[0, 2, 3, 4, 5, 6, 7], rows)
}

pub(super) fn moves(moves: &[MoveItem]) -> Table {
    let rows = moves.iter().map(|item| {
        let units = match item.units.as_slice() {
            [first, .., last] if item.units.len() > 2 => format!("{first}…{last}"),
            units => units.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        };
        vec![
            item.move_id.to_string(),
            item.kind.clone(),
            format!("{} → {}", item.source, item.destination),
            units,
            format!("{:?}", item.phase).to_lowercase(),
            number(item.rows),
            number(item.backlog),
            format!("{} ({:.1}, {:.1} ms)", item.freezes, item.freeze_ms_last, item.freeze_ms_max),
            item.attempts.to_string(),
            item.lease.to_string(),
            item.error.clone().unwrap_or_default(),
        ]
    });
    let head = [
        "move",
        "kind",
        "from → to",
        "units",
        "phase",
        "rows",
        "backlog",
        "freezes (last, longest)",
        "attempts",
        "lease",
        "last error",
    ];
    table(&head, &[0, 5, 6, 8, 9], rows)
}

/// What is known of a job, without its moves.
pub(super) fn job_lines(job: &Job) -> String {
    let mut lines = vec![
        format!("Job {}: {}", job.report.job_id, plain(&job.title)),
        format!("asked for by {}, {} UTC", plain(&job.by), time(job.created_at)),
        report(&job.report),
        format!(
            "rows: {} of about {}, {} a second; backlog {}; {} subjects compared",
            number(job.report.rows),
            number(job.rows_estimated),
            number(job.rows_per_s),
            number(job.backlog),
            number(job.verified)
        ),
    ];
    lines.extend(job.eta_s.map(|left| format!("about {} left", duration(left))));
    lines.extend(job.error.iter().map(|error| format!("last error: {}", plain(error))));
    lines.extend(job.undo.iter().map(|undo| format!("taken back by: {undo}")));
    lines.join("\n")
}

pub(super) fn report(report: &JobReport) -> String {
    let freeze = report.freeze_ms;
    format!(
        "Job {} is {}: {} moves of {} units, {} rows, {}; {} freezes (p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms), {} commands refused, {:.1} s.",
        report.job_id,
        word(report.state),
        number(report.moves),
        number(report.units),
        number(report.rows),
        bytes(report.bytes),
        number(report.freezes),
        freeze.p50,
        freeze.p99,
        freeze.max,
        number(report.refused),
        report.seconds
    )
}

/// One line that stands beside a bar.
pub(super) fn progress_line(job: &Job) -> String {
    let phases: Vec<_> = job
        .list
        .iter()
        .filter(|item| is_under_way(item))
        .map(|item| format!("{:?}", item.phase).to_lowercase())
        .collect();
    let mut line = format!(
        "job {} {}: {}/{} moves, {} rows, {} rows/s",
        job.report.job_id,
        word(job.report.state),
        job.report.moves,
        job.moves_total,
        number(job.report.rows),
        number(job.rows_per_s)
    );
    if let Some(left) = job.eta_s {
        line.push_str(&format!(", about {} left", duration(left)));
    }
    if !phases.is_empty() {
        line.push_str(&format!(", {}", phases.join(" ")));
    }
    line.push_str(&format!(
        ", backlog {}, {} freezes (longest {:.1} ms)",
        number(job.backlog),
        number(job.report.freezes),
        job.report.freeze_ms.max
    ));
    line
}

fn is_under_way(item: &MoveItem) -> bool {
    use ostracon_proto::rest::admin::MovePhase::{Aborting, Committed, Copying, Freezing};
    matches!(item.phase, Copying | Freezing | Committed | Aborting)
}

const fn word(state: JobState) -> &'static str {
    match state {
        JobState::Planned => "planned",
        JobState::Running => "running",
        JobState::Paused => "paused",
        JobState::Done => "done",
        JobState::Aborted => "aborted",
        JobState::Failed => "failed",
    }
}

/// Seconds, minutes or hours, rounded up.
pub(super) fn duration(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3_600)),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(0), "0 s");
        assert_eq!(duration(119), "119 s");
        assert_eq!(duration(121), "3 min");
        assert_eq!(duration(7_200), "2 h");
    }
}
