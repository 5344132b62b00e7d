//! Round trips of rows of every kind, and hostile bytes: what cannot be a row is refused, nothing panics.

use std::sync::Arc;

use ostracon_domain::{
    Annex, AnnexKey, AnnexKind, Applied, ClientId, Conversation, ConversationExtra, ConversationId,
    ConversationKind, GroupRules, GroupSettings, History, HistoryFor, InboxEntry, InboxExtra,
    Member, MemberExtra, Mention, Message, MessageExtra, MessageId, MessageKind, Pinned, Reaction,
    Role, Row, Slot, UnitId, UserExtra, UserId, UserState,
};
use proptest::{collection::vec, option, prelude::*};

use super::{decode_all, decode_mentions, encode, encode_mentions, fuzz_decode};

fn encoded(rows: &[Row]) -> Vec<u8> {
    let mut bytes = Vec::new();
    rows.iter().for_each(|row| encode(row, &mut bytes));
    bytes
}

/// Small, large and extreme numbers alike.
fn number() -> BoxedStrategy<u64> {
    prop_oneof![0..300u64, any::<u64>(), Just(u64::MAX), (0..64u32).prop_map(|bit| 1 << bit)]
        .boxed()
}

fn time() -> BoxedStrategy<i64> {
    prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), -3..3i64].boxed()
}

fn user() -> BoxedStrategy<UserId> {
    prop_oneof![1..9u64, 1..1u64 << 53, Just((1u64 << 53) - 1)]
        .prop_map(|id| UserId::new(id).expect("in range"))
        .boxed()
}

fn conversation() -> BoxedStrategy<ConversationId> {
    prop_oneof![
        (user(), user()).prop_map(|(a, b)| ConversationId::direct(a, b)),
        (0..1i64 << 47, any::<[u8; 10]>())
            .prop_map(|(ms, random)| ConversationId::new_group(ms, random)),
        any::<[u8; 16]>().prop_map(ConversationId::retried_group),
    ]
    .boxed()
}

fn slot() -> BoxedStrategy<Slot> {
    (0..16_384u16).prop_map(|slot| Slot::new(slot).expect("in range")).boxed()
}

fn message_id() -> BoxedStrategy<MessageId> {
    (0..1u64 << 63).prop_map(|id| MessageId::new(id).expect("63 bits")).boxed()
}

fn text() -> BoxedStrategy<String> {
    prop_oneof![".{0,40}", Just(String::new()), Just("🎂".repeat(5_000)), "\\PC{200}"].boxed()
}

fn client_id() -> BoxedStrategy<ClientId> {
    "[ -~é]{1,32}".prop_map(|text| ClientId::new(&text).expect("allowed")).boxed()
}

fn conversation_row() -> BoxedStrategy<Row> {
    (
        (conversation(), any::<u32>(), slot(), any::<bool>(), text(), time(), number()),
        (number(), option::of(message_id()), time(), number(), number(), number()),
        (any::<u32>(), any::<bool>(), number(), any::<bool>(), any::<Option<u128>>()),
        option::of(time()),
    )
        .prop_map(|(a, b, c, deleted_at)| {
            Row::Conversation(Arc::new(Conversation {
                id: a.0,
                unit: UnitId(a.1),
                slot: a.2,
                kind: if a.3 { ConversationKind::Direct } else { ConversationKind::Group },
                name: a.4,
                created_at: a.5,
                history: History(a.6),
                head_seq: b.0,
                last_message_id: b.1,
                last_activity_at: b.2,
                rev: b.3,
                info_rev: b.4,
                mark_rev: b.5,
                member_count: c.0,
                large: c.1,
                retained_from: c.2,
                settings: GroupSettings {
                    history_for: if c.3 { HistoryFor::All } else { HistoryFor::SinceJoining },
                },
                create_hash: c.4,
                deleted_at,
                extra: c.3.then(|| {
                    Box::new(ConversationExtra {
                        pins: vec![a.6, b.0],
                        mentioned: a.3,
                        timed_from: Some(a.6),
                        rules: GroupRules { slow_mode_s: a.6 as u32, ..GroupRules::default() },
                        ..ConversationExtra::default()
                    })
                }),
            }))
        })
        .boxed()
}

