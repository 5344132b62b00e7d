//! What clients were told, and what must therefore be true: nothing lost, doubled, reordered or revived.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use ostracon_domain::{
    Conversation, ConversationId, History, InboxEntry, Member, Message, MessageView, Reaction, Row,
    Seq, UserId, UserState,
};
use ostracon_store::Messages;
use parking_lot::Mutex;

/// Why the world is not as it should be.
pub(crate) type Check = Result<(), String>;

/// Its lock is never held over an await.
#[derive(Default)]
pub(crate) struct Oracle(Mutex<State>);

#[derive(Default)]
struct State {
    talks: BTreeMap<ConversationId, Talk>,
    users: BTreeMap<UserId, UserSeen>,
    counts: Counts,
}

/// What clients did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that were acknowledged.
    pub sent: u64,
    /// Commands whose outcome was unknown at first.
    pub unknown: u64,
    /// Edits, reactions, deletions and marks that were acknowledged.
    pub changed: u64,
    /// Reads that were answered.
    pub reads: u64,
    /// Events that dispatchers handed over.
    pub events: u64,
}

/// A value that may be one of several, as long as the outcome of a change is not known.
type Possible<T> = BTreeSet<T>;

#[derive(Default)]
struct Talk {
    history: Option<History>,
    by_client: BTreeMap<(UserId, u64), Seq>,
    by_seq: BTreeMap<Seq, (UserId, u64)>,
    content: BTreeMap<Seq, Possible<String>>,
    deleted: BTreeMap<Seq, Possible<bool>>,
    reactions: BTreeMap<(Seq, UserId), Possible<bool>>,
    floor: Floor,
    read: BTreeMap<UserId, Seq>,
    handed: u64,
}

/// What every later read must show at least.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Floor {
    rev: u64,
    mark_rev: u64,
    head: Seq,
}

#[derive(Default)]
struct UserSeen {
    history: Option<History>,
    handed: u64,
    floor: u64,
}

fn only<T: Ord>(value: T) -> Possible<T> {
    BTreeSet::from([value])
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(why()) }
}

pub(crate) fn client_id(user: UserId, number: u64) -> String {
    format!("{user}-{number}")
}

impl Talk {
    fn same_line(&mut self, id: ConversationId, row: &Conversation) -> Check {
        let known = *self.history.get_or_insert(row.history);
        ensure(known == row.history, || format!("{id} was born twice: {known:?} {:?}", row.history))
    }

    fn rise(&mut self, rev: u64, mark_rev: u64, head: Seq) {
        let floor = &mut self.floor;
        floor.rev = floor.rev.max(rev);
        floor.mark_rev = floor.mark_rev.max(mark_rev);
        floor.head = floor.head.max(head);
    }

    /// What a stored or read message must be, as far as its sender knows.
    fn check_message(&self, id: ConversationId, row: &Message, exact: bool) -> Check {
        let what = || format!("message {} of {id}", row.seq);
        if let Some((sender, number)) = self.by_seq.get(&row.seq) {
            let wanted = client_id(*sender, *number);
            let found = row.client_id.as_ref().map(|id| id.as_str().to_owned());
            ensure(row.sender == *sender && found.as_ref() == Some(&wanted), || {
                format!("{} is {found:?} and was acknowledged as {wanted}", what())
            })?;
        }
        if !exact {
            return Ok(());
        }
        let gone = self.deleted.get(&row.seq).cloned().unwrap_or_else(|| only(false));
        ensure(gone.contains(&row.deleted.is_some()), || {
            format!("{}: deleted is {}, not {gone:?}", what(), row.deleted.is_some())
        })?;
        if row.deleted.is_some() {
            return ensure(row.content.is_empty(), || format!("{} was revived", what()));
        }
        match self.content.get(&row.seq) {
            Some(content) => ensure(content.contains(&row.content), || {
                format!("{} reads {:?}, it must be one of {content:?}", what(), row.content)
            }),
            None => Ok(()),
        }
    }
}

