//! Password hashes: argon2id (19 MiB, two passes, one lane), a few at a time, never on the runtime's threads.

use std::{sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version,
    password_hash::phc::PasswordHash,
};
use tokio::sync::Semaphore;

use crate::error::ApiError;

const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// How long a password waits for its turn; then `busy`.
const WAIT: Duration = Duration::from_secs(3);
/// Hash of nobody's password, so that an unknown name takes as long as a wrong password.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IG5vYm9keSAhIQ$bm9ib2R5IGtub3dzIHRoZSBwYXNzd29yZCBvZiBub28";

pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { turns: Arc::new(Semaphore::new(cores)) }
    }

    /// The hash to store, in PHC form.
    pub(crate) async fn hash(&self, password: String) -> Result<String, ApiError> {
        let hashed = self.in_turn(move || {
            let mut salt = [0; 16];
            getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
            let hash = argon2()?.hash_password_with_salt(password.as_bytes(), &salt);
            hash.map(|hash| hash.to_string()).map_err(|error| error.to_string())
        });
        hashed.await?.map_err(|error| ApiError::internal(&error))
    }

    /// Whether this is the password; none stored takes as long and is never right.
    pub(crate) async fn verify(
        &self,
        password: String,
        stored: Option<String>,
    ) -> Result<bool, ApiError> {
        self.in_turn(move || {
            let exists = stored.is_some();
            let stored = stored.as_deref().unwrap_or(NOBODY);
            let is_right = PasswordHash::new(stored).is_ok_and(|hash| {
                argon2()
                    .is_ok_and(|argon2| argon2.verify_password(password.as_bytes(), &hash).is_ok())
            });
            exists && is_right
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let turn = tokio::time::timeout(WAIT, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(ApiError::busy());
        };
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|error| ApiError::internal(&error))
    }
}

fn argon2() -> Result<Argon2<'static>, String> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| error.to_string())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_is_right_and_nobody_has_one() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let right = |text: &str, stored: Option<&String>| {
            passwords.verify(text.to_owned(), stored.cloned())
        };
        assert!(right("correct horse", Some(&hash)).await.unwrap());
        assert!(!right("correct hors", Some(&hash)).await.unwrap());
        assert!(!right("correct horse", None).await.unwrap());
        assert!(PasswordHash::new(NOBODY).unwrap().hash.is_some(), "costs as much as a real one");
    }
}
