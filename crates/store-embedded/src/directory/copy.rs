//! A copy of a directory in use, and the check of one: what backup and verification need.

use std::path::Path;

use ostracon_store::DirectoryError;

use super::{SqliteDirectory, failure::Failure, new_private_file};

impl SqliteDirectory {
    /// Writes one consistent state into a new file, durable when this returns. Calls go on meanwhile.
    ///
    /// # Errors
    /// `Unavailable` when the file is there already or cannot be written; what was written of it may stay.
    pub async fn copy_to(&self, path: &Path) -> Result<(), DirectoryError> {
        let path = path.to_owned();
        self.threads
            .scan(move |conn| {
                let unwritten = |e: std::io::Error| {
                    DirectoryError::Unavailable(format!("{}: {e}", path.display()))
                };
                let file = new_private_file(&path).map_err(unwritten)?;
                let name = path.to_str().ok_or_else(|| {
                    DirectoryError::Unavailable(format!("{} is no text", path.display()))
                })?;
                conn.execute("VACUUM INTO ?1", [name])?;
                // SQLite does not sync such a copy.
                file.sync_all().map_err(unwritten)?;
                Ok(())
            })
            .await
    }

    /// Looks at every page, index and reference; one sentence for each thing that is wrong, none for a sound file.
    ///
    /// # Errors
    /// `Refused` when the damage keeps it from looking.
    pub async fn check(&self) -> Result<Vec<String>, DirectoryError> {
        self.threads
            .scan(|conn| {
                let mut wrong: Vec<String> = conn
                    .prepare("PRAGMA integrity_check")?
                    .query_map([], |row| row.get(0))?
                    .collect::<rusqlite::Result<_>>()?;
                wrong.retain(|line| line != "ok");
                let mut dangling = conn.prepare("PRAGMA foreign_key_check")?;
                let dangling = dangling.query_map([], |row| {
                    let (table, row, of): (String, i64, String) =
                        (row.get(0)?, row.get(1)?, row.get(2)?);
                    Ok(format!("row {row} of {table} names no row of {of}"))
                })?;
                for line in dangling {
                    wrong.push(line?);
                }
                Ok::<_, Failure>(wrong)
            })
            .await
    }
}
