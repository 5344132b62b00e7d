//! Messages with what belongs to their image: reactions by emoji, and the quote.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{
    ConversationId, Message, MessageView, Quote, ReactionGroup, Seq, UserId, message::excerpt,
};
use rustc_hash::FxHashMap;
use tokio_postgres::Row;
use uuid::Uuid;

use super::Result;
use crate::{
    session::Session,
    sql::{QUOTED, REACTIONS},
    value,
};

type Key = (ConversationId, Seq);

/// Loads reactions and quotes of messages, which keep their order.
pub(crate) async fn views_of(
    session: &Session,
    messages: Vec<Arc<Message>>,
) -> Result<Vec<MessageView>> {
    let (of, seqs): (Vec<Uuid>, Vec<i64>) = messages
        .iter()
        .filter(|row| row.deleted.is_none())
        .map(|row| (value::uuid_of(row.conversation), row.seq as i64))
        .unzip();
    let (quoted_of, quoted): (Vec<Uuid>, Vec<i64>) = messages
        .iter()
        .filter_map(|row| Some((value::uuid_of(row.conversation), row.reply_to? as i64)))
        .unzip();
    if of.is_empty() && quoted.is_empty() {
        return Ok(messages.into_iter().map(MessageView::plain).collect());
    }
    let reactions = session.prepare(REACTIONS).await?;
    let quotes = session.prepare(QUOTED).await?;
    let (reactions, quotes) = tokio::join!(
        biased;
        async { session.query_keys(of.len(), &reactions, &[&of, &seqs]).await },
        async { session.query_keys(quoted.len(), &quotes, &[&quoted_of, &quoted]).await },
    );
    views(messages, &reactions?, &quotes?)
}

/// Puts messages, reactions and what is quoted together.
pub(super) fn views(
    messages: Vec<Arc<Message>>,
    reactions: &[Row],
    quoted: &[Row],
) -> Result<Vec<MessageView>> {
    let mut groups: FxHashMap<Key, BTreeMap<String, Vec<UserId>>> = FxHashMap::default();
    for row in reactions {
        let row = value::reaction(row)?;
        let key = (row.conversation, row.seq);
        groups.entry(key).or_default().entry(row.emoji).or_default().push(row.user);
    }
    let mut quotes: FxHashMap<Key, Quote> = FxHashMap::default();
    for row in quoted {
        let (id, seq) = (value::conversation_id(row, 0)?, value::number(row, 1)?);
        let quote =
            Quote { seq, sender: value::user(row, 2)?, excerpt: excerpt(value::get(row, 3)?) };
        quotes.insert((id, seq), quote);
    }
    let view = |message: Arc<Message>| {
        let id = message.conversation;
        let reactions = groups.remove(&(id, message.seq)).unwrap_or_default();
        let reactions = reactions
            .into_iter()
            .map(|(emoji, mut users)| {
                users.sort_unstable();
                ReactionGroup { emoji, users }
            })
            .collect();
        let quote = message.reply_to.and_then(|seq| quotes.get(&(id, seq)).cloned());
        MessageView { message, reactions, quote }
    };
    Ok(messages.into_iter().map(view).collect())
}
