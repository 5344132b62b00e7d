//! Frames of a connection: each becomes a command, in the order in which it came.

use std::{collections::BTreeMap, sync::Arc};

use ostracon_domain::{
    Action, ClientId, Command, ConversationCommand, ConversationId, Edit, NewMessage, Refusal,
    UserId,
};
use ostracon_proto::{
    CloseCode, UserRef,
    frame::{
        ClientFrame, Command as Frame, DeleteScope, Done, FrameError, FrameRef, HeartbeatAnswer,
        Mark, MarkTarget, OutgoingMessage, SendTarget,
    },
};

use crate::{
    connection::Connection,
    engine::{Engine, no_user},
    error::EngineError,
    live,
    marks::{MarkKind, Marked},
    reply::Reply,
};

impl Engine {
    /// Takes in one frame of a connection. The answer goes into its outbox; it returns when the next frame may be read.
    pub async fn receive(&self, connection: &Arc<Connection>, frame: &[u8]) {
        let text = match connection.encoding.text(frame) {
            Ok(text) => text,
            Err(_) => return unparsable(connection),
        };
        let frame = match ClientFrame::decode(&text) {
            Ok(frame) => frame,
            Err(FrameError::Unparsable) => return unparsable(connection),
            Err(FrameError::Refused { id, error }) => {
                return connection.answer(id.as_ref(), &*error);
            }
        };
        if matches!(frame.command, Frame::Heartbeat) {
            let heartbeat = HeartbeatAnswer {
                server_time: self.core().clock.now(),
                user_rev: self.core().hub.user_rev(connection.user),
            };
            return connection.answer(frame.id.as_ref(), &heartbeat);
        }
        connection.begin();
        let reply = |id: Option<FrameRef>| Reply::Frame { connection: Arc::clone(connection), id };
        if let Err(error) = self.check_rate(connection.user, connection.session) {
            return reply(frame.id).fail(error);
        }
        let command = match frame.command {
            Frame::Typing(_) | Frame::PresenceSubscribe(_) | Frame::PresenceUnsubscribe(_) => {
                return self.live(connection, frame.id, frame.command).await;
            }
            Frame::MarkRead(mark) => {
                return self.mark(connection, frame.id, MarkKind::Read, mark).await;
            }
            Frame::MarkDelivered(mark) => {
                return self.mark(connection, frame.id, MarkKind::Delivered, mark).await;
            }
            command => command,
        };
        match self.command(connection.user, command).await {
            Ok(command) => {
                self.core().submit(Command::Conversation(command), reply(frame.id));
            }
            Err(error) => reply(frame.id).fail(error),
        }
    }

    /// A frame about what is live: answered here, it becomes no command.
    async fn live(&self, connection: &Arc<Connection>, id: Option<FrameRef>, frame: Frame<'_>) {
        let done = match frame {
            Frame::Typing(typing) => match self.typing(connection, typing).await {
                // It has no answer.
                Ok(()) => return connection.forgo(),
                Err(error) => Err(error),
            },
            Frame::PresenceSubscribe(of) => match self.resolve_all(&of.user_ids).await {
                Ok(users) => self.watch(connection, &users).await,
                Err(error) => Err(error),
            },
            Frame::PresenceUnsubscribe(of) => match self.resolve_all(&of.user_ids).await {
                Ok(users) => {
                    self.unwatch(connection, &users);
                    Ok(())
                }
                Err(error) => Err(error),
            },
            _ => Err(EngineError::Internal),
        };
        match done {
            Ok(()) => connection.finish(id.as_ref(), &Done::default()),
            Err(error) => connection.finish(id.as_ref(), &error.object()),
        }
    }

    /// A mark: committed now, or with those that follow it.
    async fn mark(
        &self,
        connection: &Arc<Connection>,
        id: Option<FrameRef>,
        kind: MarkKind,
        mark: Mark,
    ) {
        let core = self.core();
        let conversation = mark.conversation_id;
        let seq = match self.mark_seq(connection.user, conversation, mark.up_to).await {
            Ok(seq) => seq,
            Err(error) => return connection.finish(id.as_ref(), &error.object()),
        };
        let connection = Arc::clone(connection);
        let mark = Marked { connection, conversation, kind, seq, ids: vec![id] };
        let now = core.presence.now();
        let at_once = core.marks.lock().put(mark, now);
        if let Some(mark) = at_once {
            live::submit_mark(core, mark);
            core.presence.wake.notify_one();
        }
    }

    /// The users that a request names, in its order. Numbers are not checked to exist.
    ///
    /// # Errors
    /// `NotFound` when there is nobody of an external id.
    pub async fn resolve_all(&self, users: &[UserRef]) -> Result<Vec<UserId>, EngineError> {
        let external = users.iter().filter_map(|user| match user {
            UserRef::External(id) => Some(id.clone()),
            UserRef::Id(_) => None,
        });
        let external: Vec<_> = external.collect();
        let mut known = BTreeMap::new();
        if !external.is_empty() {
            let found = self.core().directory.users_by_external_id(&external).await?;
            known.extend(found.into_iter().filter_map(|user| Some((user.external_id?, user.id))));
        }
        let id_of = |user: &UserRef| match user {
            UserRef::Id(id) => Ok(*id),
            UserRef::External(id) => known.get(id).copied().ok_or_else(|| no_user().into()),
        };
        users.iter().map(id_of).collect()
    }

