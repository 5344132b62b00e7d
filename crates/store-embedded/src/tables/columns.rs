//! Values as SQLite keeps them, and rows out of columns. Numbers above 2^63 wrap to negative ones and back.

use std::sync::Arc;

use ostracon_domain::{
    Annex, AnnexKey, AnnexKind, Applied, ClientId, Conversation, ConversationId, ConversationKind,
    Epoch, GroupSettings, History, HistoryFor, InboxEntry, Member, Message, MessageId, Slot,
    UnitId, UserId, UserState,
};
use ostracon_store::{
    Pair, UnitPhase, UnitState,
    record::{Part, decode_extra, decode_mentions, message_kind_of, role_of},
};
use rusqlite::{
    Row,
    types::{ToSqlOutput, ValueRef},
};

use crate::error::TableError;

type Result<T> = std::result::Result<T, TableError>;

/// A 16-byte value.
pub(crate) fn wide(value: ValueRef<'_>) -> Result<u128> {
    match value {
        ValueRef::Blob(bytes) => {
            Ok(u128::from_be_bytes(bytes.try_into().map_err(|_| TableError::Damaged("16 bytes"))?))
        }
        _ => Err(TableError::Damaged("16 bytes")),
    }
}

fn number(row: &Row<'_>, at: usize) -> Result<u64> {
    match row.get_ref(at)? {
        ValueRef::Integer(number) => Ok(number as u64),
        _ => Err(TableError::Damaged("number")),
    }
}

fn time(row: &Row<'_>, at: usize) -> Result<i64> {
    number(row, at).map(|number| number as i64)
}

fn flag(row: &Row<'_>, at: usize) -> Result<bool> {
    number(row, at).map(|number| number != 0)
}

fn small(row: &Row<'_>, at: usize) -> Result<u32> {
    u32::try_from(number(row, at)?).map_err(|_| TableError::Damaged("small number"))
}

fn byte(row: &Row<'_>, at: usize) -> Result<u8> {
    u8::try_from(number(row, at)?).map_err(|_| TableError::Damaged("small number"))
}

fn slot(row: &Row<'_>, at: usize) -> Result<Slot> {
    let number = u16::try_from(number(row, at)?).map_err(|_| TableError::Damaged("slot"))?;
    Slot::new(number).map_err(|_| TableError::Damaged("slot"))
}

/// A column that holds a user's number.
pub(crate) fn user(row: &Row<'_>, at: usize) -> Result<UserId> {
    UserId::new(number(row, at)?).map_err(|_| TableError::Damaged("user id"))
}

fn optional(row: &Row<'_>, at: usize) -> Result<Option<u64>> {
    match row.get_ref(at)? {
        ValueRef::Null => Ok(None),
        ValueRef::Integer(number) => Ok(Some(number as u64)),
        _ => Err(TableError::Damaged("number")),
    }
}

fn optional_wide(row: &Row<'_>, at: usize) -> Result<Option<u128>> {
    match row.get_ref(at)? {
        ValueRef::Null => Ok(None),
        value => wide(value).map(Some),
    }
}

/// A column of text.
pub(crate) fn text(row: &Row<'_>, at: usize) -> Result<String> {
    match row.get_ref(at)? {
        ValueRef::Text(bytes) => {
            std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| TableError::Damaged("text"))
        }
        _ => Err(TableError::Damaged("text")),
    }
}

/// An optional part of a row.
fn extra<T: Part>(row: &Row<'_>, at: usize) -> Result<Option<Box<T>>> {
    match row.get_ref(at)? {
        ValueRef::Null => Ok(None),
        ValueRef::Blob(bytes) => {
            decode_extra(bytes).map(Some).map_err(|_| TableError::Damaged("optional part"))
        }
        _ => Err(TableError::Damaged("optional part")),
    }
}

/// A column that holds a conversation's id.
pub(crate) fn conversation_id(row: &Row<'_>, at: usize) -> Result<ConversationId> {
    ConversationId::from_u128(wide(row.get_ref(at)?)?)
        .map_err(|_| TableError::Damaged("conversation id"))
}

