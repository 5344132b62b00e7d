//! Every exported metric: what dashboards and alerts may name. A test holds a running server against this table.

/// What all names begin with.
pub const PREFIX: &str = "ostracon_";

/// What kind of number it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Now.
    Gauge,
    /// A distribution: `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its whole name.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// What it says.
    pub about: &'static str,
    /// Its label; empty: none.
    pub label: &'static str,
}

const fn counter(name: &'static str, about: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, about, label: "" }
}

const fn counter_of(name: &'static str, label: &'static str, about: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, about, label }
}

const fn gauge(name: &'static str, label: &'static str, about: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, about, label }
}

const fn histogram(name: &'static str, label: &'static str, about: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, about, label }
}

/// All of them, by name.
pub const METRICS: &[Metric] = &[
    gauge(
        "ostracon_applier_lag_bytes",
        "shard",
        "Journal that is not yet in the tables of an embedded shard",
    ),
    histogram("ostracon_applier_rows", "shard", "Rows written into tables in one transaction"),
    histogram("ostracon_applier_seconds", "shard", "Time of one transaction of tables"),
    gauge(
        "ostracon_circuit_open",
        "shard",
        "1 while the database of a shard, or of the directory, does not serve and nothing is asked of it, else 0",
    ),
    counter(
        "ostracon_commands_refused_busy_total",
        "Commands refused because too much waited; nothing was written",
    ),
    histogram("ostracon_commit_batch_commands", "shard", "Commands committed together"),
    histogram(
        "ostracon_commit_message_bytes",
        "shard",
        "Bytes of the texts of new messages committed together; the sum is how many were written",
    ),
    histogram(
        "ostracon_commit_messages",
        "shard",
        "New messages committed together; the sum is how many were written",
    ),
    histogram("ostracon_commit_seconds", "shard", "Time of a commit of a shard"),
    counter(
        "ostracon_connections_refused_total",
        "Sockets closed at once because too many were open",
    ),
    counter(
        "ostracon_fenced_commands_total",
        "Commands that found their unit elsewhere and were routed again; clients do not see it",
    ),
    gauge(
        "ostracon_garbage_bytes",
        "",
        "Bytes that moves left behind and that are still to be removed, about",
    ),
    histogram("ostracon_http_call_seconds", "", "Time of a REST call"),
    counter("ostracon_http_failed_total", "REST calls answered with 500 and above"),
    counter("ostracon_http_refused_total", "REST calls answered with 400 to 499"),
    counter("ostracon_map_refresh_total", "How often the map was read again"),
    gauge("ostracon_map_version", "", "Version of the map"),
    counter("ostracon_media_collected_total", "Objects of files removed because nothing used them"),
    counter("ostracon_media_download_bytes_total", "Bytes of files read for downloads"),
    counter("ostracon_media_upload_bytes_total", "Bytes of files that were stored"),
    counter("ostracon_media_uploads_total", "Files that were stored"),
    counter(
        "ostracon_move_directory_unavailable_total",
        "Questions of a mover that the directory did not answer; a frozen unit waits for it",
    ),
    gauge("ostracon_moves", "phase", "Moves under way"),
    gauge("ostracon_open_sockets", "", "Open sockets, WebSockets included"),
    counter(
        "ostracon_outbox_overflows_total",
        "Connections whose events were dropped because they did not read",
    ),
    gauge(
        "ostracon_overlay_bytes",
        "",
        "Bytes of rows that wait for the tables of embedded shards",
    ),
    counter_of(
        "ostracon_override_hits_total",
        "kind",
        "Commands and reads that were routed by an override of a user or a conversation rather than by their slot",
    ),
    gauge(
        "ostracon_overrides",
        "kind",
        "Conversations and users that are placed apart from their slot",
    ),
    gauge("ostracon_parked_commands", "", "Commands that wait for a unit on the move"),
    gauge("ostracon_pending_bytes", "", "Bytes that are durable but not yet in the tables"),
    gauge(
        "ostracon_pool_connections_idle",
        "shard",
        "Connections to a shard's database that nobody uses",
    ),
    gauge(
        "ostracon_pool_connections_in_use",
        "shard",
        "Connections to a shard's database that are in use",
    ),
    gauge("ostracon_pool_connections_max", "shard", "Connections that a shard may have"),
    gauge(
        "ostracon_pool_requests_waiting",
        "shard",
        "Requests that wait for a connection to a shard's database",
    ),
    gauge("ostracon_process_cpu_seconds_total", "", "CPU time used"),
    gauge("ostracon_process_resident_memory_bytes", "", "Resident memory"),
    counter("ostracon_purged_rows_total", "Rows of leftovers that were removed"),
    gauge("ostracon_push_dead", "channel", "What is told outside and was given up"),
    counter("ostracon_push_dropped_total", "Notes of what is to be told outside that did not fit"),
    counter_of(
        "ostracon_push_messages_total",
        "channel",
        "Messages to push services and events for other systems, by result",
    ),
    gauge("ostracon_push_oldest_seconds", "channel", "How late the oldest is that is to be told"),
    gauge("ostracon_push_queued", "channel", "What waits to be told outside"),
    counter_of("ostracon_push_suppressed_total", "why", "What was not told outside, and why"),
    gauge("ostracon_search_complete", "shard", "1 when the search index has everything"),
    counter_of(
        "ostracon_search_indexed_messages_total",
        "shard",
        "Messages taken into the search index",
    ),
    histogram("ostracon_search_seconds", "", "Time of a search"),
    gauge(
        "ostracon_search_waiting_conversations",
        "shard",
        "Conversations that moved on and are not in the search index yet",
    ),
    gauge("ostracon_shard_bytes", "shard", "Bytes of a shard's tables"),
    gauge("ostracon_shard_conversations", "shard", "Conversations of a shard, leftovers included"),
    gauge(
        "ostracon_shard_garbage_units",
        "shard",
        "Units whose rows are still to be removed from a shard",
    ),
    gauge("ostracon_shard_messages", "shard", "Messages of a shard, leftovers included"),
    gauge("ostracon_shard_units", "shard", "Units that live on a shard"),
    gauge("ostracon_shard_up", "shard", "1 while a shard answers, 0 while it does not"),
    counter(
        "ostracon_stale_steps_total",
        "Steps of a mover that were refused because another one drives the move: a zombie was stopped",
    ),
    histogram("ostracon_unit_freeze_seconds", "", "How long units were frozen"),
    histogram(
        "ostracon_unit_freeze_stage_seconds",
        "stage",
        "How long the parts of a freeze took: freeze, bring, commit, open",
    ),
    counter(
        "ostracon_verify_mismatch_total",
        "Subjects that differ between the two sides of a move: the move was given up, a person must look",
    ),
    gauge("ostracon_websockets", "", "Open WebSockets"),
];
