//! Files: what is known of one, and where its bytes are.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A file that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Media {
    /// Its id.
    pub media_id: String,
    /// Its type, found out from its bytes.
    pub mime: String,
    /// Bytes.
    pub size: u64,
    /// Pixels, as it is to be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels, as it is to be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Milliseconds of audio or video, if its header says them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// A tiny preview of a picture: a thumbhash in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbhash: Option<String>,
    /// Its name, as it was uploaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its address, signed, good for a day at least. Without a host, where none is configured.
    pub url: String,
    /// The address of a picture's small picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail_url: Option<String>,
}
