//! Who is online and who watches whom: a state machine without time, locks or sockets of its own.
//!
//! A user is online while one connection counts, and a grace longer. Somebody who comes and goes within a batch is no
//! change. An entry exists as long as its user is online or watched.

use std::collections::BTreeSet;

use ostracon_domain::{Millis, UserId};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::limits::{PRESENCE_BATCH, WATCHED_MAX};

/// Milliseconds on a clock that never goes back.
pub(crate) type Tick = u64;

const BATCH: Tick = PRESENCE_BATCH.as_millis() as Tick;

/// A user as others see one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) online: bool,
    /// Of who is not online; none where it is not known.
    pub(crate) last_seen: Option<Millis>,
}

/// A change that is to be told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) user: UserId,
    pub(crate) seen: Seen,
    /// Connections that watch the user and may see it.
    pub(crate) watchers: Vec<u64>,
}

/// Somebody watches too many.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

#[derive(Debug, Default)]
pub(crate) struct Table {
    users: FxHashMap<UserId, Entry>,
    /// Connections and whom they watch.
    watching: FxHashMap<u64, FxHashSet<UserId>>,
    /// Users whose state may not be the one that was told.
    changed: BTreeSet<UserId>,
    /// When the oldest of these changes is due.
    tell_at: Option<Tick>,
    /// Users without a connection, by the end of their grace.
    leaving: BTreeSet<(Tick, UserId)>,
}

#[derive(Debug, Default)]
struct Entry {
    /// Connections that count.
    present: u32,
    /// End of the grace after the last of them.
    leaves_at: Option<Tick>,
    last_seen: Option<Millis>,
    /// Whether the store was asked for the time.
    is_known: bool,
    /// What watchers were told.
    told_online: bool,
    /// Whether each may see it.
    watchers: FxHashMap<u64, bool>,
}

impl Entry {
    const fn is_online(&self) -> bool {
        self.present > 0 || self.leaves_at.is_some()
    }

    const fn seen(&self) -> Seen {
        let online = self.is_online();
        Seen { online, last_seen: if online { None } else { self.last_seen } }
    }

    const fn told(&self) -> Seen {
        let online = self.told_online;
        Seen { online, last_seen: if online { None } else { self.last_seen } }
    }
}

impl Table {
    /// A connection that counts was made.
    pub(crate) fn arrive(&mut self, user: UserId, now: Tick) {
        let entry = self.users.entry(user).or_default();
        entry.present += 1;
        if let Some(leaves_at) = entry.leaves_at.take() {
            self.leaving.remove(&(leaves_at, user));
        }
        self.change(user, now);
    }

    /// A connection that counted is gone; its user was there until `last_seen` and stays online for the grace.
    pub(crate) fn depart(&mut self, user: UserId, now: Tick, grace: Tick, last_seen: Millis) {
        let Some(entry) = self.users.get_mut(&user) else { return };
        entry.present = entry.present.saturating_sub(1);
        entry.last_seen = entry.last_seen.max(Some(last_seen));
        if entry.present == 0 {
            let leaves_at = now + grace;
            if let Some(before) = entry.leaves_at.replace(leaves_at) {
                self.leaving.remove(&(before, user));
            }
            self.leaving.insert((leaves_at, user));
        }
    }

    fn change(&mut self, user: UserId, now: Tick) {
        self.changed.insert(user);
        self.tell_at.get_or_insert(now + BATCH);
    }

    /// Users of whom the store must be asked when they were last seen.
    pub(crate) fn unknown(&self, users: impl IntoIterator<Item = UserId>) -> Vec<UserId> {
        let is_known = |user: &UserId| {
            self.users.get(user).is_some_and(|entry| entry.is_known || entry.is_online())
        };
        users.into_iter().filter(|user| !is_known(user)).collect()
    }

    /// A connection watches users, each with whether it may see them and when the store last saw them. All or nothing.
    pub(crate) fn watch(
        &mut self,
        connection: u64,
        users: &[(UserId, bool, Option<Millis>)],
    ) -> Result<(), TooMany> {
        let watched = self.watching.entry(connection).or_default();
        let new: FxHashSet<_> =
            users.iter().map(|(user, ..)| *user).filter(|user| !watched.contains(user)).collect();
        if watched.len() + new.len() > WATCHED_MAX {
            if watched.is_empty() {
                self.watching.remove(&connection);
            }
            return Err(TooMany);
        }
        watched.extend(new);
        if watched.is_empty() {
            self.watching.remove(&connection);
        }
        for (user, sees, last_seen) in users {
            let entry = self.users.entry(*user).or_default();
            entry.last_seen = entry.last_seen.max(*last_seen);
            entry.is_known = true;
            entry.watchers.insert(connection, *sees);
        }
        Ok(())
    }

