//! The directory: the contract of the seam over one handle and over two, what two processes do to each other, what is
//! refused, and placement in SQL by ids of an existing system.

mod contract;
mod opening;
mod placement;
mod processes;
mod turns;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use ostracon_domain::{MapChange, ShardId, UnitId};
use ostracon_store::{
    Cluster as _, Moves as _,
    directory::{AccountRole, MoveRow, NewJob, NewMove, NewUser, ShardRow},
};
use ostracon_store_postgres::{DirectoryOptions, PostgresDirectory};
use tokio_postgres::{Client, NoTls};

use crate::fixture::shared_url;

const A: ShardId = ShardId(0);
const B: ShardId = ShardId(1);

/// Options of a schema on this server that no test has used yet.
fn options_on(url: &str) -> DirectoryOptions {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let url = format!("{url}?schema=directory_{number}");
    let mut options = DirectoryOptions::new(&url, None, u128::from(number) + 1).unwrap();
    // Many directories share one server here.
    options.access.connections = 4;
    options
}

fn options() -> DirectoryOptions {
    options_on(shared_url())
}

async fn open(options: &DirectoryOptions) -> Arc<PostgresDirectory> {
    Arc::new(PostgresDirectory::connect(options.clone()).await.unwrap())
}

/// Two handles of a new directory, as two processes have them.
async fn two() -> [Arc<PostgresDirectory>; 2] {
    let first = options();
    let mut second = first.clone();
    second.node += 1_000_000;
    [open(&first).await, open(&second).await]
}

/// The same, of a cluster of two shards: even slots are on A, odd ones on B.
async fn two_of_a_cluster() -> [Arc<PostgresDirectory>; 2] {
    let handles = two().await;
    handles[0].found(&[A, B].map(|id| ShardRow::new(id, "embedded"))).await.unwrap();
    handles
}

/// A move of units from A to B that is planned.
async fn planned(directory: &PostgresDirectory, units: &[u32]) -> MoveRow {
    let units = units.iter().copied().map(UnitId).collect();
    let change = MapChange::Move { units, to: B };
    let job = NewJob {
        title: "Move it".to_owned(),
        request: "{}".to_owned(),
        by: "operator".to_owned(),
        moves: vec![NewMove { source: A, destination: B, change }],
    };
    let job = directory.plan_job(job, 1).await.unwrap();
    directory.moves_of(job.id).await.unwrap().remove(0)
}

fn external(id: &str) -> NewUser {
    NewUser {
        username: None,
        external_id: Some(id.to_owned()),
        display_name: id.to_owned(),
        password_hash: None,
        role: AccountRole::User,
    }
}

/// A connection that looks into the schema.
async fn sql(options: &DirectoryOptions) -> Client {
    let (client, connection) = tokio_postgres::connect(shared_url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let schema = options.access.schema();
    client.batch_execute(&format!("SET search_path = {schema}")).await.unwrap();
    client
}
