//! Rows as clients see them. Text is borrowed from the rows.

use std::borrow::Cow;

use ostracon_domain::{
    Access, Annex, Attachment, Conversation, History, InboxEntry, MarkRev, Member, MessageView,
    Seq, UserId, limits::REACTION_USERS_SHOWN, unread,
};
use ostracon_proto as proto;

use crate::{addresses::Addresses, reads::EntryRows};

/// A message as everybody but its sender sees it.
pub fn message<'a>(
    view: &'a MessageView,
    history: Option<History>,
    to: &dyn Addresses,
) -> proto::Message<'a> {
    let row = &*view.message;
    let deleted = row.deleted.is_some();
    proto::Message {
        message_id: row.message_id,
        conversation_id: row.conversation,
        seq: row.seq,
        rev: row.rev,
        content_rev: row.content_rev,
        sender_id: row.sender,
        kind: row.kind,
        content: (!deleted).then_some(Cow::Borrowed(row.content.as_str())),
        timestamp: row.created_at,
        client_id: None,
        edited_at: row.edited_at,
        deleted_at: row.deleted.map(|(at, _)| at),
        deleted_by: row.deleted.map(|(_, by)| by),
        reply_to: view.quote.as_ref().map(|quote| proto::Reply {
            seq: quote.seq,
            sender_id: quote.sender,
            excerpt: Cow::Borrowed(quote.excerpt.as_str()),
        }),
        mentions: row.mentions.clone(),
        attachments: row.attachments().iter().map(|one| attachment(one, to)).collect(),
        reactions: view
            .reactions
            .iter()
            .map(|group| proto::Reaction {
                emoji: Cow::Borrowed(group.emoji.as_str()),
                count: group.users.len() as u32,
                user_ids: group.users.iter().copied().take(REACTION_USERS_SHOWN).collect(),
            })
            .collect(),
        pinned_at: row.extra.as_ref().and_then(|extra| extra.pinned).map(|pinned| pinned.at),
        expires_at: row.extra.as_ref().and_then(|extra| extra.expires_at),
        hidden: false,
        withheld: false,
        history,
        mark_rev: None,
    }
}

/// A message as its sender sees it: with the sender's own id of it.
pub fn own_message<'a>(
    view: &'a MessageView,
    history: Option<History>,
    mark_rev: Option<MarkRev>,
    to: &dyn Addresses,
) -> proto::Message<'a> {
    let client_id = view.message.client_id.as_ref().map(|id| Cow::Borrowed(id.as_str()));
    proto::Message { client_id, mark_rev, ..message(view, history, to) }
}

/// A message as this user sees it.
pub fn message_for<'a>(
    view: &'a MessageView,
    reader: UserId,
    history: Option<History>,
    to: &dyn Addresses,
) -> proto::Message<'a> {
    if view.message.sender == reader {
        own_message(view, history, None, to)
    } else {
        message(view, history, to)
    }
}

/// A message as this reader may see it: without content where that changed after leaving.
pub fn message_within<'a>(
    view: &'a MessageView,
    reader: UserId,
    access: &Access,
    to: &dyn Addresses,
) -> proto::Message<'a> {
    let mut shown = message_for(view, reader, None, to);
    // What was answered may have been edited since a former member left: then its excerpt is not for him.
    let from = if access.content_until.is_some() { Seq::MAX } else { access.from };
    hide_quote(&mut shown, from);
    if access.content_until.is_some_and(|until| view.message.rev > until) {
        // Somebody may have reacted since.
        shown.reactions = Vec::new();
    }
    if access.withholds(&view.message) {
        let (mentions, reactions) = (Vec::new(), Vec::new());
        return proto::Message {
            content: None,
            withheld: true,
            mentions,
            reactions,
            attachments: Vec::new(),
            ..shown
        };
    }
    shown
}

/// A message that its reader has deleted for himself: its place and nothing of its content.
pub fn hidden(shown: proto::Message<'_>) -> proto::Message<'_> {
    let (mentions, reactions) = (Vec::new(), Vec::new());
    proto::Message {
        content: None,
        hidden: true,
        reply_to: None,
        mentions,
        reactions,
        attachments: Vec::new(),
        ..shown
    }
}

/// Messages of a page, as this reader may see them.
pub fn messages_within<'a>(
    views: &'a [MessageView],
    hidden_seqs: &[Seq],
    reader: UserId,
    access: &Access,
    to: &dyn Addresses,
) -> Vec<proto::Message<'a>> {
    let show = |view: &'a MessageView| {
        let shown = message_within(view, reader, access, to);
        if hidden_seqs.binary_search(&view.message.seq).is_ok() { hidden(shown) } else { shown }
    };
    views.iter().map(show).collect()
}

