//! A server as a child process, and commands against it. What a test starts, it ends.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
};

use ostracon_client::{Address, Api};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A command of the binary, without any of this process's own settings.
pub(crate) fn ostracon(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ostracon"));
    for (name, _) in std::env::vars() {
        if name.starts_with("OSTRACON_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    ostracon(arguments).output().unwrap()
}

/// Runs a command that reads this from standard input.
pub(crate) fn run_with_input(arguments: &[&str], input: &str) -> Output {
    let mut command = ostracon(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Runs a command that must succeed; its standard output.
pub(crate) fn said(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", complaint(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// The same, read as JSON.
pub(crate) fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&said(arguments)).unwrap()
}

pub(crate) fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A data directory that goes with the test.
pub(crate) struct Data(tempfile::TempDir);

impl Data {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A path in it, as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    pub(crate) dir: String,
    pub(crate) ready: Value,
    /// Keeps the pipe open: a server that cannot write its log would notice.
    _out: BufReader<std::process::ChildStdout>,
}

impl Server {
    /// Starts on a free port and waits for the line that says it is ready.
    pub(crate) fn start(dir: &str) -> Self {
        Self::start_with(dir, "127.0.0.1:0", &[])
    }

    pub(crate) fn start_with(dir: &str, listen: &str, more: &[&str]) -> Self {
        Self::start_logging(dir, listen, more, "error", Stdio::inherit())
    }

    /// The same, with a log of this level that goes there.
    pub(crate) fn start_logging(
        dir: &str,
        listen: &str,
        more: &[&str],
        level: &str,
        log: Stdio,
    ) -> Self {
        let mut arguments =
            vec!["serve", "--json", "--data-dir", dir, "--listen", listen, "--log-level", level];
        arguments.extend(more);
        let mut child = ostracon(&arguments).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        if line.is_empty() {
            let status = child.wait().unwrap();
            panic!("the server did not start: {status}");
        }
        let ready: Value = serde_json::from_str(&line).unwrap();
        let url = ready["url"].as_str().unwrap().to_owned();
        Self { child, url, dir: dir.to_owned(), ready, _out: out }
    }

    /// Starts and kills at once, before it is ready or not; `turns` decides when.
    pub(crate) fn start_and_kill(dir: &str, turns: u64) {
        let arguments =
            ["serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--log-level", "error"];
        let mut child = ostracon(&arguments).stdout(Stdio::null()).spawn().unwrap();
        for _ in 0..turns {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// `host:port` it listens on.
    pub(crate) fn listen(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    /// kill -9, and wait until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and wait until it has ended by itself.
    pub(crate) fn stop(mut self) -> ExitStatus {
        signal(&self.child, Signal::TERM);
        self.child.wait().unwrap()
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// What an operator gets from a path, over the server's own socket.
    pub(crate) fn operator_gets(&self, path: &str) -> String {
        let socket = Path::new(&self.dir).join("admin.sock");
        let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: local\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Calls as the owner of a token.
    pub(crate) fn api(&self, token: &str) -> Api {
        let address: Address = self.url.parse().unwrap();
        Api::new(address, Some(token))
    }

    /// Creates users without passwords: number and token of each.
    pub(crate) fn users(&self, names: &[&str]) -> Vec<(u64, String)> {
        let file = format!("{}.names", self.dir);
        std::fs::write(&file, names.join("\n")).unwrap();
        let made = json(&["user", "add", "--file", &file, "--json", "--data-dir", &self.dir]);
        std::fs::remove_file(file).unwrap();
        let users = made["users"].as_array().unwrap().iter();
        users
            .map(|user| {
                let token = user["token"].as_str().unwrap().to_owned();
                (user["user_id"].as_u64().unwrap(), token)
            })
            .collect()
    }

    /// Runs `verify` against it and demands that nothing is wrong.
    pub(crate) fn verify(&self) -> Value {
        let output = run(&["verify", "--json", "--data-dir", &self.dir]);
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{report}{}", complaint(&output));
        serde_json::from_str(&report).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_child(child);
    kill_process(pid, signal).unwrap();
}

/// Every file below a folder with its bytes; sockets and the like by name only.
pub(crate) fn files(dir: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                folders.push(path.clone());
                found.push((path, None));
            } else {
                let bytes = kind.is_file().then(|| std::fs::read(&path).unwrap());
                found.push((path, bytes));
            }
        }
    }
    found.sort();
    found
}

/// A runtime for the client's calls.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
