//! Reads a password: without echo from a terminal, otherwise the first line of standard input.
//! It never comes from the command line, where everybody on the machine could see it.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context, Result, ensure};
use rustix::termios::{self, LocalModes, OptionalActions};

/// Asks for a password; `twice` when it is a new one, so that a slip is noticed.
///
/// # Errors
/// When there is none, or the two are not the same.
pub(crate) fn ask(prompt: &str, twice: bool) -> Result<String> {
    if !io::stdin().is_terminal() {
        return piped();
    }
    let first = hidden(prompt)?;
    if twice {
        ensure!(hidden("Again: ")? == first, "the two passwords are not the same");
    }
    ensure!(!first.is_empty(), "no password was given");
    Ok(first)
}

fn piped() -> Result<String> {
    let mut text = String::new();
    io::stdin().lock().read_line(&mut text).context("reading the password")?;
    let text = text.trim_end_matches(['\r', '\n']).to_owned();
    ensure!(!text.is_empty(), "no password on standard input");
    Ok(text)
}

/// Restores the terminal's echo when it goes.
struct Quiet(termios::Termios);

impl Quiet {
    fn new() -> Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // If this fails, the terminal itself is gone.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

fn hidden(prompt: &str) -> Result<String> {
    let mut out = io::stderr();
    write!(out, "{prompt}")?;
    out.flush()?;
    let quiet = Quiet::new()?;
    let mut text = String::new();
    let read = io::stdin().lock().read_line(&mut text);
    drop(quiet);
    writeln!(out)?;
    read.context("reading the password")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
