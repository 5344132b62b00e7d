//! Calls about groups: invite links, joining by them, bans.

use super::{Api, ApiError, Query, calls::conversation, path::segment};
use http::Method;
use ostracon_domain::{ConversationId, Millis};
use ostracon_proto::{
    Entry, UserRef,
    rest::{
        BanUser, Changed, CreateGroupInvite, GroupBans, GroupInvite, GroupInviteMade, GroupInvites,
        JoinPreview, Members,
    },
};

/// No body.
const NONE: Option<&()> = None;

impl Api {
    /// Makes an invite link; its token is given here only.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn create_group_invite(
        &self,
        id: ConversationId,
        invite: CreateGroupInvite,
    ) -> Result<GroupInviteMade, ApiError> {
        self.call(Method::POST, &conversation(id, "/invites"), Some(&invite)).await?.read()
    }

    /// The invite links that can still be used.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn group_invites(&self, id: ConversationId) -> Result<Vec<GroupInvite>, ApiError> {
        let answer = self.call(Method::GET, &conversation(id, "/invites"), NONE).await?;
        Ok(answer.read::<GroupInvites>()?.invites)
    }

    /// Ends an invite link.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn revoke_group_invite(
        &self,
        id: ConversationId,
        invite_id: &str,
    ) -> Result<(), ApiError> {
        let mut path = conversation(id, "/invites/");
        segment(&mut path, invite_id);
        self.call(Method::DELETE, &path, NONE).await?;
        Ok(())
    }

    /// Where an invite link leads.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn look_at_invite(&self, token: &str) -> Result<JoinPreview, ApiError> {
        self.call(Method::GET, &joining(token), NONE).await?.read()
    }

    /// Joins a group by an invite link.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn join_group(&self, token: &str) -> Result<Entry<'static>, ApiError> {
        let answer = self.call(Method::POST, &joining(token), NONE).await?;
        Ok(answer.read::<Entry<'_>>()?.into_owned())
    }

    /// Keeps a user out of a group.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn ban(
        &self,
        id: ConversationId,
        user_id: UserRef,
        until: Option<Millis>,
    ) -> Result<Changed, ApiError> {
        let body = BanUser { user_id, until };
        self.call(Method::POST, &conversation(id, "/bans"), Some(&body)).await?.read()
    }

    /// Lifts a ban.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn unban(&self, id: ConversationId, user: &UserRef) -> Result<Changed, ApiError> {
        let mut path = conversation(id, "/bans/");
        segment(&mut path, &user.to_string());
        self.call(Method::DELETE, &path, NONE).await?.read()
    }

    /// A page of those who are kept out, by rising user id.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn bans(
        &self,
        id: ConversationId,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<GroupBans, ApiError> {
        let path =
            Query::new(conversation(id, "/bans")).with("limit", limit).with("cursor", cursor);
        self.call(Method::GET, &path.finish(), NONE).await?.read()
    }

    /// Members whose name begins so. The page may be shorter than asked for, also empty, while there is a next one.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn members_named(
        &self,
        id: ConversationId,
        query: &str,
        cursor: Option<&str>,
    ) -> Result<Members, ApiError> {
        let path = Query::new(conversation(id, "/members"))
            .with("query", Some(query))
            .with("cursor", cursor);
        self.call(Method::GET, &path.finish(), NONE).await?.read()
    }
}

fn joining(token: &str) -> String {
    let mut path = "/api/v1/join/".to_owned();
    segment(&mut path, token);
    path
}