    async fn command(
        &self,
        actor: UserId,
        frame: Frame<'_>,
    ) -> Result<ConversationCommand, EngineError> {
        let (conversation, action) = match frame {
            Frame::SendMessage(send) => {
                let conversation = match &send.target {
                    SendTarget::Conversation(id) => self.may_begin(actor, *id).await?,
                    SendTarget::User(user) => {
                        ConversationId::direct(actor, self.resolve(user).await?)
                    }
                };
                (conversation, Action::Send(self.new_message(actor, &send.message).await?))
            }
            Frame::EditMessage(edit) => {
                let action = Action::Edit(Edit {
                    seq: edit.seq,
                    content: edit.content.into_owned(),
                    if_content_rev: edit.if_content_rev,
                });
                (edit.conversation_id, action)
            }
            Frame::DeleteMessage(delete) => {
                let action = match delete.scope {
                    DeleteScope::Everyone => Action::Delete { seq: delete.seq },
                    DeleteScope::Me => Action::Hide { seq: delete.seq },
                };
                (delete.conversation_id, action)
            }
            Frame::React(react) => {
                let emoji = react.emoji.into_owned();
                let action = Action::React { seq: react.seq, emoji, remove: react.remove };
                (react.conversation_id, action)
            }
            Frame::MarkRead(_)
            | Frame::MarkDelivered(_)
            | Frame::Typing(_)
            | Frame::PresenceSubscribe(_)
            | Frame::PresenceUnsubscribe(_)
            | Frame::Heartbeat => return Err(EngineError::Internal),
        };
        Ok(ConversationCommand { conversation, actor, action })
    }

    /// A message to send, from its body on either transport.
    ///
    /// # Errors
    /// `Invalid` when the client id is not one; what the directory or a shard says when files are attached.
    pub async fn new_message(
        &self,
        actor: UserId,
        body: &OutgoingMessage<'_>,
    ) -> Result<NewMessage, EngineError> {
        let plain = self.plain_message(body)?;
        // Plain messages ask nobody.
        if body.attachments.is_empty() {
            return Ok(plain);
        }
        Ok(NewMessage { attachments: self.attach(actor, &body.attachments).await?, ..plain })
    }

    /// The same without its files.
    ///
    /// # Errors
    /// `Invalid` when the client id is not one.
    pub fn plain_message(&self, body: &OutgoingMessage<'_>) -> Result<NewMessage, EngineError> {
        let client_id = match &body.client_id {
            Some(text) => Some(ClientId::new(text).ok_or(Refusal::invalid(
                "client_id",
                "A client id has 1 to 64 bytes and no control characters.",
            ))?),
            None => None,
        };
        let keys = &self.core().keys;
        let attached = &body.attachments;
        let payload_hash =
            keys.payload(body.kind, &body.content, body.reply_to, &body.mentions, attached);
        Ok(NewMessage {
            kind: body.kind,
            content: body.content.clone().into_owned(),
            client_id,
            payload_hash,
            reply_to: body.reply_to,
            mentions: body.mentions.clone(),
            attachments: Some(Vec::new()),
        })
    }

    /// The user that a request names.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn resolve(&self, user: &UserRef) -> Result<UserId, EngineError> {
        let core = self.core();
        match user {
            UserRef::Id(id) => {
                let known = core.known_users.remembers(&[*id])
                    || core.known_users.first_unknown(&[*id]).await?.is_none();
                if known { Ok(*id) } else { Err(no_user().into()) }
            }
            UserRef::External(external) => {
                let found = core.directory.users_by_external_id(std::slice::from_ref(external));
                found.await?.first().map(|user| user.id).ok_or_else(|| no_user().into())
            }
        }
    }

    /// A conversation that a message may go to: a direct one may begin with it, if the other user exists.
    ///
    /// # Errors
    /// `NotFound` when it is a stranger's or nobody's.
    pub async fn may_begin(
        &self,
        actor: UserId,
        id: ConversationId,
    ) -> Result<ConversationId, EngineError> {
        if let ostracon_domain::Party::Direct { .. } = id.party() {
            let peer = id.peer_of(actor).ok_or(Refusal::no_conversation())?;
            let unknown = !self.core().known_users.remembers(&[peer])
                && self.core().known_users.first_unknown(&[peer]).await?.is_some();
            if unknown {
                return Err(Refusal::no_conversation().into());
            }
        }
        Ok(id)
    }

    async fn mark_seq(
        &self,
        actor: UserId,
        id: ConversationId,
        up_to: MarkTarget,
    ) -> Result<u64, EngineError> {
        match up_to {
            MarkTarget::Seq(seq) => Ok(seq),
            MarkTarget::Message(message) => self.seq_of(actor, id, message).await,
        }
    }
}

fn unparsable(connection: &Connection) {
    connection.close(CloseCode::Unparsable, "a frame is a JSON object");
}
