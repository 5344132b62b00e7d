//! Statements that several modules use, and the numbers of advisory locks. Columns stand in the order of `value`.

use crate::options::SchemaName;

/// "OSfe": the class of a shard's fence lock; its key is the schema's number, so that shards of one database differ.
pub(crate) const FENCE_LOCK: i32 = i32::from_be_bytes(*b"OSfe");
/// "OSmi": the class of the lock that migrations take.
pub(crate) const MIGRATION_LOCK: i32 = i32::from_be_bytes(*b"OSmi");

/// Columns of a conversation.
macro_rules! conversation_columns {
    () => {
        "id, unit, slot, kind, name, created_at, history, head_seq, last_message_id, last_activity_at, rev, info_rev, \
         mark_rev, member_count, large, retained_from, history_for, create_hash, deleted_at, extra"
    };
}
pub(crate) use conversation_columns;

/// Columns of a member.
macro_rules! member_columns {
    () => {
        "conversation, user_id, role, joined_seq, left_seq, rev, read_seq, delivered_seq, mark_rev, hidden_to, \
         muted_until, extra"
    };
}
pub(crate) use member_columns;

/// Columns of a message.
macro_rules! message_columns {
    () => {
        "conversation, seq, message_id, slot, sender, client_id, payload_hash, kind, content, reply_to, mentions, \
         created_at, edited_at, deleted_at, deleted_by, uncounted, created_rev, rev, content_rev, extra"
    };
}
pub(crate) use message_columns;

/// Columns of a user's line of numbers.
macro_rules! user_columns {
    () => {
        "user_id, unit, slot, history, user_rev, extra"
    };
}
pub(crate) use user_columns;

/// Columns of an entry of a user's list.
macro_rules! inbox_columns {
    () => {
        "user_id, conversation, applied_history, applied_rev, applied_mark_rev, last_seq, last_activity_at, hidden_to, \
         muted_until, archived_seq, marked_unread, pinned, large, removed, user_rev, extra"
    };
}
pub(crate) use inbox_columns;

/// Columns of an annex.
macro_rules! annex_columns {
    () => {
        "conversation, kind, first, second, seq, number, value"
    };
}
pub(crate) use annex_columns;

/// Columns of a unit's state.
macro_rules! unit_columns {
    () => {
        "unit, epoch, phase, incarnation, lease, step"
    };
}
pub(crate) use unit_columns;

/// The shared half of the fence: waits while a state changes, and holds the next change up until the end.
pub(crate) const LOCK_SHARED: &str = "SELECT pg_advisory_xact_lock_shared($1, $2)";
/// States of units that changed after a version of the fence.
pub(crate) const UNITS_SINCE: &str =
    concat!("SELECT version, ", unit_columns!(), " FROM unit_state WHERE version > $1");
/// The state of a unit.
pub(crate) const UNIT: &str =
    concat!("SELECT ", unit_columns!(), " FROM unit_state WHERE unit = $1");
/// A conversation by id.
pub(crate) const CONVERSATION: &str =
    concat!("SELECT ", conversation_columns!(), " FROM conversation WHERE id = $1");
/// A member by conversation and user.
pub(crate) const MEMBER: &str =
    concat!("SELECT ", member_columns!(), " FROM member WHERE conversation = $1 AND user_id = $2");
/// Members by conversations and users.
pub(crate) const MEMBERS: &str = concat!(
    "SELECT ",
    member_columns!(),
    " FROM unnest($1::uuid[], $2::bigint[]) AS k (of, who) JOIN member ON conversation = k.of AND user_id = k.who"
);
/// A user's line of numbers.
pub(crate) const USER: &str =
    concat!("SELECT ", user_columns!(), " FROM user_state WHERE user_id = $1");
/// Messages by conversation and seq.
pub(crate) const MESSAGES: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM unnest($1::uuid[], $2::bigint[]) AS k (of, n) JOIN message ON conversation = k.of AND seq = k.n"
);
/// Reactions to messages by conversation and seq.
pub(crate) const REACTIONS: &str = "SELECT conversation, seq, user_id, emoji \
     FROM unnest($1::uuid[], $2::bigint[]) AS k (of, n) JOIN reaction ON conversation = k.of AND seq = k.n";
/// What a quote of a message shows, by conversation and seq.
pub(crate) const QUOTED: &str = "SELECT conversation, seq, sender, content \
     FROM unnest($1::uuid[], $2::bigint[]) AS k (of, n) JOIN message ON conversation = k.of AND seq = k.n";

/// Statements of a migration.
pub(crate) struct MigrationSql {
    /// A schema's name cannot be a parameter.
    pub(crate) create_schema: String,
}

impl MigrationSql {
    pub(crate) const CREATE_VERSIONS: &str = "CREATE TABLE migration (version int PRIMARY KEY, \
         applied_at timestamptz NOT NULL DEFAULT now())";
    pub(crate) const VERSION: &str = "SELECT coalesce(max(version), 0) FROM migration";
    pub(crate) const DONE: &str = "INSERT INTO migration (version) VALUES ($1)";
    pub(crate) const OWNER: &str = "SELECT cluster, shard FROM meta";
    pub(crate) const TAKE: &str = "INSERT INTO meta (id, cluster, shard) VALUES (0, $1, $2)";
    /// Units that the shard serves from its beginning.
    pub(crate) const OPEN_UNITS: &str = "INSERT INTO unit_state (unit, epoch, phase, incarnation, lease, step, version) \
         SELECT unit, epoch, 0, 0, 0, 0, 1 FROM unnest($1::bigint[], $2::bigint[]) AS n (unit, epoch) \
         WHERE NOT EXISTS (SELECT FROM unit_state)";
    pub(crate) const HAS_UNITS: &str = "SELECT EXISTS (SELECT FROM unit_state)";

    pub(crate) fn new(schema: &SchemaName) -> Self {
        Self { create_schema: format!("CREATE SCHEMA IF NOT EXISTS {schema}") }
    }
}
