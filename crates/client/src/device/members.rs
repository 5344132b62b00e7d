//! Who is in a conversation, and how far each has read. Members merge by their own rev, marks by
//! maximum; both need no order of arrival.

use ostracon_domain::{MarkRev, Seq, UserId};
use ostracon_proto::{Member, Receipt};
use std::collections::BTreeMap;

/// How far a member has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// Everything up to here is read.
    pub read_seq: Seq,
    /// Everything up to here has reached a device.
    pub delivered_seq: Seq,
    /// Newest number of these marks that was heard of.
    pub mark_rev: MarkRev,
}

/// Members and marks of one conversation.
#[derive(Debug, Clone, Default)]
pub(super) struct Members {
    /// Those that left included: an older listing must not bring them back.
    rows: BTreeMap<UserId, Member>,
    marks: BTreeMap<UserId, Marks>,
}

impl Members {
    pub(super) fn learn(&mut self, member: Member) {
        self.mark(
            member.user_id,
            Marks {
                read_seq: member.read_seq.unwrap_or_default(),
                delivered_seq: member.delivered_seq.unwrap_or_default(),
                mark_rev: member.mark_rev.unwrap_or_default(),
            },
        );
        let row = self.rows.entry(member.user_id);
        row.and_modify(|held| {
            if held.rev <= member.rev {
                *held = member.clone();
            }
        })
        .or_insert(member);
    }

    pub(super) fn receipt(&mut self, receipt: &Receipt) {
        self.mark(
            receipt.user_id,
            Marks {
                read_seq: receipt.read_seq,
                delivered_seq: receipt.delivered_seq,
                mark_rev: receipt.mark_rev,
            },
        );
    }

    /// Merges marks by maximum; what was read has been delivered.
    pub(super) fn mark(&mut self, user: UserId, new: Marks) {
        if new == Marks::default() {
            return;
        }
        let marks = self.marks.entry(user).or_default();
        marks.read_seq = marks.read_seq.max(new.read_seq);
        marks.delivered_seq = marks.delivered_seq.max(new.delivered_seq).max(marks.read_seq);
        marks.mark_rev = marks.mark_rev.max(new.mark_rev);
    }

    pub(super) fn marks_of(&self, user: UserId) -> Marks {
        self.marks.get(&user).copied().unwrap_or_default()
    }

    pub(super) fn row(&self, user: UserId) -> Option<&Member> {
        self.rows.get(&user)
    }

    /// Those that have not left, by rising user id.
    pub(super) fn present(&self) -> impl Iterator<Item = &Member> {
        self.rows.values().filter(|row| row.left_seq.is_none())
    }

    /// Marks by rising user id.
    pub(super) fn marks(&self) -> impl Iterator<Item = (UserId, Marks)> {
        self.marks.iter().map(|(user, marks)| (*user, *marks))
    }
}
