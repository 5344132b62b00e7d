//! New lines of numbers for everything in a stopped data directory: after a restore, or a repair that cut something.
//!
//! Numbers may be given out again then, so clients must drop what they hold. A list may have lagged behind its
//! conversations too; each member's entry is brought to where its conversation stands.

use std::path::PathBuf;

use ostracon_domain::{
    Applied, Conversation, History, InboxEntry, Member, UnitId, UserId, UserState,
};
use ostracon_store::UnitPhase;
use rustc_hash::FxHashMap;

use crate::{
    data_dir::{DataDir, shard_files},
    error::TableError,
    journal::Position,
    search,
    store::OpenError,
    tables::{self, Known, Meta, TableReader, TableWriter},
};

/// Conversations that are read before their changes are written.
const CHUNK: usize = 1_000;

/// The newest journal position that some shard's tables know: a repaired journal must go on behind it.
///
/// # Errors
/// When a file is not readable.
pub fn applied_position(data_dir: &DataDir) -> Result<Position, OpenError> {
    let mut newest = 0;
    for path in shard_files(data_dir)?.into_values() {
        let conn = tables::open_read_only(&path).map_err(TableError::from)?;
        newest = newest.max(Meta::load(&conn)?.map_or(0, |meta| meta.applied));
    }
    Ok(newest)
}

/// Gives every conversation and user a new history. Repeating it after an interruption is harmless. Blocking.
///
/// `progress` is told how many conversations are done.
///
/// # Errors
/// When a file is refused or cannot be written.
pub fn rehistory(
    data_dir: &DataDir,
    new_history: &mut dyn FnMut() -> History,
    progress: &dyn Fn(u64),
) -> Result<(), OpenError> {
    let mut shards = Vec::new();
    for (id, path) in shard_files(data_dir)? {
        // What it knows belongs to the old lines; it is made again.
        search::remove(&data_dir.search_path(id))?;
        let conn = tables::open_writer(&path, id)?;
        shards.push((TableWriter::new(conn), path));
    }
    let mut renewal = Renewal { homes: FxHashMap::default(), apart: FxHashMap::default(), shards };
    renewal.find_homes()?;
    for at in 0..renewal.shards.len() {
        renewal.users(at, new_history)?;
    }
    let mut done = 0;
    for at in 0..renewal.shards.len() {
        renewal.conversations(at, new_history, &mut done, progress)?;
    }
    for (writer, _) in &renewal.shards {
        writer.checkpoint(true)?;
    }
    Ok(())
}

struct Renewal {
    shards: Vec<(TableWriter, PathBuf)>,
    /// Which shard serves a unit.
    homes: FxHashMap<u32, usize>,
    /// Where users are whose unit is not that of their slot.
    apart: FxHashMap<u64, usize>,
}

impl Renewal {
    /// A unit on the move is at its source until that has given it away; what has left only rows behind is no home.
    fn find_homes(&mut self) -> Result<(), TableError> {
        let mut importing = Vec::new();
        for (at, (_, path)) in self.shards.iter().enumerate() {
            let conn = tables::open_read_only(path)?;
            for state in TableReader::begin(&conn)?.unit_states()? {
                match state.phase {
                    UnitPhase::Open | UnitPhase::Capturing | UnitPhase::Frozen => {
                        self.homes.insert(state.unit.0, at);
                    }
                    UnitPhase::Importing => importing.push((state.unit.0, at)),
                    UnitPhase::Moved => {}
                }
            }
        }
        for (unit, at) in importing {
            self.homes.entry(unit).or_insert(at);
        }
        Ok(())
    }

    fn is_home(&self, unit: UnitId, at: usize) -> bool {
        self.homes.get(&unit.0) == Some(&at)
    }

