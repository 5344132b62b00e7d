//! Why an upload was refused or a file could not be read: what the caller can do.

use ostracon_store::DirectoryError;

/// A refusal. Nothing of the upload is left on any disk.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// More bytes than allowed.
    #[error("the file is larger than {0} bytes")]
    TooLarge(u64),
    /// A picture with more pixels, or frames, than allowed.
    #[error("{0}")]
    TooManyPixels(String),
    /// A file that is not what it begins like, or that may do something where it is shown.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The user has no room left.
    #[error("there is no room left: {0} bytes at most")]
    Full(u64),
    /// Nothing was in it.
    #[error("the file is empty")]
    Empty,
    /// Too much is being worked on; try again.
    #[error("too many files are being worked on")]
    Busy,
    /// There is no such object.
    #[error("there is no such file")]
    Gone,
    /// The place of the bytes does not answer, or is full; try again.
    #[error("files cannot be stored or read: {0}")]
    Unavailable(String),
    /// The directory does not answer.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl From<std::io::Error> for MediaError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Gone,
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
