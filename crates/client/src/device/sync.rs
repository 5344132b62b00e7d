//! Following `/sync`: when it is due, where it stands, and what a listing from the start forgets.
//! Only its answers move the cursor.

use super::output::{Asked, Desk, Request, RequestId};
use ostracon_domain::{ConversationId, UserRev};
use ostracon_proto::rest;
use std::collections::BTreeSet;

#[derive(Debug, Clone, Default)]
pub(super) struct Listing {
    pub(super) cursor: Option<String>,
    /// What the last answer covered.
    pub(super) user_rev: UserRev,
    /// A trigger came that no request was computed after.
    pub(super) due: bool,
    pub(super) asked: Option<RequestId>,
    /// Answers so far of a listing that goes on.
    chain: Option<Chain>,
}

/// One listing, over all its answers.
#[derive(Debug, Clone)]
struct Chain {
    reset: bool,
    named: BTreeSet<ConversationId>,
}

/// What is to be done after an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The listing goes on.
    More,
    /// It is complete.
    Done,
    /// It is complete and began anew: forget what is not in here.
    Only(BTreeSet<ConversationId>),
}

impl Listing {
    /// Asks if it is due; true when it does. What is heard of from then on may be younger than the answer.
    pub(super) fn react(&mut self, desk: &mut Desk, limit: u32) -> bool {
        if !self.due || self.asked.is_some() {
            return false;
        }
        self.due = false;
        let request = Request::Sync { cursor: self.cursor.clone(), limit };
        self.asked = Some(desk.ask(Asked::Sync, request));
        true
    }

    /// Takes the position and the names of an answer.
    pub(super) fn answer(&mut self, answer: &rest::Sync<'_>) -> Next {
        self.asked = None;
        self.cursor = Some(answer.cursor.clone());
        self.user_rev = answer.user_rev;
        // A listing that starts anew, even in the middle, forgets what was named before.
        let anew = Chain { reset: answer.reset, named: BTreeSet::new() };
        let mut chain = self.chain.take().filter(|_| !answer.reset).unwrap_or(anew);
        let named = answer.conversations.iter();
        chain.named.extend(named.map(|entry| entry.conversation.conversation_id));
        if answer.more {
            self.chain = Some(chain);
            self.due = true;
            return Next::More;
        }
        if chain.reset { Next::Only(chain.named) } else { Next::Done }
    }

    /// There is no answer; it is due again, from the start when the position itself was refused.
    pub(super) fn failed(&mut self, refused: bool) {
        self.asked = None;
        if !refused {
            self.due = true;
        } else if self.cursor.take().is_some() {
            self.due = true;
            // What a listing from the start does not name is as gone as after a reset.
            self.chain = Some(Chain { reset: true, named: BTreeSet::new() });
        }
    }
}