impl Oracle {
    pub(crate) fn counts(&self) -> Counts {
        self.0.lock().counts
    }

    fn talk<T>(&self, id: ConversationId, with: impl FnOnce(&mut Talk, &mut Counts) -> T) -> T {
        let mut state = self.0.lock();
        let State { talks, counts, .. } = &mut *state;
        with(talks.entry(id).or_default(), counts)
    }

    pub(crate) fn unknown(&self) {
        self.0.lock().counts.unknown += 1;
    }

    /// A send was acknowledged. `again`: its outcome was unknown before.
    pub(crate) fn sent(
        &self,
        id: ConversationId,
        by: (UserId, u64),
        text: &str,
        view: &MessageView,
        (duplicate, again): (bool, bool),
    ) -> Check {
        self.talk(id, |talk, counts| {
            let row = &view.message;
            counts.sent += 1;
            ensure(again || !duplicate, || {
                format!("a first send of {by:?} in {id} was called a duplicate")
            })?;
            if let Some(first) = talk.by_client.insert(by, row.seq) {
                let what = || format!("{by:?} in {id} was stored as {first} and as {}", row.seq);
                ensure(first == row.seq, what)?;
            }
            if let Some(other) = talk.by_seq.insert(row.seq, by) {
                ensure(other == by, || {
                    format!("message {} of {id} is that of {other:?} and of {by:?}", row.seq)
                })?;
            }
            talk.content.entry(row.seq).or_insert_with(|| only(text.to_owned()));
            talk.rise(row.rev, 0, row.seq);
            talk.check_message(id, row, true)
        })
    }

    /// Two sends of one sender, acknowledged at once, in the order in which they were sent.
    pub(crate) fn ordered(&self, id: ConversationId, earlier: Seq, later: Seq) -> Check {
        ensure(earlier < later, || {
            format!("{id}: a message became {later}, and the one sent before it {earlier}")
        })
    }

    /// Message `seq` of `number` of its sender.
    pub(crate) fn will_edit(&self, id: ConversationId, seq: Seq, text: &str) {
        self.talk(id, |talk, _| {
            talk.content.entry(seq).or_default().insert(text.to_owned());
        });
    }

    pub(crate) fn edited(&self, id: ConversationId, seq: Seq, text: &str, row: &Message) -> Check {
        self.talk(id, |talk, counts| {
            counts.changed += 1;
            talk.content.insert(seq, only(text.to_owned()));
            talk.rise(row.rev, 0, 0);
            talk.check_message(id, row, true)
        })
    }

    pub(crate) fn will_delete(&self, id: ConversationId, seq: Seq) {
        self.talk(id, |talk, _| {
            talk.deleted.entry(seq).or_insert_with(|| only(false)).insert(true);
        });
    }

    pub(crate) fn deleted(&self, id: ConversationId, seq: Seq, rev: u64) {
        self.talk(id, |talk, counts| {
            counts.changed += 1;
            talk.deleted.insert(seq, only(true));
            talk.rise(rev, 0, 0);
        });
    }

    /// A reaction by its user is about to be, or not to be.
    pub(crate) fn will_react(&self, id: ConversationId, by: (Seq, UserId), there: bool) {
        self.talk(id, |talk, _| {
            talk.reactions.entry(by).or_insert_with(|| only(false)).insert(there);
        });
    }

    pub(crate) fn reacted(
        &self,
        id: ConversationId,
        by: (Seq, UserId),
        there: bool,
        view: &MessageView,
    ) -> Check {
        self.talk(id, |talk, counts| {
            counts.changed += 1;
            talk.reactions.insert(by, only(there));
            talk.rise(view.message.rev, 0, 0);
            let found = view.reactions.iter().any(|group| group.users.contains(&by.1));
            ensure(found == there, || {
                format!("reaction {by:?} in {id}: acknowledged {there}, answered {found}")
            })
        })
    }

