//! Files: upload in one form, what is known of one, download from a signed address.

use std::{
    ops::{Range, RangeInclusive},
    sync::Arc,
};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use futures_util::TryStreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use ostracon_media::{About, Kind, MediaError, What, thumbnail_mime};
use ostracon_proto::ErrorCode;
use ostracon_store::directory::{MediaId, MediaObject, MediaRow};

use crate::{
    app::App,
    error::{ApiError, ApiResult},
    extract::{Caller, Params, discard},
    media::form,
    respond::{created, ok},
};

/// What a page may do that shows a file by itself: nothing but show it.
const SANDBOX: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox",
);
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

pub(crate) async fn upload(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    request: Request,
) -> ApiResult {
    let _open = app.media.uploads.begin(caller.user)?;
    let (parts, mut body) = request.into_parts();
    let most = app.media.library.upload_bytes_max();
    if length(&parts.headers)
        .is_some_and(|length| length > most.saturating_add(form::BYTES_BESIDES))
    {
        if !parts.headers.contains_key(header::EXPECT) {
            discard(&mut body).await;
        }
        return Err(MediaError::TooLarge(most).into());
    }
    let received = form::receive(&app.media.library, &parts.headers, &mut body).await;
    let form::Received { incoming, name, declared } = match received {
        Ok(received) => received,
        Err(error) => {
            discard(&mut body).await;
            return Err(error);
        }
    };
    app.media.library.check_room(caller.user, incoming.size()).await?;
    let about = About { owner: caller.user, name, declared };
    let now = app.clock.now();
    let row = app.media.library.finish(incoming, about, now).await?;
    Ok(created(&app.media.shown(&row, now)))
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Params(id): Params<MediaId>,
) -> ApiResult {
    let row = app.engine.readable_media(caller.user, id).await?;
    Ok(ok(&app.media.shown(&row, app.clock.now())))
}

pub(crate) async fn file(
    State(app): State<Arc<App>>,
    Params(id): Params<MediaId>,
    request: Request,
) -> ApiResult {
    download(&app, What::File, id, &request.into_parts().0).await
}

pub(crate) async fn thumbnail(
    State(app): State<Arc<App>>,
    Params(id): Params<MediaId>,
    request: Request,
) -> ApiResult {
    download(&app, What::Thumbnail, id, &request.into_parts().0).await
}

async fn download(app: &App, what: What, id: MediaId, request: &Parts) -> ApiResult {
    let now = app.clock.now();
    let uri = &request.uri;
    let until = app.media.signer.check(uri.path(), uri.query().unwrap_or_default(), now);
    let until = until.ok_or_else(|| {
        ApiError::new(
            ErrorCode::Forbidden,
            "This address is not valid, or not any more: ask for a new one.",
        )
    })?;
    let row = app.directory.media(&[id]).await?.pop().ok_or(MediaError::Gone)?;
    let (object, mime) = match what {
        What::File => (row.object, row.mime.as_str()),
        What::Thumbnail => (
            row.thumbnail.ok_or(MediaError::Gone)?,
            thumbnail_mime(row.thumbhash.as_deref().unwrap_or_default()),
        ),
    };
    let headers = &request.headers;
    let tag = format!("\"{}\"", object.hash);
    let seconds = until.saturating_sub(now.div_euclid(1_000));
    if named(headers, header::IF_NONE_MATCH, &tag) {
        return respond(StatusCode::NOT_MODIFIED, &row, mime, &tag, seconds, Body::empty());
    }
    // A part of another file than the one that the client has is no use.
    let same = headers.get(header::IF_RANGE).is_none_or(|is| is.as_bytes() == tag.as_bytes());
    let part = headers.get(header::RANGE).filter(|_| same).and_then(|part| part.to_str().ok());
    let (status, part) = match part.map_or(Asked::All, |part| asked(part, object.size)) {
        Asked::All => (StatusCode::OK, 0..object.size),
        Asked::Part(part) => (StatusCode::PARTIAL_CONTENT, *part.start()..part.end() + 1),
        Asked::Beyond => {
            let mut response = respond(
                StatusCode::RANGE_NOT_SATISFIABLE,
                &row,
                mime,
                &tag,
                seconds,
                Body::empty(),
            )?;
            let range = format!("bytes */{}", object.size);
            response.headers_mut().insert(header::CONTENT_RANGE, value(&range)?);
            return Ok(response);
        }
    };
    let is_head = request.method == http::Method::HEAD;
    let body = if is_head { Body::empty() } else { read(app, object, part.clone()).await? };
    let mut response = respond(status, &row, mime, &tag, seconds, body)?;
    let length = part.end - part.start;
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{}", part.start, part.end.saturating_sub(1), object.size);
        response.headers_mut().insert(header::CONTENT_RANGE, value(&range)?);
    }
    Ok(response)
}

