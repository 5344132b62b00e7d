//! What a group has set, as its members see it. Who may do what follows from it; which role somebody has is in the member.

use crate::schema;
use ostracon_domain::{Conversation, GroupRules, HistoryFor, Level, RulesChange};
use serde::{Deserialize, Serialize};

/// What an admin has set for a group. What is left out has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = GroupSettings)]
#[serde(default)]
pub struct Settings {
    /// What a new member sees of what was said before.
    #[schema(value_type = schema::HistoryFor, required = true)]
    pub history_for: HistoryFor,
    /// Who may send; left out: `everyone`. `admins` makes it an announcement group.
    #[serde(skip_serializing_if = "is_everyone")]
    #[schema(value_type = Option<schema::Level>, required = false)]
    pub send: Level,
    /// Who may add members and invite by link; left out: `admins`.
    #[serde(skip_serializing_if = "is_admins")]
    #[schema(value_type = Option<schema::Level>, required = false)]
    pub add_members: Level,
    /// Who may pin; left out: `admins`.
    #[serde(skip_serializing_if = "is_admins")]
    #[schema(value_type = Option<schema::Level>, required = false)]
    pub pin: Level,
    /// Who may rename the group; left out: `admins`. Settings need this and at least an admin.
    #[serde(skip_serializing_if = "is_admins")]
    #[schema(value_type = Option<schema::Level>, required = false)]
    pub change: Level,
    /// Who may delete messages of others; left out: `admins`.
    #[serde(skip_serializing_if = "is_admins")]
    #[schema(value_type = Option<schema::Level>, required = false)]
    pub delete_messages: Level,
    /// Who may mention everybody at once; left out: `admins`.
    #[serde(skip_serializing_if = "is_admins")]
    #[schema(value_type = Option<schema::Level>, required = false)]
    pub mention_all: Level,
    /// Seconds that a plain member waits between two messages; left out: 0.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    pub slow_mode_s: u32,
    /// Whether the server says in messages of type `system` who joined, left and so on; left out: no.
    #[serde(skip_serializing_if = "crate::message::is_false")]
    #[schema(required = false)]
    pub system_messages: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(HistoryFor::default(), &GroupRules::default())
    }
}

impl Settings {
    /// The settings of a conversation.
    pub fn of(conversation: &Conversation) -> Self {
        Self::new(conversation.settings.history_for, GroupRules::of(conversation))
    }

    const fn new(history_for: HistoryFor, rules: &GroupRules) -> Self {
        Self {
            history_for,
            send: rules.send,
            add_members: rules.add_members,
            pin: rules.pin,
            change: rules.change,
            delete_messages: rules.delete_messages,
            mention_all: rules.mention_all,
            slow_mode_s: rules.slow_mode_s,
            system_messages: rules.system_messages,
        }
    }
}

/// Changes of a group's settings; what is left out stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct EditSettings {
    /// What a new member sees of what was said before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::HistoryFor>, required = false)]
    pub history_for: Option<HistoryFor>,
    /// Who may send; `admins` makes it an announcement group.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Level>, required = false)]
    pub send: Option<Level>,
    /// Who may add members and invite by link.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Level>, required = false)]
    pub add_members: Option<Level>,
    /// Who may pin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Level>, required = false)]
    pub pin: Option<Level>,
    /// Who may rename the group; settings need this and at least an admin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Level>, required = false)]
    pub change: Option<Level>,
    /// Who may delete messages of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Level>, required = false)]
    pub delete_messages: Option<Level>,
    /// Who may mention everybody at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Level>, required = false)]
    pub mention_all: Option<Level>,
    /// Slow mode: seconds that a plain member waits between two messages, at most 21,600; 0 ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub slow_mode_s: Option<u32>,
    /// Whether the server says in messages of type `system` who joined, left and so on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub system_messages: Option<bool>,
}

impl EditSettings {
    /// The part that is about who may do what.
    pub const fn rules(&self) -> RulesChange {
        RulesChange {
            send: self.send,
            add_members: self.add_members,
            pin: self.pin,
            change: self.change,
            delete_messages: self.delete_messages,
            mention_all: self.mention_all,
            slow_mode_s: self.slow_mode_s,
            system_messages: self.system_messages,
        }
    }
}

const fn is_everyone(level: &Level) -> bool {
    matches!(level, Level::Everyone)
}

const fn is_admins(level: &Level) -> bool {
    matches!(level, Level::Admins)
}

const fn is_zero(number: &u32) -> bool {
    *number == 0
}
