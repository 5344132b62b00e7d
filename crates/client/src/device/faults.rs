//! Rules that a test can switch off, one at a time, to prove that the search over schedules notices.
//! Outside tests nothing can be switched off and this is empty.

/// One rule of staying right that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A page older than one's own rev is shown without asking what changed since.
    PageOld,
    /// … asked once, not until it has caught up.
    Once,
    /// A newer page raises the own rev.
    PageRev,
    /// Rows are taken without comparing their rev.
    Merge,
    /// Events are applied over a jump.
    Jump,
    /// `more` is not followed.
    More,
    /// Rows above a gap are shown.
    ShowAll,
    /// Histories are not looked at.
    History,
    /// Answers asked before a drop are used.
    KeepRequests,
    /// Events move the cursor of `/sync`.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests can have it"))]
    CursorByEvents,
    /// What was heard of before the first page is forgotten.
    Forget,
    /// `sync_required` is swallowed while `/sync` is under way.
    Coalesce,
}

/// Which rule is broken, if any.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    #[cfg(test)]
    active: Option<Fault>,
}

impl Faults {
    #[cfg(test)]
    pub(super) const fn of(active: Option<Fault>) -> Self {
        Self { active }
    }

    #[cfg(test)]
    pub(super) fn has(self, fault: Fault) -> bool {
        self.active == Some(fault)
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the twin in tests looks at it")]
    pub(super) const fn has(self, _fault: Fault) -> bool {
        false
    }
}
