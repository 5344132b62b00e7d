//! A tiny store around the rules: one conversation, or one user's list, in ordered maps.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    Action, Annex, AnnexKey, Attachment, ClientId, Context, Conversation, ConversationCommand,
    ConversationId, ConversationSlice, Edit, History, IdSource, Limits, Member, Message, MessageId,
    MessageIds, MessageKind, MessageView, Millis, NewGroup, NewMessage, Outcome, Quote, Reaction,
    ReactionGroup, Refusal, RefusalCode, Row, Seq, UnitId, UserId, decide,
};

pub(super) const START: Millis = 1_700_000_000_000;
pub(super) const UNIT: UnitId = UnitId(99);
pub(super) const ALICE: UserId = user(1);
pub(super) const BOB: UserId = user(2);
pub(super) const CAROL: UserId = user(3);
pub(super) const DAVE: UserId = user(4);
pub(super) const EVE: UserId = user(5);

pub(super) const fn user(id: u64) -> UserId {
    match UserId::new(id) {
        Ok(user) => user,
        Err(_) => panic!("not a user id"),
    }
}

pub(super) struct Ids {
    messages: MessageIds,
    histories: u64,
}

impl Ids {
    pub(super) const fn new() -> Self {
        Self { messages: MessageIds::new(1, 0), histories: 0 }
    }
}

impl IdSource for Ids {
    fn message_id(&mut self, now: Millis, later_than: Option<MessageId>) -> Option<MessageId> {
        self.messages.next(now, later_than)
    }

    fn history(&mut self) -> History {
        self.histories += 1;
        History(self.histories)
    }
}

/// One conversation as a store would hold it.
pub(super) struct Room {
    pub(super) id: ConversationId,
    pub(super) conversation: Option<Arc<Conversation>>,
    pub(super) members: BTreeMap<UserId, Arc<Member>>,
    pub(super) messages: BTreeMap<Seq, Arc<Message>>,
    pub(super) reactions: BTreeSet<Reaction>,
    pub(super) annexes: BTreeMap<AnnexKey, Arc<Annex>>,
    pub(super) now: Millis,
    pub(super) limits: Limits,
    ids: Ids,
}

impl Room {
    pub(super) fn new(id: ConversationId) -> Self {
        Self {
            id,
            conversation: None,
            members: BTreeMap::new(),
            messages: BTreeMap::new(),
            reactions: BTreeSet::new(),
            annexes: BTreeMap::new(),
            now: START,
            limits: Limits::default(),
            ids: Ids::new(),
        }
    }

    /// The direct conversation of Alice and Bob, not opened yet.
    pub(super) fn direct() -> Self {
        Self::new(ConversationId::direct(ALICE, BOB))
    }

    pub(super) fn group_id() -> ConversationId {
        ConversationId::new_group(START, [7; 10])
    }

    /// A group that Alice owns.
    pub(super) fn group(members: &[UserId]) -> Self {
        let mut room = Self::new(Self::group_id());
        room.done(ALICE, new_group("a group", members));
        room
    }

    /// A group that Alice owns, in which the server says who comes and goes.
    pub(super) fn told_group(members: &[UserId]) -> Self {
        let mut room = Self::new(Self::group_id());
        room.limits.system_messages = true;
        room.done(ALICE, new_group("a \"group\"", members));
        room
    }

    /// Decides a command with no more than it says it needs, and applies what it changed.
    pub(super) fn run(
        &mut self,
        actor: UserId,
        action: Action,
    ) -> Result<(Outcome, Vec<Row>), Refusal> {
        let command = ConversationCommand { conversation: self.id, actor, action };
        let needs = command.needs();
        assert_eq!(needs.members.first(), Some(&actor));
        let mut slice = ConversationSlice::new(self.conversation.clone());
        let members = needs.members.iter().filter_map(|user| self.members.get(user));
        slice.members = members.cloned().collect();
        slice.messages = needs.messages.iter().filter_map(|seq| self.view(*seq)).collect();
        slice.annexes =
            needs.annexes.iter().filter_map(|key| self.annexes.get(key).cloned()).collect();
        slice.duplicate = command.probe().and_then(|(sender, client_id)| {
            let of = |row: &&Arc<Message>| {
                row.sender == sender && row.client_id.as_ref() == Some(client_id)
            };
            let seq = self.messages.values().find(of)?.seq;
            self.view(seq)
        });
        let outcome = {
            let mut context =
                Context { now: self.now, unit: UNIT, limits: &self.limits, ids: &mut self.ids };
            decide(&mut slice, &command, &mut context)?
        };
        let rows = slice.into_changes();
        rows.iter().for_each(|row| self.apply(row));
        Ok((outcome, rows))
    }

    pub(super) fn done(&mut self, actor: UserId, action: Action) -> Outcome {
        match self.run(actor, action.clone()) {
            Ok((outcome, _)) => outcome,
            Err(refusal) => panic!("{action:?} by {actor} is refused: {refusal}"),
        }
    }

    /// Runs a command that changes nothing.
    pub(super) fn idle(&mut self, actor: UserId, action: Action) -> Outcome {
        let (outcome, rows) = self.run(actor, action).expect("allowed");
        assert_eq!(rows, [], "nothing changes");
        outcome
    }