fn member_row() -> BoxedStrategy<Row> {
    (
        (conversation(), user(), 0..3u8, number(), option::of(number()), number()),
        (number(), number(), number(), number(), option::of(time())),
    )
        .prop_map(|(a, b)| {
            Row::Member(Arc::new(Member {
                conversation: a.0,
                user: a.1,
                role: [Role::Member, Role::Admin, Role::Owner][usize::from(a.2)],
                joined_seq: a.3,
                left_seq: a.4,
                rev: a.5,
                read_seq: b.0,
                delivered_seq: b.1,
                mark_rev: b.2,
                hidden_to: b.3,
                muted_until: b.4,
                extra: (b.3 % 2 == 1)
                    .then(|| Box::new(MemberExtra { hides: true, ..MemberExtra::default() })),
            }))
        })
        .boxed()
}

fn mention() -> BoxedStrategy<Mention> {
    (user(), any::<u32>(), any::<u32>())
        .prop_map(|(user_id, start, end)| Mention { user_id, start, end })
        .boxed()
}

fn message_row() -> BoxedStrategy<Row> {
    const KINDS: [MessageKind; 4] =
        [MessageKind::Text, MessageKind::Image, MessageKind::File, MessageKind::System];
    (
        (conversation(), number(), message_id(), slot(), user(), option::of(client_id())),
        (any::<Option<u128>>(), 0..4usize, text(), option::of(number()), vec(mention(), 0..5)),
        (time(), option::of(time()), option::of((time(), user())), any::<bool>()),
        (number(), number(), number()),
    )
        .prop_map(|(a, b, c, d)| {
            Row::Message(Arc::new(Message {
                conversation: a.0,
                seq: a.1,
                message_id: a.2,
                slot: a.3,
                sender: a.4,
                client_id: a.5,
                payload_hash: b.0,
                kind: KINDS[b.1],
                content: b.2,
                reply_to: b.3,
                mentions: b.4,
                created_at: c.0,
                edited_at: c.1,
                deleted: c.2,
                uncounted: c.3,
                created_rev: d.0,
                rev: d.1,
                content_rev: d.2,
                extra: (d.2 % 2 == 1).then(|| {
                    let pinned = Some(Pinned { at: c.0, by: a.4 });
                    Box::new(MessageExtra { pinned, ..MessageExtra::default() })
                }),
            }))
        })
        .boxed()
}

fn reaction_row() -> BoxedStrategy<Row> {
    (conversation(), number(), user(), text(), any::<bool>())
        .prop_map(|row| {
            let reaction =
                Arc::new(Reaction { conversation: row.0, seq: row.1, user: row.2, emoji: row.3 });
            if row.4 { Row::Reaction(reaction) } else { Row::ReactionGone(reaction) }
        })
        .boxed()
}

fn inbox_row() -> BoxedStrategy<Row> {
    (
        (user(), conversation(), number(), number(), number(), number(), time(), number()),
        (option::of(time()), option::of(number()), any::<[bool; 4]>(), number()),
    )
        .prop_map(|(a, b)| {
            Row::Inbox(Arc::new(InboxEntry {
                user: a.0,
                conversation: a.1,
                applied: Applied { history: History(a.2), rev: a.3, mark_rev: a.4 },
                last_seq: a.5,
                last_activity_at: a.6,
                hidden_to: a.7,
                muted_until: b.0,
                archived_seq: b.1,
                marked_unread: b.2[0],
                pinned: b.2[1],
                large: b.2[2],
                removed: b.2[3],
                user_rev: b.3,
                extra: b.2[0].then(|| Box::new(InboxExtra { draft: Some("é\n".to_owned()) })),
            }))
        })
        .boxed()
}

fn annex_row() -> BoxedStrategy<Row> {
    (conversation(), 0..5usize, number(), number(), number(), vec(any::<u8>(), 0..9), any::<bool>())
        .prop_map(|row| {
            let key = AnnexKey { kind: AnnexKind::ALL[row.1], first: row.2, second: row.3 };
            let annex = Annex { conversation: row.0, key, number: row.4, value: row.5 };
            if row.6 { Row::Annex(Arc::new(annex)) } else { Row::AnnexGone(Arc::new(annex)) }
        })
        .boxed()
}

fn row() -> BoxedStrategy<Row> {
    prop_oneof![
        annex_row(),
        (conversation(), number())
            .prop_map(|(conversation, seq)| Row::AnnexesGone { conversation, seq }),
        conversation_row(),
        member_row(),
        message_row(),
        reaction_row(),
        inbox_row(),
        (conversation(), number())
            .prop_map(|(conversation, below)| Row::MessagesGone { conversation, below }),
        (user(), any::<u32>(), slot(), number(), number()).prop_map(|row| {
            Row::User(Arc::new(UserState {
                user: row.0,
                unit: UnitId(row.1),
                slot: row.2,
                history: History(row.3),
                user_rev: row.4,
                extra: (row.4 % 2 == 1).then(|| Box::new(UserExtra { blocks: vec![row.0] })),
            }))
        }),
    ]
    .boxed()
}

