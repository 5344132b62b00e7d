//! How a command reaches a server: the admin socket in its data directory, or a URL with an admin's token.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use ostracon_client::{Address, Api};
use ostracon_server::config::{Config, Flags};

use crate::work::Target;

/// Which server.
#[derive(Debug, Clone, Args)]
pub(crate) struct Reach {
    /// Data directory of the server on this machine [default: that of the configuration, `data`]
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    data_dir: Option<PathBuf>,
    /// Configuration file that names the data directory
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
    /// A server elsewhere, such as http://127.0.0.1:8080; needs the token of an admin
    #[arg(long)]
    url: Option<String>,
    /// File with the admin's token; without it the variable OSTRACON_TOKEN
    #[arg(long, value_name = "FILE", requires = "url")]
    token_file: Option<PathBuf>,
}

impl Reach {
    /// For a command that reads its options itself.
    pub(crate) fn new(
        data_dir: Option<PathBuf>,
        config: Option<PathBuf>,
        url: Option<String>,
        token_file: Option<PathBuf>,
    ) -> Self {
        Self { data_dir, config, url, token_file }
    }

    /// The configuration in force for this data directory.
    pub(crate) fn config(&self) -> Result<Config> {
        let flags = Flags { data_dir: self.data_dir.clone(), ..Flags::default() };
        Ok(Config::load(self.config.as_deref(), std::env::vars(), flags)?)
    }

    /// Calls to the running server.
    ///
    /// # Errors
    /// When none runs there, in words that say what to do.
    pub(crate) async fn api(&self) -> Result<Api> {
        Ok(self.target().await?.api())
    }

    /// The running server.
    ///
    /// # Errors
    /// When none runs there, in words that say what to do.
    pub(crate) async fn target(&self) -> Result<Target> {
        match self.running().await? {
            Some(target) => Ok(target),
            None => {
                let dir = self.config()?.data_dir;
                let dir = dir.display();
                bail!(
                    "no server is running on {dir}; start it with `ostracon serve --data-dir {dir}`, or name another with --data-dir or --url"
                )
            }
        }
    }

    /// The same, or none when no server runs on the data directory.
    pub(crate) async fn running(&self) -> Result<Option<Target>> {
        if let Some(url) = &self.url {
            let address: Address = url.parse()?;
            let token = Some(self.token()?);
            return Ok(Some(Target { address, token }));
        }
        let target = Target::of_data_dir(&self.config()?.data_dir);
        // A socket file may be left over: only an open connection shows a server.
        Ok(target.is_there().await?.then_some(target))
    }

    fn token(&self) -> Result<String> {
        if let Some(path) = &self.token_file {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            return Ok(text.trim().to_owned());
        }
        std::env::var("OSTRACON_TOKEN")
            .context("--url needs the token of an admin, in --token-file or OSTRACON_TOKEN")
    }
}
