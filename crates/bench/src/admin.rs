//! The server's admin socket: users for a run, and what the server itself costs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::wire::http::Http;

/// A user of a run, signed in.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct User {
    pub(crate) user_id: u64,
    pub(crate) token: String,
}

/// What the server has used so far.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Status {
    pub(crate) cpu_seconds: f64,
    #[serde(rename = "resident_bytes")]
    pub(crate) rss_bytes: u64,
    pub(crate) pending_bytes: u64,
}

/// The admin socket of a running server. Each question has a connection of its own: a run is longer than the server keeps
/// one that is silent.
pub(crate) struct Admin {
    socket: PathBuf,
}

impl Admin {
    pub(crate) async fn connect(data_dir: &Path) -> Result<Self> {
        let admin = Self { socket: data_dir.join("admin.sock") };
        admin.http().await.with_context(|| format!("no server runs on {}", data_dir.display()))?;
        Ok(admin)
    }

    async fn http(&self) -> Result<Http> {
        Http::unix(&self.socket).await
    }

    /// Makes signed-in users with new names.
    pub(crate) async fn users(&self, count: usize) -> Result<Vec<User>> {
        #[derive(Deserialize)]
        struct Users {
            users: Vec<User>,
        }
        let prefix = format!("bench{}x", std::process::id());
        let mut http = self.http().await?;
        let mut users = Vec::with_capacity(count);
        while users.len() < count {
            let portion = (count - users.len()).min(1_000);
            let body = serde_json::json!({
                "count": portion,
                "prefix": format!("{prefix}{}-", users.len()),
            });
            let body = serde_json::to_vec(&body)?;
            let answer = http.ask("POST", "/api/v1/admin/users", "", &body).await?;
            let said = String::from_utf8_lossy(answer.body);
            ensure!(answer.status < 300, "users were not created: {said}");
            users.extend(serde_json::from_slice::<Users>(answer.body)?.users);
        }
        Ok(users)
    }

    pub(crate) async fn status(&self) -> Result<Status> {
        let mut http = self.http().await?;
        let answer = http.ask("GET", "/api/v1/admin/status", "", b"").await?;
        serde_json::from_slice(answer.body).context("the server's status has another form")
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Vec<u8>> {
        self.ask("GET", path, b"").await
    }

    pub(crate) async fn post(&self, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        self.ask("POST", path, body).await
    }

    async fn ask(&self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        let mut http = self.http().await?;
        let answer = http.ask(method, path, "", body).await?;
        let said = String::from_utf8_lossy(answer.body);
        ensure!(answer.status < 300, "{method} {path}: {said}");
        Ok(answer.body.to_vec())
    }
}
