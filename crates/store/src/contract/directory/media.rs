//! Stories of uploads: who uses them, when they are forgotten, and when their objects die.
#![expect(clippy::unwrap_used, reason = "the stories are tests")]

use ostracon_domain::{ConversationId, UserId};

use super::{Fixture, stage::together};
use crate::directory::{
    ContentHash, DirectoryError, MediaId, MediaObject, MediaRow, MediaTotals, MediaUse,
    MessagesGone,
};

fn object(n: u8) -> MediaObject {
    MediaObject { hash: ContentHash([n; 32]), size: u64::from(n) * 100 }
}

fn upload(id: u128, owner: u64, content: u8) -> MediaRow {
    MediaRow {
        id: MediaId(id),
        owner: UserId::new(owner).unwrap(),
        object: object(content),
        mime: "image/png".to_owned(),
        width: Some(640),
        height: Some(480),
        duration_ms: None,
        thumbhash: Some("3OcRJYB4d3h/iIeHeEh3eIhw+j3A".to_owned()),
        thumbnail: Some(object(content + 100)),
        name: Some("Жёлтый дом.png".to_owned()),
        created_at: 5,
    }
}

fn talk(n: u64) -> ConversationId {
    ConversationId::direct(UserId::new(1).unwrap(), UserId::new(n).unwrap())
}

fn used(id: u128, n: u64, seq: u64) -> MediaUse {
    MediaUse { media: MediaId(id), conversation: talk(n), seq }
}

fn gone(n: u64, from: u64, to: u64) -> MessagesGone {
    MessagesGone { conversation: talk(n), from, to }
}

/// With everything there is to know, over a restart too.
pub async fn uploads_are_known_by_id(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let plain = MediaRow {
        width: None,
        height: None,
        duration_ms: Some(1 << 40),
        thumbhash: None,
        thumbnail: None,
        name: None,
        ..upload(u128::MAX, 2, 2)
    };
    d.add_media(&upload(7, 1, 1), 100).await.unwrap();
    d.add_media(&plain, 100).await.unwrap();
    let twice = d.add_media(&upload(7, 1, 3), 100).await;
    assert_eq!(twice, Err(DirectoryError::Taken("media id")));
    let d = fixture.reopened(d).await;
    let ids = [MediaId(u128::MAX), MediaId(8), MediaId(7), MediaId(7)];
    assert_eq!(d.media(&ids).await.unwrap(), [upload(7, 1, 1), plain]);
    assert_eq!(d.media(&[]).await.unwrap(), []);
    let totals = MediaTotals { uploads: 2, objects: 3, bytes: 100 + 10_100 + 200 };
    assert_eq!(d.media_totals().await.unwrap(), totals);
    let objects = [object(1), object(2), object(101)];
    assert_eq!(d.media_objects(None, 10).await.unwrap(), objects);
    assert_eq!(d.media_objects(Some(object(1).hash), 1).await.unwrap(), objects[1..2]);
}

/// Each upload counts, also when it shares its object.
pub async fn bytes_are_counted_by_owner(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    for (id, owner) in [(1, 1), (2, 1), (3, 2)] {
        d.add_media(&upload(id, owner, 4), 100).await.unwrap();
    }
    let bytes = async |owner| d.media_bytes(UserId::new(owner).unwrap()).await.unwrap();
    assert_eq!((bytes(1).await, bytes(2).await, bytes(3).await), (800, 400, 0));
    assert!(d.remove_media(MediaId(1)).await.unwrap());
    assert!(!d.remove_media(MediaId(1)).await.unwrap());
    assert_eq!(bytes(1).await, 400);
}

/// Noted twice is noted once; what is gone is gone in ranges.
pub async fn uses_are_noted_once(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    d.add_media(&upload(1, 1, 1), 100).await.unwrap();
    d.add_media(&upload(2, 1, 2), 100).await.unwrap();
    let uses = [used(1, 2, 1), used(1, 2, 5), used(1, 3, 9), used(2, 2, 5), used(9, 2, 5)];
    d.use_media(&uses).await.unwrap();
    d.use_media(&uses).await.unwrap();
    d.use_media(&[]).await.unwrap();
    assert_eq!(d.media_uses(MediaId(1), 10).await.unwrap(), uses[..3]);
    assert_eq!(d.media_uses(MediaId(1), 2).await.unwrap(), uses[..2]);
    assert_eq!(d.media_uses(MediaId(9), 2).await.unwrap(), []);
    d.unuse_media(&[gone(2, 2, u64::MAX), gone(4, 0, 9)], 50).await.unwrap();
    d.unuse_media(&[gone(2, 2, u64::MAX)], 50).await.unwrap();
    let d = fixture.reopened(d).await;
    assert_eq!(d.media_uses(MediaId(1), 10).await.unwrap(), [uses[0], uses[2]]);
    assert_eq!(d.media_uses(MediaId(2), 10).await.unwrap(), []);
}