fn message_id(number: u64) -> Result<MessageId> {
    MessageId::new(number).map_err(|_| TableError::Damaged("message id"))
}

/// How a client id is kept: UUIDs as their 16 bytes, everything else as text.
pub(crate) enum StoredClientId<'a> {
    /// Exactly the canonical lower-case form with hyphens.
    Uuid([u8; 16]),
    /// Anything else.
    Text(&'a str),
}

impl rusqlite::ToSql for StoredClientId<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Uuid(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// Chooses the form; the other way is [`client_id`].
pub(crate) fn stored_client_id(id: &ClientId) -> StoredClientId<'_> {
    let text = id.as_str();
    uuid_of(text).map_or(StoredClientId::Text(text), StoredClientId::Uuid)
}

const HYPHENS: [usize; 4] = [8, 13, 18, 23];

fn uuid_of(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 16];
    let mut digits = 0;
    for (at, &letter) in text.iter().enumerate() {
        if HYPHENS.contains(&at) {
            if letter != b'-' {
                return None;
            }
            continue;
        }
        let digit = match letter {
            b'0'..=b'9' => letter - b'0',
            b'a'..=b'f' => letter - b'a' + 10,
            _ => return None,
        };
        bytes[digits / 2] = (bytes[digits / 2] << 4) | digit;
        digits += 1;
    }
    Some(bytes)
}

fn uuid_text(bytes: &[u8]) -> [u8; 36] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'-'; 36];
    let mut at = 0;
    for byte in bytes {
        if HYPHENS.contains(&at) {
            at += 1;
        }
        text[at] = DIGITS[usize::from(byte >> 4)];
        text[at + 1] = DIGITS[usize::from(byte & 15)];
        at += 2;
    }
    text
}

/// Reads what [`stored_client_id`] chose.
pub(crate) fn client_id(value: ValueRef<'_>) -> Result<Option<ClientId>> {
    let id = match value {
        ValueRef::Null => return Ok(None),
        ValueRef::Blob(bytes) if bytes.len() == 16 => {
            std::str::from_utf8(&uuid_text(bytes)).ok().and_then(ClientId::new)
        }
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok().and_then(ClientId::new),
        _ => None,
    };
    id.map(Some).ok_or(TableError::Damaged("client id"))
}

/// Columns of a conversation, in the order of [`conversation`].
macro_rules! conversation_columns {
    () => {
        "key, id, unit, slot, kind, name, created_at, history, head_seq, \
     last_message_id, last_activity_at, rev, info_rev, mark_rev, member_count, large, retained_from, history_for, \
     create_hash, deleted_at, extra"
    };
}
pub(crate) use conversation_columns;

/// A conversation and its key.
pub(crate) fn conversation(row: &Row<'_>) -> Result<(i64, Arc<Conversation>)> {
    let key = time(row, 0)?;
    Ok((
        key,
        Arc::new(Conversation {
            id: conversation_id(row, 1)?,
            unit: UnitId(small(row, 2)?),
            slot: slot(row, 3)?,
            kind: match byte(row, 4)? {
                0 => ConversationKind::Direct,
                1 => ConversationKind::Group,
                _ => return Err(TableError::Damaged("conversation kind")),
            },
            name: text(row, 5)?,
            created_at: time(row, 6)?,
            history: History(number(row, 7)?),
            head_seq: number(row, 8)?,
            last_message_id: optional(row, 9)?.map(message_id).transpose()?,
            last_activity_at: time(row, 10)?,
            rev: number(row, 11)?,
            info_rev: number(row, 12)?,
            mark_rev: number(row, 13)?,
            member_count: small(row, 14)?,
            large: flag(row, 15)?,
            retained_from: number(row, 16)?,
            settings: GroupSettings {
                history_for: match byte(row, 17)? {
                    0 => HistoryFor::SinceJoining,
                    1 => HistoryFor::All,
                    _ => return Err(TableError::Damaged("settings")),
                },
            },
            create_hash: optional_wide(row, 18)?,
            deleted_at: optional(row, 19)?.map(|at| at as i64),
            extra: extra(row, 20)?,
        }),
    ))
}