proptest! {
    #[test]
    fn rows_come_back_as_they_were(rows in vec(row(), 0..8)) {
        let bytes = encoded(&rows);
        prop_assert_eq!(&decode_all(&bytes).expect("just encoded"), &rows);
        // One encoding for one row: a digest may rest on it.
        prop_assert_eq!(encoded(&rows), bytes);
    }

    #[test]
    fn no_truncated_row_is_read(row in row()) {
        let bytes = encoded(std::slice::from_ref(&row));
        for end in 1..bytes.len() {
            prop_assert!(decode_all(&bytes[..end]).is_err(), "{} of {} bytes", end, bytes.len());
        }
    }

    #[test]
    fn fuzz_mutated_rows_never_panic(
        rows in vec(row(), 1..4),
        mutations in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = encoded(&rows);
        for (place, byte) in mutations {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        fuzz_decode(&bytes);
    }

    #[test]
    fn fuzz_arbitrary_bytes_never_panic(tag in 0..18u8, mut bytes in vec(any::<u8>(), 0..300)) {
        fuzz_decode(&bytes);
        bytes.insert(0, tag);
        fuzz_decode(&bytes);
    }

    #[test]
    fn mentions_come_back_as_they_were(list in vec(mention(), 0..50)) {
        let bytes = encode_mentions(&list);
        prop_assert_eq!(decode_mentions(&bytes), Ok(list));
    }
}

#[test]
fn nothing_else_is_a_row() {
    let user = [7, 1, 0, 0, 0, 0];
    assert!(decode_all(&user).is_ok());
    for (bytes, why) in [
        (&[0][..], "no kind 0"),
        (&[17], "no kind 17 yet"),
        (&[255], "no kind 255"),
        (&[7, 0, 0, 0, 0, 0], "user 0"),
        (&[7, 1, 0, 0x80, 0x80, 0x01, 0, 0], "slot 16,384"),
        (&[7, 1, 0, 0x80, 0x80, 0x04, 0, 0], "slot 65,536"),
        (&[7, 1, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02], "2^64"),
        (&[7, 0x80], "an endless number"),
        (&[7, 0x81, 0x00, 0, 0, 0, 0], "a number longer than it needs to be"),
    ] {
        assert!(decode_all(bytes).is_err(), "{why}");
    }
    // A list cannot claim more than there is.
    assert!(
        decode_mentions(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).is_err()
    );
    assert!(decode_mentions(&[0, 0]).is_err(), "bytes behind the list");
}

/// Bytes of stored rows: a change of them would make old data unreadable.
#[test]
fn the_encoding_never_changes() {
    let user = UserId::new(300).expect("in range");
    let talk = ConversationId::direct(user, user);
    let state = UserState {
        user,
        unit: UnitId(5),
        slot: Slot::new(5).expect("in range"),
        history: History(1),
        user_rev: 2,
        extra: None,
    };
    let reaction = Reaction { conversation: talk, seq: 1, user, emoji: "👍".to_owned() };
    let hex = |row: Row| encoded(&[row]).iter().map(|b| format!("{b:02x}")).collect::<String>();
    let blocks = Some(Box::new(UserExtra { blocks: vec![user] }));
    let with = UserState { extra: blocks, ..state.clone() };
    assert_eq!(hex(Row::User(Arc::new(state))), "07ac0205050102");
    let json: String = br#"{"b":[300]}"#.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex(Row::User(Arc::new(with))), format!("0cac02050501020b{json}"));
    let id = format!("{:032x}", talk.as_u128());
    assert_eq!(hex(Row::Reaction(Arc::new(reaction))), format!("04{id}01ac0204f09f918d"));
    assert_eq!(hex(Row::MessagesGone { conversation: talk, below: 128 }), format!("06{id}8001"));
    let key = AnnexKey::hidden(user, 2);
    let annex = Annex { conversation: talk, key, number: 9, value: vec![1] };
    assert_eq!(hex(Row::Annex(Arc::new(annex))), format!("0e{id}40ac0202090101"));
    assert_eq!(hex(Row::AnnexesGone { conversation: talk, seq: 3 }), format!("10{id}03"));
}
