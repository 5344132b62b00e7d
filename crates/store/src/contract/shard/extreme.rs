//! Rows at the edge of what a field can hold: each backend must store and give them unchanged.

use std::sync::Arc;

use ostracon_domain::{
    Annex, AnnexKey, AnnexKind, Applied, Attachment, ClientId, Conversation, ConversationExtra,
    ConversationId, ConversationKind, Epoch, GroupRules, GroupSettings, History, HistoryFor,
    InboxEntry, InboxExtra, Level, Member, MemberExtra, Mention, Message, MessageExtra, MessageId,
    MessageKind, Pinned, Reaction, Role, Row, UnitAt, UserExtra, UserId, UserState,
};

use super::{
    ShardFixture,
    world::{World, group, newest, rows, user},
};
use crate::unit_state::UnitPhase::{Importing, Open};

/// The largest number that every backend holds: 63 bits, as signed columns do.
const MAX: u64 = i64::MAX as u64;
const LAST_USER: UserId = user((1 << 53) - 1);
const UNIT: ostracon_domain::UnitId = ostracon_domain::UnitId(u32::MAX >> 1);

fn message(id: ConversationId, seq: u64) -> Message {
    Message {
        conversation: id,
        seq,
        message_id: MessageId::new(MAX - 10 + seq).unwrap(),
        slot: id.slot(),
        sender: LAST_USER,
        client_id: None,
        payload_hash: None,
        kind: MessageKind::Text,
        content: String::new(),
        reply_to: None,
        mentions: Vec::new(),
        created_at: i64::MAX,
        edited_at: None,
        deleted: None,
        uncounted: false,
        created_rev: MAX / 2 - 10 + seq,
        rev: MAX / 2 - 10 + seq,
        content_rev: MAX / 2 - 10 + seq,
        extra: None,
    }
}

