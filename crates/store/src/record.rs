//! The canonical encoding of rows: one, for the journal, for digests, for export and for moves.
//!
//! Numbers are LEB128, texts and lists have their length before them. The first byte of a row names its kind and
//! version; such a byte is never reused. A compatible change is a new byte, the old one stays readable.

mod bytes;
mod extra;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::{Reader, Writer};
use ostracon_domain::{
    Annex, AnnexKey, AnnexKind, Applied, ClientId, Conversation, ConversationKind, GroupSettings,
    History, HistoryFor, InboxEntry, Member, Mention, Message, MessageId, MessageKind, Reaction,
    Role, Row, UnitId, UserState,
};

pub use bytes::DecodeError;
pub use extra::{Part, decode_extra, encode_extra};

const CONVERSATION: u8 = 1;
const MEMBER: u8 = 2;
const MESSAGE: u8 = 3;
const REACTION: u8 = 4;
const REACTION_GONE: u8 = 5;
const MESSAGES_GONE: u8 = 6;
const USER: u8 = 7;
const INBOX: u8 = 8;
// As the five above, with the optional part behind. A row without one keeps its old form.
const CONVERSATION_WITH: u8 = 9;
const MEMBER_WITH: u8 = 10;
const MESSAGE_WITH: u8 = 11;
const USER_WITH: u8 = 12;
const INBOX_WITH: u8 = 13;
const ANNEX: u8 = 14;
const ANNEX_GONE: u8 = 15;
const ANNEXES_GONE: u8 = 16;

/// Appends the encoding of a row.
pub fn encode(row: &Row, out: &mut Vec<u8>) {
    let mut w = Writer(out);
    match row {
        Row::Conversation(row) => conversation(&mut w, row),
        Row::Member(row) => member(&mut w, row),
        Row::Message(row) => message(&mut w, row),
        Row::Reaction(row) => reaction(&mut w, REACTION, row),
        Row::ReactionGone(row) => reaction(&mut w, REACTION_GONE, row),
        Row::MessagesGone { conversation, below } => {
            w.byte(MESSAGES_GONE);
            w.id(*conversation);
            w.number(*below);
        }
        Row::Annex(row) => {
            w.byte(ANNEX);
            annex(&mut w, row);
        }
        Row::AnnexGone(row) => {
            w.byte(ANNEX_GONE);
            annex(&mut w, row);
        }
        Row::AnnexesGone { conversation, seq } => {
            w.byte(ANNEXES_GONE);
            w.id(*conversation);
            w.number(*seq);
        }
        Row::User(row) => user(&mut w, row),
        Row::Inbox(row) => inbox(&mut w, row),
    }
}

/// Reads rows until the bytes end.
///
/// # Errors
/// When the bytes are not what [`encode`] writes.
pub fn decode_all(bytes: &[u8]) -> Result<Vec<Row>, DecodeError> {
    let mut reader = Reader(bytes);
    let mut rows = Vec::new();
    while !reader.0.is_empty() {
        rows.push(decode(&mut reader)?);
    }
    Ok(rows)
}

/// Reads hostile bytes: it must not panic, and what it takes for rows must come back from their encoding.
#[cfg(any(test, feature = "testing"))]
pub fn fuzz_decode(data: &[u8]) {
    if let Ok(rows) = decode_all(data) {
        let mut bytes = Vec::with_capacity(data.len());
        rows.iter().for_each(|row| encode(row, &mut bytes));
        assert_eq!(bytes, data, "one encoding for one row");
    }
    let _ = decode_mentions(data);
}

