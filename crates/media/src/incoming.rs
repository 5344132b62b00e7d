//! A file on its way in: its bytes go to a temporary file as they come, up to a limit. Nothing is known of it yet.

use std::{fs::File, io::Write as _};

use crate::{MediaError, temp::Temp};

/// Bytes gathered before they are written.
const GATHERED: usize = 256 << 10;

/// An upload under way. Dropping it removes what has come.
#[derive(Debug)]
pub struct Incoming {
    temp: Temp,
    file: Option<File>,
    gathered: Vec<u8>,
    size: u64,
    size_max: u64,
}

impl Incoming {
    pub(crate) fn new(temp: Temp, file: File, size_max: u64) -> Self {
        Self { temp, file: Some(file), gathered: Vec::new(), size: 0, size_max }
    }

    /// Bytes that have come.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// `TooLarge`, `Unavailable`; drop it then.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), MediaError> {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.size > self.size_max {
            return Err(MediaError::TooLarge(self.size_max));
        }
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHERED { self.flush().await } else { Ok(()) }
    }

    /// Writes what is gathered, on a thread that may block.
    async fn flush(&mut self) -> Result<(), MediaError> {
        let broken = || MediaError::Unavailable("an earlier write failed".to_owned());
        let mut file = self.file.take().ok_or_else(broken)?;
        let mut gathered = std::mem::take(&mut self.gathered);
        let written = tokio::task::spawn_blocking(move || {
            file.write_all(&gathered)?;
            gathered.clear();
            Ok::<_, std::io::Error>((file, gathered))
        });
        let written = written.await.map_err(|e| MediaError::Unavailable(e.to_string()))?;
        let (file, gathered) = written?;
        self.file = Some(file);
        self.gathered = gathered;
        Ok(())
    }

    /// All of it, written.
    pub(crate) async fn end(mut self) -> Result<(Temp, u64), MediaError> {
        self.flush().await?;
        Ok((self.temp, self.size))
    }
}
