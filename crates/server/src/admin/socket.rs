//! `admin.sock` in the data directory: for its owner only, gone when the server is.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;

use crate::server::StartError;

pub(crate) struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl AdminSocket {
    /// Replaces what an earlier process left: the data directory is ours alone.
    pub(crate) fn bind(path: PathBuf) -> Result<Self, StartError> {
        let bind = || {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&path)?;
            // The folder itself is 0700, so nobody else came in between.
            std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        match bind() {
            Ok(listener) => Ok(Self { listener, path }),
            Err(source) => Err(StartError::Listen { address: path.display().to_string(), source }),
        }
    }

    pub(crate) fn listener(&self) -> &UnixListener {
        &self.listener
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        // Another one will be made at the next start in any case.
        drop(std::fs::remove_file(&self.path));
    }
}
