//! Documents that are made from code, committed, and checked for drift.
//!
//! To add one: a function that returns the whole text, and one line in `DOCUMENTS`.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::metadata::Metadata;

/// Path from the root, and the function that returns the whole text of the file.
type Document = (&'static str, fn() -> String);

const DOCUMENTS: &[Document] = &[
    ("docs/protocol.md", ostracon_proto::protocol_doc::document),
    ("docs/openapi.json", ostracon_proto::openapi::document),
    ("config.example.toml", ostracon_server::config::example),
    ("clients/js/src/generated/wire.ts", crate::typescript::document),
];

/// What to do with a document whose file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Write it.
    Write,
    /// Fail and name it.
    Check,
}

/// Makes every document and writes or compares it.
pub(crate) fn run(mode: Mode) -> Result<()> {
    let root = Metadata::load(false)?.workspace_root;
    let mut drifted = Vec::new();
    for (path, make) in DOCUMENTS {
        let mut text = make();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        let file = root.join(path);
        if fs::read_to_string(&file).is_ok_and(|old| old == text) {
            continue;
        }
        drifted.push(*path);
        if mode == Mode::Write {
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(&file, text).with_context(|| format!("writing {path}"))?;
        }
    }
    match mode {
        Mode::Write => println!("generate: {} written", drifted.len()),
        Mode::Check if drifted.is_empty() => {
            println!("generate: {} documents are up to date", DOCUMENTS.len())
        }
        Mode::Check => bail!(
            "{} not up to date: run `cargo xtask generate` and commit the result",
            drifted.join(", ")
        ),
    }
    Ok(())
}
