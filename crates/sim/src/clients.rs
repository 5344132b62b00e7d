//! People who talk: several commands in flight, retries after unknown outcomes, reads that check what was promised.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use ostracon_domain::{
    Action, ClientId, Command, ConversationCommand, ConversationId, Edit, InboxAction,
    InboxCommand, MessageKind, NewGroup, NewMessage, Outcome, Party, Seq, UserId,
};
use tokio::time::sleep;

use crate::{
    ground::Ground,
    oracle::{Check, client_id},
    router::{Reply, Router},
};

/// Sends in flight of one talker.
const IN_FLIGHT: u64 = 4;
/// Messages of a conversation that is long.
const LONG: Seq = 120;
/// Pause before what has an unknown outcome is asked again.
const RETRY: Duration = Duration::from_millis(10);

/// One user in one conversation.
pub(crate) struct Talker {
    pub(crate) ground: Arc<Ground>,
    pub(crate) routers: Vec<Arc<Router>>,
    pub(crate) closing: Arc<AtomicBool>,
    pub(crate) id: ConversationId,
    pub(crate) user: UserId,
    pub(crate) members: Vec<UserId>,
    pub(crate) sent: u64,
    pub(crate) last: Seq,
    /// Own messages that may still be changed.
    pub(crate) own: Vec<Seq>,
    pub(crate) reactions: BTreeMap<Seq, bool>,
    pub(crate) version: u64,
}

pub(crate) fn new_message(user: UserId, number: u64) -> (String, NewMessage) {
    let text = format!("{number} by {user}");
    let message = NewMessage {
        kind: MessageKind::Text,
        content: text.clone(),
        client_id: ClientId::new(&client_id(user, number)),
        payload_hash: u128::from(number),
        reply_to: None,
        mentions: Vec::new(),
        attachments: Some(Vec::new()),
    };
    (text, message)
}

