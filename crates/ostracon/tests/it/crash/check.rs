//! Everything that was acked is there, once, in order, and lists tell the truth.

use std::collections::{BTreeMap, BTreeSet};

use ostracon_client::Api;
use ostracon_domain::{ConversationId, Rev, Seq, UserId};
use ostracon_proto::{
    Entry, Member, Message, Position,
    rest::{Anchor, MessagesQuery},
};

use super::{
    ledger::{Ledger, Page, Unknown},
    people::People,
    random::Dice,
    worker::{Answer, apply, outgoing},
};
use crate::support::Server;

/// Sends repeated for each person and place.
const REPEATS: u64 = 2;

type Checked<T = ()> = Result<T, String>;

/// What one device has from `/sync`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Level {
    cursor: Option<String>,
    revs: BTreeMap<ConversationId, Rev>,
}

/// A conversation as it is.
struct Truth {
    messages: Vec<Message<'static>>,
    members: BTreeMap<UserId, Member>,
    entry: Entry<'static>,
}

macro_rules! demand {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}

/// Settles what was unknown, then checks everything.
pub(crate) async fn all(
    server: &Server,
    people: &People,
    ledger: &mut Ledger,
    dice: &mut Dice,
) -> Checked {
    let mut truths = Vec::new();
    for place in 0..people.places.len() {
        let found = truth(server, people, place).await;
        settle(server, people, ledger, place, &found).await?;
        repeat(server, people, ledger, place, dice).await?;
        let found = truth(server, people, place).await;
        one_log(people, ledger, place, &found)
            .map_err(|wrong| format!("place {place} ({}): {wrong}", people.places[place].id))?;
        truths.push(found);
    }
    for person in 0..people.people.len() {
        lists(server, people, ledger, person, &truths)
            .await
            .map_err(|wrong| format!("list of person {person}: {wrong}"))?;
    }
    Ok(())
}

async fn truth(server: &Server, people: &People, place: usize) -> Truth {
    let api = people.api(server, people.places[place].owner);
    let id = people.places[place].id;
    let entry = api.conversation(id).await.unwrap();
    let mut messages: Vec<Message<'static>> = Vec::new();
    loop {
        let last = messages.last().map_or(0, |message| message.seq);
        let anchor = Anchor::After(Position::Seq(last));
        let page =
            api.messages(id, &MessagesQuery { limit: 200, anchor, min_rev: None }).await.unwrap();
        messages.extend(page.messages);
        if !page.has_more_after {
            break;
        }
    }
    let members = api.members(id, Some(200), None).await.unwrap().members;
    let members = members.into_iter().map(|member| (member.user_id, member)).collect();
    Truth { messages, members, entry }
}

/// Finds out what became of commands without an answer, and repeats the sends.
async fn settle(
    server: &Server,
    people: &People,
    ledger: &mut Ledger,
    place: usize,
    found: &Truth,
) -> Checked {
    let id = people.places[place].id;
    for person in people.places[place].members.clone() {
        let api = people.api(server, person);
        let page = ledger.pages.get_mut(&(person, place)).unwrap();
        for op in std::mem::take(&mut page.unknown) {
            let stored = |seq: Seq| found.messages.iter().find(|message| message.seq == seq);
            match &op {
                Unknown::Send { client_id, text } => {
                    let sent = api.send(id, &outgoing(client_id, text)).await.unwrap().value;
                    demand!(
                        sent.content.as_deref() == Some(text),
                        "a repeated send came back as {sent:?}"
                    );
                    let answer =
                        Answer { seq: sent.seq, message_id: Some(sent.message_id), rev: sent.rev };
                    ledger.revs[place] += apply(page, &op, answer);
                }
                Unknown::Edit { seq, text } => {
                    let now = stored(*seq).and_then(|message| message.content.as_deref());
                    if now != Some(text) {
                        let before = page.messages[seq].text.as_deref();
                        demand!(
                            now == before,
                            "message {seq} is {now:?}, neither {before:?} nor {text:?}"
                        );
                        api.edit(id, *seq, text, None).await.unwrap();
                    }
                    ledger.revs[place] += apply(page, &op, Answer::default());
                }
                Unknown::Delete { seq } => {
                    // Twice has the same answer, so it does not matter whether it happened.
                    let first = api.delete(id, *seq).await.unwrap();
                    let again = api.delete(id, *seq).await.unwrap();
                    demand!(first == again, "a repeated deletion of {seq} has another answer");
                    ledger.revs[place] += apply(page, &op, Answer::default());
                }
                Unknown::React { seq, emoji, before } => {
                    let now = stored(*seq)
                        .and_then(|message| reaction_of(message, people.people[person].id));
                    if now.as_deref() == *emoji {
                        ledger.revs[place] += apply(page, &op, Answer::default());
                    } else {
                        demand!(now.as_deref() == *before, "message {seq} has {now:?}");
                    }
                }
                Unknown::Read { .. } => {}
                Unknown::Guest { person: guest, present } => {
                    let there = found.members.contains_key(&people.people[*guest].id);
                    if there == *present {
                        ledger.revs[place] += apply(page, &op, Answer::default());
                        ledger.guests.insert((place, *guest), *present);
                    }
                }
            }
        }
    }
    Ok(())
}

