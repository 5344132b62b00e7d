//! Invite links of a group: the row of each, and the text that names it. Who may make and use one is in `decide`.
//!
//! A link names its conversation, a place in it and a secret. Only a hash of the secret is stored. There are a few places;
//! one whose link cannot be used any more is given to the next link, so that links never grow without bound.

use crate::{
    annex::{Annex, AnnexKey, AnnexKind},
    id::{Millis, UserId},
};

/// Hash of a link's secret.
pub type InviteHash = [u8; 32];

/// One link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invite {
    /// When it was made.
    pub created_at: Millis,
    /// By whom.
    pub created_by: UserId,
    /// Until when it can be used; none: until it is revoked.
    pub expires_at: Option<Millis>,
    /// How many may join by it; none: any number.
    pub max_uses: Option<u32>,
    /// How many have joined by it.
    pub uses: u32,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Hash of its secret.
    pub hash: InviteHash,
}

impl Invite {
    /// Whether somebody may still join by it.
    pub fn is_open(&self, now: Millis) -> bool {
        !self.revoked
            && self.expires_at.is_none_or(|at| now < at)
            && self.max_uses.is_none_or(|max| self.uses < max)
    }

    /// The value of its row: numbers in order, the largest for none, then the hash.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + 8 + 8 + 4 + 4 + 1 + 32);
        out.extend(self.created_at.to_be_bytes());
        out.extend(self.created_by.get().to_be_bytes());
        out.extend(self.expires_at.unwrap_or(Millis::MAX).to_be_bytes());
        out.extend(self.max_uses.unwrap_or(u32::MAX).to_be_bytes());
        out.extend(self.uses.to_be_bytes());
        out.push(u8::from(self.revoked));
        out.extend(self.hash);
        out
    }

    /// The link of a row.
    pub fn of(row: &Annex) -> Option<Self> {
        if row.key.kind != AnnexKind::Invite {
            return None;
        }
        let (created_at, rest) = row.value.split_first_chunk::<8>()?;
        let (created_by, rest) = rest.split_first_chunk::<8>()?;
        let (expires_at, rest) = rest.split_first_chunk::<8>()?;
        let (max_uses, rest) = rest.split_first_chunk::<4>()?;
        let (uses, rest) = rest.split_first_chunk::<4>()?;
        let (revoked, rest) = rest.split_first()?;
        let expires_at = Millis::from_be_bytes(*expires_at);
        let max_uses = u32::from_be_bytes(*max_uses);
        Some(Self {
            created_at: Millis::from_be_bytes(*created_at),
            created_by: UserId::new(u64::from_be_bytes(*created_by)).ok()?,
            expires_at: (expires_at != Millis::MAX).then_some(expires_at),
            max_uses: (max_uses != u32::MAX).then_some(max_uses),
            uses: u32::from_be_bytes(*uses),
            revoked: *revoked != 0,
            hash: *rest.first_chunk::<32>()?,
        })
    }
}

impl AnnexKey {
    /// The link at a place.
    pub const fn invite(place: u8) -> Self {
        Self { kind: AnnexKind::Invite, first: 0, second: place as u64 }
    }
}