/// Takes away the excerpt of an answered message that lies before the reader's part of the conversation.
pub(crate) fn hide_quote(message: &mut proto::Message<'_>, from: Seq) {
    if let Some(reply) = &mut message.reply_to
        && reply.seq < from
    {
        reply.excerpt = Cow::Borrowed("");
    }
}

/// An attached file.
fn attachment(row: &Attachment, to: &dyn Addresses) -> proto::rest::Media {
    let id = row.media_id.as_str();
    proto::rest::Media {
        media_id: id.to_owned(),
        mime: row.mime.clone(),
        size: row.size,
        width: row.width,
        height: row.height,
        duration_ms: row.duration_ms,
        thumbhash: row.thumbhash.clone(),
        name: row.name.clone(),
        url: to.file(id),
        thumbnail_url: row.thumbhash.is_some().then(|| to.thumbnail(id)),
    }
}

/// A conversation.
pub fn conversation(row: &Conversation) -> proto::Conversation<'_> {
    proto::Conversation {
        conversation_id: row.id,
        kind: row.kind,
        name: (!row.name.is_empty()).then_some(Cow::Borrowed(row.name.as_str())),
        member_count: row.member_count,
        head_seq: row.head_seq,
        rev: row.rev,
        mark_rev: row.mark_rev,
        history: row.history,
        large: row.large,
        created_at: row.created_at,
        settings: proto::Settings::of(row),
        retained_from: (row.retained_from > 1).then_some(row.retained_from),
        timer_s: row.extra.as_ref().and_then(|extra| extra.timer_s),
        retention_s: row.extra.as_ref().and_then(|extra| extra.retention_s),
    }
}

/// A conversation as this reader may see it: for a former member it ends where that one left, without a name it got since.
pub fn conversation_within<'a>(row: &'a Conversation, access: &Access) -> proto::Conversation<'a> {
    let mut shown = conversation(row);
    shown.head_seq = access.to.min(shown.head_seq);
    if access.content_until.is_some_and(|until| row.info_rev > until) {
        shown.name = None;
    }
    shown
}

/// A member as the others see it; marks are left out where they are not shown.
pub fn member(row: &Member, marks: bool) -> proto::Member {
    proto::Member {
        user_id: row.user,
        role: row.role,
        joined_seq: row.joined_seq,
        left_seq: row.left_seq,
        rev: row.rev,
        read_seq: marks.then_some(row.read_seq),
        delivered_seq: marks.then_some(row.delivered_seq),
        mark_rev: marks.then_some(row.mark_rev),
    }
}

/// A member's marks.
pub fn receipt(row: &Member) -> proto::Receipt {
    proto::Receipt {
        user_id: row.user,
        read_seq: row.read_seq,
        delivered_seq: row.delivered_seq,
        mark_rev: row.mark_rev,
    }
}

/// A message that a member has deleted for himself.
pub fn hidden_message(annex: &Annex) -> proto::rest::HiddenMessage {
    proto::rest::HiddenMessage { seq: annex.key.seq(), mark_rev: annex.number }
}

/// One's own view of a conversation: the member row decides what is hidden and muted, the list's entry the rest.
pub fn inbox(entry: Option<&InboxEntry>, member: Option<&Member>) -> proto::Inbox {
    let mirrored = entry.map(|entry| (entry.hidden_to, entry.muted_until));
    let (hidden_to, muted_until) =
        member.map(|row| (row.hidden_to, row.muted_until)).or(mirrored).unwrap_or_default();
    proto::Inbox {
        pinned: entry.is_some_and(|entry| entry.pinned),
        muted_until,
        archived: entry.is_some_and(|entry| entry.archived_seq.is_some()),
        hidden_to,
        marked_unread: entry.is_some_and(|entry| entry.marked_unread),
        draft: entry.and_then(|entry| entry.extra.as_ref()?.draft.clone()),
    }
}

/// A line of the chat list.
pub fn entry<'a>(rows: &'a EntryRows, to: &dyn Addresses) -> proto::Entry<'a> {
    let overview = &rows.overview;
    let member = &*rows.member;
    let row = &*overview.conversation;
    let last = overview.last_message.as_ref();
    proto::Entry {
        conversation: conversation_within(row, &rows.access),
        membership: proto::Membership {
            role: member.role,
            joined_seq: member.joined_seq,
            left_seq: member.left_seq,
            read_seq: member.read_seq,
            delivered_seq: member.delivered_seq,
            unread_floor: ostracon_domain::unread::unread_floor(row, member),
        },
        last_message: last.map(|view| {
            let shown = message_within(view, member.user, &rows.access, to);
            if overview.last_hidden { hidden(shown) } else { shown }
        }),
        unread: unread(row, member, overview.uncounted),
        unread_mentions: if member.is_present() { overview.mentions } else { 0 },
        inbox: inbox(rows.inbox.as_deref(), Some(member)),
    }
}
