//! A consistent copy of everything stored, while the server runs.

use std::{path::Path, sync::Arc};

use axum::{
    extract::{Request, State},
    response::{IntoResponse as _, Response},
};
use ostracon_proto::Invalid;

use super::{types, users::body};
use crate::{app::App, audit, error::ApiError, extract::Operator, verify::lines};

/// Bytes of a path, as Linux has it.
const PATH_BYTES_MAX: usize = 4_096;

pub(crate) async fn backup(
    State(app): State<Arc<App>>,
    operator: Operator,
    request: Request,
) -> Result<Response, ApiError> {
    let to: types::BackupTo = body(request).await?;
    if !to.dir.is_absolute() {
        return Err(Invalid::new("dir", "must be an absolute path").into());
    }
    if to.dir.as_os_str().len() > PATH_BYTES_MAX {
        return Err(Invalid::new("dir", "is longer than a path may be").into());
    }
    // Before it begins: whoever copies everything is known in the copy too.
    let target = to.dir.display().to_string();
    audit::record(&app, operator, "server.backup", target, "").await;
    let answer = lines::answer(|steps| async move {
        let told = move |done, total| steps.at(done, total, || "bytes of a shard".to_owned());
        // What the copy of the directory knows is not removed before it is copied.
        let _nothing_goes = app.media.collecting.lock().await;
        app.backends.backup(&to.dir, app.media.library.objects().folder(), told).await?;
        let bytes = size(&to.dir).map_err(|error| error.to_string())?;
        Ok::<_, String>(types::Backup { dir: to.dir, bytes })
    });
    Ok(answer.into_response())
}

/// Bytes of all files in a folder and the folders in it.
fn size(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { size(&entry.path())? } else { about.len() };
    }
    Ok(bytes)
}