fn extreme_rows() -> Vec<Row> {
    let talk = ConversationId::direct(LAST_USER, LAST_USER);
    let long_name: String = "👨‍👩‍👧‍👦".chars().cycle().take(200).collect();
    // Half of 63 bits each: a version is rev + mark_rev.
    let conversation = Conversation {
        id: talk,
        unit: UNIT,
        slot: talk.slot(),
        kind: ConversationKind::Direct,
        name: String::new(),
        created_at: i64::MIN + 1,
        history: History(u64::MAX),
        head_seq: 5,
        last_message_id: Some(MessageId::new(MAX - 5).unwrap()),
        last_activity_at: i64::MAX,
        rev: MAX / 2,
        info_rev: 1,
        mark_rev: MAX / 2,
        member_count: 1,
        large: false,
        retained_from: 1,
        settings: GroupSettings::default(),
        create_hash: None,
        deleted_at: None,
        extra: None,
    };
    let empty_group = Conversation {
        id: group(9),
        slot: group(9).slot(),
        kind: ConversationKind::Group,
        name: long_name,
        created_at: 0,
        history: History(0),
        head_seq: 0,
        last_message_id: None,
        last_activity_at: 0,
        info_rev: MAX / 2,
        member_count: u32::MAX >> 1,
        large: true,
        retained_from: MAX,
        settings: GroupSettings { history_for: HistoryFor::All },
        create_hash: Some(u128::MAX),
        deleted_at: Some(i64::MAX),
        extra: Some(Box::new(ConversationExtra {
            pins: (1..=100).collect(),
            mentioned: true,
            timer_s: Some(u32::MAX),
            retention_s: Some(0),
            timed_from: Some(MAX),
            rules: GroupRules {
                send: Level::Owner,
                pin: Level::Everyone,
                slow_mode_s: 21_600,
                ..GroupRules::default()
            },
        })),
        ..conversation.clone()
    };
    let own = Member {
        conversation: talk,
        user: LAST_USER,
        role: Role::Member,
        joined_seq: 1,
        left_seq: None,
        rev: MAX / 2,
        read_seq: 0,
        delivered_seq: 5,
        mark_rev: MAX / 2,
        hidden_to: 0,
        muted_until: Some(i64::MAX),
        extra: None,
    };
    let former = Member {
        conversation: group(9),
        user: user(1),
        role: Role::Owner,
        joined_seq: MAX,
        left_seq: Some(MAX),
        read_seq: MAX,
        delivered_seq: MAX,
        hidden_to: MAX,
        muted_until: Some(i64::MIN + 1),
        extra: Some(Box::new(MemberExtra { hides: true, last_sent: Some(i64::MAX) })),
        ..own.clone()
    };
    let mention = |start| Mention { user_id: LAST_USER, start, end: start + 1 };
    let longest = Message {
        content: "\u{10ffff}".repeat(5_000),
        client_id: ClientId::new(&"é".repeat(32)),
        payload_hash: Some(u128::MAX),
        reply_to: Some(1),
        mentions: (0..50).map(mention).collect(),
        kind: MessageKind::File,
        extra: Some(Box::new(MessageExtra {
            attachments: vec![Attachment {
                media_id: "f".repeat(64),
                mime: "image/svg+xml; charset=\"é\"".to_owned(),
                size: MAX,
                width: Some(u32::MAX),
                height: Some(0),
                duration_ms: Some(MAX),
                thumbhash: Some(String::new()),
                name: Some("\u{1}\u{202e}\"\\\u{10ffff}".to_owned()),
            }],
            pinned: Some(Pinned { at: i64::MIN + 1, by: LAST_USER }),
            editions: u32::MAX,
            expires_at: Some(i64::MAX),
            kept: Some("\u{1F600} \" \\ é".to_owned()),
        })),
        edited_at: Some(i64::MIN + 1),
        ..message(talk, 2)
    };
    let strange = Message {
        content: "\u{1}\r\n\u{7f}\u{200b}\u{202e}\u{feff}'\"\\ %_;--\u{fffd}\u{1f468}\u{200d}"
            .to_owned(),
        client_id: ClientId::new("0197a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"),
        payload_hash: Some(0),
        kind: MessageKind::System,
        uncounted: true,
        ..message(talk, 3)
    };
    let widest = Message {
        content: "\u{ffff}".repeat(10_000),
        client_id: ClientId::new("0197A1B2-C3D4-7E5F-8A6B-7C8D9E0F1A2B"),
        kind: MessageKind::Image,
        ..message(talk, 4)
    };
    let tombstone = Message {
        deleted: Some((i64::MAX, LAST_USER)),
        client_id: ClientId::new("0197a1b2c3d47e5f8a6b7c8d9e0f1a2b"),
        uncounted: true,
        ..message(talk, 5)
    };
    let reaction = |user, emoji: &str| {
        Row::Reaction(Arc::new(Reaction {
            conversation: talk,
            seq: 2,
            user,
            emoji: emoji.to_owned(),
        }))
    };
    let annex = |kind, first, second, number, value| {
        let key = AnnexKey { kind, first, second };
        Row::Annex(Arc::new(Annex { conversation: talk, key, number, value }))
    };
    let state = UserState {
        user: LAST_USER,
        unit: UNIT,
        slot: LAST_USER.slot(),
        history: History(1 << 63),
        user_rev: MAX,
        extra: Some(Box::new(UserExtra { blocks: vec![user(1), LAST_USER] })),
    };
    let entry = InboxEntry {
        user: LAST_USER,
        conversation: group(9),
        applied: Applied { history: History(u64::MAX), rev: MAX, mark_rev: MAX },
        last_seq: MAX,
        last_activity_at: i64::MAX,
        hidden_to: MAX,
        muted_until: Some(i64::MAX),
        archived_seq: Some(MAX),
        marked_unread: true,
        pinned: true,
        large: true,
        removed: true,
        user_rev: MAX,
        extra: Some(Box::new(InboxExtra { draft: Some("é\u{10ffff}\n".to_owned()) })),
    };
    let plain = InboxEntry {
        conversation: talk,
        applied: Applied { history: History(0), rev: 0, mark_rev: 0 },
        last_seq: 0,
        last_activity_at: i64::MIN + 1,
        hidden_to: 0,
        muted_until: None,
        archived_seq: None,
        marked_unread: false,
        pinned: false,
        large: false,
        removed: false,
        user_rev: 1,
        extra: None,
        ..entry.clone()
    };
    // In the order of a scan: by id of the conversation, then the user.
    let mut talks = vec![
        vec![
            Row::Conversation(Arc::new(conversation)),
            Row::Member(Arc::new(own)),
            annex(AnnexKind::Hidden, 1, 3, MAX / 2, vec![1]),
            annex(AnnexKind::Hidden, LAST_USER.get(), 2, 1, Vec::new()),
            annex(AnnexKind::Ban, 0, LAST_USER.get(), MAX / 2, vec![0xff; 24]),
            annex(AnnexKind::Invite, 0, 99, 1, vec![0; 65]),
            Row::Message(Arc::new(message(talk, 1))),
            Row::Message(Arc::new(longest)),
            reaction(user(1), "❤️"),
            reaction(user(1), "👍"),
            reaction(user(1), "👨🏿‍👩🏿‍👧🏿‍👦🏿"),
            reaction(LAST_USER, "0"),
            annex(AnnexKind::Edition, 2, MAX, MAX, vec![0; 40_000]),
            annex(AnnexKind::Mention, 0, 2, 0, Vec::new()),
            annex(AnnexKind::Mention, LAST_USER.get(), 2, 1, vec![0, 255]),
            annex(AnnexKind::Reply, MAX, 2, 2, Vec::new()),
            Row::Message(Arc::new(strange)),
            Row::Message(Arc::new(widest)),
            Row::Message(Arc::new(tombstone)),
        ],
        vec![Row::Conversation(Arc::new(empty_group)), Row::Member(Arc::new(former))],
    ];
    talks.sort_by_key(|rows| match &rows[0] {
        Row::Conversation(row) => row.id,
        other => panic!("not a conversation: {other:?}"),
    });
    let mut rows: Vec<Row> = talks.into_iter().flatten().collect();
    let mut entries = [entry, plain];
    entries.sort_by_key(|entry| entry.conversation);
    rows.push(Row::User(Arc::new(state)));
    rows.extend(entries.map(|entry| Row::Inbox(Arc::new(entry))));
    rows
}

