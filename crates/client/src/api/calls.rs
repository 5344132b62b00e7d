//! The calls, one method each, in the order of the documentation.

use super::{Answer, Api, ApiError, Query, path::segment};
use crate::owned::IntoOwned;
use http::{Method, StatusCode};
use ostracon_domain::{ConversationId, Rev, Role, Seq};
use ostracon_proto::{
    Entry, Inbox, Message, Position, UserRef,
    frame::{MarkTarget, OutgoingMessage},
    rest::{
        AddMembers, Anchor, Changed, Changes, ChangesQuery, Conversations, CreateConversation,
        Deleted, DialogList, DialogMessage, DialogSend, EditContent, EditConversation, EditInbox,
        EditMember, EditProfile, Edits, FormerContent, Hidden, Login, LookupUsers, MarkUpTo,
        Members, MembersAdded, MessagePage, MessagesQuery, Pins, Profile, Profiles, Register,
        Replies, Sessions, SignedIn, Sync, Ticket, Unread,
    },
};
use serde::{Deserialize, Serialize};

/// The result of a call that can be repeated: what is stored, and whether this call stored it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<T> {
    /// As it is now.
    pub value: T,
    /// True for 201, false for the 200 of a repeated call.
    pub new: bool,
}

/// No body.
const NONE: Option<&()> = None;

impl Answer {
    /// Reads the body.
    ///
    /// # Errors
    /// [`ApiError::Unreadable`].
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ApiError> {
        serde_json::from_slice(&self.body).map_err(ApiError::unreadable)
    }

    fn stored<T>(&self, value: T) -> Stored<T> {
        Stored { value, new: self.status == StatusCode::CREATED }
    }
}

/// Path of a conversation, with what follows.
pub(super) fn conversation(id: ConversationId, rest: &str) -> String {
    format!("/api/v1/conversations/{id}{rest}")
}

fn user_path(before: &str, user: &UserRef, after: &str) -> String {
    let mut path = before.to_owned();
    segment(&mut path, &user.to_string());
    path.push_str(after);
    path
}

/// The number that a position is written as; times are in milliseconds.
fn position(at: Position) -> String {
    match at {
        Position::Seq(seq) => seq.to_string(),
        Position::Time(ms) => ms.to_string(),
        Position::MessageId(id) => id.to_string(),
    }
}

impl Api {
    async fn get(&self, path: &str) -> Result<Answer, ApiError> {
        self.call(Method::GET, path, NONE).await
    }

    async fn post<B: Serialize + std::marker::Sync>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<Answer, ApiError> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Creates an account and signs in.
    ///
    /// # Errors
    /// [`ApiError`]; `conflict` when the name is taken.
    pub async fn register(&self, body: &Register<'_>) -> Result<SignedIn, ApiError> {
        self.post("/api/v1/auth/register", body).await?.read()
    }

    /// Signs in.
    ///
    /// # Errors
    /// [`ApiError`]; `unauthorized` for a wrong name and for a wrong password.
    pub async fn login(&self, body: &Login<'_>) -> Result<SignedIn, ApiError> {
        self.post("/api/v1/auth/login", body).await?.read()
    }

