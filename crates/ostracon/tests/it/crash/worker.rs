//! Mixed load: three people over REST, one command at a time, three over sockets, many under way.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ostracon_client::{Api, ApiError, Credential, Socket, SocketError, socket::decode};
use ostracon_domain::{ConversationId, MessageId, Rev, Seq};
use ostracon_proto::{
    Encoding, ErrorCode, UserRef,
    frame::{
        ClientFrame, Command, DeleteMessage, DeleteScope, EditMessage, FrameRef, Mark, MarkTarget,
        OutgoingMessage, React, SendMessage, SendTarget, ServerFrame,
    },
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinSet;

use super::{
    ledger::{Acked, Ledger, Page, Unknown},
    people::People,
    random::Dice,
};
use crate::support::Server;

/// Commands under way on one socket.
const UNDER_WAY_MAX: usize = 16;
const EMOJI: [&str; 3] = ["👍", "❤\u{fe0f}", "🎉"];

/// What an answer said.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Answer {
    pub(crate) seq: Seq,
    pub(crate) message_id: Option<MessageId>,
    pub(crate) rev: Rev,
}

/// One person's part of the ledger, and chance.
struct Worker {
    person: usize,
    pages: BTreeMap<usize, Page>,
    places: BTreeMap<usize, ConversationId>,
    /// Guests of the places that this person owns, by place: whether each is there.
    guests: BTreeMap<(usize, usize), bool>,
    guest_ids: BTreeMap<usize, UserRef>,
    dice: Dice,
    /// Sent so far in this round; with the base it makes client ids.
    sent: u64,
    base: u64,
    /// What each place's rev has grown by.
    grown: BTreeMap<usize, Rev>,
    counter: Arc<Counter>,
}

struct Counter {
    acked: AtomicU64,
    kill_after: u64,
    pid: u32,
}

impl Counter {
    fn ack(&self) {
        if self.acked.fetch_add(1, Ordering::SeqCst) + 1 == self.kill_after {
            kill(self.pid);
        }
    }
}

/// kill -9.
pub(crate) fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// Makes load until the server is dead; it is killed as soon as so many commands were acked. How many were.
pub(crate) async fn load(
    server: &Server,
    people: &People,
    ledger: &mut Ledger,
    dice: &mut Dice,
    kill_after: u64,
) -> u64 {
    let pid = server.process();
    let counter = Arc::new(Counter { acked: AtomicU64::new(0), kill_after, pid });
    let mut tasks = JoinSet::new();
    for person in 0..6 {
        let worker = Worker::new(person, people, ledger, dice.split(), Arc::clone(&counter));
        let api = people.api(server, person);
        let token = people.people[person].token.clone();
        tasks.spawn(async move {
            if person < 3 { worker.rest(api).await } else { worker.socket(api, token).await }
        });
    }
    ledger.next += 1_000_000;
    while let Some(worker) = tasks.join_next().await {
        let worker = worker.unwrap();
        for (place, page) in worker.pages {
            ledger.pages.insert((worker.person, place), page);
        }
        for (place, grown) in worker.grown {
            ledger.revs[place] += grown;
        }
        ledger.guests.extend(worker.guests);
    }
    counter.acked.load(Ordering::SeqCst)
}

impl Worker {
    fn new(
        person: usize,
        people: &People,
        ledger: &Ledger,
        dice: Dice,
        counter: Arc<Counter>,
    ) -> Self {
        let places = people.places_of(person);
        let owned = |place: &usize| people.places[*place].owner == person;
        Self {
            person,
            pages: places.iter().map(|n| (*n, ledger.pages[&(person, *n)].clone())).collect(),
            guests: (ledger.guests.iter())
                .filter(|((place, _), _)| owned(place))
                .map(|(key, there)| (*key, *there))
                .collect(),
            guest_ids: (6..people.people.len())
                .map(|n| (n, UserRef::Id(people.people[n].id)))
                .collect(),
            places: places.iter().map(|n| (*n, people.places[*n].id)).collect(),
            dice,
            sent: 0,
            base: ledger.next,
            grown: BTreeMap::new(),
            counter,
        }
    }