pub(super) async fn extreme_rows_travel_unchanged(fixture: &dyn ShardFixture) {
    let rows_in = extreme_rows();
    let at = UnitAt { unit: UNIT, epoch: Epoch(MAX) };
    let world = World::with_units(fixture, &[]).await;
    world.step(UNIT, &[(Importing, MAX)]).await;
    world.shard.apply_rows(at, rows_in.clone(), world.pair()).await.unwrap();
    assert_eq!(world.scan(UNIT, 1_000).await, rows_in);
    // From there to another shard, page by page.
    let copy = World::with_units(fixture, &[]).await;
    copy.step(UNIT, &[(Importing, MAX)]).await;
    for page in [world.scan(UNIT, 1).await, world.scan(UNIT, 4).await] {
        copy.shard.apply_rows(at, page, copy.pair()).await.unwrap();
    }
    assert_eq!(copy.scan(UNIT, 1_000).await, rows_in);
    copy.step(UNIT, &[(Open, MAX)]).await;
    let talk = ConversationId::direct(LAST_USER, LAST_USER);
    let read = async |world: &World| {
        let page = world.shard.messages(at, talk, LAST_USER, newest(10)).await;
        rows(page.unwrap()).messages
    };
    let messages = read(&copy).await;
    let stored = rows_in.iter().filter_map(|row| match row {
        Row::Message(row) => Some(row),
        _ => None,
    });
    assert!(messages.iter().map(|view| &view.message).eq(stored));
    assert_eq!(messages[1].reactions.len(), 4);
    if let Some(copy) = copy.reopened(fixture).await {
        assert_eq!(copy.scan(UNIT, 1_000).await, rows_in);
        assert_eq!(read(&copy).await, messages);
    }
}
