//! Users that requests name, by number or by the id of an existing system.

use std::collections::BTreeMap;

use ostracon_domain::{UserId, limits::USERS_PER_REQUEST_MAX};
use ostracon_proto::UserRef;

use crate::{app::App, error::ApiError};

/// The numbers of several users; external ids are looked up together. Numbers are not checked to exist.
pub(crate) async fn resolve_all(app: &App, refs: &[UserRef]) -> Result<Vec<UserId>, ApiError> {
    if refs.len() > USERS_PER_REQUEST_MAX {
        return Err(ApiError::too_large("At most 1,000 users in one request."));
    }
    let external: Vec<String> = refs
        .iter()
        .filter_map(|user| match user {
            UserRef::External(id) => Some(id.clone()),
            UserRef::Id(_) => None,
        })
        .collect();
    let mut known = BTreeMap::new();
    if !external.is_empty() {
        let found = app.directory.users_by_external_id(&external).await?;
        known.extend(found.into_iter().filter_map(|user| Some((user.external_id?, user.id))));
    }
    refs.iter()
        .map(|user| match user {
            UserRef::Id(id) => Ok(*id),
            UserRef::External(id) => known.get(id).copied().ok_or_else(ApiError::no_user),
        })
        .collect()
}
