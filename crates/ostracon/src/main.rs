//! The binary: reads the command line and hands over to one file for each sub-command.
//! It is not the server: that is a library, and nothing of it is decided here.

mod chat;
mod command;
mod output;
mod password;
mod progress;
mod reach;
mod work;

use std::process::ExitCode;

use clap::Parser;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match command::Cli::parse().run() {
        Ok(code) => code,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}
