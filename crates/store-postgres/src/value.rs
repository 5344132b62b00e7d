//! Values as PostgreSQL keeps them, and rows out of columns. Numbers above 2^63 wrap to negative ones and back.

use std::sync::Arc;

use ostracon_domain::{
    Annex, AnnexKey, AnnexKind, Applied, ClientId, Conversation, ConversationId, ConversationKind,
    Epoch, GroupSettings, History, HistoryFor, InboxEntry, Member, Message, MessageId, Reaction,
    Slot, UnitId, UserId, UserState,
};
use ostracon_store::{
    Pair, UnitPhase, UnitState,
    record::{Part, decode_extra, decode_mentions, encode_extra, message_kind_of, role_of},
};
use tokio_postgres::{Row, types::FromSql};
use uuid::Uuid;

use crate::error::PgError;

type Result<T> = std::result::Result<T, PgError>;

/// A column as it is.
pub(crate) fn get<'r, T: FromSql<'r>>(row: &'r Row, at: usize) -> Result<T> {
    row.try_get(at).map_err(|_| PgError::Damaged("column"))
}

/// A number of 64 bits without sign.
pub(crate) fn number(row: &Row, at: usize) -> Result<u64> {
    get::<i64>(row, at).map(|number| number as u64)
}

fn optional(row: &Row, at: usize) -> Result<Option<u64>> {
    Ok(get::<Option<i64>>(row, at)?.map(|number| number as u64))
}

/// A number of 32 bits without sign.
pub(crate) fn small(row: &Row, at: usize) -> Result<u32> {
    u32::try_from(get::<i64>(row, at)?).map_err(|_| PgError::Damaged("small number"))
}

fn byte(row: &Row, at: usize) -> Result<u8> {
    u8::try_from(get::<i16>(row, at)?).map_err(|_| PgError::Damaged("small number"))
}

fn slot(row: &Row, at: usize) -> Result<Slot> {
    let number = u16::try_from(get::<i16>(row, at)?).map_err(|_| PgError::Damaged("slot"))?;
    Slot::new(number).map_err(|_| PgError::Damaged("slot"))
}

/// A column that holds a user's number.
pub(crate) fn user(row: &Row, at: usize) -> Result<UserId> {
    UserId::new(number(row, at)?).map_err(|_| PgError::Damaged("user id"))
}

/// A column that holds a conversation's id.
pub(crate) fn conversation_id(row: &Row, at: usize) -> Result<ConversationId> {
    ConversationId::from_u128(get::<Uuid>(row, at)?.as_u128())
        .map_err(|_| PgError::Damaged("conversation id"))
}

fn message_id(number: u64) -> Result<MessageId> {
    MessageId::new(number).map_err(|_| PgError::Damaged("message id"))
}

fn wide(bytes: &[u8]) -> Result<u128> {
    Ok(u128::from_be_bytes(bytes.try_into().map_err(|_| PgError::Damaged("16 bytes"))?))
}

fn optional_wide(row: &Row, at: usize) -> Result<Option<u128>> {
    get::<Option<&[u8]>>(row, at)?.map(wide).transpose()
}

/// An optional part of a row.
fn extra<T: Part>(row: &Row, at: usize) -> Result<Option<Box<T>>> {
    let bytes: Option<&[u8]> = get(row, at)?;
    bytes.map(decode_extra).transpose().map_err(|_| PgError::Damaged("optional part"))
}

/// An optional part as its column keeps it.
pub(crate) fn stored_extra<T: Part>(part: Option<&T>) -> Option<Vec<u8>> {
    part.map(encode_extra)
}

/// A conversation's id as a parameter.
pub(crate) const fn uuid_of(id: ConversationId) -> Uuid {
    Uuid::from_u128(id.as_u128())
}

