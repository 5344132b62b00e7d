//! Invite links and bans of groups: reading them with the right to, and finding a place for a new link.

use std::sync::Arc;

use ostracon_domain::{
    Action, AnnexKind, Ban, ConversationId, Invite, InviteHash, Millis, NewInvite, Outcome,
    Permission, Refusal, RefusalCode, Subject, UserId, access, limits::INVITES_MAX, permission,
};
use ostracon_store::{AnnexPage, AnnexRows, Shard};

use crate::{engine::Engine, error::EngineError};

/// How often a place is looked for while others take them at the same time.
const TRIES: usize = 8;

/// A page of bans.
#[derive(Debug)]
pub struct BansPage {
    /// Those whose ban holds, by rising user id.
    pub bans: Vec<(UserId, Ban)>,
    /// The last user looked at; none at the end.
    pub next: Option<UserId>,
}

impl Engine {
    /// The links of a group that can still be used, by place; for those who may add members.
    ///
    /// # Errors
    /// `NotFound` for a stranger's conversation, `Forbidden` for who may not add members.
    pub async fn invites(
        &self,
        reader: UserId,
        id: ConversationId,
    ) -> Result<Vec<(u8, Invite)>, EngineError> {
        let page = (AnnexKind::Invite, 0, INVITES_MAX as u32);
        let found = self.rows_of_group(reader, id, Permission::AddMembers, page).await?;
        let now = self.core().clock.now();
        let links = found.annexes.iter().filter_map(|row| {
            let link = Invite::of(row).filter(|link| link.is_open(now))?;
            Some((u8::try_from(row.key.second).ok()?, link))
        });
        Ok(links.collect())
    }

    /// Makes a link; `hash` tells the hash of its secret for a place.
    ///
    /// # Errors
    /// As [`invites`](Self::invites); `Conflict` when the group has too many links.
    pub async fn create_invite(
        &self,
        actor: UserId,
        id: ConversationId,
        hash: impl Fn(u8) -> InviteHash,
        expires_at: Option<Millis>,
        max_uses: Option<u32>,
    ) -> Result<(u8, Invite), EngineError> {
        for _ in 0..TRIES {
            let taken = self.invites(actor, id).await?;
            let free = |place: &u8| taken.iter().all(|(known, _)| known != place);
            let Some(place) = (0..INVITES_MAX as u8).find(free) else {
                return Err(Refusal::conflict("The group has 100 links already.").into());
            };
            let new = NewInvite { place, hash: hash(place), expires_at, max_uses };
            match self.run(actor, id, Action::CreateInvite(new)).await {
                // Somebody else took the place meanwhile.
                Err(EngineError::Refused(refusal)) if refusal.code == RefusalCode::Conflict => {}
                Err(error) => return Err(error),
                Ok(done) => match &done.outcome {
                    Outcome::Invite { annex, .. } => {
                        let link = Invite::of(annex).ok_or(EngineError::Internal)?;
                        return Ok((place, link));
                    }
                    _ => return Err(EngineError::Internal),
                },
            }
        }
        Err(EngineError::Busy)
    }

    /// Who is kept out of a group, above a user; for those who may remove members.
    ///
    /// # Errors
    /// `NotFound` for a stranger's conversation, `Forbidden` for who may not remove members.
    pub async fn bans(
        &self,
        reader: UserId,
        id: ConversationId,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<BansPage, EngineError> {
        let from = after.map_or(0, |user| user.get() + 1);
        let page = (AnnexKind::Ban, from, limit);
        let found = self.rows_of_group(reader, id, Permission::RemoveMembers, page).await?;
        let now = self.core().clock.now();
        let ban = |row| {
            let ban = Ban::of(row).filter(|ban| ban.holds(now))?;
            Some((Ban::user(row)?, ban))
        };
        let next = found.annexes.last().filter(|_| found.more).and_then(|row| Ban::user(row));
        Ok(BansPage { bans: found.annexes.iter().filter_map(|row| ban(row)).collect(), next })
    }

    /// Rows of a group that only those with a permission may read: a kind, from a second part on, at most so many.
    async fn rows_of_group(
        &self,
        reader: UserId,
        id: ConversationId,
        needed: Permission,
        (kind, from, limit): (AnnexKind, u64, u32),
    ) -> Result<AnnexRows, EngineError> {
        let page = AnnexPage {
            kind,
            first: 0,
            from,
            to: i64::MAX as u64,
            descending: false,
            limit,
            with_messages: false,
        };
        let ask =
            |shard: Arc<dyn Shard>, at| async move { shard.annexes(at, id, reader, page).await };
        let found = self.core().ask(Subject::Conversation(id), ask).await?;
        access(Some(&found.conversation), found.member.as_deref())?;
        match &found.member {
            Some(member) if member.is_present() => {
                permission::check(&found.conversation, member, needed)?;
            }
            _ => return Err(Refusal::not_member().into()),
        }
        Ok(found)
    }
}
