//! What a message of type `system` holds in its content: one small JSON document. Who did it is the message's sender.

use crate::schema;
use ostracon_domain::{Role, UserId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What the server says in a group. A reader passes over events that it does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum SystemMessage<'a> {
    /// The group is new.
    Created {
        /// Its name.
        #[serde(borrow)]
        name: Cow<'a, str>,
    },
    /// Users joined: the sender by a link, or those whom the sender added.
    Joined {
        /// Who.
        #[schema(value_type = Vec<schema::UserId>)]
        user_ids: Vec<UserId>,
    },
    /// The sender left.
    Left {
        /// Who.
        #[schema(value_type = Vec<schema::UserId>)]
        user_ids: Vec<UserId>,
    },
    /// The sender removed somebody.
    Removed {
        /// Whom.
        #[schema(value_type = Vec<schema::UserId>)]
        user_ids: Vec<UserId>,
    },
    /// The sender gave somebody another role.
    RoleChanged {
        /// To whom.
        #[schema(value_type = Vec<schema::UserId>)]
        user_ids: Vec<UserId>,
        /// The new role.
        #[schema(value_type = schema::Role)]
        role: Role,
    },
    /// The sender renamed the group.
    Renamed {
        /// The new name.
        #[serde(borrow)]
        name: Cow<'a, str>,
    },
    /// The sender changed the group's settings.
    SettingsChanged {},
}

impl<'a> SystemMessage<'a> {
    /// Reads the content of a message of type `system`; none for an event that is not known.
    pub fn read(content: &'a str) -> Option<Self> {
        serde_json::from_str(content).ok()
    }
}