    pub(crate) fn marked(&self, id: ConversationId, row: &Member) -> Check {
        self.talk(id, |talk, counts| {
            counts.changed += 1;
            let known = talk.read.entry(row.user).or_default();
            let before = *known;
            *known = before.max(row.read_seq);
            talk.rise(row.rev, row.mark_rev, 0);
            let back = || format!("mark of {} in {id} went from {before} back", row.user);
            ensure(before <= row.read_seq, back)
        })
    }

    /// What a read that begins now must show.
    pub(crate) fn floor(&self, id: ConversationId) -> Floor {
        self.talk(id, |talk, _| talk.floor)
    }

    /// A read was answered; its reader changes nothing meanwhile.
    pub(crate) fn read(
        &self,
        id: ConversationId,
        reader: UserId,
        floor: Floor,
        page: &Messages,
    ) -> Check {
        self.talk(id, |talk, counts| {
            counts.reads += 1;
            let row = &page.conversation;
            talk.same_line(id, row)?;
            let seen = (row.rev, row.mark_rev, row.head_seq);
            let fresh = seen.0 >= floor.rev && seen.1 >= floor.mark_rev && seen.2 >= floor.head;
            ensure(fresh, || format!("{id} went back: {seen:?} after {floor:?}"))?;
            talk.rise(seen.0, seen.1, seen.2);
            let mut wanted = page.messages.first().map_or(0, |first| first.message.seq);
            for view in &page.messages {
                let message = &view.message;
                ensure(message.seq == wanted, || format!("{id} has no message {wanted}"))?;
                wanted += 1;
                talk.check_message(id, message, message.sender == reader)?;
                if let Some(there) = talk.reactions.get(&(message.seq, reader))
                    && message.deleted.is_none()
                {
                    let found = view.reactions.iter().any(|group| group.users.contains(&reader));
                    ensure(there.contains(&found), || {
                        format!(
                            "reaction of {reader} to {} in {id}: {found}, not {there:?}",
                            message.seq
                        )
                    })?;
                }
            }
            ensure(row.head_seq == 0 || wanted == row.head_seq + 1, || {
                format!("{id} ends at {wanted} and says {}", row.head_seq)
            })
        })
    }

    /// There was no row of a conversation.
    pub(crate) fn absent(&self, id: ConversationId, floor: Floor) -> Check {
        ensure(floor.rev == 0, || format!("{id} is gone: it was at {floor:?}"))
    }

    /// A dispatcher hands a change over.
    pub(crate) fn handed(&self, row: &Row) -> Check {
        let mut state = self.0.lock();
        let State { talks, users, counts } = &mut *state;
        match row {
            Row::Conversation(row) => {
                counts.events += 1;
                let talk = talks.entry(row.id).or_default();
                talk.same_line(row.id, row)?;
                rises(row.id, &mut talk.handed, row.rev + row.mark_rev)
            }
            Row::User(row) => {
                counts.events += 1;
                let user = users.entry(row.user).or_default();
                user.same_line(row)?;
                rises(row.user, &mut user.handed, row.user_rev)
            }
            _ => Ok(()),
        }
    }

    /// A user's list was changed or read.
    pub(crate) fn listed(&self, user: UserId, state: Option<&UserState>, began: u64) -> Check {
        let mut known = self.0.lock();
        let seen = known.users.entry(user).or_default();
        let Some(state) = state else {
            return ensure(began == 0, || format!("the list of {user} is gone"));
        };
        seen.same_line(state)?;
        seen.floor = seen.floor.max(state.user_rev);
        ensure(state.user_rev >= began, || {
            format!("the list of {user} went back from {began} to {}", state.user_rev)
        })
    }

    pub(crate) fn entries(&self, user: UserId, entries: &[std::sync::Arc<InboxEntry>]) {
        let mut known = self.0.lock();
        let seen = known.users.entry(user).or_default();
        let newest = entries.iter().map(|entry| entry.user_rev).max().unwrap_or(0);
        seen.floor = seen.floor.max(newest);
    }