async fn read(app: &App, object: MediaObject, part: Range<u64>) -> Result<Body, ApiError> {
    let counted = metrics::counter!("media_download_bytes_total");
    let pieces = app.media.library.read(object, part).await?;
    Ok(Body::from_stream(pieces.inspect_ok(move |piece| counted.increment(piece.len() as u64))))
}

fn respond(
    status: StatusCode,
    row: &MediaRow,
    mime: &str,
    tag: &str,
    seconds: i64,
    body: Body,
) -> ApiResult {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let told = if Kind::is_active(mime) { "application/octet-stream" } else { mime };
    let told = if told == "text/plain" { "text/plain; charset=utf-8" } else { told };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, value(told)?);
    headers.insert(header::CONTENT_DISPOSITION, value(&disposition(row, mime))?);
    headers.insert(header::ETAG, value(tag)?);
    // The bytes of an address never change; how long it is good does not either.
    headers.insert(header::CACHE_CONTROL, value(&format!("public, max-age={seconds}, immutable"))?);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Ok(response)
}

fn value(text: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(text).map_err(|error| ApiError::internal(&error))
}

/// In place or as a download, and under which name: once in plain characters, once in all.
fn disposition(row: &MediaRow, mime: &str) -> String {
    let how = if Kind::is_inline(mime) { "inline" } else { "attachment" };
    let Some(name) = &row.name else { return how.to_owned() };
    let plain = |c: char| {
        if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { c } else { '_' }
    };
    let plain: String = name.chars().map(plain).collect();
    let mut all = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            all.push(char::from(byte));
        } else {
            all.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{all}")
}

/// Whether a list of tags names one.
fn named(headers: &HeaderMap, name: HeaderName, tag: &str) -> bool {
    let Some(list) = headers.get(name).and_then(|list| list.to_str().ok()) else { return false };
    list.split(',')
        .map(|one| one.trim().trim_start_matches("W/"))
        .any(|one| one == tag || one == "*")
}

/// What a `Range` asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// All of it: also what this server does not know, and several parts.
    All,
    Part(RangeInclusive<u64>),
    Beyond,
}

fn asked(range: &str, size: u64) -> Asked {
    let Some((from, to)) =
        range.strip_prefix("bytes=").and_then(|part| part.trim().split_once('-'))
    else {
        return Asked::All;
    };
    let number = |text: &str| {
        text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten()
    };
    let last = size.saturating_sub(1);
    match (from, to) {
        ("", to) => match number(to) {
            Some(0) => Asked::Beyond,
            Some(_) if size == 0 => Asked::Beyond,
            Some(length) => Asked::Part(size.saturating_sub(length)..=last),
            None => Asked::All,
        },
        (from, to) => {
            let Some(from) = number(from) else { return Asked::All };
            let to = if to.is_empty() { Some(last) } else { number(to) };
            match to {
                Some(to) if to < from && from < size => Asked::All,
                Some(_) if from >= size => Asked::Beyond,
                Some(to) => Asked::Part(from..=to.min(last)),
                None => Asked::All,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, asked};

    #[test]
    fn ranges_are_read_as_they_are_meant() {
        for (range, expect) in [
            ("bytes=0-0", Asked::Part(0..=0)),
            ("bytes=2-", Asked::Part(2..=9)),
            ("bytes=2-99", Asked::Part(2..=9)),
            ("bytes=-3", Asked::Part(7..=9)),
            ("bytes=-99", Asked::Part(0..=9)),
            ("bytes=10-", Asked::Beyond),
            ("bytes=-0", Asked::Beyond),
            ("bytes=5-2", Asked::All),
            ("bytes=0-1,4-5", Asked::All),
            ("bytes=", Asked::All),
            ("bytes=a-b", Asked::All),
            ("lines=1-2", Asked::All),
            ("bytes=99999999999999999999-", Asked::All),
        ] {
            assert_eq!(asked(range, 10), expect, "{range}");
        }
        assert_eq!(asked("bytes=0-", 0), Asked::Beyond);
    }
}
