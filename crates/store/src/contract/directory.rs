//! What every directory must do, as stories. Each one takes a fixture, starts empty and panics when the promise is broken.

mod accounts;
mod audit;
mod begin;
mod cluster;
mod errands;
mod hot_users;
mod invites;
mod jobs;
mod media;
mod moves;
mod numbers;
mod people;
mod push;
mod sessions;
mod shards;
mod stage;

use std::sync::Arc;

use async_trait::async_trait;

pub use accounts::*;
pub use audit::*;
pub use begin::*;
pub use cluster::*;
pub use errands::*;
pub use hot_users::*;
pub use invites::*;
pub use jobs::*;
pub use media::*;
pub use moves::*;
pub use numbers::*;
pub use people::*;
pub use push::*;
pub use sessions::*;
pub use shards::*;

use crate::directory::{AccountRole, Directory, NewSession, NewUser};

/// Makes directories of one backend.
#[async_trait]
pub trait Fixture: Send + Sync {
    /// An empty directory; no other of this fixture is in use any more.
    async fn fresh(&self) -> Arc<dyn Directory>;

    /// What was last made by `fresh`, closed and opened again. The argument is its only handle.
    async fn reopened(&self, directory: Arc<dyn Directory>) -> Arc<dyn Directory>;
}

/// Runs every story.
pub async fn run_all(fixture: &dyn Fixture) {
    users_are_numbered_from_one(fixture).await;
    taken_names_create_nothing(fixture).await;
    an_account_needs_a_name(fixture).await;
    users_are_looked_up_in_order(fixture).await;
    credentials_follow_the_password(fixture).await;
    versions_rise_with_password_and_role(fixture).await;
    an_account_is_put_out_of_use(fixture).await;
    users_are_found_by_name(fixture).await;
    users_are_found_page_by_page(fixture).await;
    accounts_survive(fixture).await;
    a_token_finds_session_and_user(fixture).await;
    a_session_ends_at_its_time(fixture).await;
    sessions_are_listed_newest_first(fixture).await;
    only_the_owner_revokes(fixture).await;
    refused_sessions_create_nothing(fixture).await;
    last_use_never_goes_back(fixture).await;
    sessions_survive(fixture).await;
    invites_are_listed_while_they_are_good(fixture).await;
    an_invite_is_used_as_often_as_it_says(fixture).await;
    people_begin_open(fixture).await;
    last_online_never_goes_back(fixture).await;
    privacy_is_kept(fixture).await;
    devices_are_kept(fixture).await;
    devices_go_with_their_session(fixture).await;
    devices_of_a_user_are_few(fixture).await;
    push_settings_are_kept(fixture).await;
    errands_are_taken_in_turn(fixture).await;
    errands_of_one_key_are_one(fixture).await;
    errands_end_or_come_later(fixture).await;
    errands_that_were_given_up_can_be_replayed(fixture).await;
    errands_are_taken_once(fixture).await;
    identity_and_secrets_stay(fixture).await;
    a_cluster_is_founded_once(fixture).await;
    foundings_that_make_no_sense_change_nothing(fixture).await;
    any_number_of_shards_shares_the_slots(fixture).await;
    id_time_never_goes_back(fixture).await;
    shard_numbers_are_never_reused(fixture).await;
    a_draining_shard_takes_no_units(fixture).await;
    a_shard_in_use_is_not_removed(fixture).await;
    an_emptied_shard_goes(fixture).await;
    draining_stops_no_move_that_has_begun(fixture).await;
    a_job_is_planned_whole(fixture).await;
    a_plan_that_makes_no_sense_is_refused_whole(fixture).await;
    jobs_are_listed_newest_first(fixture).await;
    a_job_changes_its_state_once(fixture).await;
    a_move_begins_once(fixture).await;
    a_unit_is_in_one_active_move(fixture).await;
    a_unit_is_free_when_its_move_is_over(fixture).await;
    a_plan_may_be_out_of_date(fixture).await;
    leftovers_are_purged_first(fixture).await;
    a_child_is_fresh(fixture).await;
    a_move_goes_its_way(fixture).await;
    no_other_step_exists(fixture).await;
    a_committed_move_goes_forward_only(fixture).await;
    who_lost_the_lease_changes_nothing(fixture).await;
    a_take_over_keeps_the_phase(fixture).await;
    an_abort_leaves_the_map_alone(fixture).await;
    a_carve_and_a_merge_stay_at_home(fixture).await;
    a_step_is_taken_once(fixture).await;
    a_commit_wins_or_changes_nothing(fixture).await;
    commits_at_once_lose_nothing(fixture).await;
    progress_is_noted_by_who_drives(fixture).await;
    garbage_is_forgotten_by_number(fixture).await;
    a_user_becomes_hot_and_is_forgotten(fixture).await;
    a_hot_user_is_carved_moved_and_merged(fixture).await;
    nobody_is_forgotten_beside_a_carve(fixture).await;
    hot_users_at_once_have_an_order(fixture).await;
    leases_only_rise(fixture).await;
    unit_numbers_are_given_once(fixture).await;
    ranks_only_rise(fixture).await;
    one_coordinates_at_a_time(fixture).await;
    the_audit_log_keeps_everything(fixture).await;
    uploads_are_known_by_id(fixture).await;
    bytes_are_counted_by_owner(fixture).await;
    uses_are_noted_once(fixture).await;
    an_upload_is_forgotten_when_nothing_uses_it(fixture).await;
    an_object_lives_while_an_upload_has_it(fixture).await;
    uploads_at_once_share_an_object(fixture).await;
}

fn person(username: &str) -> NewUser {
    NewUser {
        username: Some(username.to_owned()),
        external_id: None,
        display_name: username.to_uppercase(),
        password_hash: Some(format!("$argon2id${username}")),
        role: AccountRole::User,
    }
}

fn external(id: &str) -> NewUser {
    NewUser {
        username: None,
        external_id: Some(id.to_owned()),
        display_name: format!("External {id}"),
        password_hash: None,
        role: AccountRole::User,
    }
}

fn device(user: ostracon_domain::UserId, token: u8) -> NewSession {
    NewSession {
        user,
        token_hash: [token; 32],
        device_name: Some(format!("device {token}")),
        expires_at: None,
    }
}