    /// A connection watches a user no longer.
    pub(crate) fn unwatch(&mut self, connection: u64, user: UserId) {
        if let Some(watched) = self.watching.get_mut(&connection) {
            watched.remove(&user);
            if watched.is_empty() {
                self.watching.remove(&connection);
            }
        }
        self.drop_watcher(connection, user);
    }

    /// A connection is gone.
    pub(crate) fn forget(&mut self, connection: u64) {
        for user in self.watching.remove(&connection).unwrap_or_default() {
            self.drop_watcher(connection, user);
        }
    }

    fn drop_watcher(&mut self, connection: u64, user: UserId) {
        if let Some(entry) = self.users.get_mut(&user) {
            entry.watchers.remove(&connection);
            self.tidy(user);
        }
    }

    fn tidy(&mut self, user: UserId) {
        let idle = |entry: &Entry| {
            !entry.is_online() && entry.watchers.is_empty() && !self.changed.contains(&user)
        };
        if self.users.get(&user).is_some_and(idle) {
            self.users.remove(&user);
        }
    }

    /// A user as who may see it sees it.
    pub(crate) fn seen(&self, user: UserId) -> Seen {
        self.users.get(&user).map_or(Seen { online: false, last_seen: None }, Entry::seen)
    }

    /// A user as watchers were told; what is not told yet comes with the next batch.
    pub(crate) fn told(&self, user: UserId) -> Seen {
        self.users.get(&user).map_or(Seen { online: false, last_seen: None }, Entry::told)
    }

    /// Whether a connection watches anybody.
    pub(crate) fn is_watching(&self, connection: u64) -> bool {
        self.watching.contains_key(&connection)
    }

    /// The connections that watch a user.
    pub(crate) fn watchers_of(&self, user: UserId) -> Vec<u64> {
        self.users
            .get(&user)
            .map_or_else(Vec::new, |entry| entry.watchers.keys().copied().collect())
    }

    /// Whom a connection watches.
    pub(crate) fn watched_by(&self, connection: u64) -> Vec<UserId> {
        self.watching
            .get(&connection)
            .map_or_else(Vec::new, |users| users.iter().copied().collect())
    }

    /// Sets whether a connection may see a user it watches; what it is to be told if that is news.
    pub(crate) fn set_sees(&mut self, connection: u64, user: UserId, sees: bool) -> Option<Seen> {
        let entry = self.users.get_mut(&user)?;
        let saw = entry.watchers.get_mut(&connection)?;
        if std::mem::replace(saw, sees) == sees {
            return None;
        }
        Some(if sees { entry.told() } else { Seen { online: false, last_seen: None } })
    }

    /// When there is something to do.
    pub(crate) fn next_due(&self) -> Option<Tick> {
        let leaves = self.leaving.first().map(|(at, _)| *at);
        [self.tell_at, leaves].into_iter().flatten().min()
    }

    /// Ends the grace of those whose time has come.
    pub(crate) fn pass(&mut self, now: Tick) {
        while let Some((at, user)) = self.leaving.first().copied()
            && at <= now
        {
            self.leaving.pop_first();
            if let Some(entry) = self.users.get_mut(&user) {
                entry.leaves_at = None;
                self.change(user, at);
            }
        }
    }

    /// Takes some of the changes that are due; none are left when it is empty.
    pub(crate) fn take(&mut self, now: Tick, at_most: usize) -> Vec<Told> {
        let mut told = Vec::new();
        if self.tell_at.is_none_or(|at| at > now) {
            return told;
        }
        while told.len() < at_most {
            let Some(user) = self.changed.pop_first() else {
                self.tell_at = None;
                break;
            };
            if let Some(entry) = self.users.get_mut(&user) {
                let seen = entry.seen();
                if entry.told_online != seen.online {
                    entry.told_online = seen.online;
                    let seeing = entry.watchers.iter().filter(|(_, sees)| **sees);
                    let watchers = seeing.map(|(connection, _)| *connection).collect();
                    let last_seen = entry.last_seen;
                    told.push(Told { user, seen: Seen { last_seen, ..seen }, watchers });
                }
            }
            self.tidy(user);
        }
        told
    }

    /// Everybody who is online, and when those were last seen who are about to leave.
    pub(crate) fn online(&self) -> impl Iterator<Item = (UserId, Option<Millis>)> {
        let online = self.users.iter().filter(|(_, entry)| entry.is_online());
        online.map(|(user, entry)| (*user, entry.last_seen.filter(|_| entry.present == 0)))
    }

    /// Users that are known here.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.users.len()
    }
}

#[cfg(test)]
mod tests;