    /// What to do next: mostly sends, sometimes something with an own message that nothing is under way for.
    fn choose(&mut self, busy: impl Fn(usize, Seq) -> bool, guests_too: bool) -> (usize, Unknown) {
        let places: Vec<usize> = self.pages.keys().copied().collect();
        let place = *self.dice.pick(&places).unwrap();
        let page = &self.pages[&place];
        let alive: Vec<(Seq, Option<&'static str>)> = page
            .messages
            .iter()
            .rev()
            .take(50)
            .filter(|(seq, message)| message.text.is_some() && !busy(place, **seq))
            .map(|(seq, message)| (*seq, message.emoji))
            .collect();
        let last = page.messages.keys().next_back().copied().unwrap_or(0);
        let chosen = self.dice.pick(&alive).copied();
        let what = self.dice.below(100);
        if guests_too && what < 8 {
            let here: Vec<_> = self.guests.iter().filter(|((at, _), _)| *at == place).collect();
            if let Some(((_, person), there)) = self.dice.pick(&here) {
                return (place, Unknown::Guest { person: *person, present: !**there });
            }
        }
        self.sent += 1;
        let text = format!("p{} n{}", self.person, self.base + self.sent);
        let op = match (what, chosen) {
            (0..12, Some((seq, _))) => Unknown::Edit { seq, text: format!("{text} edited") },
            (12..18, Some((seq, _))) => Unknown::Delete { seq },
            (18..32, Some((seq, before))) => {
                let emoji = if before.is_some() { None } else { self.dice.pick(&EMOJI).copied() };
                Unknown::React { seq, emoji, before }
            }
            (32..40, _) if last > page.read => Unknown::Read { seq: last },
            _ => Unknown::Send { client_id: format!("client {text}"), text },
        };
        (place, op)
    }

    /// Notes what was acked.
    fn acked(&mut self, place: usize, op: Unknown, answer: Answer) {
        let page = self.pages.get_mut(&place).unwrap();
        let grown = apply(page, &op, answer);
        if let Unknown::Guest { person, present } = op {
            self.guests.insert((place, person), present);
        }
        *self.grown.entry(place).or_default() += grown;
        self.counter.ack();
    }

    fn unknown(&mut self, place: usize, op: Unknown) {
        self.pages.get_mut(&place).unwrap().unknown.push(op);
    }

    async fn rest(mut self, api: Api) -> Self {
        loop {
            let (place, op) = self.choose(|_, _| false, true);
            match self.ask(&api, self.places[&place], &op).await {
                Ok(answer) => self.acked(place, op, answer),
                Err(error) => {
                    assert!(is_unknown(&error), "{op:?}: {error}");
                    self.unknown(place, op);
                    return self;
                }
            }
        }
    }

    async fn ask(&self, api: &Api, id: ConversationId, op: &Unknown) -> Result<Answer, ApiError> {
        Ok(match op {
            Unknown::Send { client_id, text } => {
                let sent = api.send(id, &outgoing(client_id, text)).await?.value;
                Answer { seq: sent.seq, message_id: Some(sent.message_id), rev: sent.rev }
            }
            Unknown::Edit { seq, text } => {
                let rev = api.edit(id, *seq, text, None).await?.rev;
                Answer { rev, ..Answer::default() }
            }
            Unknown::Delete { seq } => {
                let rev = api.delete(id, *seq).await?.rev;
                Answer { rev, ..Answer::default() }
            }
            Unknown::React { seq, emoji, before } => {
                let shown = emoji.or(*before).unwrap();
                let rev = api.react(id, *seq, shown, emoji.is_none()).await?.rev;
                Answer { rev, ..Answer::default() }
            }
            Unknown::Read { seq } => {
                api.mark_read(id, MarkTarget::Seq(*seq)).await?;
                Answer::default()
            }
            Unknown::Guest { person, present } => {
                let user = &self.guest_ids[person];
                let rev = if *present {
                    api.add_members(id, std::slice::from_ref(user)).await?.rev
                } else {
                    api.remove_member(id, user).await?.rev
                };
                Answer { rev, ..Answer::default() }
            }
        })
    }

    async fn socket(mut self, api: Api, token: String) -> Self {
        let credential = Credential::Token(token);
        let encoding = if self.person == 4 { Encoding::Cbor } else { Encoding::Json };
        let Ok(mut socket) = Socket::connect(api.address(), &credential, encoding).await else {
            return self;
        };
        let mut under_way: BTreeMap<i64, (usize, Unknown)> = BTreeMap::new();
        let mut next = 0i64;
        loop {
            while under_way.len() < UNDER_WAY_MAX {
                let busy = |place: usize, seq: Seq| {
                    under_way.values().any(|(at, op)| *at == place && about(op) == Some(seq))
                };
                let (place, op) = self.choose(busy, false);
                let reading = matches!(op, Unknown::Read { .. });
                if reading && under_way.values().any(|(at, op)| *at == place && about(op).is_none())
                {
                    continue;
                }
                next += 1;
                let frame = ClientFrame {
                    id: Some(FrameRef::number(next)),
                    command: command(self.places[&place], &op),
                };
                // What could not be written may be on its way all the same.
                under_way.insert(next, (place, op));
                if socket.feed_raw(frame.encode(encoding)).await.is_err() {
                    return self.lost(under_way);
                }
            }
            if socket.flush().await.is_err() {
                return self.lost(under_way);
            }
            match socket.next().await {
                Ok(frame) => match answered(encoding, &frame) {
                    Some((id, Ok(answer))) => {
                        let (place, op) = under_way.remove(&id).unwrap();
                        self.acked(place, op, answer);
                    }
                    Some((id, Err(code))) => {
                        let (place, op) = under_way.remove(&id).unwrap();
                        assert_eq!(code, ErrorCode::ShardUnavailable, "{op:?}");
                        self.unknown(place, op);
                    }
                    None => {}
                },
                Err(SocketError::Lost(_) | SocketError::Closed { .. }) => {
                    return self.lost(under_way);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn lost(mut self, under_way: BTreeMap<i64, (usize, Unknown)>) -> Self {
        // In the order in which they were sent.
        for (place, op) in under_way.into_values() {
            self.unknown(place, op);
        }
        self
    }
}

/// Changes a page as an acked command says; how much the place's rev has grown by it.
pub(crate) fn apply(page: &mut Page, op: &Unknown, answer: Answer) -> Rev {
    match op {
        Unknown::Send { client_id, text } => {
            let message = Acked {
                message_id: answer.message_id.unwrap(),
                client_id: client_id.clone(),
                original: text.clone(),
                text: Some(text.clone()),
                emoji: None,
                rev: answer.rev,
            };
            let before = page.messages.insert(answer.seq, message);
            assert!(before.is_none(), "seq {} was given twice", answer.seq);
            // A send moves the sender's own mark.
            page.read = page.read.max(answer.seq);
            return 1;
        }
        Unknown::Read { seq } => {
            page.read = page.read.max(*seq);
            return 0;
        }
        Unknown::Guest { .. } => return 2,
        Unknown::Edit { seq, .. } | Unknown::Delete { seq } | Unknown::React { seq, .. } => {
            let message = page.messages.get_mut(seq).unwrap();
            message.rev = message.rev.max(answer.rev);
            match op {
                Unknown::Edit { text, .. } => message.text = Some(text.clone()),
                Unknown::Delete { .. } => (message.text, message.emoji) = (None, None),
                Unknown::React { emoji, .. } => message.emoji = *emoji,
                _ => {}
            }
        }
    }
    1
}

pub(crate) fn outgoing(client_id: &str, text: &str) -> OutgoingMessage<'static> {
    let mut message = OutgoingMessage::text(text.to_owned());
    message.client_id = Some(client_id.to_owned().into());
    message
}

/// The message that a command is about.
fn about(op: &Unknown) -> Option<Seq> {
    match op {
        Unknown::Edit { seq, .. } | Unknown::Delete { seq } | Unknown::React { seq, .. } => {
            Some(*seq)
        }
        Unknown::Send { .. } | Unknown::Read { .. } | Unknown::Guest { .. } => None,
    }
}

fn is_unknown(error: &ApiError) -> bool {
    matches!(error, ApiError::Transport(_)) || error.code() == Some(ErrorCode::ShardUnavailable)
}

fn command(id: ConversationId, op: &Unknown) -> Command<'static> {
    match op.clone() {
        Unknown::Send { client_id, text } => Command::SendMessage(SendMessage {
            target: SendTarget::Conversation(id),
            message: outgoing(&client_id, &text),
        }),
        Unknown::Edit { seq, text } => Command::EditMessage(EditMessage {
            conversation_id: id,
            seq,
            content: text.into(),
            if_content_rev: None,
        }),
        Unknown::Delete { seq } => Command::DeleteMessage(DeleteMessage {
            conversation_id: id,
            seq,
            scope: DeleteScope::Everyone,
        }),
        Unknown::React { seq, emoji, before } => Command::React(React {
            conversation_id: id,
            seq,
            emoji: emoji.or(before).unwrap().into(),
            remove: emoji.is_none(),
        }),
        Unknown::Read { seq } => {
            Command::MarkRead(Mark { conversation_id: id, up_to: MarkTarget::Seq(seq) })
        }
        Unknown::Guest { .. } => panic!("members change over REST only"),
    }
}

/// The reference and result of an answer; none for an event.
fn answered(encoding: Encoding, frame: &[u8]) -> Option<(i64, Result<Answer, ErrorCode>)> {
    decode(encoding, frame, |received| {
        let id = received.id?.as_number()?;
        Some((
            id,
            match received.frame {
                ServerFrame::MessageSent(sent) => {
                    Ok(Answer { seq: sent.seq, message_id: Some(sent.message_id), rev: sent.rev })
                }
                ServerFrame::Done(done) => {
                    let rev = done.rev.or(done.message.map(|message| message.rev)).unwrap_or(0);
                    Ok(Answer { rev, ..Answer::default() })
                }
                ServerFrame::Error(error) => Err(error.code),
                other => panic!("{other:?}"),
            },
        ))
    })
    .unwrap()
}