    /// Ends this session.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn logout(&self) -> Result<(), ApiError> {
        self.call(Method::POST, "/api/v1/auth/logout", NONE).await?;
        Ok(())
    }

    /// One's own sessions.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn sessions(&self) -> Result<Sessions, ApiError> {
        self.get("/api/v1/auth/sessions").await?.read()
    }

    /// Revokes a session.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn revoke_session(&self, session_id: &str) -> Result<(), ApiError> {
        let mut path = "/api/v1/auth/sessions/".to_owned();
        segment(&mut path, session_id);
        self.call(Method::DELETE, &path, NONE).await?;
        Ok(())
    }

    /// A ticket for one WebSocket, good for 30 seconds.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn ticket(&self) -> Result<Ticket, ApiError> {
        self.call(Method::POST, "/api/v1/auth/ticket", NONE).await?.read()
    }

    /// One's own profile.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn me(&self) -> Result<Profile, ApiError> {
        self.get("/api/v1/me").await?.read()
    }

    /// Changes one's own profile.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn edit_me(&self, body: &EditProfile) -> Result<Profile, ApiError> {
        self.call(Method::PATCH, "/api/v1/me", Some(body)).await?.read()
    }

    /// A user's profile.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn user(&self, user: &UserRef) -> Result<Profile, ApiError> {
        self.get(&user_path("/api/v1/users/", user, "")).await?.read()
    }

    /// Users whose name begins so.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn find_users(&self, query: &str, limit: u32) -> Result<Profiles, ApiError> {
        let path =
            Query::new("/api/v1/users").with("query", Some(query)).with("limit", Some(limit));
        self.get(&path.finish()).await?.read()
    }

    /// Many profiles at once; ids that nobody has are left out.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn lookup_users(&self, body: &LookupUsers) -> Result<Profiles, ApiError> {
        self.post("/api/v1/users/lookup", body).await?.read()
    }

    /// The simple API: text to a user.
    ///
    /// # Errors
    /// [`ApiError`]; without an answer, repeat it with the same `client_id`.
    pub async fn dialog_send(
        &self,
        user: &UserRef,
        body: &DialogSend<'_>,
    ) -> Result<Stored<DialogMessage<'static>>, ApiError> {
        let path = user_path("/api/v1/dialog/", user, "/send");
        let answer = self.post(&path, body).await?;
        let message: DialogMessage<'_> = answer.read()?;
        Ok(answer.stored(message.into_owned()))
    }

    /// The simple API: what was said with a user, newest first.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn dialog_list(
        &self,
        user: &UserRef,
        limit: u32,
        offset: u64,
    ) -> Result<DialogList<'static>, ApiError> {
        let path = Query::new(user_path("/api/v1/dialog/", user, "/list"))
            .with("limit", Some(limit))
            .with("offset", Some(offset));
        let answer = self.get(&path.finish()).await?;
        Ok(answer.read::<DialogList<'_>>()?.into_owned())
    }

    /// A page of the chat list, latest activity first.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn conversations(
        &self,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Conversations<'static>, ApiError> {
        let path = Query::new("/api/v1/conversations").with("limit", limit).with("cursor", cursor);
        let answer = self.get(&path.finish()).await?;
        Ok(answer.read::<Conversations<'_>>()?.into_owned())
    }

    /// All unread counts.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn unread(&self) -> Result<Unread, ApiError> {
        self.get("/api/v1/conversations/unread").await?.read()
    }

    /// Opens a direct conversation or creates a group.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn create_conversation(
        &self,
        body: &CreateConversation<'_>,
    ) -> Result<Stored<Entry<'static>>, ApiError> {
        let answer = self.post("/api/v1/conversations", body).await?;
        let entry: Entry<'_> = answer.read()?;
        Ok(answer.stored(entry.into_owned()))
    }

    /// The entry of one conversation.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn conversation(&self, id: ConversationId) -> Result<Entry<'static>, ApiError> {
        let answer = self.get(&conversation(id, "")).await?;
        Ok(answer.read::<Entry<'_>>()?.into_owned())
    }

    /// Renames a group or changes its settings.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn edit_conversation(
        &self,
        id: ConversationId,
        body: &EditConversation<'_>,
    ) -> Result<Entry<'static>, ApiError> {
        let path = conversation(id, "");
        let answer = self.call(Method::PATCH, &path, Some(body)).await?;
        Ok(answer.read::<Entry<'_>>()?.into_owned())
    }

    /// Deletes a group.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn delete_conversation(&self, id: ConversationId) -> Result<(), ApiError> {
        let path = conversation(id, "");
        self.call(Method::DELETE, &path, NONE).await?;
        Ok(())
    }

    /// A page of messages, by rising seq.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn messages(
        &self,
        id: ConversationId,
        query: &MessagesQuery,
    ) -> Result<MessagePage<'static>, ApiError> {
        let (before, after, around) = match query.anchor {
            Anchor::Newest => (None, None, None),
            Anchor::Before(at) => (Some(at), None, None),
            Anchor::After(at) => (None, Some(at), None),
            Anchor::Around(at) => (None, None, Some(at)),
        };
        let path = Query::new(conversation(id, "/messages"))
            .with("limit", Some(query.limit))
            .with("before", before.map(position))
            .with("after", after.map(position))
            .with("around", around.map(position))
            .with("min_rev", query.min_rev);
        let answer = self.get(&path.finish()).await?;
        Ok(answer.read::<MessagePage<'_>>()?.into_owned())
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`ApiError`]; without an answer, repeat it with the same `client_id`.
    pub async fn send(
        &self,
        id: ConversationId,
        body: &OutgoingMessage<'_>,
    ) -> Result<Stored<Message<'static>>, ApiError> {
        let answer = self.post(&conversation(id, "/messages"), body).await?;
        let message: Message<'_> = answer.read()?;
        Ok(answer.stored(message.into_owned()))
    }

    /// Edits a message of one's own; with `if_content_rev`, only if that is still its content.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn edit(
        &self,
        id: ConversationId,
        seq: Seq,
        content: &str,
        if_content_rev: Option<Rev>,
    ) -> Result<Message<'static>, ApiError> {
        let body = EditContent { content: content.into(), if_content_rev };
        let path = conversation(id, &format!("/messages/{seq}"));
        let answer = self.call(Method::PATCH, &path, Some(&body)).await?;
        Ok(answer.read::<Message<'_>>()?.into_owned())
    }

    /// Deletes a message; twice has the same answer.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn delete(&self, id: ConversationId, seq: Seq) -> Result<Deleted, ApiError> {
        let path =
            Query::new(conversation(id, &format!("/messages/{seq}"))).with("for", Some("everyone"));
        self.call(Method::DELETE, &path.finish(), NONE).await?.read()
    }

    /// Deletes a message for oneself; twice has the same answer.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn hide(&self, id: ConversationId, seq: Seq) -> Result<Hidden, ApiError> {
        let path =
            Query::new(conversation(id, &format!("/messages/{seq}"))).with("for", Some("me"));
        self.call(Method::DELETE, &path.finish(), NONE).await?.read()
    }

    /// The messages that answer one, after a seq; and how many there are in all.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn replies(
        &self,
        id: ConversationId,
        seq: Seq,
        after: Seq,
    ) -> Result<(Vec<Message<'static>>, u32), ApiError> {
        let path = conversation(id, &format!("/messages/{seq}/replies?after={after}"));
        let answer = self.call(Method::GET, &path, NONE).await?;
        let found = answer.read::<Replies<'_>>()?;
        Ok((found.messages.into_iter().map(Message::into_owned).collect(), found.count))
    }

    /// What a message said before its edits, oldest first.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn edits(
        &self,
        id: ConversationId,
        seq: Seq,
    ) -> Result<Vec<FormerContent<'static>>, ApiError> {
        let path = conversation(id, &format!("/messages/{seq}/edits"));
        let answer = self.call(Method::GET, &path, NONE).await?;
        let edits = answer.read::<Edits<'_>>()?.edits.into_iter();
        let owned = |one: FormerContent<'_>| FormerContent {
            content: one.content.into_owned().into(),
            content_rev: one.content_rev,
            since: one.since,
        };
        Ok(edits.map(owned).collect())
    }

    /// Pins a message for everybody, or takes it down.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn pin(
        &self,
        id: ConversationId,
        seq: Seq,
        remove: bool,
    ) -> Result<Changed, ApiError> {
        let method = if remove { Method::DELETE } else { Method::PUT };
        self.call(method, &conversation(id, &format!("/pins/{seq}")), NONE).await?.read()
    }

    /// The pinned messages, by rising seq.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn pins(&self, id: ConversationId) -> Result<Vec<Message<'static>>, ApiError> {
        let answer = self.call(Method::GET, &conversation(id, "/pins"), NONE).await?;
        let pins = answer.read::<Pins<'_>>()?;
        Ok(pins.messages.into_iter().map(Message::into_owned).collect())
    }

    /// Adds one's own reaction, or takes it away.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn react(
        &self,
        id: ConversationId,
        seq: Seq,
        emoji: &str,
        remove: bool,
    ) -> Result<Changed, ApiError> {
        let mut path = conversation(id, &format!("/messages/{seq}/reactions/"));
        segment(&mut path, emoji);
        let method = if remove { Method::DELETE } else { Method::PUT };
        self.call(method, &path, NONE).await?.read()
    }

    /// Marks everything up to a message as read.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn mark_read(&self, id: ConversationId, up_to: MarkTarget) -> Result<(), ApiError> {
        self.post(&conversation(id, "/read"), &MarkUpTo(up_to)).await?;
        Ok(())
    }

    /// Marks everything up to a message as delivered.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn mark_delivered(
        &self,
        id: ConversationId,
        up_to: MarkTarget,
    ) -> Result<(), ApiError> {
        self.post(&conversation(id, "/delivered"), &MarkUpTo(up_to)).await?;
        Ok(())
    }

    /// A page of the members that have not left, by rising user id.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn members(
        &self,
        id: ConversationId,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Members, ApiError> {
        let path =
            Query::new(conversation(id, "/members")).with("limit", limit).with("cursor", cursor);
        self.get(&path.finish()).await?.read()
    }

    /// Adds members to a group.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn add_members(
        &self,
        id: ConversationId,
        users: &[UserRef],
    ) -> Result<MembersAdded, ApiError> {
        let body = AddMembers { user_ids: users.to_vec() };
        self.post(&conversation(id, "/members"), &body).await?.read()
    }

    /// Sets the role of a member.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn set_role(
        &self,
        id: ConversationId,
        user: &UserRef,
        role: Role,
    ) -> Result<Changed, ApiError> {
        let path = user_path(&conversation(id, "/members/"), user, "");
        self.call(Method::PATCH, &path, Some(&EditMember { role })).await?.read()
    }

    /// Removes a member; oneself: leaves.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn remove_member(
        &self,
        id: ConversationId,
        user: &UserRef,
    ) -> Result<Changed, ApiError> {
        let path = user_path(&conversation(id, "/members/"), user, "");
        self.call(Method::DELETE, &path, NONE).await?.read()
    }

    /// Changes one's own view of a conversation.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn edit_inbox(
        &self,
        id: ConversationId,
        body: &EditInbox,
    ) -> Result<Inbox, ApiError> {
        self.call(Method::PATCH, &conversation(id, "/inbox"), Some(body)).await?.read()
    }

    /// What changed in a conversation.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn changes(
        &self,
        id: ConversationId,
        query: &ChangesQuery,
    ) -> Result<Changes<'static>, ApiError> {
        let path = Query::new(conversation(id, "/changes"))
            .with("since_rev", Some(query.since_rev))
            .with("since_mark", Some(query.since_mark))
            .with("history", query.history)
            .with("limit", Some(query.limit));
        let answer = self.get(&path.finish()).await?;
        Ok(answer.read::<Changes<'_>>()?.into_owned())
    }

    /// Which conversations changed since the cursor; none = from the start.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn sync(&self, cursor: Option<&str>, limit: u32) -> Result<Sync<'static>, ApiError> {
        let path = Query::new("/api/v1/sync").with("cursor", cursor).with("limit", Some(limit));
        let answer = self.get(&path.finish()).await?;
        Ok(answer.read::<Sync<'_>>()?.into_owned())
    }
}