    pub(crate) fn list_floor(&self, user: UserId) -> u64 {
        self.0.lock().users.get(&user).map_or(0, |seen| seen.floor)
    }

    /// All rows of a conversation, when nothing happens any more.
    pub(crate) fn check_stored(&self, id: ConversationId, rows: &[Row]) -> Check {
        let own = rows.iter().find_map(|row| match row {
            Row::Conversation(row) if row.id == id => Some(row),
            _ => None,
        });
        self.talk(id, |talk, _| {
            let Some(own) = own else {
                return ensure(talk.floor.rev == 0, || format!("{id} is lost"));
            };
            talk.same_line(id, own)?;
            let floor = talk.floor;
            ensure(
                own.rev >= floor.rev
                    && own.mark_rev >= floor.mark_rev
                    && own.head_seq >= floor.head,
                || format!("{id} is stored at {} {}, before {floor:?}", own.rev, own.mark_rev),
            )?;
            ensure(talk.handed == own.rev + own.mark_rev, || {
                format!(
                    "{id}: handed over up to {}, it is at {} + {}",
                    talk.handed, own.rev, own.mark_rev
                )
            })?;
            let mut wanted = 1;
            let mut clients = BTreeSet::new();
            let mut reactions = BTreeSet::new();
            for row in rows {
                match row {
                    Row::Message(row) if row.conversation == id => {
                        ensure(row.seq == wanted, || format!("{id} has no message {wanted}"))?;
                        wanted += 1;
                        talk.check_message(id, row, true)?;
                        ensure(row.rev <= own.rev, || format!("{id}: {} is of tomorrow", row.seq))?;
                        let client = row.client_id.clone();
                        ensure(clients.insert(client), || {
                            format!("{:?} is in {id} twice", row.client_id)
                        })?;
                    }
                    Row::Reaction(row) if row.conversation == id => {
                        let Reaction { seq, user, .. } = &**row;
                        reactions.insert((*seq, *user));
                    }
                    Row::Member(row) if row.conversation == id => {
                        let read = talk.read.get(&row.user).copied().unwrap_or(0);
                        ensure(row.read_seq >= read, || {
                            format!(
                                "the mark of {} in {id} is {}, not {read}",
                                row.user, row.read_seq
                            )
                        })?;
                    }
                    _ => {}
                }
            }
            ensure(wanted == own.head_seq + 1, || {
                format!("{id} ends at {wanted} and says {}", own.head_seq)
            })?;
            for (by, there) in &talk.reactions {
                let gone = talk.deleted.get(&by.0).is_some_and(|gone| gone.contains(&true));
                let found = reactions.contains(by);
                ensure(gone || there.contains(&found), || {
                    format!("reaction {by:?} in {id} is {found}, not {there:?}")
                })?;
            }
            let last = talk.by_seq.keys().last().copied().unwrap_or(0);
            ensure(last <= own.head_seq, || format!("{id}: message {last} is lost"))
        })
    }

    /// The newest seq that was acknowledged in a conversation.
    pub(crate) fn head(&self, id: ConversationId) -> Seq {
        self.talk(id, |talk, _| talk.by_seq.keys().last().copied().unwrap_or(0))
    }

    /// Sends that were acknowledged: who, number, seq, the first text if nothing changed it.
    pub(crate) fn first_sends(&self, id: ConversationId) -> Vec<((UserId, u64), Seq)> {
        self.talk(id, |talk, _| talk.by_client.iter().map(|(by, seq)| (*by, *seq)).collect())
    }
}

impl UserSeen {
    fn same_line(&mut self, row: &UserState) -> Check {
        let known = *self.history.get_or_insert(row.history);
        ensure(known == row.history, || format!("the list of {} was born twice", row.user))
    }
}

fn rises(of: impl Debug, known: &mut u64, now: u64) -> Check {
    let before = std::mem::replace(known, now);
    ensure(before < now, || format!("events of {of:?} went from {before} to {now}"))
}
