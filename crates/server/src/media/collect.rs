//! Files that nothing uses go, now and then.

use std::{sync::Arc, time::Duration};

use crate::app::App;

/// How often it is looked.
const PERIOD: Duration = Duration::from_secs(60);

/// How long dispatchers may take to pass what is committed.
const SETTLE_WAIT: Duration = Duration::from_secs(30);

/// Collects until the server stops.
pub(crate) async fn run(app: Arc<App>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(PERIOD) => {}
            () = app.stop.cancelled() => return,
        }
        collect(&app).await;
    }
}

/// Collects once, as of now.
pub(crate) async fn collect(app: &App) {
    let _alone = app.media.collecting.lock().await;
    // Every message that was committed before this moment is noted before anything is looked for.
    let now = app.clock.now();
    match tokio::time::timeout(SETTLE_WAIT, app.engine.settle_media()).await {
        Ok(Ok(())) => {}
        _ => {
            return tracing::warn!(
                "a shard or the directory does not answer; no files are collected"
            );
        }
    }
    app.media.uploads.tidy();
    let tidied = {
        // A few files at most; the calls are short.
        let app = &app.media.resumable;
        app.tidy(now)
    };
    if let Err(error) = tidied {
        tracing::warn!(%error, "uploads that were given up could not be removed; it is tried again");
    }
    match app.media.library.collect(now).await {
        Ok(done) if done.uploads > 0 || done.objects > 0 => {
            let (uploads, objects, bytes) = (done.uploads, done.objects, done.bytes);
            tracing::info!(uploads, objects, bytes, "files that nothing uses are gone");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "files could not be collected; it is tried again"),
    }
}
