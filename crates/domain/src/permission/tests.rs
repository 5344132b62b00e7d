//! The whole table: every permission, level, role and kind of conversation.

use super::{GroupRules, Level, Permission, RulesChange};
use crate::Role;

const ROLES: [Role; 3] = [Role::Member, Role::Admin, Role::Owner];

#[test]
fn the_table_without_rules() {
    let rules = GroupRules::default();
    let line = |permission: Permission| {
        let may = ROLES.map(|role| rules.level(permission).allows(role));
        (permission.name(), may)
    };
    assert_eq!(
        Permission::ALL.map(line),
        [
            ("send", [true, true, true]),
            ("add_members", [false, true, true]),
            ("pin", [false, true, true]),
            ("rename", [false, true, true]),
            ("change_settings", [false, true, true]),
            ("delete_messages", [false, true, true]),
            ("mention_all", [false, true, true]),
            ("remove_members", [false, true, true]),
            ("set_roles", [false, false, true]),
            ("delete_group", [false, false, true]),
        ]
    );
}

/// The rules with one permission at a level; none for what cannot be set.
fn set(permission: Permission, level: Level) -> Option<RulesChange> {
    let (change, level) = (RulesChange::default(), Some(level));
    Some(match permission {
        Permission::Send => RulesChange { send: level, ..change },
        Permission::AddMembers => RulesChange { add_members: level, ..change },
        Permission::Pin => RulesChange { pin: level, ..change },
        Permission::Rename | Permission::ChangeSettings => RulesChange { change: level, ..change },
        Permission::DeleteMessages => RulesChange { delete_messages: level, ..change },
        Permission::MentionAll => RulesChange { mention_all: level, ..change },
        Permission::RemoveMembers | Permission::SetRoles | Permission::DeleteGroup => return None,
    })
}

#[test]
fn every_level_that_can_be_set_moves_its_own_permission_only() {
    for permission in Permission::ALL {
        for level in Level::ALL {
            let Some(change) = set(permission, level) else { continue };
            let rules = change.apply(GroupRules::default());
            for other in Permission::ALL {
                let expected = match other {
                    Permission::ChangeSettings if change.change.is_some() => {
                        level.max(Level::Admins)
                    }
                    Permission::Rename if change.change.is_some() => level,
                    _ if other == permission => level,
                    _ => GroupRules::default().level(other),
                };
                assert_eq!(rules.level(other), expected, "{permission:?} {level:?} {other:?}");
            }
        }
    }
}

#[test]
fn levels_and_roles() {
    let may = Level::ALL.map(|level| ROLES.map(|role| level.allows(role)));
    assert_eq!(may, [[true; 3], [false, true, true], [false, false, true]]);
}
