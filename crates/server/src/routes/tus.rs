//! Uploads that may be interrupted, by the protocol tus 1.0 with its extensions creation, termination and expiration.

use std::{fs::OpenOptions, io::Write as _, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use ostracon_media::{About, MediaError};
use ostracon_proto::{ErrorCode, Invalid};

use crate::{
    app::App,
    auth::Identity,
    error::ApiError,
    extract::{Caller, Params, discard},
    media::{Held, RESUMABLE_KEPT_MS, Upload},
};

/// How long the next bytes may take.
const PIECE_WAIT: Duration = Duration::from_secs(30);
/// Bytes gathered before they are written.
const GATHERED: usize = 256 << 10;
/// Bytes of what a client tells of a file.
const METADATA_MAX: usize = 4 << 10;

const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const VERSION: HeaderName = HeaderName::from_static("tus-version");
const EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
const MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");
const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const UPLOAD_METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const UPLOAD_EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
/// Ours: the file that came of an upload, with its last answer and ever after.
const MEDIA_ID: HeaderName = HeaderName::from_static("media-id");
const SPOKEN: HeaderValue = HeaderValue::from_static("1.0.0");

/// What this server can do; without a token, as browsers ask.
pub(crate) fn abilities(State(app): State<Arc<App>>) -> std::future::Ready<Response> {
    let mut response = answer(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(VERSION, SPOKEN);
    headers.insert(EXTENSION, HeaderValue::from_static("creation,termination,expiration"));
    headers.insert(MAX_SIZE, app.media.library.upload_bytes_max().into());
    std::future::ready(response)
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    headers: HeaderMap,
) -> Result<Response, Response> {
    spoken(&headers).map_err(|refused| *refused)?;
    let made = begin(&app, caller, &headers).await;
    let (id, upload) = made.map_err(told)?;
    let mut response = answer(StatusCode::CREATED);
    let location = HeaderValue::from_str(&format!("/api/v1/media/uploads/{id}"));
    let location = location.map_err(|error| told(ApiError::internal(&error)))?;
    response.headers_mut().insert(header::LOCATION, location);
    expires(&mut response, &upload);
    Ok(response)
}

async fn begin(
    app: &Arc<App>,
    caller: Identity,
    headers: &HeaderMap,
) -> Result<(String, Upload), ApiError> {
    let _open = app.media.uploads.begin(caller.user)?;
    let length = number(headers, &UPLOAD_LENGTH)?;
    let most = app.media.library.upload_bytes_max();
    if length > most {
        return Err(MediaError::TooLarge(most).into());
    }
    if length == 0 {
        return Err(MediaError::Empty.into());
    }
    app.media.library.check_room(caller.user, length).await?;
    let (name, declared) = metadata(headers)?;
    let created_at = app.clock.now();
    let upload = Upload { owner: caller.user, length, name, declared, created_at, media_id: None };
    let (shared, copy) = (Arc::clone(app), upload.clone());
    let id = blocking(move || shared.media.resumable.begin(&copy)).await?;
    let too_many =
        || ApiError::new(ErrorCode::Conflict, "Too many uploads were begun and not ended.");
    Ok((id.ok_or_else(too_many)?, upload))
}

pub(crate) async fn head(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    spoken(&headers).map_err(|refused| *refused)?;
    let (upload, offset) = look_up(&app, caller, &id).await.map_err(told)?;
    let mut response = progress(StatusCode::OK, &upload, offset);
    let headers = response.headers_mut();
    headers.insert(UPLOAD_LENGTH, upload.length.into());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    spoken(&headers).map_err(|refused| *refused)?;
    look_up(&app, caller, &id).await.map_err(told)?;
    let _held = hold(&app, &id).map_err(|refused| *refused)?;
    blocking(move || app.media.resumable.remove(&id)).await.map_err(told)?;
    Ok(answer(StatusCode::NO_CONTENT))
}

pub(crate) async fn append(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<String>,
    request: Request,
) -> Result<Response, Response> {
    let (parts, mut body) = request.into_parts();
    spoken(&parts.headers).map_err(|refused| *refused)?;
    let appended = append_to(&app, caller, id, &parts.headers, &mut body).await;
    if appended.is_err() {
        discard(&mut body).await;
    }
    appended
}

async fn append_to(
    app: &Arc<App>,
    caller: Identity,
    id: String,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Response, Response> {
    let is_bytes = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/offset+octet-stream");
    if !is_bytes {
        let error = ApiError::new(
            ErrorCode::UnsupportedMedia,
            "The body must be application/offset+octet-stream.",
        );
        return Err(told(error));
    }
    let _open = app.media.uploads.open(caller.user).map_err(told)?;
    let _held = hold(app, &id).map_err(|refused| *refused)?;
    let (mut upload, offset) = look_up(app, caller, &id).await.map_err(told)?;
    if number(headers, &UPLOAD_OFFSET).map_err(told)? != offset {
        return Err(told(ApiError::conflict("The upload has come to another place.")));
    }
    if upload.media_id.is_some() {
        return Ok(progress(StatusCode::NO_CONTENT, &upload, offset));
    }
    let offset = match receive(app, &id, &upload, offset, body).await {
        Ok(offset) => offset,
        Err(refusal @ Refusal::TooMuch) => {
            // It is not what it said it is.
            remove_quietly(app, &id).await;
            return Err(told(refusal.into()));
        }
        Err(refusal) => return Err(told(refusal.into())),
    };
    if offset < upload.length {
        return Ok(progress(StatusCode::NO_CONTENT, &upload, offset));
    }
    let about =
        About { owner: upload.owner, name: upload.name.clone(), declared: upload.declared.clone() };
    let path = app.media.resumable.bytes(&id);
    let row = app.media.library.finish_file(path, upload.length, about, app.clock.now()).await;
    match row {
        Ok(row) => {
            upload.media_id = Some(row.id.to_string());
            let (shared, copy) = (Arc::clone(app), upload.clone());
            let noted = blocking(move || shared.media.resumable.done(&id, &copy)).await;
            noted.map_err(told)?;
            Ok(progress(StatusCode::NO_CONTENT, &upload, offset))
        }
        Err(error) => {
            remove_quietly(app, &id).await;
            Err(told(error.into()))
        }
    }
}

enum Refusal {
    TooMuch,
    CutOff,
    Failed(std::io::Error),
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooMuch => Self::too_large("There is more than the upload was said to have."),
            Refusal::CutOff => Self::new(ErrorCode::BadRequest, "The body did not arrive."),
            Refusal::Failed(error) => MediaError::from(error).into(),
        }
    }
}

/// Adds the bytes of a body; where the upload has come to then. What has come before a failure stays.
async fn receive(
    app: &Arc<App>,
    id: &str,
    upload: &Upload,
    begin: u64,
    body: &mut Body,
) -> Result<u64, Refusal> {
    let path = app.media.resumable.bytes(id);
    let file = blocking_io(move || OpenOptions::new().append(true).open(path)).await?;
    let file = Arc::new(file);
    let mut gathered = Vec::new();
    let mut offset = begin;
    loop {
        let piece = match tokio::time::timeout(PIECE_WAIT, body.frame()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(frame))) => Ok(Some(frame.into_data().unwrap_or_default())),
            Ok(Some(Err(_))) | Err(_) => Err(Refusal::CutOff),
        };
        if let Ok(Some(piece)) = &piece {
            offset += piece.len() as u64;
            if offset > upload.length {
                return Err(Refusal::TooMuch);
            }
            gathered.extend_from_slice(piece);
        }
        let ends = !matches!(piece, Ok(Some(_)));
        if ends || gathered.len() >= GATHERED {
            let (file, bytes) = (Arc::clone(&file), std::mem::take(&mut gathered));
            blocking_io(move || (&*file).write_all(&bytes)).await?;
        }
        if ends {
            return piece.map(|_| offset);
        }
    }
}