/// How a client id is kept: a UUID in its canonical form as 16 bytes, everything else as its text.
///
/// No text begins with a zero byte, so a text of 16 bytes gets one in front and is no UUID.
pub(crate) fn stored_client_id(id: &ClientId) -> Vec<u8> {
    let text = id.as_str();
    if text.len() == 36
        && let Ok(uuid) = Uuid::try_parse(text)
        && uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text
    {
        return uuid.as_bytes().to_vec();
    }
    let mut bytes = Vec::with_capacity(text.len() + 1);
    if text.len() == 16 {
        bytes.push(0);
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// Reads what [`stored_client_id`] chose.
pub(crate) fn client_id_of(bytes: &[u8]) -> Result<ClientId> {
    let id = if let Ok(uuid) = <[u8; 16]>::try_from(bytes) {
        let uuid = Uuid::from_bytes(uuid);
        ClientId::new(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    } else {
        let text = bytes.strip_prefix(&[0]).unwrap_or(bytes);
        std::str::from_utf8(text).ok().and_then(ClientId::new)
    };
    id.ok_or(PgError::Damaged("client id"))
}

/// A conversation.
pub(crate) fn conversation(row: &Row) -> Result<Arc<Conversation>> {
    Ok(Arc::new(Conversation {
        id: conversation_id(row, 0)?,
        unit: UnitId(small(row, 1)?),
        slot: slot(row, 2)?,
        kind: match byte(row, 3)? {
            0 => ConversationKind::Direct,
            1 => ConversationKind::Group,
            _ => return Err(PgError::Damaged("conversation kind")),
        },
        name: get(row, 4)?,
        created_at: get(row, 5)?,
        history: History(number(row, 6)?),
        head_seq: number(row, 7)?,
        last_message_id: optional(row, 8)?.map(message_id).transpose()?,
        last_activity_at: get(row, 9)?,
        rev: number(row, 10)?,
        info_rev: number(row, 11)?,
        mark_rev: number(row, 12)?,
        member_count: small(row, 13)?,
        large: get(row, 14)?,
        retained_from: number(row, 15)?,
        settings: GroupSettings {
            history_for: match byte(row, 16)? {
                0 => HistoryFor::SinceJoining,
                1 => HistoryFor::All,
                _ => return Err(PgError::Damaged("settings")),
            },
        },
        create_hash: optional_wide(row, 17)?,
        deleted_at: get(row, 18)?,
        extra: extra(row, 19)?,
    }))
}

/// The stored number of a conversation's kind.
pub(crate) const fn kind_number(kind: ConversationKind) -> i16 {
    match kind {
        ConversationKind::Direct => 0,
        ConversationKind::Group => 1,
    }
}

/// The stored number of a setting.
pub(crate) const fn history_for_number(history_for: HistoryFor) -> i16 {
    match history_for {
        HistoryFor::SinceJoining => 0,
        HistoryFor::All => 1,
    }
}

/// A member row.
pub(crate) fn member(row: &Row) -> Result<Arc<Member>> {
    Ok(Arc::new(Member {
        conversation: conversation_id(row, 0)?,
        user: user(row, 1)?,
        role: role_of(byte(row, 2)?).map_err(|_| PgError::Damaged("role"))?,
        joined_seq: number(row, 3)?,
        left_seq: optional(row, 4)?,
        rev: number(row, 5)?,
        read_seq: number(row, 6)?,
        delivered_seq: number(row, 7)?,
        mark_rev: number(row, 8)?,
        hidden_to: number(row, 9)?,
        muted_until: get(row, 10)?,
        extra: extra(row, 11)?,
    }))
}

/// A message.
pub(crate) fn message(row: &Row) -> Result<Arc<Message>> {
    let deleted_at: Option<i64> = get(row, 13)?;
    Ok(Arc::new(Message {
        conversation: conversation_id(row, 0)?,
        seq: number(row, 1)?,
        message_id: message_id(number(row, 2)?)?,
        slot: slot(row, 3)?,
        sender: user(row, 4)?,
        client_id: get::<Option<&[u8]>>(row, 5)?.map(client_id_of).transpose()?,
        payload_hash: optional_wide(row, 6)?,
        kind: message_kind_of(byte(row, 7)?).map_err(|_| PgError::Damaged("message kind"))?,
        content: get(row, 8)?,
        reply_to: optional(row, 9)?,
        mentions: match get::<Option<&[u8]>>(row, 10)? {
            Some(bytes) => decode_mentions(bytes).map_err(|_| PgError::Damaged("mentions"))?,
            None => Vec::new(),
        },
        created_at: get(row, 11)?,
        edited_at: get(row, 12)?,
        deleted: match deleted_at {
            Some(at) => Some((at, user(row, 14)?)),
            None => None,
        },
        uncounted: get(row, 15)?,
        created_rev: number(row, 16)?,
        rev: number(row, 17)?,
        content_rev: number(row, 18)?,
        extra: extra(row, 19)?,
    }))
}

/// A small row of a conversation.
pub(crate) fn annex(row: &Row) -> Result<Arc<Annex>> {
    Ok(Arc::new(Annex {
        conversation: conversation_id(row, 0)?,
        key: AnnexKey {
            kind: AnnexKind::of(byte(row, 1)?).ok_or(PgError::Damaged("annex"))?,
            first: number(row, 2)?,
            second: number(row, 3)?,
        },
        number: number(row, 5)?,
        value: get(row, 6)?,
    }))
}

/// A reaction.
pub(crate) fn reaction(row: &Row) -> Result<Reaction> {
    Ok(Reaction {
        conversation: conversation_id(row, 0)?,
        seq: number(row, 1)?,
        user: user(row, 2)?,
        emoji: get(row, 3)?,
    })
}

/// A user's line of numbers.
pub(crate) fn user_state(row: &Row) -> Result<Arc<UserState>> {
    Ok(Arc::new(UserState {
        user: user(row, 0)?,
        unit: UnitId(small(row, 1)?),
        slot: slot(row, 2)?,
        history: History(number(row, 3)?),
        user_rev: number(row, 4)?,
        extra: extra(row, 5)?,
    }))
}

/// An entry of a user's list.
pub(crate) fn inbox_entry(row: &Row) -> Result<Arc<InboxEntry>> {
    Ok(Arc::new(InboxEntry {
        user: user(row, 0)?,
        conversation: conversation_id(row, 1)?,
        applied: Applied {
            history: History(number(row, 2)?),
            rev: number(row, 3)?,
            mark_rev: number(row, 4)?,
        },
        last_seq: number(row, 5)?,
        last_activity_at: get(row, 6)?,
        hidden_to: number(row, 7)?,
        muted_until: get(row, 8)?,
        archived_seq: optional(row, 9)?,
        marked_unread: get(row, 10)?,
        pinned: get(row, 11)?,
        large: get(row, 12)?,
        removed: get(row, 13)?,
        user_rev: number(row, 14)?,
        extra: extra(row, 15)?,
    }))
}

/// A unit's state, from this column on.
pub(crate) fn unit_state(row: &Row, from: usize) -> Result<UnitState> {
    Ok(UnitState {
        unit: UnitId(small(row, from)?),
        epoch: Epoch(number(row, from + 1)?),
        phase: match byte(row, from + 2)? {
            0 => UnitPhase::Open,
            1 => UnitPhase::Capturing,
            2 => UnitPhase::Frozen,
            3 => UnitPhase::Importing,
            4 => UnitPhase::Moved,
            _ => return Err(PgError::Damaged("unit state")),
        },
        incarnation: number(row, from + 3)?,
        pair: Pair { lease: number(row, from + 4)?, step: number(row, from + 5)? },
    })
}

/// The stored number of a phase; never changes.
pub(crate) const fn phase_number(phase: UnitPhase) -> i16 {
    match phase {
        UnitPhase::Open => 0,
        UnitPhase::Capturing => 1,
        UnitPhase::Frozen => 2,
        UnitPhase::Importing => 3,
        UnitPhase::Moved => 4,
    }
}

#[cfg(test)]
mod tests {
    use ostracon_domain::ClientId;

    use super::{client_id_of, stored_client_id};

    #[test]
    fn client_ids_come_back_exactly() {
        for (text, bytes) in [
            ("0b2f6a9e-1c3d-4e5f-8a7b-9c0d1e2f3a4b", 16),
            ("0B2F6A9E-1C3D-4E5F-8A7B-9C0D1E2F3A4B", 36),
            ("0b2f6a9e1c3d4e5f8a7b9c0d1e2f3a4b", 32),
            ("0b2f6a9e-1c3d-4e5f-8a7b-9c0d1e2f3a4g", 36),
            ("0b2f6a9e-1c3d-4e5f-8a7b09c0d1e2f3a4b", 36),
            ("sixteen letters.", 17),
            ("seventeen letters", 17),
            ("17", 2),
            ("ключключ", 17),
        ] {
            let id = ClientId::new(text).unwrap();
            let stored = stored_client_id(&id);
            assert_eq!(stored.len(), bytes, "{text}");
            assert_eq!(client_id_of(&stored).unwrap(), id);
        }
    }
}