/// Not before its time, not while a message uses it; soon after the last one went.
pub async fn an_upload_is_forgotten_when_nothing_uses_it(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    for id in 1..=4 {
        d.add_media(&upload(id, 1, id as u8), 1_000 + id as i64).await.unwrap();
    }
    d.use_media(&[used(1, 2, 1), used(2, 2, 2)]).await.unwrap();
    assert_eq!(d.forget_media(1_003, 10).await.unwrap(), 0, "3 ends at 1,003, not before");
    // Who is about to send it has until then; it never gets less.
    assert_eq!(d.keep_media(&[MediaId(4), MediaId(99)], 5_000).await.unwrap().len(), 1);
    assert_eq!(d.keep_media(&[MediaId(4)], 10).await.unwrap(), [upload(4, 1, 4)]);
    assert_eq!(d.forget_media(4_000, 10).await.unwrap(), 1);
    assert_eq!(d.media(&[MediaId(3)]).await.unwrap(), []);
    // The last message that used it is gone.
    d.unuse_media(&[gone(2, 2, 2)], 4_500).await.unwrap();
    assert_eq!(d.forget_media(4_500, 10).await.unwrap(), 0);
    assert_eq!(d.forget_media(4_501, 10).await.unwrap(), 1);
    assert_eq!(d.forget_media(9_000, 0).await.unwrap(), 0);
    assert_eq!(d.forget_media(9_000, 10).await.unwrap(), 1);
    assert_eq!(d.media(&[MediaId(1), MediaId(2), MediaId(4)]).await.unwrap(), [upload(1, 1, 1)]);
}

/// An object lives as long as some upload has it; while it is dying nobody may count on it.
pub async fn an_object_lives_while_an_upload_has_it(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    d.add_media(&upload(1, 1, 1), 10).await.unwrap();
    d.add_media(&upload(2, 2, 1), 20).await.unwrap();
    assert_eq!(d.forget_media(15, 10).await.unwrap(), 1);
    assert_eq!(d.dying_objects(10).await.unwrap(), []);
    d.objects_removed(&[object(1).hash]).await.unwrap();
    assert_eq!(d.media_objects(None, 10).await.unwrap(), [object(1), object(101)]);
    assert_eq!(d.forget_media(25, 10).await.unwrap(), 1);
    let d = fixture.reopened(d).await;
    assert_eq!(d.dying_objects(10).await.unwrap(), [object(1), object(101)]);
    assert_eq!(d.dying_objects(1).await.unwrap().len(), 1);
    assert_eq!(d.media_objects(None, 10).await.unwrap(), []);
    let again = MediaRow { thumbnail: None, ..upload(3, 1, 1) };
    let refused = d.add_media(&again, 100).await;
    assert_eq!(refused, Err(DirectoryError::Taken("content")));
    let shares = MediaRow { thumbnail: Some(object(1)), ..upload(3, 1, 5) };
    assert_eq!(d.add_media(&shares, 100).await, Err(DirectoryError::Taken("content")));
    assert_eq!(d.media(&[MediaId(3)]).await.unwrap(), []);
    d.objects_removed(&[object(1).hash]).await.unwrap();
    d.add_media(&again, 100).await.unwrap();
    assert_eq!(d.media_objects(None, 10).await.unwrap(), [object(1)]);
    assert_eq!(d.dying_objects(10).await.unwrap(), [object(101)]);
}

/// Uploads of one content at once, while others of it are forgotten: whoever is known has its object alive.
pub async fn uploads_at_once_share_an_object(fixture: &dyn Fixture) {
    let d = fixture.fresh().await;
    let rows: Vec<_> = (0..12).map(|id| upload(id, 1, 1)).collect();
    let added = together(rows.iter().map(|row| d.add_media(row, 10))).await;
    assert!(added.iter().all(Result::is_ok), "{added:?}");
    let forget = together((0..4).map(|_| d.forget_media(20, 3))).await;
    let forgotten: u32 = forget.into_iter().map(Result::unwrap).sum();
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let left = d.media(&ids).await.unwrap().len() as u32;
    assert_eq!(forgotten + left, 12);
    let dying = d.dying_objects(10).await.unwrap().len();
    assert_eq!(dying, if left == 0 { 2 } else { 0 });
}