fn decode(r: &mut Reader<'_>) -> Result<Row, DecodeError> {
    Ok(match r.byte()? {
        CONVERSATION => Row::Conversation(Arc::new(read_conversation(r)?)),
        MEMBER => Row::Member(Arc::new(read_member(r)?)),
        MESSAGE => Row::Message(Arc::new(read_message(r)?)),
        CONVERSATION_WITH => {
            let row = read_conversation(r)?;
            Row::Conversation(Arc::new(Conversation { extra: Some(read_extra(r)?), ..row }))
        }
        MEMBER_WITH => {
            let row = read_member(r)?;
            Row::Member(Arc::new(Member { extra: Some(read_extra(r)?), ..row }))
        }
        MESSAGE_WITH => {
            let row = read_message(r)?;
            Row::Message(Arc::new(Message { extra: Some(read_extra(r)?), ..row }))
        }
        USER_WITH => {
            let row = read_user(r)?;
            Row::User(Arc::new(UserState { extra: Some(read_extra(r)?), ..row }))
        }
        INBOX_WITH => {
            let row = read_inbox(r)?;
            Row::Inbox(Arc::new(InboxEntry { extra: Some(read_extra(r)?), ..row }))
        }
        ANNEX => Row::Annex(Arc::new(read_annex(r)?)),
        ANNEX_GONE => Row::AnnexGone(Arc::new(read_annex(r)?)),
        ANNEXES_GONE => Row::AnnexesGone { conversation: r.id()?, seq: r.number()? },
        REACTION => Row::Reaction(Arc::new(read_reaction(r)?)),
        REACTION_GONE => Row::ReactionGone(Arc::new(read_reaction(r)?)),
        MESSAGES_GONE => Row::MessagesGone { conversation: r.id()?, below: r.number()? },
        USER => Row::User(Arc::new(read_user(r)?)),
        INBOX => Row::Inbox(Arc::new(read_inbox(r)?)),
        _ => return Err(DecodeError),
    })
}

fn conversation(w: &mut Writer<'_>, row: &Conversation) {
    w.byte(if row.extra.is_some() { CONVERSATION_WITH } else { CONVERSATION });
    w.id(row.id);
    w.number(u64::from(row.unit.0));
    w.number(u64::from(row.slot.get()));
    w.byte(match row.kind {
        ConversationKind::Direct => 0,
        ConversationKind::Group => 1,
    });
    w.text(&row.name);
    w.time(row.created_at);
    w.number(row.history.0);
    w.number(row.head_seq);
    w.option(row.last_message_id, |w, id| w.number(id.get()));
    w.time(row.last_activity_at);
    w.number(row.rev);
    w.number(row.info_rev);
    w.number(row.mark_rev);
    w.number(u64::from(row.member_count));
    w.byte(u8::from(row.large));
    w.number(row.retained_from);
    w.byte(match row.settings.history_for {
        HistoryFor::SinceJoining => 0,
        HistoryFor::All => 1,
    });
    w.option(row.create_hash, |w, hash| w.wide(hash));
    w.option(row.deleted_at, |w, at| w.time(at));
    write_extra(w, row.extra.as_deref());
}

fn read_conversation(r: &mut Reader<'_>) -> Result<Conversation, DecodeError> {
    Ok(Conversation {
        id: r.id()?,
        unit: UnitId(r.small()?),
        slot: r.slot()?,
        kind: match r.byte()? {
            0 => ConversationKind::Direct,
            1 => ConversationKind::Group,
            _ => return Err(DecodeError),
        },
        name: r.text()?,
        created_at: r.time()?,
        history: History(r.number()?),
        head_seq: r.number()?,
        last_message_id: r.option(read_message_id)?,
        last_activity_at: r.time()?,
        rev: r.number()?,
        info_rev: r.number()?,
        mark_rev: r.number()?,
        member_count: r.small()?,
        large: r.flag()?,
        retained_from: r.number()?,
        settings: GroupSettings {
            history_for: match r.byte()? {
                0 => HistoryFor::SinceJoining,
                1 => HistoryFor::All,
                _ => return Err(DecodeError),
            },
        },
        create_hash: r.option(Reader::wide)?,
        deleted_at: r.option(Reader::time)?,
        extra: None,
    })
}

fn member(w: &mut Writer<'_>, row: &Member) {
    w.byte(if row.extra.is_some() { MEMBER_WITH } else { MEMBER });
    w.id(row.conversation);
    w.number(row.user.get());
    w.byte(role_byte(row.role));
    w.number(row.joined_seq);
    w.option(row.left_seq, |w, seq| w.number(seq));
    w.number(row.rev);
    w.number(row.read_seq);
    w.number(row.delivered_seq);
    w.number(row.mark_rev);
    w.number(row.hidden_to);
    w.option(row.muted_until, |w, at| w.time(at));
    write_extra(w, row.extra.as_deref());
}

