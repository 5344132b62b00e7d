//! What must hold: in every state, over every step, and when nothing more happens by itself.

use super::{
    configs::Start,
    tables::{Image, RESTORED, conversation, history_of},
    world::World,
};
use crate::device::window::Window;
use ostracon_domain::{Rev, Seq};
use ostracon_proto::Message;

impl World<'_> {
    /// What must hold in every state.
    pub(super) fn check(&self) -> Result<(), String> {
        let Some((line, window)) = self.shown() else { return Ok(()) };
        let rev = window.rev as usize;
        let line = &self.tables.lines[line];
        let Some(at) = line.rows.get(rev) else {
            return Err("mixture: claims a rev its history does not have".to_owned());
        };
        for seq in window.lo..=window.hi {
            let index = seq as usize - 1;
            let Some(row) = window.rows.get(&seq) else {
                return Err(format!("hole: seq {seq} is missing inside the interval"));
            };
            let image = self.image(row);
            if !line.rows.iter().any(|rows| rows.get(index) == Some(&image)) {
                return Err(format!("ghost: seq {seq} has image {image} of another history"));
            }
            if at.get(index).is_some_and(|held| row.rev < held % RESTORED) {
                return Err(format!("stale: seq {seq} at rev {}, claimed {rev}", row.rev));
            }
        }
        if window.tail && !window.midway && (window.hi as usize) < at.len() {
            return Err(format!("hole: claims rev {rev}, the newest message is missing"));
        }
        Ok(())
    }

    /// A tombstone that the device made itself says with its rev which image it is.
    fn image(&self, row: &Message<'_>) -> Image {
        match row.deleted_at {
            Some(_) if row.content_rev < RESTORED && self.device_line() == 1 => {
                let restored = row.rev > self.tables.config.keep as Rev;
                row.rev + if restored { RESTORED } else { 0 }
            }
            _ => row.content_rev,
        }
    }

    fn device_line(&self) -> usize {
        self.shown().map_or(0, |(line, _)| line)
    }

    /// What must hold between two states.
    pub(super) fn check_step(&self, next: &Self) -> Result<(), String> {
        let (Some((a, old)), Some((b, new))) = (self.shown(), next.shown()) else {
            return Ok(());
        };
        if a != b {
            return Ok(());
        }
        if new.rev < old.rev {
            return Err("own rev goes back".to_owned());
        }
        for seq in old.lo.max(new.lo)..=old.hi.min(new.hi) {
            if let (Some(before), Some(after)) = (old.rows.get(&seq), new.rows.get(&seq))
                && after.rev < before.rev
            {
                return Err(format!("back: seq {seq} shown older than before"));
            }
        }
        Ok(())
    }

    /// What must hold when nothing more happens by itself.
    pub(super) fn good(&self) -> Result<(), String> {
        let Some(held) = self.device.conversations.get(&conversation()) else {
            return Err("stuck: the conversation was never heard of".to_owned());
        };
        if held.history != Some(history_of(self.history)) {
            return Err("stuck: device in another history".to_owned());
        }
        if held.heard != self.committed as Rev {
            return Err(format!("stuck: heard of {}, server at {}", held.heard, self.committed));
        }
        if !self.device.is_level() {
            return Err("stuck: the device waits for something".to_owned());
        }
        let rows = self.tables.rows(self.history, self.committed);
        let listed = held.line.as_ref().and_then(|line| line.last_message.as_ref());
        if listed.map_or(0, |row| row.seq) != rows.len() as Seq {
            return Err("stuck: the chat list shows an older message".to_owned());
        }
        let Some(window) = &held.window else {
            let loaded = self.tables.config.start == Start::Loaded;
            return if loaded { Err("stuck: not loaded again".to_owned()) } else { Ok(()) };
        };
        if window.rev != self.committed as Rev {
            return Err(format!("stuck: device at {}, server at {}", window.rev, self.committed));
        }
        let shown: Vec<Image> = window.shown().map(|row| self.image(row)).collect();
        let ends = window.tail && window.hi != rows.len() as Seq;
        if ends || shown[..] != rows[window.lo as usize - 1..window.hi as usize] {
            return Err("stuck: rows differ for good".to_owned());
        }
        Ok(())
    }

    fn shown(&self) -> Option<(usize, &Window)> {
        let held = self.device.conversations.get(&conversation())?;
        let line = usize::from(held.history? == history_of(1));
        Some((line, held.window.as_ref()?))
    }
}
