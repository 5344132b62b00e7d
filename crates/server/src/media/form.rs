//! A form with a file, as browsers send it: its field `file` is taken in, others are passed over. What is refused here leaves
//! nothing: an upload that is dropped removes what has come.

use std::time::Duration;

use axum::{Error as BodyError, body::Body};
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, header};
use http_body_util::BodyDataStream;
use multer::{Constraints, Multipart, SizeLimit};
use ostracon_media::{Incoming, Library, MediaError};
use ostracon_proto::{ErrorCode, Invalid};

use crate::error::ApiError;

/// How long the next bytes of an upload may take.
const PIECE_WAIT: Duration = Duration::from_secs(30);
/// Bytes of a form besides the file.
pub(crate) const BYTES_BESIDES: u64 = 64 << 10;

/// A file that has come whole, and what its form says of it.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) incoming: Incoming,
    pub(crate) name: Option<String>,
    pub(crate) declared: Option<String>,
}

/// The field `file` of a form. What stands behind it is left in the body.
pub(crate) async fn receive(
    library: &Library,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Received, ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let boundary = multer::parse_boundary(kind.unwrap_or_default()).map_err(|_| {
        ApiError::new(ErrorCode::UnsupportedMedia, "The body must be multipart/form-data.")
    })?;
    let most = library.upload_bytes_max().saturating_add(BYTES_BESIDES);
    let constraints = Constraints::new().size_limit(SizeLimit::new().whole_stream(most));
    let mut form = Multipart::with_constraints(pieces(body), boundary, constraints);
    while let Some(mut field) = in_time(form.next_field()).await? {
        if field.name() != Some("file") {
            continue;
        }
        let name = field.file_name().map(str::to_owned);
        let declared = field.content_type().map(ToString::to_string);
        let mut incoming = library.begin().await?;
        while let Some(piece) = in_time(field.chunk()).await? {
            incoming.write(&piece).await?;
        }
        return Ok(Received { incoming, name, declared });
    }
    Err(Invalid::new("file", "must be there").into())
}

async fn in_time<T>(read: impl Future<Output = multer::Result<T>>) -> Result<T, ApiError> {
    let cut_off =
        || ApiError::new(ErrorCode::BadRequest, "The body did not arrive, or is no form.");
    match tokio::time::timeout(PIECE_WAIT, read).await {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(multer::Error::StreamSizeExceeded { limit })) => {
            Err(MediaError::TooLarge(limit.saturating_sub(BYTES_BESIDES)).into())
        }
        Ok(Err(_)) | Err(_) => Err(cut_off()),
    }
}

/// The pieces of a body, by reference, so that what is left of it can be read after a refusal.
fn pieces(body: &mut Body) -> impl Stream<Item = Result<Bytes, BodyError>> + Send {
    BodyDataStream::new(body)
}

#[cfg(test)]
mod tests;