fn read_member(r: &mut Reader<'_>) -> Result<Member, DecodeError> {
    Ok(Member {
        conversation: r.id()?,
        user: r.user()?,
        role: role_of(r.byte()?)?,
        joined_seq: r.number()?,
        left_seq: r.option(Reader::number)?,
        rev: r.number()?,
        read_seq: r.number()?,
        delivered_seq: r.number()?,
        mark_rev: r.number()?,
        hidden_to: r.number()?,
        muted_until: r.option(Reader::time)?,
        extra: None,
    })
}

fn message(w: &mut Writer<'_>, row: &Message) {
    w.byte(if row.extra.is_some() { MESSAGE_WITH } else { MESSAGE });
    w.id(row.conversation);
    w.number(row.seq);
    w.number(row.message_id.get());
    w.number(u64::from(row.slot.get()));
    w.number(row.sender.get());
    w.option(row.client_id.as_ref(), |w, id| w.text(id.as_str()));
    w.option(row.payload_hash, |w, hash| w.wide(hash));
    w.byte(message_kind_byte(row.kind));
    w.text(&row.content);
    w.option(row.reply_to, |w, seq| w.number(seq));
    mentions(w, &row.mentions);
    w.time(row.created_at);
    w.option(row.edited_at, |w, at| w.time(at));
    w.option(row.deleted, |w, (at, by)| {
        w.time(at);
        w.number(by.get());
    });
    w.byte(u8::from(row.uncounted));
    w.number(row.created_rev);
    w.number(row.rev);
    w.number(row.content_rev);
    write_extra(w, row.extra.as_deref());
}

fn read_message(r: &mut Reader<'_>) -> Result<Message, DecodeError> {
    Ok(Message {
        conversation: r.id()?,
        seq: r.number()?,
        message_id: read_message_id(r)?,
        slot: r.slot()?,
        sender: r.user()?,
        client_id: r.option(|r| ClientId::new(r.str()?).ok_or(DecodeError))?,
        payload_hash: r.option(Reader::wide)?,
        kind: message_kind_of(r.byte()?)?,
        content: r.text()?,
        reply_to: r.option(Reader::number)?,
        mentions: read_mentions(r)?,
        created_at: r.time()?,
        edited_at: r.option(Reader::time)?,
        deleted: r.option(|r| Ok((r.time()?, r.user()?)))?,
        uncounted: r.flag()?,
        created_rev: r.number()?,
        rev: r.number()?,
        content_rev: r.number()?,
        extra: None,
    })
}

fn read_message_id(r: &mut Reader<'_>) -> Result<MessageId, DecodeError> {
    MessageId::new(r.number()?).map_err(|_| DecodeError)
}

fn mentions(w: &mut Writer<'_>, mentions: &[Mention]) {
    w.number(mentions.len() as u64);
    for mention in mentions {
        w.number(mention.user_id.get());
        w.number(u64::from(mention.start));
        w.number(u64::from(mention.end));
    }
}

fn read_mentions(r: &mut Reader<'_>) -> Result<Vec<Mention>, DecodeError> {
    (0..r.number()?)
        .map(|_| Ok(Mention { user_id: r.user()?, start: r.small()?, end: r.small()? }))
        .collect()
}

/// The encoding of a message's mentions alone, for backends that keep them in one column.
pub fn encode_mentions(list: &[Mention]) -> Vec<u8> {
    let mut out = Vec::new();
    mentions(&mut Writer(&mut out), list);
    out
}

/// Reads what [`encode_mentions`] wrote.
///
/// # Errors
/// When the bytes are something else.
pub fn decode_mentions(bytes: &[u8]) -> Result<Vec<Mention>, DecodeError> {
    let mut reader = Reader(bytes);
    let list = read_mentions(&mut reader)?;
    if reader.0.is_empty() { Ok(list) } else { Err(DecodeError) }
}

fn reaction(w: &mut Writer<'_>, tag: u8, row: &Reaction) {
    w.byte(tag);
    w.id(row.conversation);
    w.number(row.seq);
    w.number(row.user.get());
    w.text(&row.emoji);
}

fn read_reaction(r: &mut Reader<'_>) -> Result<Reaction, DecodeError> {
    Ok(Reaction { conversation: r.id()?, seq: r.number()?, user: r.user()?, emoji: r.text()? })
}

