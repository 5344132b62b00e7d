//! Random sequences of commands: what holds after every one of them, whatever it was.

use std::{collections::BTreeMap, sync::Arc};

use proptest::{collection::vec, prelude::*};

use super::room::{Room, START, edit, new_group, react, reply, send, send_as, user};
use crate::{
    Action, Annex, AnnexKey, AnnexKind, Conversation, ConversationId, ConversationKind,
    GroupChange, GroupRules, GroupSettings, HistoryFor, Level, LifeChange, Member, Message,
    MessageKind, NewInvite, Reaction, Role, Row, RulesChange, Seq, UserId, ViewChange, unread,
};

/// Somebody does something; numbers are made to fit what there is.
#[derive(Debug, Clone)]
struct Step {
    actor: u64,
    kind: u8,
    seq: u64,
    other: u64,
    clock: i64,
}

fn step() -> impl Strategy<Value = Step> {
    (1..=5u64, 0..30u8, 0..14u64, 1..=6u64, -50..1_000i64)
        .prop_map(|(actor, kind, seq, other, clock)| Step { actor, kind, seq, other, clock })
}

fn action(step: &Step) -> Action {
    let (seq, other) = (step.seq, user(step.other));
    match step.kind {
        0..=4 => send("hello"),
        5 => send_as(&format!("c-{}", seq % 3), u128::from(step.other % 2), "hello"),
        6 => reply(seq),
        7 => edit(seq, &format!("edit {}", step.other)),
        8 => Action::Delete { seq },
        9 if step.other > 3 => Action::Pin { seq, remove: step.other == 4 },
        9 => Action::Hide { seq },
        10 | 11 => react(seq, ["👍", "❤️"][step.other as usize % 2], false),
        12 => react(seq, ["👍", "❤️"][step.other as usize % 2], true),
        13 => Action::MarkRead { seq },
        14 => Action::MarkDelivered { seq },
        15 => Action::AddMembers { users: vec![other, user(step.actor)] },
        16 => Action::RemoveMember { user: other },
        17 => Action::RemoveMember { user: user(step.actor) },
        18 => Action::SetRole {
            user: other,
            role: [Role::Member, Role::Admin, Role::Owner][seq as usize % 3],
        },
        19 => Action::ChangeView(ViewChange {
            hidden_to: (seq % 2 == 0).then_some(seq),
            muted_until: Some((seq % 3 == 0).then_some(9)),
        }),
        20 => Action::Change(GroupChange {
            name: Some(format!("name {}", seq % 3)),
            settings: Some(GroupSettings {
                history_for: [HistoryFor::All, HistoryFor::SinceJoining][step.other as usize % 2],
            }),
            rules: RulesChange {
                pin: Some(Level::ALL[step.other as usize % 2]),
                system_messages: Some(seq % 4 < 3),
                slow_mode_s: (seq == 11).then_some(step.other as u32 % 2),
                ..RulesChange::default()
            },
        }),
        21 if seq == 13 => Action::DeleteGroup,
        22 => Action::OpenDirect,
        23 => Action::Ban { user: other, until: (seq > 3).then_some(START + step.clock.abs() * 9) },
        24 => Action::Unban { user: other },
        25 => Action::CreateInvite(NewInvite {
            place: (seq % 2) as u8,
            hash: [0; 32],
            expires_at: None,
            max_uses: Some(1 + seq as u32 % 2),
        }),
        26 => Action::Join { place: (seq % 2) as u8, hash: [0; 32] },
        27 if seq > 9 => Action::Retain { from: step.other },
        27 => Action::Expire { seqs: (seq..seq + step.other).collect() },
        28 => Action::SetLife(LifeChange {
            timer_s: (seq % 3 > 0).then(|| (seq % 3 > 1).then_some(5)),
            retention_s: (seq % 2 > 0).then_some(Some(86_400)),
        }),
        _ => new_group("a group", &[user(2), user(3)]),
    }
}

/// All rows of a room, to compare before and after.
#[derive(Debug, Clone, PartialEq)]
struct Rows {
    conversation: Option<Arc<Conversation>>,
    members: BTreeMap<UserId, Arc<Member>>,
    messages: BTreeMap<Seq, Arc<Message>>,
    reactions: Vec<Reaction>,
    annexes: BTreeMap<AnnexKey, Arc<Annex>>,
}

fn rows_of(room: &Room) -> Rows {
    Rows {
        conversation: room.conversation.clone(),
        members: room.members.clone(),
        messages: room.messages.clone(),
        reactions: room.reactions.iter().cloned().collect(),
        annexes: room.annexes.clone(),
    }
}