impl Talker {
    pub(crate) async fn talk(mut self) {
        let random = &Arc::clone(&self.ground).random;
        // Births at any time.
        sleep(Duration::from_millis(random.below(4_000))).await;
        let group = self.id.party() == Party::Group;
        if group && self.members.first() == Some(&self.user) {
            let create = Action::CreateGroup(NewGroup {
                name: "a group".to_owned(),
                members: self.members.clone(),
                create_hash: Some(7),
                ..NewGroup::default()
            });
            while let Reply::Unknown = self.act(create.clone()).await {
                sleep(RETRY).await;
            }
        } else if group {
            // Until it is there.
            loop {
                let router = self.router();
                if let Some(Ok(_)) = router.messages(self.id, self.user).await {
                    break;
                }
                if self.closing.load(Ordering::Relaxed) {
                    return;
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
        while !self.closing.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(random.between(5, 250))).await;
            // What is long enough seldom grows: it is the moves that are tried here.
            let long = self.ground.oracle.head(self.id) > LONG && random.percent(95);
            let done = match random.below(100) {
                0..60 if long => self.edit().await,
                0..60 => self.send_some().await,
                60..70 => self.edit().await,
                70..78 => self.react().await,
                78..82 => self.delete().await,
                82..88 => self.mark().await,
                88..91 => self.pin().await,
                _ => self.read().await,
            };
            if let Err(why) = done {
                self.ground.fail(why);
                return;
            }
        }
    }

    /// The node this user is connected to at the moment.
    fn router(&self) -> Arc<Router> {
        // There is always one.
        let at = self.ground.random.below(self.routers.len() as u64) as usize;
        Arc::clone(&self.routers[at])
    }

    fn command(&self, action: Action) -> Command {
        let (conversation, actor) = (self.id, self.user);
        Command::Conversation(ConversationCommand { conversation, actor, action })
    }

    async fn act(&self, action: Action) -> Reply {
        let reply = self.router().submit(self.command(action)).await;
        let reply = reply.unwrap_or(Reply::Unknown);
        if matches!(reply, Reply::Unknown) {
            self.ground.oracle.unknown();
        }
        reply
    }

    async fn send_some(&mut self) -> Check {
        let router = self.router();
        let count = self.ground.random.between(1, IN_FLIGHT);
        let mut sends = Vec::new();
        for _ in 0..count {
            self.sent += 1;
            let (text, message) = new_message(self.user, self.sent);
            let reply = router.submit(self.command(Action::Send(message)));
            sends.push((self.sent, text, reply));
            // The map may change between two that are in flight.
            if self.ground.random.percent(40) {
                sleep(Duration::from_millis(self.ground.random.between(1, 40))).await;
            }
        }
        let mut unknown = Vec::new();
        for (number, text, reply) in sends {
            match reply.await.unwrap_or(Reply::Unknown) {
                Reply::Unknown => {
                    self.ground.oracle.unknown();
                    unknown.push((number, text));
                }
                reply => {
                    let seq = self.sent(number, &text, reply, false)?;
                    self.ground.oracle.ordered(self.id, self.last, seq)?;
                    self.last = seq;
                }
            }
        }
        for (number, text) in unknown {
            loop {
                sleep(RETRY).await;
                let (_, message) = new_message(self.user, number);
                match self.act(Action::Send(message)).await {
                    Reply::Unknown => {}
                    reply => {
                        self.sent(number, &text, reply, true)?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn sent(&mut self, number: u64, text: &str, reply: Reply, again: bool) -> Result<Seq, String> {
        match reply {
            Reply::Done(Outcome::Sent { message, duplicate, .. }) => {
                let by = (self.user, number);
                self.ground.oracle.sent(self.id, by, text, &message, (duplicate, again))?;
                self.own.push(message.message.seq);
                Ok(message.message.seq)
            }
            other => Err(format!("send {number} of {} in {}: {other:?}", self.user, self.id)),
        }
    }

    async fn edit(&mut self) -> Check {
        let Some(seq) = self.ground.random.pick(&self.own).copied() else { return Ok(()) };
        self.version += 1;
        let text = format!("{seq} again {}", self.version);
        let oracle = &self.ground.oracle;
        oracle.will_edit(self.id, seq, &text);
        let edit = Edit { seq, content: text.clone(), if_content_rev: None };
        match self.act(Action::Edit(edit)).await {
            Reply::Done(Outcome::Changed { message, .. }) => {
                oracle.edited(self.id, seq, &text, &message.message)
            }
            Reply::Unknown => Ok(()),
            other => Err(format!("edit of {seq} in {}: {other:?}", self.id)),
        }
    }

    async fn react(&mut self) -> Check {
        let Some(seq) = self.ground.random.pick(&self.own).copied() else { return Ok(()) };
        let there = !self.reactions.get(&seq).copied().unwrap_or(false);
        let oracle = &self.ground.oracle;
        oracle.will_react(self.id, (seq, self.user), there);
        let action = Action::React { seq, emoji: "👍".to_owned(), remove: !there };
        match self.act(action).await {
            Reply::Done(Outcome::Changed { message, .. }) => {
                self.reactions.insert(seq, there);
                oracle.reacted(self.id, (seq, self.user), there, &message)
            }
            Reply::Unknown => Ok(()),
            other => Err(format!("reaction to {seq} in {}: {other:?}", self.id)),
        }
    }

    async fn delete(&mut self) -> Check {
        if self.own.len() < 3 {
            return Ok(());
        }
        let at = self.ground.random.below(self.own.len() as u64) as usize;
        let seq = self.own.swap_remove(at);
        let oracle = &self.ground.oracle;
        oracle.will_delete(self.id, seq);
        match self.act(Action::Delete { seq }).await {
            Reply::Done(Outcome::Deleted { rev, .. }) => {
                oracle.deleted(self.id, seq, rev);
                Ok(())
            }
            Reply::Unknown => Ok(()),
            other => Err(format!("deletion of {seq} in {}: {other:?}", self.id)),
        }
    }

    async fn mark(&mut self) -> Check {
        let seq = self.ground.oracle.head(self.id);
        if seq == 0 {
            return Ok(());
        }
        match self.act(Action::MarkRead { seq }).await {
            Reply::Done(Outcome::Marked { member, .. }) => {
                let short = member.read_seq < seq;
                let oracle = &self.ground.oracle;
                oracle.marked(self.id, &member)?;
                if short {
                    return Err(format!("{}: the mark {seq} became {}", self.id, member.read_seq));
                }
                Ok(())
            }
            Reply::Unknown => Ok(()),
            other => Err(format!("mark in {}: {other:?}", self.id)),
        }
    }

    /// Changes the user's own list, or reads it.
    async fn pin(&mut self) -> Check {
        let oracle = &self.ground.oracle;
        let began = oracle.list_floor(self.user);
        if self.ground.random.percent(50) {
            return match self.router().inbox(self.user).await {
                Some(Ok(rows)) => oracle.listed(self.user, rows.state.as_deref(), began),
                _ => Ok(()),
            };
        }
        let action = InboxAction::Set {
            conversation: self.id,
            pinned: Some(self.ground.random.percent(50)),
            archived: None,
            marked_unread: None,
            draft: self.ground.random.percent(50).then(|| Some("begun".to_owned())),
        };
        let command = Command::Inbox(InboxCommand { user: self.user, action });
        // The entry need not be there yet.
        if let Ok(Reply::Done(Outcome::Inbox { entries })) = self.router().submit(command).await {
            oracle.entries(self.user, &entries);
        }
        Ok(())
    }

    async fn read(&mut self) -> Check {
        let oracle = &self.ground.oracle;
        let floor = oracle.floor(self.id);
        match self.router().messages(self.id, self.user).await {
            Some(Ok(page)) => oracle.read(self.id, self.user, floor, &page),
            Some(Err(())) => oracle.absent(self.id, floor),
            None => Ok(()),
        }
    }
}
