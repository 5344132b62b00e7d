//! What every directory must do, as stories. Each one takes a fixture, starts empty and panics when the promise is broken.

mod accounts;
mod cluster;
mod sessions;

use std::sync::Arc;

use async_trait::async_trait;

pub use accounts::*;
pub use cluster::*;
pub use sessions::*;

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
    identity_and_secrets_stay(fixture).await;
    a_cluster_is_founded_once(fixture).await;
    foundings_that_make_no_sense_change_nothing(fixture).await;
    any_number_of_shards_shares_the_slots(fixture).await;
    id_time_never_goes_back(fixture).await;
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
