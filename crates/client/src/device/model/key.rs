//! Everything of a moment that later steps depend on, for telling states apart.

use super::world::{Stage, World};
use crate::device::{Request, RequestId};
use ostracon_proto::{Position, rest::Anchor};
use std::hash::{Hash, Hasher};

impl World<'_> {
    /// Everything that later steps depend on.
    pub(super) fn hash_into(&self, state: &mut impl Hasher) {
        let server = (self.history, self.committed, self.handed, self.mapped, self.saved);
        (server, self.pending, self.applied, self.applied_user, self.user_rev).hash(state);
        (self.user_history, self.connection, self.overflowed, &self.frames).hash(state);
        (self.cuts, self.crashes, self.overflows, self.restores, self.losses).hash(state);
        (self.others, self.loads).hash(state);
        let mut requests: Vec<_> = self.requests.iter().map(request_key).collect();
        requests.sort_unstable_by_key(|(place, ..)| *place);
        requests.hash(state);
        let device = &self.device;
        let listing = &device.listing;
        (device.connected, listing.due, listing.asked.is_some()).hash(state);
        (&listing.cursor, listing.user_rev).hash(state);
        for (id, held) in &device.conversations {
            id.hash(state);
            (held.history.map(|line| line.0), held.heard, held.open, held.fresh).hash(state);
            held.line.as_ref().map(|l| l.last_message.as_ref().map(|m| (m.seq, m.rev))).hash(state);
            held.intent().hash(state);
            let Some(w) = &held.window else { continue };
            (w.lo, w.hi, w.tail, w.rev, w.midway, w.shown_from, w.first_seq).hash(state);
            for row in w.rows.values() {
                (row.seq, row.rev, row.content_rev).hash(state);
            }
            let Some(page) = &w.held else { continue };
            (page.rev, page.lo, page.hi, page.tail).hash(state);
            for row in page.rows.values() {
                (row.seq, row.rev, row.content_rev).hash(state);
            }
        }
    }
}

/// A request without its id, which says nothing about what follows; its place first.
fn request_key(
    (_, request, stage): &(RequestId, Request, Stage),
) -> (u8, u64, Option<u64>, Option<&str>, Stage) {
    let (kind, position, history, cursor) = match request {
        Request::Sync { cursor, .. } => (0, 0, None, cursor.as_deref()),
        Request::Changes { since_rev, history, .. } => {
            (1, *since_rev, history.map(|line| line.0), None)
        }
        Request::Page { anchor, .. } => match anchor {
            Anchor::Newest => (2, 0, None, None),
            Anchor::Before(Position::Seq(seq)) => (3, *seq, None, None),
            Anchor::After(Position::Seq(seq)) => (4, *seq, None, None),
            Anchor::Before(_) | Anchor::After(_) | Anchor::Around(_) => (5, 0, None, None),
        },
        Request::Members { .. } => (6, 0, None, None),
    };
    (kind, position, history, cursor, *stage)
}
