//! Cutting a damaged journal: first it is said what that loses, then, when asked, it is done.

use std::{collections::BTreeMap, fs::File, path::Path, sync::Arc};

use ostracon_store::Cluster as _;
use ostracon_store_embedded::{
    DataDir, SqliteDirectory, applied_position,
    journal::{self, DirFs, JournalFs, RepairReport, StoreId},
    rehistory,
};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{OfflineError, REPAIR_MARK, new_history};
use crate::{
    backends::NodeFile,
    config::Config,
    server::{Server, StartError},
};

/// What a cut loses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// What is damaged, one sentence each, first in the journal first.
    pub damage: Vec<String>,
    /// The journal ends here afterwards.
    pub cut_at: u64,
    /// Bytes of acked changes behind the cut.
    pub lost_bytes: u64,
    /// Batches of acked changes behind the cut that can still be read.
    pub lost_batches: u64,
    /// The same by shard.
    pub lost_by_shard: BTreeMap<u32, u64>,
    /// Files that go as a whole.
    pub dropped_segments: u64,
}

impl Loss {
    fn of(report: &RepairReport) -> Self {
        Self {
            damage: report.damage.iter().map(ToString::to_string).collect(),
            cut_at: report.cut_at,
            lost_bytes: report.lost_bytes,
            lost_batches: report.lost_frames,
            lost_by_shard: report.lost_by_shard.clone(),
            dropped_segments: report.dropped_segments.len() as u64,
        }
    }
}

/// A journal that can be looked at and cut.
struct Bench {
    data_dir: DataDir,
    fs: Arc<dyn JournalFs>,
    options: journal::Options,
}

impl Bench {
    async fn open(path: &Path) -> Result<Self, OfflineError> {
        if !path.join("FORMAT").exists() {
            let path = path.display();
            return Err(OfflineError::Refused(format!("{path} is no data directory")));
        }
        let data_dir = DataDir::open(path)?;
        let cluster = match NodeFile::read(path).map_err(OfflineError::Refused)? {
            Some(node) => node.cluster,
            None => SqliteDirectory::open(&data_dir.directory_path())?.cluster_id().await?,
        };
        let folder = data_dir.journal_path();
        let fs = DirFs::open(folder.clone()).map_err(OfflineError::io(&folder))?;
        let options = journal::Options::new(StoreId(cluster.to_be_bytes()));
        Ok(Self { data_dir, fs: Arc::new(fs), options })
    }
}

/// What a repair would lose; none when nothing is damaged. Changes nothing of what is stored.
///
/// # Errors
/// When a server uses the data directory, or it is foreign, newer or not readable.
pub async fn look(data_dir: &Path) -> Result<Option<Loss>, OfflineError> {
    let bench = Bench::open(data_dir).await?;
    let beyond = applied_position(&bench.data_dir)?;
    let plan = journal::plan_repair(&bench.fs, &bench.options, beyond).map_err(refused)?;
    Ok(plan.as_ref().map(Loss::of))
}

/// Cuts the journal at its first damage and gives everything a new history. None when nothing was damaged.
///
/// # Errors
/// Those of [`look`]; or when what is left does not start.
pub async fn repair(config: Config) -> Result<Option<Loss>, OfflineError> {
    let path = config.data_dir.clone();
    let mark = path.join(REPAIR_MARK);
    let loss = {
        let bench = Bench::open(&path).await?;
        let beyond = applied_position(&bench.data_dir)?;
        let plan = journal::plan_repair(&bench.fs, &bench.options, beyond).map_err(refused)?;
        if plan.is_none() && !mark.exists() {
            return Ok(None);
        }
        // From here to the new histories a start would mix two pasts.
        File::create(&mark).and_then(|file| file.sync_all()).map_err(OfflineError::io(&mark))?;
        sync(&path)?;
        let cut = journal::repair(&bench.fs, &bench.options, beyond).map_err(refused)?;
        cut.or(plan).as_ref().map(Loss::of)
    };
    // What is left of the journal goes into the tables, and lists follow.
    run_once(config).await?;
    let data_dir = DataDir::open(&path)?;
    rehistory(&data_dir, &mut new_history, &|_| ())?;
    std::fs::remove_file(&mark).map_err(OfflineError::io(&mark))?;
    sync(&path)?;
    Ok(loss)
}

fn refused(error: journal::OpenError) -> OfflineError {
    OfflineError::Refused(error.to_string())
}

/// Starts a server that nobody reaches and stops it in order.
async fn run_once(mut config: Config) -> Result<(), OfflineError> {
    config.admin.listen.clear();
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener
        .map_err(|source| StartError::Listen { address: "127.0.0.1:0".to_owned(), source })?;
    let stop = CancellationToken::new();
    stop.cancel();
    let server = Box::pin(Server::open(config)).await?;
    Box::pin(server.serve(listener, stop)).await;
    Ok(())
}

fn sync(folder: &Path) -> Result<(), OfflineError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(OfflineError::io(folder))
}
