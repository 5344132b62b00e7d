//! PostgreSQL servers for the tests of this and of other crates: started by `dev/services/pg.sh`, ended with the process
//! that holds its input.
#![expect(clippy::unwrap_used, reason = "a test that cannot have its server has failed")]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// One server in a folder of its own.
pub struct Server {
    holder: Child,
    run: PathBuf,
    _dir: TempDir,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dev/services/pg.sh")
}

impl Server {
    /// Starts one with an empty database.
    pub fn start() -> Self {
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

    /// Runs a command of the script on the server, such as `kill` or `pause`; what it prints.
    pub fn tell(&self, command: &str) -> String {
        self.run(command, "1")
    }

    /// Makes a streaming replica, which ends with the server; its address.
    pub fn replica(&self) -> String {
        self.tell("replica");
        self.run("url", "1r")
    }

    /// Whether its tables lie on a small disk of their own from now on, for [`tell`](Self::tell) to `fill` and `empty`.
    /// Mounting one needs root; where it is not allowed nothing is changed.
    pub fn has_small_disk(&self) -> bool {
        self.tell("small") == "yes"
    }

    fn run(&self, command: &str, which: &str) -> String {
        let output = Command::new(script())
            .args([command, which])
            .env("PG_RUN", &self.run)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(output.status.success(), "pg.sh {command} failed");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Address of its database.
    pub fn url(&self) -> String {
        self.tell("url")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
