//! What each kind of reader may see.

use super::access;
use crate::{
    ClientId, Conversation, ConversationId, ConversationKind, GroupSettings, History, HistoryFor,
    Member, Message, MessageId, MessageKind, RefusalCode, Role, UnitId, UserId,
};

fn rows(history_for: HistoryFor) -> (Conversation, Member) {
    let id = ConversationId::new_group(1_700_000_000_000, [1; 10]);
    let conversation = Conversation {
        id,
        unit: UnitId(0),
        slot: id.slot(),
        kind: ConversationKind::Group,
        name: String::new(),
        created_at: 0,
        history: History(1),
        head_seq: 10,
        last_message_id: None,
        last_activity_at: 0,
        rev: 20,
        info_rev: 1,
        mark_rev: 0,
        member_count: 2,
        large: false,
        retained_from: 1,
        settings: GroupSettings { history_for },
        create_hash: None,
        deleted_at: None,
        extra: None,
    };
    let member = Member {
        conversation: id,
        user: UserId::new(1).expect("in range"),
        role: Role::Member,
        joined_seq: 4,
        left_seq: None,
        rev: 12,
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
fn members_read_from_joining_on_or_everything() {
    for (history_for, from) in [(HistoryFor::SinceJoining, 4), (HistoryFor::All, 1)] {
        let (conversation, member) = rows(history_for);
        let seen = access(Some(&conversation), Some(&member)).expect("a member");
        assert_eq!((seen.from, seen.to, seen.content_until), (from, 10, None));
        assert!(seen.covers(from) && seen.covers(10));
        assert!(!seen.covers(from - 1) && !seen.covers(11));
        // What is physically gone is not readable either way.
        let cut = Conversation { retained_from: 7, ..conversation };
        assert_eq!(access(Some(&cut), Some(&member)).map(|seen| seen.from), Ok(7));
    }
}

#[test]
fn former_members_read_what_was_there_up_to_their_leaving() {
    let (conversation, member) = rows(HistoryFor::SinceJoining);
    let member = Member { left_seq: Some(6), ..member };
    let seen = access(Some(&conversation), Some(&member)).expect("a former member");
    assert_eq!((seen.from, seen.to, seen.content_until), (4, 6, Some(12)));
    let message = Message {
        conversation: conversation.id,
        seq: 5,
        message_id: MessageId::new(1).expect("fits"),
        slot: conversation.slot,
        sender: member.user,
        client_id: ClientId::new("x"),
        payload_hash: None,
        kind: MessageKind::Text,
        content: "hello".to_owned(),
        reply_to: None,
        mentions: Vec::new(),
        created_at: 0,
        edited_at: None,
        deleted: None,
        uncounted: false,
        created_rev: 9,
        rev: 15,
        content_rev: 12,
        extra: None,
    };
    assert!(!seen.withholds(&message), "a later reaction is no later content");
    let edited = Message { content_rev: 13, ..message };
    assert!(seen.withholds(&edited));
    let deleted = Message { deleted: Some((1, member.user)), ..edited.clone() };
    assert!(!seen.withholds(&deleted), "a tombstone has nothing to withhold");
    let present = Member { left_seq: None, ..member };
    let seen = access(Some(&conversation), Some(&present)).expect("a member");
    assert!(!seen.withholds(&edited));
}

#[test]
fn strangers_cannot_tell_what_there_is() {
    let (conversation, member) = rows(HistoryFor::All);
    let deleted = Conversation { deleted_at: Some(1), ..conversation.clone() };
    let refusals = [
        access(None, None),
        access(Some(&conversation), None),
        access(Some(&deleted), Some(&member)),
        access(None, Some(&member)),
    ];
    for refusal in refusals {
        let refusal = refusal.expect_err("not readable");
        assert_eq!(refusal, crate::Refusal::no_conversation());
        assert_eq!(refusal.code, RefusalCode::NotFound);
    }
}