/// Columns of a member, in the order of [`member`].
macro_rules! member_columns {
    () => {
        "user, role, joined_seq, left_seq, rev, read_seq, delivered_seq, mark_rev, hidden_to, muted_until, \
     extra"
    };
}
pub(crate) use member_columns;

/// A member row of a conversation.
pub(crate) fn member(row: &Row<'_>, conversation: ConversationId) -> Result<Arc<Member>> {
    Ok(Arc::new(Member {
        conversation,
        user: user(row, 0)?,
        role: role_of(byte(row, 1)?).map_err(|_| TableError::Damaged("role"))?,
        joined_seq: number(row, 2)?,
        left_seq: optional(row, 3)?,
        rev: number(row, 4)?,
        read_seq: number(row, 5)?,
        delivered_seq: number(row, 6)?,
        mark_rev: number(row, 7)?,
        hidden_to: number(row, 8)?,
        muted_until: optional(row, 9)?.map(|at| at as i64),
        extra: extra(row, 10)?,
    }))
}

/// Columns of a message, in the order of [`message`].
macro_rules! message_columns {
    () => {
        "seq, message_id, slot, sender, client_id, payload_hash, kind, content, reply_to, \
     mentions, created_at, edited_at, deleted_at, deleted_by, uncounted, created_rev, rev, content_rev, extra"
    };
}
pub(crate) use message_columns;

/// A message of a conversation.
pub(crate) fn message(row: &Row<'_>, conversation: ConversationId) -> Result<Arc<Message>> {
    let deleted_at = optional(row, 12)?;
    Ok(Arc::new(Message {
        conversation,
        seq: number(row, 0)?,
        message_id: message_id(number(row, 1)?)?,
        slot: slot(row, 2)?,
        sender: user(row, 3)?,
        client_id: client_id(row.get_ref(4)?)?,
        payload_hash: optional_wide(row, 5)?,
        kind: message_kind_of(byte(row, 6)?).map_err(|_| TableError::Damaged("message kind"))?,
        content: text(row, 7)?,
        reply_to: optional(row, 8)?,
        mentions: match row.get_ref(9)? {
            ValueRef::Null => Vec::new(),
            ValueRef::Blob(bytes) => {
                decode_mentions(bytes).map_err(|_| TableError::Damaged("mentions"))?
            }
            _ => return Err(TableError::Damaged("mentions")),
        },
        created_at: time(row, 10)?,
        edited_at: optional(row, 11)?.map(|at| at as i64),
        deleted: match deleted_at {
            Some(at) => Some((at as i64, user(row, 13)?)),
            None => None,
        },
        uncounted: flag(row, 14)?,
        created_rev: number(row, 15)?,
        rev: number(row, 16)?,
        content_rev: number(row, 17)?,
        extra: extra(row, 18)?,
    }))
}

/// Columns of a user's line of numbers, in the order of [`user_state`].
macro_rules! user_state_columns {
    () => {
        "user, unit, slot, history, user_rev, extra"
    };
}
pub(crate) use user_state_columns;

/// A user's line of numbers.
pub(crate) fn user_state(row: &Row<'_>) -> Result<Arc<UserState>> {
    Ok(Arc::new(UserState {
        user: user(row, 0)?,
        unit: UnitId(small(row, 1)?),
        slot: slot(row, 2)?,
        history: History(number(row, 3)?),
        user_rev: number(row, 4)?,
        extra: extra(row, 5)?,
    }))
}

/// Columns of an entry of a list, in the order of [`inbox`].
macro_rules! inbox_columns {
    () => {
        "conversation, applied_history, applied_rev, applied_mark_rev, last_seq, last_activity_at, \
     hidden_to, muted_until, archived_seq, marked_unread, pinned, large, removed, user_rev, extra"
    };
}
pub(crate) use inbox_columns;