/// The same client id again has the first result, whatever became of the message since.
async fn repeat(
    server: &Server,
    people: &People,
    ledger: &Ledger,
    place: usize,
    dice: &mut Dice,
) -> Checked {
    let id = people.places[place].id;
    for person in &people.places[place].members {
        let api = people.api(server, *person);
        let page = &ledger.pages[&(*person, place)];
        let all: Vec<_> = page.messages.iter().collect();
        for _ in 0..REPEATS {
            let Some((seq, message)) = dice.pick(&all) else { continue };
            let again =
                api.send(id, &outgoing(&message.client_id, &message.original)).await.unwrap();
            demand!(!again.new, "{:?} was stored a second time", message.client_id);
            let same = again.value.seq == **seq && again.value.message_id == message.message_id;
            demand!(same, "{:?} came back as {} and not {seq}", message.client_id, again.value.seq);
        }
    }
    Ok(())
}

/// One log: gapless, in order, with every acked effect and nothing else.
fn one_log(people: &People, ledger: &Ledger, place: usize, found: &Truth) -> Checked {
    let head = found.entry.conversation.head_seq;
    let rev = found.entry.conversation.rev;
    let seqs: Vec<Seq> = found.messages.iter().map(|message| message.seq).collect();
    demand!(seqs == (1..=head).collect::<Vec<_>>(), "seqs up to {head} are {seqs:?}");
    for pair in found.messages.windows(2) {
        demand!(pair[0].message_id < pair[1].message_id, "ids go back at {}", pair[1].seq);
        demand!(pair[0].timestamp <= pair[1].timestamp, "times go back at {}", pair[1].seq);
    }
    let mut revs = BTreeSet::new();
    let members = found.members.values().map(|member| member.rev);
    for of in found.messages.iter().map(|message| message.rev).chain(members) {
        demand!(of <= rev, "a row has rev {of}, the conversation {rev}");
        demand!(revs.insert(of), "rev {of} was given twice");
    }
    let expected = ledger.revs[place];
    demand!(rev == expected, "rev is {rev}; what was done took {expected}");

    let mut acked = 0;
    for person in &people.places[place].members {
        let page = &ledger.pages[&(*person, place)];
        let user = people.people[*person].id;
        acked += page.messages.len() as u64;
        messages(page, user, found)?;
        let read = found.members.get(&user).and_then(|member| member.read_seq).unwrap_or(0);
        demand!(
            read >= page.read,
            "person {person} has read up to {}, the mark says {read}",
            page.read
        );
    }
    demand!(acked == head, "{acked} messages were acked, {head} are there");
    for guest in &people.places[place].guests {
        let there = found.members.contains_key(&people.people[*guest].id);
        demand!(there == ledger.guests[&(place, *guest)], "guest {guest}: {there}");
    }
    Ok(())
}