/// Which row of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Info,
    Member(UserId),
    Message(Seq),
    Annex(AnnexKey),
}

/// The numbers that the rows of one command took: each changed row in its newest state, those above `before`, by number.
fn taken(rows: &[Row], before: u64, number: impl Fn(&Row) -> Option<(Key, u64)>) -> Vec<u64> {
    let newest: BTreeMap<Key, u64> = rows.iter().filter_map(number).collect();
    let mut numbers: Vec<u64> = newest.into_values().filter(|number| *number > before).collect();
    numbers.sort_unstable();
    numbers
}

fn rev_of(row: &Row) -> Option<(Key, u64)> {
    match row {
        Row::Conversation(row) => Some((Key::Info, row.info_rev)),
        Row::Member(row) => Some((Key::Member(row.user), row.rev)),
        Row::Message(row) => Some((Key::Message(row.seq), row.rev)),
        _ => None,
    }
}

fn mark_of(row: &Row) -> Option<(Key, u64)> {
    match row {
        Row::Member(row) => Some((Key::Member(row.user), row.mark_rev)),
        // That of a hidden message is its member's.
        Row::Annex(row) if row.key.kind.is_of_conversation() => {
            Some((Key::Annex(row.key), row.number))
        }
        _ => None,
    }
}

/// Each number belongs to exactly one row, and each row that changed has one.
fn numbers_are_right(before: &Rows, after: &Rows, rows: &[Row]) {
    let old = before.conversation.as_deref();
    let Some(new) = after.conversation.as_deref() else {
        assert!(rows.is_empty());
        return;
    };
    let (rev, mark_rev) = old.map_or((0, 0), |old| (old.rev, old.mark_rev));
    let run = |from: u64, to: u64| (from + 1..=to).collect::<Vec<_>>();
    assert_eq!(taken(rows, rev, rev_of), run(rev, new.rev), "one row for each rev: {rows:?}");
    assert_eq!(taken(rows, mark_rev, mark_of), run(mark_rev, new.mark_rev), "{rows:?}");
    assert_eq!(rows.is_empty(), before == after, "rows are given if something changed: {rows:?}");
    if rows.is_empty() {
        return;
    }
    assert!(new.rev + new.mark_rev > rev + mark_rev, "every change is counted");
    if let Some(old) = old {
        let visible = |row: &Conversation| {
            let life = row.extra.as_ref().map(|extra| (extra.timer_s, extra.retention_s));
            let shown = (row.name.clone(), row.settings, *GroupRules::of(row));
            let part = (row.member_count, row.large, row.retained_from, row.deleted_at);
            (shown, part, life.unwrap_or_default())
        };
        assert_eq!(visible(old) != visible(new), new.info_rev > rev, "{rows:?}");
        assert_eq!(
            (old.unit, old.history, old.created_at),
            (new.unit, new.history, new.created_at)
        );
    }
    for (user, member) in &after.members {
        let Some(old) = before.members.get(user) else {
            assert!(member.rev > rev);
            continue;
        };
        let shared = |m: &Member| (m.role, m.joined_seq, m.left_seq);
        let own = |m: &Member| (m.read_seq, m.delivered_seq, m.hidden_to, m.muted_until);
        assert_eq!(shared(old) != shared(member), member.rev > rev);
        let hidden = |rows: &Rows| {
            let own = |key: &&AnnexKey| key.kind == AnnexKind::Hidden && key.first == user.get();
            rows.annexes.keys().filter(own).count()
        };
        let more = hidden(before) < hidden(after);
        assert_eq!(own(old) != own(member) || more, member.mark_rev > mark_rev);
        assert!(own(member).0 >= own(old).0 && own(member).1 >= own(old).1, "marks go forward");
    }
    for (seq, message) in &after.messages {
        let reactions = |rows: &Rows| -> Vec<Reaction> {
            rows.reactions.iter().filter(|row| row.seq == *seq).cloned().collect()
        };
        match before.messages.get(seq) {
            None => {
                assert!(message.created_rev == message.rev && message.rev > rev);
                let timed = message.extra.as_ref().and_then(|extra| extra.expires_at);
                let timer = old.and_then(|old| old.extra.as_ref()?.timer_s);
                // What the server says stays.
                let timer = timer.filter(|_| message.kind != MessageKind::System);
                let due = timer.map(|seconds| message.created_at + i64::from(seconds) * 1_000);
                assert_eq!(timed, due);
            }
            Some(old) => {
                let changed = old != message || reactions(before) != reactions(after);
                assert_eq!(changed, message.rev > rev);
                let content = old.content != message.content || old.deleted != message.deleted;
                assert_eq!(content, message.content_rev > rev);
                assert_eq!(
                    (old.message_id, old.created_rev, old.created_at, &old.client_id),
                    (
                        message.message_id,
                        message.created_rev,
                        message.created_at,
                        &message.client_id
                    )
                );
            }
        }
    }
}

