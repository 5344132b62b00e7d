//! A server in a process of its own: this very binary, started again with one test. It can be killed,
//! and its memory is its own.

use std::{env, fmt::Write as _, path::PathBuf, process::Stdio};

use ostracon_server::{Config, Server};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::TcpListener,
    process::{Child as Process, ChildStdout, Command},
};
use tokio_util::sync::CancellationToken;

use crate::{
    backend,
    world::{Place, User, within},
};

const DATA_DIR: &str = "OSTRACON_CONFORMANCE_DATA_DIR";
const NAMES: &str = "OSTRACON_CONFORMANCE_NAMES";
/// What its lines begin with: the test harness prints lines of its own.
const SAYS: &str = "conformance-child: ";

pub(crate) struct Child {
    dir: TempDir,
    place: Place,
    process: Process,
}

impl Child {
    /// Starts one with users.
    pub(crate) async fn start(names: &[&str]) -> (Self, Vec<User>) {
        let dir = TempDir::new().unwrap();
        let place = Place::new(([127, 0, 0, 1], 0).into());
        let (process, lines) = spawn(&dir, &names.join(",")).await;
        let mut users = Vec::new();
        for line in &lines {
            if let Some((id, token)) =
                line.strip_prefix("user ").and_then(|rest| rest.split_once(' '))
            {
                let (id, token) = (id.parse().unwrap(), token.to_owned());
                users.push(User { id, token, place: place.clone() });
            }
        }
        assert_eq!(users.len(), names.len());
        place.set(address(&lines));
        (Self { dir, place, process }, users)
    }

    /// Ends it as a power cut of the process would.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// Starts it again on what is stored.
    pub(crate) async fn go_on(&mut self) {
        let (process, lines) = spawn(&self.dir, "").await;
        self.process = process;
        self.place.set(address(&lines));
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Memory of the process, bytes.
    pub(crate) fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id().unwrap());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1_024
    }
}

async fn spawn(dir: &TempDir, names: &str) -> (Process, Vec<String>) {
    let mut process = Command::new(env::current_exe().unwrap())
        .args(["child::serves_when_it_is_a_child", "--exact", "--nocapture"])
        .env(DATA_DIR, dir.path().join("data"))
        .env(NAMES, names)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut out: BufReader<ChildStdout> = BufReader::new(process.stdout.take().unwrap());
    let mut lines = Vec::new();
    let ready = async {
        let mut line = String::new();
        while out.read_line(&mut line).await.unwrap() > 0 {
            if let Some((_, said)) = line.trim().split_once(SAYS) {
                lines.push(said.to_owned());
            }
            if lines.last().is_some_and(|said| said.starts_with("listens ")) {
                return;
            }
            line.clear();
        }
        panic!("the child ended: {lines:?}");
    };
    within("a server in a process of its own", ready).await;
    // The test harness may say more, and must find somebody who listens.
    tokio::spawn(async move {
        let mut rest = String::new();
        while out.read_line(&mut rest).await.is_ok_and(|read| read > 0) {
            rest.clear();
        }
    });
    (process, lines)
}

fn address(lines: &[String]) -> std::net::SocketAddr {
    lines.iter().find_map(|line| line.strip_prefix("listens ")).unwrap().parse().unwrap()
}

/// Not a story: the body of the child. As a plain test it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn serves_when_it_is_a_child() {
    let Some(data_dir) = env::var_os(DATA_DIR) else { return };
    let mut config = Config { data_dir: data_dir.into(), ..Config::default() };
    config.rate_limits.enabled = false;
    backend::choose(&mut config);
    // A socket that takes nothing is to be kept, for as long as the test looks at it.
    config.connections.write_stall_s = 600;
    // And one that only listens while a busy machine takes its time.
    config.connections.silence_s = 600;
    let server = Server::open(config).await.unwrap();
    let mut said = String::new();
    for name in env::var(NAMES).unwrap().split(',').filter(|name| !name.is_empty()) {
        let (id, token) = server.create_user(name).await.unwrap();
        writeln!(said, "{SAYS}user {} {token}", id.get()).unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\n{said}{SAYS}listens {}", listener.local_addr().unwrap());
    server.serve(listener, CancellationToken::new()).await;
}
