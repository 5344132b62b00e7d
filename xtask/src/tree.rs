//! The files of the repository as a sorted list: what a person wrote, not what a tool left behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Folders that never hold sources. A hidden folder is skipped too, unless it is one of `HIDDEN`.
const SKIPPED: [&str; 4] = ["target", "data", "node_modules", "dist"];
const HIDDEN: [&str; 3] = [".ci", ".cargo", ".github"];

/// Relative path with `/` → absolute path, in path order.
pub(crate) type Tree = BTreeMap<String, PathBuf>;

/// Every file below `root`. Symbolic links are not followed.
pub(crate) fn walk(root: &Path) -> Result<Tree> {
    let mut files = Tree::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                let hidden = name.starts_with('.') && !HIDDEN.contains(&name.as_str());
                if !hidden && !is_skipped(root, &folder, &name) {
                    folders.push(path);
                }
            } else if kind.is_file() {
                let relative = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
                files.insert(relative, path);
            }
        }
    }
    Ok(files)
}

/// `data` is the server's folder only at the root; a module may well have that name.
fn is_skipped(root: &Path, folder: &Path, name: &str) -> bool {
    let at_root = folder == root;
    SKIPPED.contains(&name) && (at_root || name == "node_modules" || name == "target")
}

/// The text of a file, or `None` when it is not UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<Option<String>> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(String::from_utf8(bytes).ok())
}