fn user(w: &mut Writer<'_>, row: &UserState) {
    w.byte(if row.extra.is_some() { USER_WITH } else { USER });
    w.number(row.user.get());
    w.number(u64::from(row.unit.0));
    w.number(u64::from(row.slot.get()));
    w.number(row.history.0);
    w.number(row.user_rev);
    write_extra(w, row.extra.as_deref());
}

fn read_user(r: &mut Reader<'_>) -> Result<UserState, DecodeError> {
    Ok(UserState {
        user: r.user()?,
        unit: UnitId(r.small()?),
        slot: r.slot()?,
        history: History(r.number()?),
        user_rev: r.number()?,
        extra: None,
    })
}

fn inbox(w: &mut Writer<'_>, row: &InboxEntry) {
    w.byte(if row.extra.is_some() { INBOX_WITH } else { INBOX });
    w.number(row.user.get());
    w.id(row.conversation);
    w.number(row.applied.history.0);
    w.number(row.applied.rev);
    w.number(row.applied.mark_rev);
    w.number(row.last_seq);
    w.time(row.last_activity_at);
    w.number(row.hidden_to);
    w.option(row.muted_until, |w, at| w.time(at));
    w.option(row.archived_seq, |w, seq| w.number(seq));
    w.byte(u8::from(row.marked_unread));
    w.byte(u8::from(row.pinned));
    w.byte(u8::from(row.large));
    w.byte(u8::from(row.removed));
    w.number(row.user_rev);
    write_extra(w, row.extra.as_deref());
}

fn read_inbox(r: &mut Reader<'_>) -> Result<InboxEntry, DecodeError> {
    Ok(InboxEntry {
        user: r.user()?,
        conversation: r.id()?,
        applied: Applied { history: History(r.number()?), rev: r.number()?, mark_rev: r.number()? },
        last_seq: r.number()?,
        last_activity_at: r.time()?,
        hidden_to: r.number()?,
        muted_until: r.option(Reader::time)?,
        archived_seq: r.option(Reader::number)?,
        marked_unread: r.flag()?,
        pinned: r.flag()?,
        large: r.flag()?,
        removed: r.flag()?,
        user_rev: r.number()?,
        extra: None,
    })
}

fn annex(w: &mut Writer<'_>, row: &Annex) {
    w.id(row.conversation);
    w.byte(row.key.kind as u8);
    w.number(row.key.first);
    w.number(row.key.second);
    w.number(row.number);
    w.bytes(&row.value);
}

fn read_annex(r: &mut Reader<'_>) -> Result<Annex, DecodeError> {
    Ok(Annex {
        conversation: r.id()?,
        key: AnnexKey {
            kind: AnnexKind::of(r.byte()?).ok_or(DecodeError)?,
            first: r.number()?,
            second: r.number()?,
        },
        number: r.number()?,
        value: r.bytes()?.to_vec(),
    })
}

fn write_extra<T: Part>(w: &mut Writer<'_>, part: Option<&T>) {
    if let Some(part) = part {
        w.bytes(&encode_extra(part));
    }
}

fn read_extra<T: Part>(r: &mut Reader<'_>) -> Result<Box<T>, DecodeError> {
    extra::decode_canonical(r.bytes()?)
}

/// The stored number of a role; never changes.
pub const fn role_byte(role: Role) -> u8 {
    match role {
        Role::Member => 0,
        Role::Admin => 1,
        Role::Owner => 2,
    }
}

/// The role of a stored number.
///
/// # Errors
/// When no role has it.
pub const fn role_of(byte: u8) -> Result<Role, DecodeError> {
    Ok(match byte {
        0 => Role::Member,
        1 => Role::Admin,
        2 => Role::Owner,
        _ => return Err(DecodeError),
    })
}

/// The stored number of a message's kind; never changes.
pub const fn message_kind_byte(kind: MessageKind) -> u8 {
    match kind {
        MessageKind::Text => 0,
        MessageKind::Image => 1,
        MessageKind::File => 2,
        MessageKind::System => 3,
    }
}

/// The kind of a stored number.
///
/// # Errors
/// When no kind has it.
pub const fn message_kind_of(byte: u8) -> Result<MessageKind, DecodeError> {
    Ok(match byte {
        0 => MessageKind::Text,
        1 => MessageKind::Image,
        2 => MessageKind::File,
        3 => MessageKind::System,
        _ => return Err(DecodeError),
    })
}