fn messages(page: &Page, user: UserId, found: &Truth) -> Checked {
    for (seq, acked) in &page.messages {
        let stored = &found.messages[*seq as usize - 1];
        demand!(stored.message_id == acked.message_id, "message {seq} has another id");
        demand!(stored.sender_id == user, "message {seq} is of {}", stored.sender_id);
        demand!(
            stored.rev >= acked.rev,
            "message {seq} is at rev {}, acked was {}",
            stored.rev,
            acked.rev
        );
        demand!(
            stored.deleted_at.is_some() == acked.text.is_none(),
            "message {seq}: deleted {:?}, acked text {:?}",
            stored.deleted_at,
            acked.text
        );
        demand!(
            stored.content.as_deref() == acked.text.as_deref(),
            "message {seq} says {:?}, acked was {:?}",
            stored.content,
            acked.text
        );
        let emoji = reaction_of(stored, user);
        demand!(
            emoji.as_deref() == acked.emoji,
            "message {seq} has {emoji:?}, acked was {:?}",
            acked.emoji
        );
    }
    Ok(())
}

fn reaction_of(message: &Message<'_>, user: UserId) -> Option<String> {
    let group = message.reactions.iter().find(|group| group.user_ids.contains(&user));
    group.map(|group| group.emoji.to_string())
}

/// `/sync` from the start and from the last cursor both say what is true.
async fn lists(
    server: &Server,
    people: &People,
    ledger: &mut Ledger,
    person: usize,
    truths: &[Truth],
) -> Checked {
    let api = people.api(server, person);
    let user = people.people[person].id;
    let (fresh, entries) = sync(&api, Level::default()).await?;
    for (place, truth) in people.places.iter().zip(truths) {
        let is_member = truth.members.contains_key(&user);
        let Some(entry) = entries.get(&place.id) else {
            demand!(!is_member, "it lacks {}", place.id);
            continue;
        };
        let now = &truth.entry.conversation;
        if !is_member {
            demand!(
                entry.membership.left_seq.is_some(),
                "{} does not say that one has left",
                place.id
            );
            continue;
        }
        demand!(
            (entry.conversation.rev, entry.conversation.head_seq) == (now.rev, now.head_seq),
            "{} stands at rev {} and head {}, not {} and {}",
            place.id,
            entry.conversation.rev,
            entry.conversation.head_seq,
            now.rev,
            now.head_seq
        );
        let floor = entry.membership.read_seq.max(entry.membership.joined_seq - 1);
        let above = truth.messages.iter().filter(|message| message.seq > floor);
        let unread = above.filter(|message| message.deleted_at.is_none()).count() as u64;
        demand!(entry.unread == unread, "{} says {} unread, {unread} are", place.id, entry.unread);
        let last = entry.last_message.as_ref().map_or(0, |message| message.seq);
        demand!(
            last == now.head_seq || last == 0,
            "{} shows {last}, not {}",
            place.id,
            now.head_seq
        );
        let own = truth.members.get(&user).and_then(|member| member.read_seq);
        demand!(
            own.is_none_or(|own| own == entry.membership.read_seq),
            "{}: another read mark",
            place.id
        );
    }
    let before = ledger.cursors.remove(&person).unwrap_or_default();
    let (followed, _) = sync(&api, before).await?;
    demand!(
        followed.revs == fresh.revs,
        "followed from the cursor: {:?}, fresh: {:?}",
        followed.revs,
        fresh.revs
    );
    ledger.cursors.insert(person, followed);
    Ok(())
}

async fn sync(
    api: &Api,
    mut level: Level,
) -> Checked<(Level, BTreeMap<ConversationId, Entry<'static>>)> {
    let mut entries = BTreeMap::new();
    loop {
        let page = api.sync(level.cursor.as_deref(), 3).await.map_err(|error| error.to_string())?;
        demand!(!page.reset || level.cursor.is_none(), "the cursor was not known any more");
        for id in page.removed {
            level.revs.remove(&id);
            entries.remove(&id);
        }
        for entry in page.conversations {
            // Who has left is told nothing more.
            let left = entry.membership.left_seq;
            let rev = left.unwrap_or(entry.conversation.rev);
            level.revs.insert(entry.conversation.conversation_id, rev);
            entries.insert(entry.conversation.conversation_id, entry);
        }
        level.cursor = Some(page.cursor);
        if !page.more {
            return Ok((level, entries));
        }
    }
}