    fn users(
        &mut self,
        at: usize,
        new_history: &mut dyn FnMut() -> History,
    ) -> Result<(), TableError> {
        let (writer, path) = &self.shards[at];
        let conn = tables::open_read_only(path)?;
        let tables = TableReader::begin(&conn)?;
        let mut apart = Vec::new();
        writer.begin()?;
        let mut after = 0;
        while let Some(state) = tables.user_above(after)? {
            after = state.user.get();
            if state.unit != state.user.slot().unit() && self.is_home(state.unit, at) {
                apart.push(after);
            }
            writer.user_state(
                &UserState { history: new_history(), ..UserState::clone(&state) },
                Known::Replace,
            )?;
        }
        writer.commit()?;
        self.apart.extend(apart.into_iter().map(|user| (user, at)));
        Ok(())
    }

    fn conversations(
        &mut self,
        at: usize,
        new_history: &mut dyn FnMut() -> History,
        done: &mut u64,
        progress: &dyn Fn(u64),
    ) -> Result<(), TableError> {
        let conn = tables::open_read_only(&self.shards[at].1)?;
        let tables = TableReader::begin(&conn)?;
        let mut after = 0;
        loop {
            let mut chunk = Vec::new();
            while chunk.len() < CHUNK
                && let Some((key, row)) = tables.conversation_above(after)?
            {
                after = key;
                // Leftovers of a move say nothing to lists: the conversation lives elsewhere.
                if !self.is_home(row.unit, at) {
                    continue;
                }
                let members = tables.members_after(key, row.id, 0, usize::MAX >> 1)?;
                let row = Conversation { history: new_history(), ..Conversation::clone(&row) };
                chunk.push((row, members));
            }
            if chunk.is_empty() {
                return Ok(());
            }
            for (writer, _) in &self.shards {
                writer.begin()?;
            }
            for (row, members) in &chunk {
                self.shards[at].0.conversation(row, Known::Replace)?;
                for member in members {
                    self.entry(row, member, new_history)?;
                }
            }
            for (writer, _) in &self.shards {
                writer.commit()?;
            }
            *done += chunk.len() as u64;
            progress(*done);
        }
    }

    /// Brings a member's entry to where the conversation stands; makes it if it is missing.
    fn entry(
        &self,
        conversation: &Conversation,
        member: &Member,
        new_history: &mut dyn FnMut() -> History,
    ) -> Result<(), TableError> {
        let user: UserId = member.user;
        let home = self.apart.get(&user.get()).or_else(|| self.homes.get(&user.slot().unit().0));
        let Some((writer, _)) = home.and_then(|home| self.shards.get(*home)) else {
            return Ok(());
        };
        let tables = TableReader::inside(writer);
        let known = tables.inbox_entry(user, conversation.id)?;
        if known.is_none() && !member.is_present() {
            return Ok(());
        }
        let state = tables.user_state(user)?;
        let state = state.as_deref().cloned().unwrap_or_else(|| UserState {
            user,
            unit: user.slot().unit(),
            slot: user.slot(),
            history: new_history(),
            user_rev: 0,
            extra: None,
        });
        let user_rev = state.user_rev + 1;
        let base = known.as_deref();
        let entry = InboxEntry {
            user,
            conversation: conversation.id,
            applied: Applied {
                history: conversation.history,
                rev: conversation.rev,
                mark_rev: conversation.mark_rev,
            },
            last_seq: member.left_seq.unwrap_or(conversation.head_seq),
            last_activity_at: match base {
                Some(entry) if !member.is_present() => entry.last_activity_at,
                _ => conversation.last_activity_at,
            },
            hidden_to: member.hidden_to,
            muted_until: member.muted_until,
            archived_seq: base.and_then(|entry| entry.archived_seq),
            marked_unread: base.is_some_and(|entry| entry.marked_unread),
            pinned: base.is_some_and(|entry| entry.pinned),
            large: conversation.large,
            removed: conversation.deleted_at.is_some() || base.is_some_and(|entry| entry.removed),
            user_rev,
            extra: base.and_then(|entry| entry.extra.clone()),
        };
        writer.inbox(&entry, Known::Replace)?;
        writer.user_state(&UserState { user_rev, ..state }, Known::Replace)
    }
}