    pub(super) fn refused(&mut self, actor: UserId, action: Action) -> RefusalCode {
        match self.run(actor, action.clone()) {
            Err(refusal) => refusal.code,
            Ok((outcome, _)) => panic!("{action:?} by {actor} is done: {outcome:?}"),
        }
    }

    pub(super) fn invalid(&mut self, actor: UserId, action: Action) -> &'static str {
        match self.run(actor, action) {
            Err(Refusal { code: RefusalCode::Invalid, field: Some(field), .. }) => field,
            other => panic!("not invalid: {other:?}"),
        }
    }

    pub(super) fn say(&mut self, actor: UserId, text: &str) -> MessageView {
        self.sent(actor, send(text)).0
    }

    /// The message of a send and whether it was there before.
    pub(super) fn sent(&mut self, actor: UserId, action: Action) -> (MessageView, bool) {
        match self.done(actor, action) {
            Outcome::Sent { message, duplicate, .. } => (message, duplicate),
            other => panic!("not sent: {other:?}"),
        }
    }

    pub(super) fn head(&self) -> &Conversation {
        self.conversation.as_ref().expect("it is there")
    }

    pub(super) fn member(&self, user: UserId) -> &Member {
        &self.members[&user]
    }

    pub(super) fn message(&self, seq: Seq) -> &Message {
        &self.messages[&seq]
    }

    pub(super) fn view(&self, seq: Seq) -> Option<MessageView> {
        let message = Arc::clone(self.messages.get(&seq)?);
        let mut groups: BTreeMap<&str, Vec<UserId>> = BTreeMap::new();
        for row in self.reactions.iter().filter(|row| row.seq == seq) {
            groups.entry(&row.emoji).or_default().push(row.user);
        }
        let group = |(emoji, users): (&str, _)| ReactionGroup { emoji: emoji.to_owned(), users };
        let reactions = groups.into_iter().map(group).collect();
        let quoted = message.reply_to.and_then(|seq| self.messages.get(&seq));
        let quote = quoted.map(|quoted| Quote::of(quoted));
        Some(MessageView { message, reactions, quote })
    }

    fn apply(&mut self, row: &Row) {
        match row {
            Row::Conversation(row) => self.conversation = Some(Arc::clone(row)),
            Row::Member(row) => {
                self.members.insert(row.user, Arc::clone(row));
            }
            Row::Message(row) => {
                self.messages.insert(row.seq, Arc::clone(row));
            }
            Row::Reaction(row) => assert!(self.reactions.insert(Reaction::clone(row)), "new"),
            Row::ReactionGone(row) => assert!(self.reactions.remove(&**row), "was there"),
            Row::MessagesGone { below, .. } => {
                self.messages.retain(|seq, _| seq >= below);
                self.reactions.retain(|row| row.seq >= *below);
                self.annexes.retain(|key, _| key.seq() == 0 || key.seq() >= *below);
            }
            Row::Annex(row) => {
                self.annexes.insert(row.key, Arc::clone(row));
            }
            Row::AnnexGone(row) => {
                self.annexes.remove(&row.key);
            }
            Row::AnnexesGone { seq, .. } => {
                self.annexes.retain(|key, _| key.seq() != *seq);
            }
            Row::User(_) | Row::Inbox(_) => panic!("not of a conversation: {row:?}"),
        }
    }
}

pub(super) fn say(text: &str) -> NewMessage {
    NewMessage {
        kind: MessageKind::Text,
        content: text.to_owned(),
        client_id: None,
        payload_hash: 1,
        reply_to: None,
        mentions: Vec::new(),
        attachments: Some(Vec::new()),
    }
}

pub(super) fn file(media_id: &str) -> Attachment {
    Attachment {
        media_id: media_id.to_owned(),
        mime: "image/png".to_owned(),
        size: 7,
        width: Some(2),
        height: Some(3),
        duration_ms: None,
        thumbhash: None,
        name: Some("a.png".to_owned()),
    }
}

pub(super) fn send(text: &str) -> Action {
    Action::Send(say(text))
}

pub(super) fn send_as(client_id: &str, payload_hash: u128, text: &str) -> Action {
    let client_id = ClientId::new(client_id);
    assert!(client_id.is_some());
    Action::Send(NewMessage { client_id, payload_hash, ..say(text) })
}

pub(super) fn reply(seq: Seq) -> Action {
    Action::Send(NewMessage { reply_to: Some(seq), ..say("answer") })
}

pub(super) fn edit(seq: Seq, text: &str) -> Action {
    Action::Edit(Edit { seq, content: text.to_owned(), if_content_rev: None })
}

pub(super) fn react(seq: Seq, emoji: &str, remove: bool) -> Action {
    Action::React { seq, emoji: emoji.to_owned(), remove }
}

pub(super) fn new_group(name: &str, members: &[UserId]) -> Action {
    Action::CreateGroup(NewGroup {
        name: name.to_owned(),
        members: members.to_vec(),
        create_hash: None,
        ..NewGroup::default()
    })
}
