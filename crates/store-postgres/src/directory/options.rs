//! Where a directory is, and for whom.

use crate::options::{Access, UrlError};

/// The schema of a directory whose address names none.
const SCHEMA: &str = "ostracon_directory";

/// How to reach a directory, and who asks.
#[derive(Debug, Clone)]
pub struct DirectoryOptions {
    /// Where it is, and how long anything may take.
    pub access: Access,
    /// The cluster it must be the directory of; none: any, and a new one where nothing is.
    pub cluster: Option<u128>,
    /// A random number of this node that no other has and that it keeps for ever: it leases the same node number again.
    pub node: u128,
}

impl DirectoryOptions {
    /// Options for `postgres://user:password@host:port/database?schema=name`; without a schema it is
    /// `ostracon_directory`. `sslmode` and `sslrootcert` are read as in the address of a shard.
    ///
    /// # Errors
    /// When the address cannot be read, or the schema's name has other letters than it may.
    pub fn new(url: &str, cluster: Option<u128>, node: u128) -> Result<Self, UrlError> {
        Ok(Self { access: Access::new(url, SCHEMA.to_owned())?, cluster, node })
    }
}

#[cfg(test)]
mod tests {
    use super::DirectoryOptions;

    #[test]
    fn no_password_is_shown() {
        let options = DirectoryOptions::new("postgres://me:secret@db/chat", None, 1).unwrap();
        assert_eq!(options.access.schema().as_str(), "ostracon_directory");
        assert!(!format!("{options:?}").contains("secret"));
        let error = DirectoryOptions::new("postgres://me:secret@db:x/chat", None, 1);
        assert!(!error.unwrap_err().to_string().contains("secret"));
    }
}
