//! Where the directory and the shards of these servers are: in the data directory, or on PostgreSQL when a variable names
//! a server.
//!
//! One of the tests starts a PostgreSQL server and this very binary again, so that every story is told on both.

use std::{
    env,
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    path::Path,
};

use ostracon_server::{Config, config};
use ostracon_store_postgres::testing::Server;
use tokio::process::Command;

/// Address of the server that holds them, such as `postgres://app@127.0.0.1:5432/postgres`.
const URL: &str = "OSTRACON_CONFORMANCE_POSTGRES";
/// Shards of a server on PostgreSQL.
const SHARDS: u16 = 2;
/// Stories that say themselves where everything is, and a long one about sockets, whatever lies behind them.
const TOLD_ONCE: [&str; 4] = ["backend::", "data_dir::", "shard_lost::", "hostile::slow_reader::"];

/// Puts directory and shards of a server where the stories are told now. Every data directory has its own, and finds them
/// again.
pub(crate) fn choose(config: &mut Config) {
    let Ok(url) = env::var(URL) else { return };
    let name = schema(&config.data_dir);
    let shard = |id| config::Shard {
        id,
        url: format!("{url}?schema={name}_{id}").as_str().into(),
        ..config::Shard::default()
    };
    config.shards = (0..SHARDS).map(shard).collect();
    config.directory.url = format!("{url}?schema={name}_d").as_str().into();
}

/// Puts them into the data directory.
pub(crate) fn embedded(config: &mut Config) {
    config.shards.clear();
    config.directory = config::Directory::default();
}

/// A schema's name that is another one for every folder.
fn schema(data_dir: &Path) -> String {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    format!("s{:016x}", hasher.hash_one(data_dir))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_story_is_true_on_postgres() {
    if env::var_os(URL).is_some() {
        return;
    }
    let server = Server::start();
    let mut again = Command::new(env::current_exe().unwrap());
    again.env(URL, server.url()).kill_on_drop(true);
    for skipped in TOLD_ONCE {
        again.args(["--skip", skipped]);
    }
    let output = again.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    let told = said.lines().filter(|line| line.starts_with("test ") && line.ends_with("... ok"));
    assert!(told.count() > 50, "few stories were told: {said}");
}
