//! From changed rows to events: each rev of a conversation has exactly one.

use std::sync::Arc;

use bytes::Bytes;
use ostracon_domain::{
    Annex, Conversation, HistoryFor, MarkRev, Member, Message, MessageKind, MessageView, Outcome,
    Rev, Row, Seq, UserId,
};
use ostracon_proto::{
    Encoding,
    frame::{
        ConversationUpdated, MemberUpdated, MessageDeleted, MessageHidden, MessageUpdated,
        NewMessage, ReceiptUpdated, ServerData, encode,
    },
};

use crate::{addresses::Addresses, view};

/// One change of a conversation, to be told to its members.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// A message is new; its sender's marks moved to it.
    New { message: &'a MessageView, mark_rev: MarkRev },
    /// The server said something.
    System { message: &'a Arc<Message> },
    /// A message was edited or reacted to.
    Updated { message: &'a MessageView },
    /// A message was deleted.
    Deleted { message: &'a Message },
    /// A member has deleted a message for himself.
    Hidden { member: &'a Arc<Member>, annex: &'a Annex },
    /// A member joined, left or got another role.
    Member { member: &'a Arc<Member> },
    /// The conversation's visible part changed, or it was deleted.
    Conversation { conversation: &'a Arc<Conversation> },
    /// A member's marks moved; `is_own` where only the member's own connections learn of it.
    Receipt { member: &'a Arc<Member>, is_own: bool },
}

/// Who learns of the marks of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Everybody who sees marks.
    Everybody,
    /// The other connections of the same user.
    Oneself,
    /// Nobody: what changed is told in another way.
    Nobody,
}

/// The events of a command on a conversation, in rev order.
pub(crate) fn events<'a>(outcome: &'a Outcome, rows: &'a [Row], told: Told) -> Vec<Event<'a>> {
    let mut events: Vec<(Rev, Event<'a>)> = Vec::with_capacity(1);
    let marks_of = marks_of(outcome);
    for row in rows {
        match row {
            Row::Message(row) if row.deleted.is_some() => {
                events.push((row.rev, Event::Deleted { message: row }));
            }
            Row::Message(row) if row.kind == MessageKind::System && row.rev == row.created_rev => {
                events.push((row.rev, Event::System { message: row }));
            }
            Row::Message(row) => match outcome {
                Outcome::Sent { message, mark_rev, .. } => {
                    events.push((row.rev, Event::New { message, mark_rev: *mark_rev }));
                }
                Outcome::Changed { message, .. } => {
                    events.push((row.rev, Event::Updated { message }));
                }
                _ => {}
            },
            Row::Annex(annex) => {
                if let Outcome::Hidden { member, .. } = outcome {
                    events.push((Rev::MAX, Event::Hidden { member, annex }));
                }
            }
            Row::Member(row) if marks_of == Some((row.user, row.mark_rev)) => {
                // A send's marks are part of its message.
                let is_mark = matches!(outcome, Outcome::Marked { .. }) && told != Told::Nobody;
                let receipt = Event::Receipt { member: row, is_own: told == Told::Oneself };
                events.extend(is_mark.then_some((Rev::MAX, receipt)));
            }
            Row::Member(row) => events.push((row.rev, Event::Member { member: row })),
            _ => {}
        }
    }
    if let Some(conversation) = changed_conversation(outcome, rows) {
        events.push((conversation.info_rev, Event::Conversation { conversation }));
    }
    events.sort_by_key(|(rev, _)| *rev);
    events.into_iter().map(|(_, event)| event).collect()
}

/// Whose row was written for its marks, and with which mark rev.
fn marks_of(outcome: &Outcome) -> Option<(UserId, MarkRev)> {
    match outcome {
        Outcome::Sent { message, mark_rev, .. } => Some((message.message.sender, *mark_rev)),
        Outcome::Marked { member, .. } | Outcome::Hidden { member, .. } => {
            Some((member.user, member.mark_rev))
        }
        _ => None,
    }
}

/// The conversation row whose visible part took a rev in this command: its birth, or its change.
fn changed_conversation<'a>(outcome: &Outcome, rows: &'a [Row]) -> Option<&'a Arc<Conversation>> {
    let mut written = rows.iter().filter_map(|row| match row {
        Row::Conversation(row) => Some(row),
        _ => None,
    });
    match outcome {
        Outcome::Opened { created: true, .. } => written.next(),
        // A first message writes the row twice: its birth, then the message.
        Outcome::Sent { .. } => {
            let (first, second) = (written.next(), written.next());
            second.and(first)
        }
        // A ban may change nobody's row: then only those who ask for bans learn of it.
        Outcome::Members { .. } if !rows.iter().any(|row| matches!(row, Row::Member(_))) => None,
        Outcome::Members { .. } | Outcome::Group { .. } | Outcome::Swept { .. } => {
            written.next_back().filter(|row| row.info_rev == row.rev)
        }
        _ => None,
    }
}

impl Event<'_> {
    /// The frame for those who joined after the answered message: without its excerpt.
    fn unquoted_frame(
        &self,
        encoding: Encoding,
        conversation: &Conversation,
        to: &dyn Addresses,
    ) -> Bytes {
        let history = Some(conversation.history);
        match self {
            Self::New { message, mark_rev } => {
                let mut shown = view::message(message, history, to);
                shown.mark_rev = Some(*mark_rev);
                view::hide_quote(&mut shown, Seq::MAX);
                encode::event(encoding, &NewMessage(shown))
            }
            Self::Updated { message } => {
                let mut shown = view::message(message, history, to);
                view::hide_quote(&mut shown, Seq::MAX);
                encode::event(encoding, &MessageUpdated(shown))
            }
            _ => self.frame(encoding, conversation, to),
        }
    }

    /// The event's frame, without anything that only the sender of a message may see.
    pub(crate) fn frame(
        &self,
        encoding: Encoding,
        conversation: &Conversation,
        to: &dyn Addresses,
    ) -> Bytes {
        let history = conversation.history;
        match self {
            Self::New { message, mark_rev } => {
                let mut shown = view::message(message, Some(history), to);
                shown.mark_rev = Some(*mark_rev);
                encode::event(encoding, &NewMessage(shown))
            }
            Self::System { message } => {
                let shown = MessageView::plain(Arc::clone(message));
                encode::event(encoding, &NewMessage(view::message(&shown, Some(history), to)))
            }
            Self::Updated { message } => {
                encode::event(encoding, &MessageUpdated(view::message(message, Some(history), to)))
            }
            Self::Deleted { message } => {
                let (deleted_at, deleted_by) =
                    message.deleted.unwrap_or((message.created_at, message.sender));
                let deleted = MessageDeleted {
                    conversation_id: message.conversation,
                    seq: message.seq,
                    message_id: message.message_id,
                    rev: message.rev,
                    history,
                    deleted_at,
                    deleted_by,
                };
                encode::event(encoding, &deleted)
            }
            Self::Hidden { annex, .. } => {
                let hidden = MessageHidden {
                    conversation_id: annex.conversation,
                    seq: annex.key.seq(),
                    mark_rev: annex.number,
                    history,
                };
                encode::event(encoding, &hidden)
            }
            Self::Member { member } => {
                let updated = MemberUpdated {
                    conversation_id: member.conversation,
                    history,
                    rev: member.rev,
                    member: view::member(member, !conversation.large),
                };
                encode::event(encoding, &updated)
            }
            Self::Conversation { conversation } => {
                let mut shown = view::conversation(conversation);
                shown.rev = conversation.info_rev;
                encode::event(encoding, &ConversationUpdated(shown))
            }
            Self::Receipt { member, .. } => {
                let receipt = ReceiptUpdated {
                    conversation_id: member.conversation,
                    user_id: member.user,
                    read_seq: Some(member.read_seq),
                    delivered_seq: Some(member.delivered_seq),
                    mark_rev: member.mark_rev,
                    history,
                };
                encode::event(encoding, &receipt)
            }
        }
    }

    /// The frame without how far its member has read.
    fn frame_without_reads(
        &self,
        encoding: Encoding,
        conversation: &Conversation,
        to: &dyn Addresses,
    ) -> Bytes {
        let history = conversation.history;
        match self {
            Self::Receipt { member, .. } => {
                let receipt = ReceiptUpdated {
                    conversation_id: member.conversation,
                    user_id: member.user,
                    read_seq: None,
                    delivered_seq: Some(member.delivered_seq),
                    mark_rev: member.mark_rev,
                    history,
                };
                encode::event(encoding, &receipt)
            }
            Self::Member { member } => {
                let mut shown = view::member(member, !conversation.large);
                shown.read_seq = None;
                let updated = MemberUpdated {
                    conversation_id: member.conversation,
                    history,
                    rev: member.rev,
                    member: shown,
                };
                encode::event(encoding, &updated)
            }
            _ => self.frame(encoding, conversation, to),
        }
    }

    /// Whose marks it shows.
    pub(crate) fn marked(&self) -> Option<UserId> {
        match self {
            Self::Receipt { member, .. } | Self::Member { member } => Some(member.user),
            _ => None,
        }
    }

    /// The only user who learns of it, if not everybody does.
    pub(crate) fn only_for(&self) -> Option<UserId> {
        match self {
            Self::Receipt { member, is_own: true } => Some(member.user),
            _ => None,
        }
    }

    /// Whether other users may be members after it.
    pub(crate) fn changes_members(&self) -> bool {
        matches!(self, Self::Member { .. } | Self::Conversation { .. })
    }

    /// The frame for the other connections of a message's sender.
    pub(crate) fn own_frame(
        &self,
        encoding: Encoding,
        conversation: &Conversation,
        to: &dyn Addresses,
    ) -> Bytes {
        let history = Some(conversation.history);
        match self {
            Self::New { message, mark_rev } => encode::event(
                encoding,
                &NewMessage(view::own_message(message, history, Some(*mark_rev), to)),
            ),
            Self::Updated { message } => encode::event(
                encoding,
                &MessageUpdated(view::own_message(message, history, None, to)),
            ),
            _ => self.frame(encoding, conversation, to),
        }
    }

    /// The user whose own connections get [`own_frame`](Self::own_frame).
    pub(crate) fn owner(&self) -> Option<UserId> {
        match self {
            Self::New { message, .. } | Self::Updated { message } => {
                message.message.client_id.is_some().then_some(message.message.sender)
            }
            _ => None,
        }
    }

    /// The seq of the answered message, whose excerpt only those who may read it get; none where all may.
    pub(crate) fn quoted(&self, conversation: &Conversation) -> Option<Seq> {
        let hidden = conversation.settings.history_for == HistoryFor::SinceJoining;
        match self {
            Self::New { message, .. } | Self::Updated { message } => {
                message.quote.as_ref().map(|quote| quote.seq).filter(|_| hidden)
            }
            _ => None,
        }
    }

    /// The one member whom it is told to; none when all are.
    pub(crate) const fn only(&self) -> Option<&'_ Arc<Member>> {
        match self {
            Self::Hidden { member, .. } => Some(member),
            _ => None,
        }
    }

    /// The seq that only those who were members then may learn of.
    pub(crate) fn seq(&self) -> Option<u64> {
        match self {
            Self::New { message, .. } | Self::Updated { message } => Some(message.message.seq),
            Self::Deleted { message } => Some(message.seq),
            Self::System { message } => Some(message.seq),
            _ => None,
        }
    }
}

/// A frame in the encodings that are asked for, each made once.
pub(crate) struct Frames<'a> {
    event: &'a Event<'a>,
    conversation: &'a Conversation,
    to: &'a dyn Addresses,
    common: [Option<Bytes>; 2],
    own: [Option<Bytes>; 2],
    unquoted: [Option<Bytes>; 2],
    unread: [Option<Bytes>; 2],
}

impl<'a> Frames<'a> {
    pub(crate) const fn new(
        event: &'a Event<'a>,
        conversation: &'a Conversation,
        to: &'a dyn Addresses,
    ) -> Self {
        Self {
            event,
            conversation,
            to,
            common: [None, None],
            own: [None, None],
            unquoted: [None, None],
            unread: [None, None],
        }
    }

    pub(crate) const fn event(&self) -> &'a Event<'a> {
        self.event
    }

    /// The frame for a user from whom it is hidden how far others have read.
    pub(crate) fn without_reads(&mut self, encoding: Encoding) -> &Bytes {
        let (event, conversation, to) = (self.event, self.conversation, self.to);
        let at = usize::from(encoding == Encoding::Cbor);
        self.unread[at].get_or_insert_with(|| event.frame_without_reads(encoding, conversation, to))
    }

    /// The frame for a user who joined at this seq.
    pub(crate) fn get(&mut self, user: UserId, joined_seq: Seq, encoding: Encoding) -> &Bytes {
        let (event, conversation, to) = (self.event, self.conversation, self.to);
        let at = usize::from(encoding == Encoding::Cbor);
        if event.quoted(conversation).is_some_and(|quoted| quoted < joined_seq) {
            self.unquoted[at]
                .get_or_insert_with(|| event.unquoted_frame(encoding, conversation, to))
        } else if event.owner() == Some(user) {
            self.own[at].get_or_insert_with(|| event.own_frame(encoding, conversation, to))
        } else {
            self.common[at].get_or_insert_with(|| event.frame(encoding, conversation, to))
        }
    }
}

/// A frame without variants in the encodings that are asked for.
pub(crate) fn plain<T: ServerData>(encoding: Encoding, data: &T) -> Bytes {
    encode::event(encoding, data)
}
