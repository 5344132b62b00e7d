//! Who may do what: one table of role, action and kind of conversation, with what a group has set. Not who may read:
//! that is [`crate::access()`].

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::{
    conversation::{Conversation, ConversationKind},
    member::{Member, Role},
    refusal::Refusal,
};

/// From which role on something is allowed in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Every member.
    Everyone,
    /// Admins and the owner.
    Admins,
    /// The owner only.
    Owner,
}

impl Level {
    /// Every level.
    pub const ALL: [Self; 3] = [Self::Everyone, Self::Admins, Self::Owner];

    /// Whether a role is enough.
    pub const fn allows(self, role: Role) -> bool {
        matches!(
            (self, role),
            (Self::Everyone, _)
                | (Self::Admins, Role::Admin | Role::Owner)
                | (Self::Owner, Role::Owner)
        )
    }
}

/// What a member may or may not be allowed to do. Names are those of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// To send messages. Reacting, editing and deleting one's own need nothing.
    Send,
    /// To add members, and to make, see and revoke invite links.
    AddMembers,
    /// To pin messages and take them down.
    Pin,
    /// To rename the group.
    Rename,
    /// To change settings: at least admins.
    ChangeSettings,
    /// To delete messages of others.
    DeleteMessages,
    /// To mention everybody at once.
    MentionAll,
    /// To remove members, to ban and unban; only of a lower role.
    RemoveMembers,
    /// To give roles and hand the group over.
    SetRoles,
    /// To delete the group.
    DeleteGroup,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 10] = [
        Self::Send,
        Self::AddMembers,
        Self::Pin,
        Self::Rename,
        Self::ChangeSettings,
        Self::DeleteMessages,
        Self::MentionAll,
        Self::RemoveMembers,
        Self::SetRoles,
        Self::DeleteGroup,
    ];

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::AddMembers => "add_members",
            Self::Pin => "pin",
            Self::Rename => "rename",
            Self::ChangeSettings => "change_settings",
            Self::DeleteMessages => "delete_messages",
            Self::MentionAll => "mention_all",
            Self::RemoveMembers => "remove_members",
            Self::SetRoles => "set_roles",
            Self::DeleteGroup => "delete_group",
        }
    }

    /// Why somebody below this level may not.
    const fn refusal(self, level: Level) -> &'static str {
        match (self, level) {
            (Self::Send, _) => "Only admins may write here.",
            (Self::Pin, Level::Admins) => "Only admins may pin messages.",
            (Self::DeleteMessages, Level::Admins) => {
                "Only the sender or an admin may delete a message."
            }
            (_, Level::Owner) => "Only the owner may do this.",
            _ => "Only admins may do this.",
        }
    }
}

/// What a group has set besides its history: who may do what, and how often one may send.
///
/// Stored under the short names; a field that is left out has its default, which is how groups were before there were rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupRules {
    /// Who may send; `Admins` makes it an announcement group.
    #[serde(rename = "s", skip_serializing_if = "is_everyone")]
    pub send: Level,
    /// Who may add members and invite by link.
    #[serde(rename = "a", skip_serializing_if = "is_admins")]
    pub add_members: Level,
    /// Who may pin.
    #[serde(rename = "p", skip_serializing_if = "is_admins")]
    pub pin: Level,
    /// Who may rename the group; settings need this and at least an admin.
    #[serde(rename = "c", skip_serializing_if = "is_admins")]
    pub change: Level,
    /// Who may delete messages of others.
    #[serde(rename = "d", skip_serializing_if = "is_admins")]
    pub delete_messages: Level,
    /// Who may mention everybody at once.
    #[serde(rename = "m", skip_serializing_if = "is_admins")]
    pub mention_all: Level,
    /// Seconds between two messages of one plain member; 0: as one likes. At most [`crate::limits::SLOW_MODE_S_MAX`].
    #[serde(rename = "w", skip_serializing_if = "is_zero")]
    pub slow_mode_s: u32,
    /// Whether the server says who joined, left and so on.
    #[serde(rename = "y", skip_serializing_if = "is_false")]
    pub system_messages: bool,
}

