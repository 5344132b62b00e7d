//! The floor below which nothing is unread, one cause at a time.

use super::{unread, unread_floor};
use crate::{
    Conversation, ConversationId, ConversationKind, GroupSettings, History, Member, Role, UnitId,
    UserId,
};

fn rows() -> (Conversation, Member) {
    let id = ConversationId::new_group(1_700_000_000_000, [1; 10]);
    let conversation = Conversation {
        id,
        unit: UnitId(0),
        slot: id.slot(),
        kind: ConversationKind::Group,
        name: String::new(),
        created_at: 0,
        history: History(1),
        head_seq: 100,
        last_message_id: None,
        last_activity_at: 0,
        rev: 100,
        info_rev: 1,
        mark_rev: 100,
        member_count: 2,
        large: false,
        retained_from: 1,
        settings: GroupSettings::default(),
        create_hash: None,
        deleted_at: None,
        extra: None,
    };
    let member = Member {
        conversation: id,
        user: UserId::new(1).expect("in range"),
        role: Role::Member,
        joined_seq: 1,
        left_seq: None,
        rev: 2,
        read_seq: 0,
        delivered_seq: 0,
        mark_rev: 0,
        hidden_to: 0,
        muted_until: None,
        extra: None,
    };
    (conversation, member)
}

#[test]
fn the_highest_cause_is_the_floor() {
    let (conversation, member) = rows();
    let check = |floor: u64, conversation: &Conversation, member: &Member| {
        assert_eq!(unread_floor(conversation, member), floor);
        assert_eq!(unread(conversation, member, 0), 100 - floor);
        assert_eq!(unread(conversation, member, 3), (100 - floor).saturating_sub(3));
    };
    check(0, &conversation, &member);
    check(30, &conversation, &Member { read_seq: 30, ..member.clone() });
    check(39, &conversation, &Member { joined_seq: 40, ..member.clone() });
    check(50, &conversation, &Member { hidden_to: 50, ..member.clone() });
    let cut = Conversation { retained_from: 61, ..conversation.clone() };
    check(60, &cut, &member);
    let all = Member { read_seq: 30, joined_seq: 40, hidden_to: 50, ..member.clone() };
    check(60, &cut, &all);
    check(99, &cut, &Member { read_seq: 99, ..all });
    check(100, &conversation, &Member { read_seq: 100, ..member.clone() });
    check(100, &conversation, &Member { joined_seq: 101, ..member });
}

#[test]
fn who_has_left_and_what_is_deleted_counts_nothing() {
    let (conversation, member) = rows();
    assert_eq!(unread(&conversation, &Member { left_seq: Some(100), ..member.clone() }, 0), 0);
    assert_eq!(unread(&Conversation { deleted_at: Some(1), ..conversation }, &member, 0), 0);
}
