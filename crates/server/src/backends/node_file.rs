//! The file `NODE` of a data directory whose directory is on PostgreSQL: which cluster the data directory is part of, and
//! the number that tells this node from all others. With the directory in the data directory there is no such file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

const NAME: &str = "NODE";
const TITLE: &str = "ostracon node 1";

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeFile {
    /// The cluster that everything in the data directory belongs to.
    pub(crate) cluster: u128,
    /// Random; written once.
    pub(crate) node: u128,
}

impl NodeFile {
    /// The file of a data directory; none when there is none.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn read(data_dir: &Path) -> Result<Option<Self>, String> {
        let path = data_dir.join(NAME);
        match std::fs::read_to_string(&path) {
            Ok(text) => match Self::parse(&text) {
                Some(file) => Ok(Some(file)),
                None => Err(format!(
                    "{} is damaged, or of a newer version: put the right file back",
                    path.display()
                )),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Writes it, durably and whole or not at all.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn write(self, data_dir: &Path) -> Result<(), String> {
        let path = data_dir.join(NAME);
        let part = data_dir.join("NODE.part");
        let write = || {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            file.write_all(self.text().as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&part, &path)?;
            File::open(data_dir)?.sync_all()
        };
        write().map_err(|error| format!("{}: {error}", path.display()))
    }

    fn text(self) -> String {
        format!("{TITLE}\ncluster {:032x}\nnode {:032x}\n", self.cluster, self.node)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let number = |line: Option<&str>, name: &str| {
            u128::from_str_radix(line?.strip_prefix(name)?.strip_prefix(' ')?, 16).ok()
        };
        let titled = lines.next()? == TITLE;
        let file =
            Self { cluster: number(lines.next(), "cluster")?, node: number(lines.next(), "node")? };
        titled.then_some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::NodeFile;

    #[test]
    fn it_reads_back_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(NodeFile::read(dir.path()), Ok(None));
        let file = NodeFile { cluster: 7, node: u128::MAX };
        file.write(dir.path()).unwrap();
        assert_eq!(NodeFile::read(dir.path()), Ok(Some(file)));
        for damaged in ["", "ostracon node 2\ncluster 1\nnode 2\n", "ostracon node 1\ncluster 1\n"]
        {
            std::fs::write(dir.path().join("NODE"), damaged).unwrap();
            assert!(NodeFile::read(dir.path()).is_err(), "{damaged}");
        }
    }
}