impl Default for GroupRules {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl GroupRules {
    const DEFAULT: Self = Self {
        send: Level::Everyone,
        add_members: Level::Admins,
        pin: Level::Admins,
        change: Level::Admins,
        delete_messages: Level::Admins,
        mention_all: Level::Admins,
        slow_mode_s: 0,
        system_messages: false,
    };

    /// The rules of a conversation.
    pub fn of(conversation: &Conversation) -> &Self {
        conversation.extra.as_ref().map_or(&Self::DEFAULT, |extra| &extra.rules)
    }

    /// From which role on something is allowed.
    pub fn level(&self, permission: Permission) -> Level {
        match permission {
            Permission::Send => self.send,
            Permission::AddMembers => self.add_members,
            Permission::Pin => self.pin,
            Permission::Rename => self.change,
            Permission::ChangeSettings => self.change.max(Level::Admins),
            Permission::DeleteMessages => self.delete_messages,
            Permission::MentionAll => self.mention_all,
            Permission::RemoveMembers => Level::Admins,
            Permission::SetRoles | Permission::DeleteGroup => Level::Owner,
        }
    }
}

/// A change of the rules; `None` leaves one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RulesChange {
    /// Who may send.
    pub send: Option<Level>,
    /// Who may add members.
    pub add_members: Option<Level>,
    /// Who may pin.
    pub pin: Option<Level>,
    /// Who may rename and change.
    pub change: Option<Level>,
    /// Who may delete messages of others.
    pub delete_messages: Option<Level>,
    /// Who may mention everybody.
    pub mention_all: Option<Level>,
    /// Seconds between two messages of one plain member.
    pub slow_mode_s: Option<u32>,
    /// Whether the server says who joined, left and so on.
    pub system_messages: Option<bool>,
}

impl RulesChange {
    /// The rules after it.
    pub fn apply(&self, rules: GroupRules) -> GroupRules {
        GroupRules {
            send: self.send.unwrap_or(rules.send),
            add_members: self.add_members.unwrap_or(rules.add_members),
            pin: self.pin.unwrap_or(rules.pin),
            change: self.change.unwrap_or(rules.change),
            delete_messages: self.delete_messages.unwrap_or(rules.delete_messages),
            mention_all: self.mention_all.unwrap_or(rules.mention_all),
            slow_mode_s: self.slow_mode_s.unwrap_or(rules.slow_mode_s),
            system_messages: self.system_messages.unwrap_or(rules.system_messages),
        }
    }
}

/// Whether a present member may; for a direct conversation both people may what needs no role.
pub fn allows(conversation: &Conversation, role: Role, permission: Permission) -> bool {
    match conversation.kind {
        ConversationKind::Direct => {
            matches!(permission, Permission::Send | Permission::Pin | Permission::MentionAll)
        }
        ConversationKind::Group => GroupRules::of(conversation).level(permission).allows(role),
    }
}

/// Refuses what the table does not allow, with the permission that is missing.
///
/// # Errors
/// `Forbidden`; `Conflict` for what a direct conversation does not have.
pub fn check(
    conversation: &Conversation,
    member: &Member,
    permission: Permission,
) -> Result<(), Refusal> {
    if allows(conversation, member.role, permission) {
        return Ok(());
    }
    if conversation.kind == ConversationKind::Direct {
        return Err(match permission {
            Permission::DeleteMessages => {
                Refusal::missing(permission, "Only the sender may delete a message.")
            }
            _ => Refusal::conflict("A direct conversation has no members to manage."),
        });
    }
    let level = GroupRules::of(conversation).level(permission);
    Err(Refusal::missing(permission, permission.refusal(level)))
}

const fn is_everyone(level: &Level) -> bool {
    matches!(level, Level::Everyone)
}

const fn is_admins(level: &Level) -> bool {
    matches!(level, Level::Admins)
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

const fn is_zero(number: &u32) -> bool {
    *number == 0
}
