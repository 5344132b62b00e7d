//! `restore`: from a back-up to a new data directory.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;
use ostracon_server::offline;

use crate::{output, progress::Progress};

/// From where to where.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// Folder of the back-up
    backup: PathBuf,
    /// Data directory to make; it must not exist yet or be empty
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

impl Restore {
    pub(crate) fn run(self, json: bool) -> Result<ExitCode> {
        let progress = Progress::new("restore");
        let restored = offline::restore(&self.backup, &self.data_dir, &|done, all| {
            progress.at(done, all, output::bytes(done));
        })?;
        drop(progress);
        if json {
            output::json(&restored)?;
        } else {
            let dir = restored.dir.display();
            output::line(format!(
                "Restored {} conversations ({}) into {dir}. Devices will load them again. Start with `ostracon serve --data-dir {dir}`.",
                output::number(restored.conversations),
                output::bytes(restored.bytes),
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
