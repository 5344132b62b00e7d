//! What a coordinator does next. The steps are those of one move, in order; then the way back and
//! the way out.

use crate::{
    list::List,
    names::{Conversation, Version},
    request::Cursor,
    subject::{PAGES_MAX, Page},
};

/// Where a coordinator goes on once the source has thawed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Resume {
    /// At the catch-up.
    CatchUp,
    /// At the start of the copy: the destination lost pages.
    ImportAnew,
}

/// A step of a coordinator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Step {
    /// The destination starts to import.
    Import {
        /// After a take-over.
        again: bool,
    },
    /// The source starts to note changes.
    Capture {
        /// After a take-over.
        again: bool,
    },
    /// Read the next page of the copy.
    ReadPage(Cursor),
    /// Send it.
    SendPage {
        /// The page.
        page: Page,
        /// The cursor once it is stored.
        cursor: Cursor,
    },
    /// The destination lost pages: it starts anew.
    ImportAnew,
    /// Read a noted subject, or find the backlog small.
    CatchUp,
    /// Send what changed of it.
    SendNoted {
        /// The page.
        page: Page,
        /// The version that was read.
        version: Version,
    },
    /// Drop its note.
    DropNote {
        /// The subject.
        conversation: Conversation,
        /// The version that was read.
        version: Version,
    },
    /// The source lost its notes: it opens, and the capture starts anew.
    Recapture,
    /// `COPYING → FREEZING`.
    EnterFreezing,
    /// The source freezes.
    Freeze,
    /// Carve and merge: rows change their unit.
    Relabel,
    /// Read the last notes.
    ReadLast,
    /// Send them in one transaction.
    SendLast(List<Page, PAGES_MAX>),
    /// Compare the versions of both sides.
    Compare,
    /// The destination becomes durable.
    Complete,
    /// The source hands over its events.
    AwaitDispatch,
    /// The decision.
    Commit,
    /// The new owner opens.
    OpenOwner,
    /// A move: the source closes. A carve: the child opens.
    CloseSource,
    /// `COMMITTED → DONE`.
    Finish,
    /// Back: `FREEZING → COPYING`.
    EnterCopying(Resume),
    /// Back: the source thaws.
    Thaw(Resume),
    /// The same after a thaw that came first: only without the guard that forbids it.
    EnterCopyingLast(Resume),
    /// Out: `→ ABORTING`.
    EnterAborting,
    /// Out: the source opens again.
    Reopen,
    /// Out: the destination drops what it imported.
    Withdraw,
    /// Out: `ABORTING → ABORTED`.
    FinishAbort,
}

impl Step {
    /// True before the freeze.
    pub fn is_before_freeze(&self) -> bool {
        matches!(
            self,
            Self::Import { .. }
                | Self::Capture { .. }
                | Self::ReadPage(_)
                | Self::SendPage { .. }
                | Self::CatchUp
                | Self::SendNoted { .. }
                | Self::DropNote { .. }
                | Self::EnterFreezing
        )
    }

    /// True while the unit is frozen and nothing is decided.
    pub fn is_frozen(&self) -> bool {
        matches!(
            self,
            Self::Freeze
                | Self::Relabel
                | Self::ReadLast
                | Self::SendLast(_)
                | Self::Compare
                | Self::Complete
                | Self::AwaitDispatch
                | Self::Commit
        )
    }
}
