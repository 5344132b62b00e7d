//! The command line. To add a command: a file here, a variant in [`Command`], a test that drives the binary.

mod audit;
mod backup;
mod bench;
mod chat;
mod config;
mod debug;
mod doctor;
mod invite;
mod push;
mod repair;
mod restore;
mod search;
mod serve;
mod shards;
mod user;
mod verify;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

/// A messenger server for your own machine: one binary, no database to set up.
#[derive(Debug, Parser)]
#[command(name = "ostracon", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Serve),
    /// Talk in the terminal
    Chat(chat::Chat),
    /// Accounts: add, list, passwd, role, token, activate, deactivate, invite
    #[command(subcommand)]
    User(user::User),
    /// Look into what is stored
    #[command(subcommand)]
    Debug(debug::Debug),
    /// Shards, and moving units between them while people talk
    #[command(subcommand)]
    Shards(shards::Shards),
    /// The indexes that messages are found with
    #[command(subcommand)]
    Search(search::Search),
    /// What devices of people who are away are told
    #[command(subcommand)]
    Push(push::Push),
    /// What other systems are told
    #[command(subcommand)]
    Webhooks(push::Webhooks),
    /// Hold map, fences, rows, leftovers and moves against each other; exit code 1 when something does not agree
    Doctor(doctor::Doctor),
    /// What operators did
    Audit(audit::Audit),
    /// Check what is stored; exit code 1 when something is wrong
    Verify(verify::Verify),
    /// Copy a running server, as of one moment, into a new folder
    Backup(backup::Backup),
    /// Make a data directory from a back-up
    Restore(restore::Restore),
    /// Cut a damaged journal, after showing what would be lost
    Repair(repair::Repair),
    /// Check or print the configuration
    #[command(subcommand)]
    Config(config::Config),
    /// Measure a server under load; exit code 1 when a message is lost, doubled or out of order
    Bench(bench::Bench),
}

impl Cli {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let json = self.json;
        match self.command {
            Command::Serve(command) => command.run(json),
            Command::Chat(command) => command.run(json),
            Command::User(command) => command.run(json),
            Command::Debug(command) => command.run(json),
            Command::Shards(command) => command.run(json),
            Command::Search(command) => command.run(json),
            Command::Push(command) => command.run(json),
            Command::Webhooks(command) => command.run(json),
            Command::Doctor(command) => command.run(json),
            Command::Audit(command) => command.run(json),
            Command::Verify(command) => command.run(json),
            Command::Backup(command) => command.run(json),
            Command::Restore(command) => command.run(json),
            Command::Repair(command) => command.run(json),
            Command::Config(command) => command.run(json),
            Command::Bench(command) => command.run(json),
        }
    }
}

/// The runtime of a command that only calls a server.
fn small_runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("the runtime did not start")
}

/// The runtime of a command that opens a data directory itself.
fn full_runtime() -> Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().context("the runtime did not start")
}
