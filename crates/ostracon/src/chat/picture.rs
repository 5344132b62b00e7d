//! From what a device holds to what a screen shows.

use ostracon_client::device::{ChatLine, Marks, PendingState, Snapshot};
use ostracon_domain::{ConversationId, UserId};
use ostracon_proto::Message;

use super::{
    names::Names,
    plain::{reactions_of, text_of},
    screen::{Chat, Mark, Picture, Shown},
    text::one_line,
};
use crate::output;

/// The chat list and the open conversation.
pub(crate) fn of(
    list: &[ChatLine],
    open: Option<ConversationId>,
    shown: Option<&Snapshot>,
    me: UserId,
    names: &mut Names,
) -> Picture {
    let chats = list.iter().map(|line| Chat {
        name: names.conversation(line.info.conversation_id, line.info.name.as_deref(), me),
        unread: line.unread,
        open: open == Some(line.info.conversation_id),
    });
    let mut picture = Picture { chats: chats.collect(), ..Picture::default() };
    let Some(shown) = shown else { return picture };
    picture.has_older = shown.has_more_before;
    let others: Vec<Marks> =
        shown.marks.iter().filter(|(user, _)| *user != me).map(|(_, marks)| *marks).collect();
    picture.messages = shown.messages.iter().map(|row| message(row, &others, me, names)).collect();
    picture.messages.extend(shown.pending.iter().map(|pending| {
        let (mark, remark) = match &pending.state {
            PendingState::Failed(error) => (Mark::Failed, error.message.to_string()),
            PendingState::Waiting | PendingState::UnderWay => (Mark::Sending, String::new()),
        };
        Shown {
            seq: None,
            time: "     ".to_owned(),
            sender: names.user(me),
            own: true,
            text: one_line(&pending.message.content),
            mark,
            remark,
            quote: None,
        }
    }));
    picture
}

fn message(row: &Message<'_>, others: &[Marks], me: UserId, names: &mut Names) -> Shown {
    let own = row.sender_id == me;
    let mark = if !own {
        Mark::None
    } else if others.iter().any(|marks| marks.read_seq >= row.seq) {
        Mark::Read
    } else if others.iter().any(|marks| marks.delivered_seq >= row.seq) {
        Mark::Delivered
    } else {
        Mark::Sent
    };
    let mut remarks = Vec::new();
    if row.edited_at.is_some() {
        remarks.push("edited".to_owned());
    }
    let reactions = reactions_of(row);
    if !reactions.is_empty() {
        remarks.push(reactions);
    }
    let quote = row.reply_to.as_ref().map(|reply| {
        let excerpt = one_line(&reply.excerpt);
        let said = if excerpt.is_empty() { "(deleted)".to_owned() } else { excerpt };
        format!("#{} {}: {said}", reply.seq, names.user(reply.sender_id))
    });
    Shown {
        seq: Some(row.seq),
        time: output::time(row.timestamp).get(11..16).unwrap_or_default().to_owned(),
        sender: names.user(row.sender_id),
        own,
        text: text_of(row),
        mark,
        remark: remarks.join(" · "),
        quote,
    }
}
