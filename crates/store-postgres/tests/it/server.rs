//! PostgreSQL servers for these tests: started by `dev/services/pg.sh`, ended with the process that holds its input.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use tempfile::TempDir;

/// One server in a folder of its own.
pub(crate) struct Server {
    holder: Child,
    run: PathBuf,
    _dir: TempDir,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dev/services/pg.sh")
}

impl Server {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The server runs as another user than these tests.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).unwrap();
        let run = dir.path().join("run");
        let mut holder = Command::new(script())
            .args(["hold", "1"])
            .env("PG_RUN", &run)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready", "PostgreSQL did not start");
        Self { holder, run, _dir: dir }
    }

    /// Runs a command of the script on the server; what it prints.
    pub(crate) fn tell(&self, command: &str) -> String {
        let output = Command::new(script())
            .args([command, "1"])
            .env("PG_RUN", &self.run)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "pg.sh {command} failed");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn url(&self) -> String {
        self.tell("url")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// The server that all tests share which leave it alone. It ends when this process does: its input ends then.
pub(crate) fn shared_url() -> &'static str {
    static SHARED: OnceLock<(Server, String)> = OnceLock::new();
    let (_, url) = SHARED.get_or_init(|| {
        let server = Server::start();
        let url = server.url();
        (server, url)
    });
    url
}