async fn blocking_io<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Refusal::Failed(std::io::Error::other(error)))?.map_err(Refusal::Failed)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    blocking_io(work).await.map_err(ApiError::from)
}

async fn remove_quietly(app: &Arc<App>, id: &str) {
    let (app, id) = (Arc::clone(app), id.to_owned());
    if blocking(move || app.media.resumable.remove(&id)).await.is_err() {
        tracing::warn!("a refused upload stays until its time is over");
    }
}

/// One's own upload, and how far it has come.
async fn look_up(app: &Arc<App>, caller: Identity, id: &str) -> Result<(Upload, u64), ApiError> {
    let (app, id) = (Arc::clone(app), id.to_owned());
    let found = blocking(move || {
        let resumable = &app.media.resumable;
        let upload = resumable.look_up(&id).filter(|upload| upload.owner == caller.user);
        upload.map(|upload| Ok((resumable.offset(&id, &upload)?, upload))).transpose()
    });
    let no_upload = || ApiError::new(ErrorCode::NotFound, "No such upload.");
    found.await?.map(|(offset, upload)| (upload, offset)).ok_or_else(no_upload)
}

/// Nobody else writes to it now.
fn hold(app: &App, id: &str) -> Result<Held, Box<Response>> {
    app.media.resumable.hold(id).ok_or_else(|| {
        let mut response = told(ApiError::conflict("Somebody writes to this upload just now."));
        *response.status_mut() = StatusCode::LOCKED;
        Box::new(response)
    })
}