/// An entry of a user's list.
pub(crate) fn inbox(row: &Row<'_>, user: UserId) -> Result<Arc<InboxEntry>> {
    Ok(Arc::new(InboxEntry {
        user,
        conversation: conversation_id(row, 0)?,
        applied: Applied {
            history: History(number(row, 1)?),
            rev: number(row, 2)?,
            mark_rev: number(row, 3)?,
        },
        last_seq: number(row, 4)?,
        last_activity_at: time(row, 5)?,
        hidden_to: number(row, 6)?,
        muted_until: optional(row, 7)?.map(|at| at as i64),
        archived_seq: optional(row, 8)?,
        marked_unread: flag(row, 9)?,
        pinned: flag(row, 10)?,
        large: flag(row, 11)?,
        removed: flag(row, 12)?,
        user_rev: number(row, 13)?,
        extra: extra(row, 14)?,
    }))
}

/// Columns of an annex, in the order of [`annex`].
macro_rules! annex_columns {
    () => {
        "kind, first, second, number, value"
    };
}
pub(crate) use annex_columns;

/// A small row of a conversation.
pub(crate) fn annex(row: &Row<'_>, conversation: ConversationId) -> Result<Arc<Annex>> {
    let damaged = TableError::Damaged("annex");
    Ok(Arc::new(Annex {
        conversation,
        key: AnnexKey {
            kind: AnnexKind::of(byte(row, 0)?).ok_or(damaged)?,
            first: number(row, 1)?,
            second: number(row, 2)?,
        },
        number: number(row, 3)?,
        value: match row.get_ref(4)? {
            ValueRef::Blob(bytes) => bytes.to_vec(),
            _ => return Err(TableError::Damaged("annex")),
        },
    }))
}

/// Columns of a unit's state, in the order of [`unit_state`].
macro_rules! unit_state_columns {
    () => {
        "unit, epoch, phase, incarnation, lease, step"
    };
}
pub(crate) use unit_state_columns;

/// A unit's state.
pub(crate) fn unit_state(row: &Row<'_>) -> Result<UnitState> {
    Ok(UnitState {
        unit: UnitId(small(row, 0)?),
        epoch: Epoch(number(row, 1)?),
        phase: phase_of(byte(row, 2)?).ok_or(TableError::Damaged("unit state"))?,
        incarnation: number(row, 3)?,
        pair: Pair { lease: number(row, 4)?, step: number(row, 5)? },
    })
}

/// The stored number of a phase; never changes.
pub(crate) const fn phase_byte(phase: UnitPhase) -> u8 {
    match phase {
        UnitPhase::Open => 0,
        UnitPhase::Capturing => 1,
        UnitPhase::Frozen => 2,
        UnitPhase::Importing => 3,
        UnitPhase::Moved => 4,
    }
}

/// The phase of a stored number.
pub(crate) const fn phase_of(byte: u8) -> Option<UnitPhase> {
    Some(match byte {
        0 => UnitPhase::Open,
        1 => UnitPhase::Capturing,
        2 => UnitPhase::Frozen,
        3 => UnitPhase::Importing,
        4 => UnitPhase::Moved,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_ids_come_back_exactly() {
        for (text, is_uuid) in [
            ("0b2f6a9e-1c3d-4e5f-8a7b-9c0d1e2f3a4b", true),
            ("0B2F6A9E-1C3D-4E5F-8A7B-9C0D1E2F3A4B", false),
            ("0b2f6a9e1c3d4e5f8a7b9c0d1e2f3a4b", false),
            ("0b2f6a9e-1c3d-4e5f-8a7b-9c0d1e2f3a4g", false),
            ("0b2f6a9e-1c3d-4e5f-8a7b09c0d1e2f3a4b", false),
            ("17", false),
            ("ключ", false),
        ] {
            let id = ClientId::new(text).unwrap();
            let value = match stored_client_id(&id) {
                StoredClientId::Uuid(bytes) => {
                    assert!(is_uuid, "{text}");
                    client_id(ValueRef::Blob(&bytes))
                }
                StoredClientId::Text(same) => {
                    assert!(!is_uuid, "{text}");
                    client_id(ValueRef::Text(same.as_bytes()))
                }
            };
            assert_eq!(value.unwrap(), Some(id));
        }
    }
}
