//! Marks of a connection on their way to a commit: the first at once, those that follow within a moment as one.
//!
//! A state machine without time of its own. An answer still comes only when the mark, or a later one, is durable.

use std::{collections::BTreeSet, sync::Arc};

use ostracon_domain::{ConversationId, Seq};
use ostracon_proto::frame::FrameRef;
use rustc_hash::FxHashMap;

use crate::{
    connection::Connection,
    limits::{MARK_WINDOW, MARK_WINDOWS_MAX},
    presence::table::Tick,
};

const WINDOW: Tick = MARK_WINDOW.as_millis() as Tick;

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum MarkKind {
    Read,
    Delivered,
}

/// Whose marks are one.
pub(crate) type Key = (u64, ConversationId, MarkKind);

/// Marks that are committed as one, and the references of those that wait for it.
#[derive(Debug)]
pub(crate) struct Marked {
    pub(crate) connection: Arc<Connection>,
    pub(crate) conversation: ConversationId,
    pub(crate) kind: MarkKind,
    pub(crate) seq: Seq,
    pub(crate) ids: Vec<Option<FrameRef>>,
}

#[derive(Debug, Default)]
pub(crate) struct Marks {
    windows: FxHashMap<Key, Window>,
    due: BTreeSet<(Tick, Key)>,
}

#[derive(Debug)]
struct Window {
    ends_at: Tick,
    /// What came within it.
    waiting: Option<Marked>,
}

impl Marks {
    /// Takes a mark with one reference; given back, it is to be committed now.
    pub(crate) fn put(&mut self, mark: Marked, now: Tick) -> Option<Marked> {
        let key = (mark.connection.id, mark.conversation, mark.kind);
        let is_full = self.windows.len() >= MARK_WINDOWS_MAX;
        let Some(window) = self.windows.get_mut(&key) else {
            if !is_full {
                let ends_at = now + WINDOW;
                self.windows.insert(key, Window { ends_at, waiting: None });
                self.due.insert((ends_at, key));
            }
            return Some(mark);
        };
        match &mut window.waiting {
            Some(waiting) => {
                waiting.seq = waiting.seq.max(mark.seq);
                waiting.ids.extend(mark.ids);
            }
            none => *none = Some(mark),
        }
        None
    }

    /// When there is something to do.
    pub(crate) fn next_due(&self) -> Option<Tick> {
        self.due.first().map(|(at, _)| *at)
    }

    /// What is to be committed now.
    pub(crate) fn pass(&mut self, now: Tick) -> Vec<Marked> {
        let mut marked = Vec::new();
        while let Some((at, key)) = self.due.first().copied()
            && at <= now
        {
            self.due.pop_first();
            let Some(mut window) = self.windows.remove(&key) else { continue };
            if let Some(waiting) = window.waiting.take() {
                marked.push(waiting);
                window.ends_at = now + WINDOW;
                self.due.insert((window.ends_at, key));
                self.windows.insert(key, window);
            }
        }
        marked
    }
}

#[cfg(test)]
mod tests;
