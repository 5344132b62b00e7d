//! Publishing and evicting: what is seen, what is left, what it weighs.

use ostracon_domain::{
    ClientId, Conversation, ConversationKind, GroupSettings, History, Member, MessageId,
    MessageKind, Reaction, Role,
};

use super::*;

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

fn id() -> ConversationId {
    ConversationId::direct(user(1), user(2))
}

fn conversation(rev: Rev) -> Row {
    Row::Conversation(Arc::new(Conversation {
        id: id(),
        unit: id().slot().unit(),
        slot: id().slot(),
        kind: ConversationKind::Direct,
        name: String::new(),
        created_at: 0,
        history: History(1),
        head_seq: 0,
        last_message_id: None,
        last_activity_at: 0,
        rev,
        info_rev: 1,
        mark_rev: 0,
        member_count: 2,
        large: false,
        retained_from: 1,
        settings: GroupSettings::default(),
        create_hash: None,
        deleted_at: None,
        extra: None,
    }))
}

fn member(rev: Rev) -> Row {
    Row::Member(Arc::new(Member {
        conversation: id(),
        user: user(1),
        role: Role::Member,
        joined_seq: 1,
        left_seq: None,
        rev,
        read_seq: 0,
        delivered_seq: 0,
        mark_rev: 0,
        hidden_to: 0,
        muted_until: None,
        extra: None,
    }))
}

fn message(seq: Seq, rev: Rev) -> Row {
    Row::Message(Arc::new(Message {
        conversation: id(),
        seq,
        message_id: MessageId::new(seq).unwrap(),
        slot: id().slot(),
        sender: user(1),
        client_id: ClientId::new(&seq.to_string()),
        payload_hash: Some(1),
        kind: MessageKind::Text,
        content: format!("{seq} at {rev}"),
        reply_to: None,
        mentions: Vec::new(),
        created_at: 0,
        edited_at: None,
        deleted: None,
        uncounted: rev > seq,
        created_rev: seq,
        rev,
        content_rev: rev,
        extra: None,
    }))
}

fn reaction(seq: Seq, there: bool) -> Row {
    let row =
        Arc::new(Reaction { conversation: id(), seq, user: user(2), emoji: "👍".to_owned() });
    if there { Row::Reaction(row) } else { Row::ReactionGone(row) }
}

fn overlay() -> Overlay {
    Overlay::new(ClientKeys::new(1), Arc::default())
}

fn seqs(overlay: &Overlay) -> Vec<(Seq, Rev)> {
    let range = overlay.range(id(), 0, 1_000);
    range.messages.iter().map(|row| (row.seq, row.rev)).collect()
}

#[test]
fn what_changed_later_stays() {
    let overlay = overlay();
    let first = [conversation(3), member(3), message(1, 1), message(2, 2), message(3, 3)];
    overlay.publish(10, &first, true);
    let second = [message(2, 4), reaction(2, true), conversation(4)];
    overlay.publish(20, &second, true);
    assert_eq!(seqs(&overlay), [(1, 1), (2, 4), (3, 3)]);
    assert_eq!(overlay.range(id(), 1, 3).whole_from, 1);

    overlay.evict(&first, 10);
    assert_eq!(seqs(&overlay), [(2, 4)]);
    // The tables know it as it was: what stands here is not all.
    assert_eq!(overlay.range(id(), 1, 3).whole_from, Seq::MAX);
    assert_eq!(overlay.range(id(), 1, 3).reactions.len(), 1);
    assert!(overlay.member(id(), user(1)).is_none());
    assert_eq!(overlay.conversation(id()).unwrap().rev, 4);
    assert_eq!(overlay.uncounted(id(), 1, 9), [2]);
    let changed = overlay.changed_since(id(), 3, &(1..=9), 9);
    assert_eq!(changed.iter().map(|row| row.seq).collect::<Vec<_>>(), [2]);

    overlay.evict(&second, 20);
    assert!(overlay.conversation(id()).is_none());
    assert_eq!((overlay.bytes(), overlay.bytes_of_all()), (0, 0));
    assert!(overlay.uncounted(id(), 1, 9).is_empty());
    assert!(overlay.changed_since(id(), 0, &(1..=9), 9).is_empty());
}

#[test]
fn old_messages_stand_beside_fresh_ones() {
    let overlay = overlay();
    overlay.publish(10, &[message(100, 100), message(101, 101)], true);
    overlay.publish(20, &[message(5, 102), message(100, 103), message(102, 104)], true);
    // 102 was changed before it was ever seen here: not an insert.
    assert_eq!(seqs(&overlay), [(5, 102), (100, 103), (101, 101), (102, 104)]);
    let range = overlay.range(id(), 100, 101);
    assert_eq!(range.whole_from, 100);
    let unchanged = overlay.unchanged_since(id(), 0, &(1..=1_000), 10);
    assert_eq!(unchanged.iter().map(|row| row.seq).collect::<Vec<_>>(), [101]);
}

#[test]
fn removals_hide_what_the_tables_have() {
    let overlay = overlay();
    overlay.publish(10, &[message(1, 1), message(2, 2), reaction(2, true)], true);
    let gone = [Row::MessagesGone { conversation: id(), below: 3 }];
    overlay.publish(20, &gone, true);
    assert!(matches!(overlay.message(id(), 1), Found::Gone));
    assert!(matches!(overlay.message(id(), 3), Found::Nothing));
    assert!(overlay.range(id(), 1, 5).reactions.is_empty());
    assert_eq!(overlay.gone_below(id()), 3);
    overlay.evict(&gone, 20);
    assert!(matches!(overlay.message(id(), 1), Found::Nothing));
    assert_eq!(overlay.bytes(), 0);
}

#[test]
fn client_ids_are_found_and_forgotten() {
    let overlay = overlay();
    let sent = [message(1, 1)];
    overlay.publish(10, &sent, true);
    let key = overlay.hashes().of(user(1), &ClientId::new("1").unwrap());
    assert_eq!(overlay.by_client_id(id(), key).unwrap().seq, 1);
    let tombstone = [message(1, 2)];
    overlay.publish(20, &tombstone, true);
    assert_eq!(overlay.by_client_id(id(), key).unwrap().rev, 2);
    overlay.evict(&sent, 10);
    assert_eq!(overlay.by_client_id(id(), key).unwrap().rev, 2);
    overlay.evict(&tombstone, 20);
    assert!(overlay.by_client_id(id(), key).is_none());
}
