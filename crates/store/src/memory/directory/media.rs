//! The twin's uploads.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use ostracon_domain::{Millis, UserId};

use super::{MemoryDirectory, Result};
use crate::directory::{
    ContentHash, DirectoryError, MediaId, MediaIndex, MediaObject, MediaRow, MediaTotals, MediaUse,
    MessagesGone,
};

/// Uploads, what uses them, and objects with whether they are dying.
#[derive(Default)]
pub(super) struct MediaState {
    rows: BTreeMap<MediaId, (MediaRow, Millis)>,
    uses: BTreeSet<MediaUse>,
    objects: BTreeMap<ContentHash, (u64, bool)>,
}

impl MediaState {
    fn is_used(&self, id: MediaId) -> bool {
        self.uses.iter().any(|one| one.media == id)
    }

    fn forget(&mut self, id: MediaId) -> bool {
        let Some((row, _)) = self.rows.remove(&id) else { return false };
        self.uses.retain(|one| one.media != id);
        for object in objects_of(&row) {
            let has = |(row, _): &(MediaRow, Millis)| {
                objects_of(row).any(|other| other.hash == object.hash)
            };
            if !self.rows.values().any(has)
                && let Some((_, dying)) = self.objects.get_mut(&object.hash)
            {
                *dying = true;
            }
        }
        true
    }
}

fn objects_of(row: &MediaRow) -> impl Iterator<Item = MediaObject> + use<> {
    [Some(row.object), row.thumbnail].into_iter().flatten()
}

#[async_trait]
impl MediaIndex for MemoryDirectory {
    async fn add_media(&self, row: &MediaRow, keep_until: Millis) -> Result<()> {
        let media = &mut self.state.lock().media;
        if media.rows.contains_key(&row.id) {
            return Err(DirectoryError::Taken("media id"));
        }
        if objects_of(row).any(|one| media.objects.get(&one.hash).is_some_and(|(_, dying)| *dying))
        {
            return Err(DirectoryError::Taken("content"));
        }
        for object in objects_of(row) {
            media.objects.insert(object.hash, (object.size, false));
        }
        media.rows.insert(row.id, (row.clone(), keep_until));
        Ok(())
    }

    async fn media(&self, ids: &[MediaId]) -> Result<Vec<MediaRow>> {
        let media = &self.state.lock().media;
        let ids: BTreeSet<_> = ids.iter().collect();
        Ok(ids.into_iter().filter_map(|id| Some(media.rows.get(id)?.0.clone())).collect())
    }

    async fn keep_media(&self, ids: &[MediaId], until: Millis) -> Result<Vec<MediaRow>> {
        let media = &mut self.state.lock().media;
        let ids: BTreeSet<_> = ids.iter().collect();
        let mut kept = Vec::new();
        for id in ids {
            if let Some((row, keep_until)) = media.rows.get_mut(id) {
                *keep_until = until.max(*keep_until);
                kept.push(row.clone());
            }
        }
        Ok(kept)
    }

    async fn media_bytes(&self, owner: UserId) -> Result<u64> {
        let media = &self.state.lock().media;
        let own = media.rows.values().filter(|(row, _)| row.owner == owner);
        Ok(own.map(|(row, _)| row.object.size).sum())
    }

    async fn use_media(&self, uses: &[MediaUse]) -> Result<()> {
        let media = &mut self.state.lock().media;
        for one in uses {
            if media.rows.contains_key(&one.media) {
                media.uses.insert(*one);
            }
        }
        Ok(())
    }

    async fn unuse_media(&self, gone: &[MessagesGone], keep_until: Millis) -> Result<()> {
        let media = &mut self.state.lock().media;
        let is_gone = |one: &MediaUse| {
            gone.iter().any(|gone| {
                gone.conversation == one.conversation && (gone.from..=gone.to).contains(&one.seq)
            })
        };
        let touched: BTreeSet<_> =
            media.uses.iter().filter(|one| is_gone(one)).map(|one| one.media).collect();
        media.uses.retain(|one| !is_gone(one));
        for id in touched {
            if !media.is_used(id)
                && let Some((_, until)) = media.rows.get_mut(&id)
            {
                *until = keep_until;
            }
        }
        Ok(())
    }

    async fn media_uses(&self, id: MediaId, limit: u32) -> Result<Vec<MediaUse>> {
        let media = &self.state.lock().media;
        let uses = media.uses.iter().filter(|one| one.media == id);
        Ok(uses.take(limit as usize).copied().collect())
    }

    async fn forget_media(&self, now: Millis, limit: u32) -> Result<u32> {
        let media = &mut self.state.lock().media;
        let mut over: Vec<_> = media
            .rows
            .iter()
            .filter(|(id, (_, until))| *until < now && !media.is_used(**id))
            .map(|(id, (_, until))| (*until, *id))
            .collect();
        over.sort_unstable();
        over.truncate(limit as usize);
        for (_, id) in &over {
            media.forget(*id);
        }
        Ok(over.len() as u32)
    }

    async fn remove_media(&self, id: MediaId) -> Result<bool> {
        Ok(self.state.lock().media.forget(id))
    }

    async fn dying_objects(&self, limit: u32) -> Result<Vec<MediaObject>> {
        let media = &self.state.lock().media;
        let dying = media.objects.iter().filter(|(_, (_, dying))| *dying);
        let dying = dying.map(|(hash, (size, _))| MediaObject { hash: *hash, size: *size });
        Ok(dying.take(limit as usize).collect())
    }

    async fn objects_removed(&self, hashes: &[ContentHash]) -> Result<()> {
        let media = &mut self.state.lock().media;
        media.objects.retain(|hash, (_, dying)| !(*dying && hashes.contains(hash)));
        Ok(())
    }

    async fn media_objects(
        &self,
        after: Option<ContentHash>,
        limit: u32,
    ) -> Result<Vec<MediaObject>> {
        let media = &self.state.lock().media;
        let living = media.objects.iter().filter(|(_, (_, dying))| !dying);
        let next = living.filter(|(hash, _)| after.is_none_or(|after| **hash > after));
        let next = next.map(|(hash, (size, _))| MediaObject { hash: *hash, size: *size });
        Ok(next.take(limit as usize).collect())
    }

    async fn media_totals(&self) -> Result<MediaTotals> {
        let media = &self.state.lock().media;
        Ok(MediaTotals {
            uploads: media.rows.len() as u64,
            objects: media.objects.len() as u64,
            bytes: media.objects.values().map(|(size, _)| size).sum(),
        })
    }
}
