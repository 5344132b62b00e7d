//! The row that keeps a user out of a group: until when, by whom. Not the removal itself: that is in the member row.

use crate::{
    annex::{Annex, AnnexKey, AnnexKind},
    id::{Millis, UserId},
};

/// Why a user cannot be a member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ban {
    /// Since when.
    pub at: Millis,
    /// By whom.
    pub by: UserId,
    /// Until when; none: until it is lifted.
    pub until: Option<Millis>,
}

/// Bytes of a stored ban: three numbers, the last one largest for none.
const BYTES: usize = 24;

impl Ban {
    /// Whether it holds at a time.
    pub fn holds(&self, now: Millis) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// The value of its row.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BYTES);
        out.extend(self.at.to_be_bytes());
        out.extend(self.by.get().to_be_bytes());
        out.extend(self.until.unwrap_or(Millis::MAX).to_be_bytes());
        out
    }

    /// The ban of a row; none where it was lifted: then the row stays, without a value.
    pub fn of(row: &Annex) -> Option<Self> {
        let (at, rest) = row.value.split_first_chunk::<8>()?;
        let (by, rest) = rest.split_first_chunk::<8>()?;
        let until = Millis::from_be_bytes(*rest.first_chunk::<8>()?);
        Some(Self {
            at: Millis::from_be_bytes(*at),
            by: UserId::new(u64::from_be_bytes(*by)).ok()?,
            until: (until != Millis::MAX).then_some(until),
        })
    }

    /// Whom a row is about.
    pub fn user(row: &Annex) -> Option<UserId> {
        (row.key.kind == AnnexKind::Ban).then(|| UserId::new(row.key.second).ok())?
    }
}

impl AnnexKey {
    /// The ban of a user.
    pub const fn ban(user: UserId) -> Self {
        Self { kind: AnnexKind::Ban, first: 0, second: user.get() }
    }
}
