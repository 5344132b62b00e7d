//! Where the bytes of attached files are: the engine writes addresses into messages and does not know how they are made.

/// Makes addresses of files; good for a while from now on.
pub trait Addresses: Send + Sync {
    /// The address of a file.
    fn file(&self, media_id: &str) -> String;
    /// The address of its small picture.
    fn thumbnail(&self, media_id: &str) -> String;
}

/// For who has no files: addresses are empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAddresses;

impl Addresses for NoAddresses {
    fn file(&self, _: &str) -> String {
        String::new()
    }

    fn thumbnail(&self, _: &str) -> String {
        String::new()
    }
}