/// What is true of every conversation at any time.
fn rows_are_sound(rows: &Rows) {
    let Some(head) = rows.conversation.as_deref() else {
        assert!(rows.members.is_empty() && rows.messages.is_empty());
        return;
    };
    let seqs: Vec<Seq> = rows.messages.keys().copied().collect();
    let expect: Vec<Seq> = (head.retained_from..=head.head_seq).collect();
    assert_eq!(seqs, expect, "no gaps");
    let messages: Vec<&Arc<Message>> = rows.messages.values().collect();
    assert!(messages.is_sorted_by(|a, b| a.message_id < b.message_id));
    assert!(messages.is_sorted_by(|a, b| a.created_rev < b.created_rev));
    assert!(messages.is_sorted_by_key(|message| message.created_at));
    for message in messages {
        assert!(message.created_rev <= message.content_rev && message.content_rev <= message.rev);
        assert!(message.rev <= head.rev);
        let told = message.kind == MessageKind::System;
        assert_eq!(message.deleted.is_some() || told, message.uncounted);
        if message.deleted.is_some() {
            assert!(message.content.is_empty() && message.mentions.is_empty());
            assert!(message.payload_hash.is_none() && message.reply_to.is_none());
            assert!(!rows.reactions.iter().any(|row| row.seq == message.seq));
        } else {
            assert!(!message.content.is_empty());
        }
    }
    let pinned = |message: &&Arc<Message>| {
        message.extra.as_ref().is_some_and(|extra| extra.pinned.is_some())
    };
    let pinned: Vec<Seq> = rows.messages.values().filter(pinned).map(|row| row.seq).collect();
    let pins = head.extra.as_ref().map(|extra| extra.pins.clone()).unwrap_or_default();
    let rows_of_pins = rows.annexes.keys().filter(|key| key.kind == AnnexKind::Pin);
    assert!(pinned == pins && rows_of_pins.map(|key| key.second).eq(pins));
    for annex in rows.annexes.values() {
        let private = annex.key.kind.is_private();
        assert!(annex.number <= if private { head.mark_rev } else { head.rev });
        if !annex.key.kind.is_of_conversation() {
            assert!(rows.messages[&annex.key.seq()].deleted.is_none(), "tombstones have none");
        }
    }
    for member in rows.members.values() {
        assert!(member.read_seq <= member.delivered_seq);
        assert!(member.delivered_seq <= head.head_seq && member.hidden_to <= head.head_seq);
        assert!(member.joined_seq <= head.head_seq + 1);
        assert!(member.rev <= head.rev && member.mark_rev <= head.mark_rev);
        let counts = |message: &&Arc<Message>| {
            member.left_seq.is_none()
                && head.deleted_at.is_none()
                && message.seq > member.read_seq
                && message.seq >= member.joined_seq
                && message.seq > member.hidden_to
        };
        let naive = rows.messages.values().filter(counts).filter(|m| !m.uncounted).count() as u64;
        let floor = crate::unread::unread_floor(head, member);
        let above = rows.messages.values().filter(|m| m.seq > floor && m.uncounted).count() as u64;
        assert_eq!(unread(head, member, above), naive, "{member:?}");
    }
    if head.deleted_at.is_none() {
        let present: Vec<_> = rows.members.values().filter(|m| m.is_present()).collect();
        assert_eq!(present.len(), head.member_count as usize);
        let owners = present.iter().filter(|member| member.role == Role::Owner).count();
        assert_eq!(owners, usize::from(head.kind == ConversationKind::Group));
    }
}

fn tell(id: ConversationId, steps: &[Step]) {
    let mut room = Room::new(id);
    room.limits.group_members_max = 5;
    room.limits.edit_history = true;
    for step in steps {
        room.now += step.clock;
        let before = rows_of(&room);
        match room.run(user(step.actor), action(step)) {
            Ok((_, rows)) => numbers_are_right(&before, &rows_of(&room), &rows),
            Err(_) => assert_eq!(rows_of(&room), before, "refused changes nothing"),
        }
        rows_are_sound(&rows_of(&room));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn groups_stay_sound(steps in vec(step(), 1..120)) {
        tell(Room::group_id(), &steps);
    }

    #[test]
    fn direct_conversations_stay_sound(steps in vec(step(), 1..120), own in any::<bool>()) {
        let peer = if own { 1 } else { 2 };
        tell(ConversationId::direct(user(1), user(peer)), &steps);
    }
}