/// Refuses clients of another version.
fn spoken(headers: &HeaderMap) -> Result<(), Box<Response>> {
    if headers.get(RESUMABLE) == Some(&SPOKEN) {
        return Ok(());
    }
    let error = ApiError::new(ErrorCode::BadRequest, "Only tus 1.0.0 is spoken here.");
    let mut response = told(error);
    *response.status_mut() = StatusCode::PRECONDITION_FAILED;
    response.headers_mut().insert(VERSION, SPOKEN);
    Err(Box::new(response))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64, ApiError> {
    let text = headers.get(name).and_then(|number| number.to_str().ok());
    let number = text
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        let field = if name == UPLOAD_LENGTH { "Upload-Length" } else { "Upload-Offset" };
        Invalid::new(field, "must be a number of bytes").into()
    })
}

/// Name and type of the file, as the client tells them: `filename <base64>,filetype <base64>`.
fn metadata(headers: &HeaderMap) -> Result<(Option<String>, Option<String>), ApiError> {
    let bad =
        || ApiError::from(Invalid::new("Upload-Metadata", "must be keys with values in base64"));
    let Some(pairs) = headers.get(UPLOAD_METADATA) else { return Ok((None, None)) };
    let pairs = pairs.to_str().ok().filter(|pairs| pairs.len() <= METADATA_MAX).ok_or_else(bad)?;
    let (mut name, mut declared) = (None, None);
    for pair in pairs.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = STANDARD.decode(value.trim()).map_err(|_| bad())?;
        let value = String::from_utf8(value).map_err(|_| bad())?;
        match key {
            "filename" | "name" => name = Some(value),
            "filetype" | "type" => declared = Some(value),
            _ => {}
        }
    }
    Ok((name, declared))
}

fn answer(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(RESUMABLE, SPOKEN);
    response
}

fn progress(status: StatusCode, upload: &Upload, offset: u64) -> Response {
    let mut response = answer(status);
    response.headers_mut().insert(UPLOAD_OFFSET, offset.into());
    if let Some(id) = upload.media_id.as_ref().and_then(|id| HeaderValue::from_str(id).ok()) {
        response.headers_mut().insert(MEDIA_ID, id);
    }
    expires(&mut response, upload);
    response
}

/// When an upload that is not ended goes, as an HTTP date.
fn expires(response: &mut Response, upload: &Upload) {
    let end = upload.created_at.saturating_add(RESUMABLE_KEPT_MS).div_euclid(1_000);
    if let Ok(date) = HeaderValue::from_str(&http_date(end)) {
        response.headers_mut().insert(UPLOAD_EXPIRES, date);
    }
}

/// A refusal, which speaks the protocol too.
fn told(error: ApiError) -> Response {
    use axum::response::IntoResponse as _;
    let mut response = error.into_response();
    response.headers_mut().insert(RESUMABLE, SPOKEN);
    response
}

/// Seconds of Unix time as HTTP writes dates (RFC 9110 §5.6.7).
fn http_date(seconds: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since 1 March of the year 0, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 2 } else { month - 10 };
    let year = year + era * 400 + i64::from(month < 2);
    let name =
        |names: &[&'static str], at: i64| names.get(at as usize).copied().unwrap_or_default();
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        name(&DAYS, days.rem_euclid(7)),
        name(&MONTHS, month),
        second / 3_600,
        second / 60 % 60,
        second % 60,
    )
}

#[cfg(test)]
mod tests {
    use super::http_date;

    #[test]
    fn dates_are_written_as_http_has_them() {
        for (seconds, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_795_305_599, "Sat, 21 Nov 2026 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(seconds), date);
        }
    }
}
