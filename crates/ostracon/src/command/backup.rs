//! `backup`: a running server copies everything stored, as of one moment, into a folder of its machine.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;
use ostracon_server::admin::types::{Backup as Made, BackupTo};

use crate::{output, progress::Progress, reach::Reach};

/// Where to.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// Folder that does not exist yet or is empty, on the server's machine
    dir: PathBuf,
    #[command(flatten)]
    reach: Reach,
}

impl Backup {
    pub(crate) fn run(self, json: bool) -> Result<ExitCode> {
        let made = super::small_runtime()?.block_on(async {
            let target = self.reach.target().await?;
            let progress = Progress::new("backup");
            let to = BackupTo { dir: std::path::absolute(&self.dir)? };
            target.work::<Made>("/api/v1/admin/backup", &to, &progress).await
        })?;
        if json {
            output::json(&made)?;
        } else {
            output::line(format!(
                "The back-up is in {} ({}). `ostracon restore {} --data-dir NEW` makes a data directory of it.",
                made.dir.display(),
                output::bytes(made.bytes),
                made.dir.display()
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
