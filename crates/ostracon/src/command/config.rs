//! `config check` and `config print`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Args, Subcommand};
use ostracon_server::config::{Config as Settings, Flags};

use crate::output;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Say what is wrong, or nothing; exit code 1 when something is
    Check(Source),
    /// Print what is in force
    Print(Source),
}

/// Where it comes from.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Source {
    fn load(&self) -> Result<Settings> {
        Ok(Settings::load(self.config.as_deref(), std::env::vars(), Flags::default())?)
    }
}

impl Config {
    pub(crate) fn run(self, json: bool) -> Result<ExitCode> {
        match self {
            Self::Check(source) => {
                let found = source.load().and_then(|config| Ok(config.check()?));
                if json {
                    let problems: Vec<String> = match &found {
                        Ok(()) => Vec::new(),
                        Err(error) => error.to_string().lines().map(str::to_owned).collect(),
                    };
                    output::json(&serde_json::json!({ "problems": problems }))?;
                } else if let Err(error) = &found {
                    output::line(error)?;
                }
                Ok(if found.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Self::Print(source) => {
                let config = source.load()?;
                if json {
                    output::json(&config)?;
                } else {
                    output::line(config.to_toml().trim_end())?;
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}
