//! The directory: in the data directory, or on PostgreSQL. What is foreign, newer or does not belong together is refused
//! before anything is changed.

use std::sync::Arc;

use ostracon_store::{Cluster as _, Directory};
use ostracon_store_embedded::{DataDir, Preflight, SqliteDirectory, preflight, preflight_of};
use ostracon_store_postgres::{DirectoryOptions, PostgresDirectory};

use super::{blocking, node_file::NodeFile, refused};
use crate::{config::Config, server::StartError};

/// A directory that is open, and what else the data directory holds.
pub(super) struct OpenedDirectory {
    pub(super) directory: Arc<dyn Directory>,
    /// The same, if it is a file of the data directory.
    pub(super) file: Option<Arc<SqliteDirectory>>,
    pub(super) found: Preflight,
}

/// Opens the directory that the configuration names; makes it where nothing is.
pub(super) async fn open(
    config: &Config,
    data_dir: &Arc<DataDir>,
) -> Result<OpenedDirectory, StartError> {
    let node = NodeFile::read(data_dir.path()).map_err(StartError::DataDir)?;
    if config.directory.url.is_embedded() {
        in_file(data_dir, node).await
    } else {
        on_postgres(config, data_dir, node).await
    }
}

async fn in_file(
    data_dir: &Arc<DataDir>,
    node: Option<NodeFile>,
) -> Result<OpenedDirectory, StartError> {
    if node.is_some() {
        return Err(StartError::DataDir(format!(
            "{} belongs to a cluster whose directory is on PostgreSQL: name it as directory.url, or name another data \
             directory",
            data_dir.path().display()
        )));
    }
    let (looked_at, path) = (Arc::clone(data_dir), data_dir.directory_path());
    let found = blocking(move || preflight(&looked_at)).await?.map_err(refused)?;
    let file = Arc::new(blocking(move || SqliteDirectory::open(&path)).await??);
    Ok(OpenedDirectory { directory: Arc::clone(&file) as _, file: Some(file), found })
}

async fn on_postgres(
    config: &Config,
    data_dir: &Arc<DataDir>,
    node: Option<NodeFile>,
) -> Result<OpenedDirectory, StartError> {
    let own = data_dir.directory_path();
    if own.exists() {
        return Err(StartError::DataDir(format!(
            "{} exists, but directory.url names a directory on PostgreSQL: set it to \"embedded\", or name another data \
             directory",
            own.display()
        )));
    }
    let (looked_at, cluster) = (Arc::clone(data_dir), node.map(|node| node.cluster));
    let found = blocking(move || preflight_of(&looked_at, cluster)).await?.map_err(refused)?;
    let number = match node {
        Some(node) => node.node,
        None => random()?,
    };
    let options = DirectoryOptions::new(config.directory.url.as_str(), cluster, number);
    let options = options.map_err(|error| StartError::Store(format!("directory.url: {error}")))?;
    let directory = Box::pin(PostgresDirectory::connect(options)).await;
    let directory = directory.map_err(|error| StartError::Directory(error.into()))?;
    if node.is_none() {
        // From here on nothing in the data directory can become part of another cluster.
        let file = NodeFile { cluster: directory.cluster_id().await?, node: number };
        let dir = data_dir.path().to_owned();
        blocking(move || file.write(&dir)).await?.map_err(StartError::DataDir)?;
    }
    Ok(OpenedDirectory { directory: Arc::new(directory), file: None, found })
}

fn random() -> Result<u128, StartError> {
    let mut number = [0; 16];
    getrandom::fill(&mut number)
        .map_err(|error| StartError::DataDir(format!("no randomness from the system: {error}")))?;
    Ok(u128::from_be_bytes(number))
}
