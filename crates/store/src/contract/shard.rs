//! What every shard must do, as stories. A backend passes all of them:
//!
//! ```text
//! #[tokio::test]
//! async fn keeps_the_contract() {
//!     contract::shard::run_all(&MyFixture::new()).await;
//! }
//! ```
//!
//! A story panics where the backend is wrong; the name of the running story is printed before it.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

mod access;
mod changes;
mod deletion;
mod dispatch;
mod effects;
mod extreme;
mod fences;
mod idempotency;
mod import;
mod inbox;
mod moves;
mod numbering;
mod pages;
mod random;
mod scan;
mod stats;
mod units;
mod world;

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use ostracon_domain::UnitId;

use crate::shard::{Ids, Shard};

/// Makes shards of one backend, each with the ids that it is handed: the same commands give the same rows everywhere.
#[async_trait]
pub trait ShardFixture: Send + Sync {
    /// An empty shard that serves these units at epoch 1 and knows of no other.
    async fn fresh(&self, units: &[UnitId], ids: Arc<dyn Ids>) -> Arc<dyn Shard>;

    /// The shard after a restart, as if the process had died; `None` for a backend that keeps nothing.
    /// Nobody else holds the shard that is given.
    async fn reopened(&self, shard: Arc<dyn Shard>, ids: Arc<dyn Ids>) -> Option<Arc<dyn Shard>>;
}

/// A story, to be called with a fixture.
pub type Story = for<'a> fn(&'a dyn ShardFixture) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

macro_rules! stories {
    ($($module:ident: $($story:ident),+;)+) => {
        /// Every story with its name.
        pub const ALL: &[(&str, Story)] = &[
            $($((
                concat!(stringify!($module), "::", stringify!($story)),
                |fixture| Box::pin($module::$story(fixture)),
            )),+),+
        ];
    };
}

stories! {
    numbering: numbers_have_no_gaps, ids_and_times_never_go_back, positions_rise;
    idempotency: the_same_again_gives_the_first_result, a_client_id_belongs_to_its_sender_and_conversation,
        a_retry_in_the_same_batch, a_retry_after_leaving, a_retry_after_a_restart;
    effects: direct_conversations, groups, messages_are_stored_whole, edits_and_deletions, reactions,
        quotes_show_the_message_as_it_is_now, marks, members_and_roles, names_and_settings, private_views,
        refused_commands_change_nothing, everything_survives_a_restart;
    pages: pages_by_seq, pages_by_time_and_id, equal_times_page_completely, pages_of_nothing;
    access: strangers_get_nothing, former_members_read_up_to_their_leaving, who_comes_back,
        history_for_new_members, overviews_of_many, unread_of_many;
    changes: changes_are_complete_and_in_order, changes_are_cut_where_they_say, marks_are_counted_apart,
        large_groups_give_own_marks_only, changes_for_those_outside;
    inbox: entries_follow_their_conversations, another_history_always_applies, own_settings,
        removed_and_hidden_entries_leave_the_list, the_list_is_ordered_and_pages, inbox_changes_page,
        large_entries, an_inbox_survives_a_restart;
    fences: units_not_served_are_fenced, fenced_orders_drop_out_of_a_batch, births_while_frozen,
        rows_of_another_unit_are_fenced, users_of_another_unit_are_fenced;
    units: every_step_is_judged, stale_and_repeated_commands, states_survive_a_restart;
    scan: a_scan_gives_exactly_the_rows_of_a_unit, a_scan_resumes_at_every_cursor;
    import: rows_are_taken_while_importing_only, the_higher_number_wins, an_imported_unit_lives_on;
    moves: every_change_of_a_captured_unit_is_noted, a_note_is_dropped_in_its_version_only, notes_need_a_capture,
        a_restart_loses_a_capture_and_an_import, subjects_since_a_version, heads_and_digests_tell_differences,
        imports_obey_their_pair, a_whole_move, carved_and_merged, a_purge_takes_what_is_garbage,
        members_are_read_behind_a_fence;
    extreme: extreme_rows_travel_unchanged;
    dispatch: the_dispatch_cursor, undispatched_batches_survive_a_restart;
    deletion: a_tombstone_keeps_nothing_else, what_is_not_retained_is_gone, a_deleted_group_is_gone,
        the_last_one_out_deletes;
    stats: stats_count;
    random: answers_as_the_twin_does;
}

/// Tells every story, one after another.
pub async fn run_all(fixture: &dyn ShardFixture) {
    for (name, story) in ALL {
        eprintln!("story {name}");
        story(fixture).await;
    }
}
