//! What an operator sees of a shard whose database goes and comes back: metrics, few lines in the log, and never the
//! password of a database.

use std::{
    fs::{self, File},
    process::Stdio,
};

use ostracon_client::{Api, ApiError};
use ostracon_domain::{ConversationId, PlacementMap, ShardId, UserId};
use ostracon_proto::frame::OutgoingMessage;
use ostracon_store_postgres::testing::Server as Postgres;
use tokio::runtime::Runtime;

use crate::support::{Data, Server, run, runtime};

/// Stands in the address of every database.
const PASSWORD: &str = "correct-horse-7";
const NAMES: [&str; 8] = ["ann", "bob", "cleo", "dora", "emil", "fritz", "gina", "hugo"];
/// Calls while the database is gone.
const CALLS: u32 = 40;
/// Looks at the metrics until something is there.
const TRIES_MAX: u32 = 50_000;

fn with_password(url: &str) -> String {
    url.replace("app@", &format!("app:{PASSWORD}@"))
}

/// Shard 0 on one server, shard 1 on another.
fn configuration(data: &Data, servers: [&Postgres; 2]) -> String {
    let shards = servers.iter().enumerate().map(|(id, server)| {
        format!("[[shards]]\nid = {id}\nurl = \"{}\"\n", with_password(&server.url()))
    });
    let path = data.text("ostracon.toml");
    fs::write(&path, shards.collect::<String>()).unwrap();
    path
}

/// A user and a direct conversation of the user that lives on a shard.
fn talk_on(shard: ShardId, users: &[(u64, String)]) -> (&str, ConversationId) {
    let map = PlacementMap::initial(&[ShardId(0), ShardId(1)]);
    let pairs = users.iter().flat_map(|one| users.iter().map(move |other| (one, other)));
    let mut talks = pairs.map(|((one, token), (other, _))| {
        let id = |user| UserId::new(user).unwrap();
        (token.as_str(), ConversationId::direct(id(*one), id(*other)))
    });
    talks.find(|(_, id)| map.home(map.unit_of(*id)).unwrap().shard == shard).unwrap()
}

fn send(runtime: &Runtime, api: &Api, to: ConversationId, n: u32) -> Result<(), ApiError> {
    let mut message = OutgoingMessage::text("hello");
    message.client_id = Some(format!("c{n}").into());
    runtime.block_on(api.send(to, &message)).map(drop)
}

fn gauge(server: &Server, name: &str, shard: u32) -> f64 {
    let metrics = server.operator_gets("/metrics");
    let start = format!("ostracon_{name}{{shard=\"{shard}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(start.as_str()));
    line.unwrap_or_else(|| panic!("no {start} in {metrics}")).parse().unwrap()
}

#[test]
fn a_database_that_goes_is_told_once_and_its_password_never() {
    let data = Data::new();
    let (stays, goes) = (Postgres::start(), Postgres::start());
    let config = configuration(&data, [&stays, &goes]);
    let log = data.path("log");
    let (dir, more) = (data.text("data"), ["--config", &config]);
    let server = Server::start_logging(
        &dir,
        "127.0.0.1:0",
        &more,
        "info",
        Stdio::from(File::create(&log).unwrap()),
    );
    let users = server.users(&NAMES);
    let runtime = runtime();
    let (near_token, near) = talk_on(ShardId(0), &users);
    let (far_token, far) = talk_on(ShardId(1), &users);
    let (near_api, far_api) = (server.api(near_token), server.api(far_token));
    for (api, to) in [(&near_api, near), (&far_api, far)] {
        send(&runtime, api, to, 0).unwrap();
    }

    assert_eq!([gauge(&server, "circuit_open", 0), gauge(&server, "circuit_open", 1)], [0.0, 0.0]);
    for shard in [0, 1] {
        assert!(gauge(&server, "pool_connections_max", shard) >= 1.0);
        let is_used = (0..TRIES_MAX).any(|_| {
            let idle = gauge(&server, "pool_connections_idle", shard);
            idle + gauge(&server, "pool_connections_in_use", shard) >= 1.0
        });
        assert!(is_used, "the pool of shard {shard} has no connection");
        assert_eq!(gauge(&server, "pool_requests_waiting", shard), 0.0);
    }

    goes.tell("kill");
    for n in 1..=CALLS {
        let error = send(&runtime, &far_api, far, n).unwrap_err();
        assert!(error.to_string().contains("shard_unavailable"), "{error}");
        send(&runtime, &near_api, near, n).unwrap();
    }
    assert_eq!([gauge(&server, "circuit_open", 0), gauge(&server, "circuit_open", 1)], [0.0, 1.0]);
    goes.tell("restart");
    let is_back = (0..TRIES_MAX).any(|_| gauge(&server, "circuit_open", 1) == 0.0);
    assert!(is_back, "the shard does not serve again");
    for n in 1..=CALLS {
        send(&runtime, &far_api, far, n).unwrap();
    }

    let lines = fs::read_to_string(&log).unwrap();
    let about = |words: &str| lines.lines().filter(|line| line.contains(words)).count();
    assert_eq!(about("a database does not serve"), 1, "{lines}");
    // At the start, and when it came back.
    assert_eq!(about("a database serves shard=1"), 2, "{lines}");
    assert!(about("WARN") + about("ERROR") < 8, "{lines}");
    server.stop();
}

/// Everything an operator can make it say.
#[test]
fn no_password_of_a_database_is_ever_shown() {
    let data = Data::new();
    let (first, second) = (Postgres::start(), Postgres::start());
    let config = configuration(&data, [&first, &second]);
    let log = data.path("log");
    let (dir, more) = (data.text("data"), ["--config", &config]);
    let server = Server::start_logging(
        &dir,
        "127.0.0.1:0",
        &more,
        "debug",
        Stdio::from(File::create(&log).unwrap()),
    );
    let users = server.users(&NAMES);
    let runtime = runtime();
    let (token, far) = talk_on(ShardId(1), &users);
    let api = server.api(token);
    send(&runtime, &api, far, 0).unwrap();

    let third = with_password(&first.url());
    let wrong = [
        third.replace("/postgres", "/nowhere"),
        third.replace("127.0.0.1", "127.0.0.1:x"),
        third.replace("127.0.0.1", "no-such-host.invalid"),
        format!("{third}?sslmode=x"),
        format!("{third}?schema=A'"),
        third.replace("postgres://", "mysql://"),
        third.replace("app:", "app:@/?"),
    ];
    let mut asked: Vec<Vec<&str>> =
        wrong.iter().chain([&third]).map(|url| vec!["shards", "add", "--url", url]).collect();
    for command in [
        "shards status",
        "shards status --json",
        "shards plan --add 1 --dry-run",
        "shards moves",
        "shards hot",
        "audit",
        "audit --json",
        "debug sharding",
    ] {
        asked.push(command.split(' ').collect());
    }
    let mut said = String::new();
    let mut ask = |arguments: &[&str]| {
        let output = run(&[arguments, &["--data-dir", &dir]].concat());
        said += &String::from_utf8_lossy(&output.stdout);
        said += &String::from_utf8_lossy(&output.stderr);
    };
    asked.iter().for_each(|arguments| ask(arguments));
    second.tell("kill");
    send(&runtime, &api, far, 1).unwrap_err();
    for arguments in [&["shards", "status"][..], &["doctor"], &["verify"], &["debug", "sharding"]] {
        ask(arguments);
    }
    said += &server.operator_gets("/readyz");
    said += &server.operator_gets("/api/v1/admin/shards");
    said += &server.operator_gets("/metrics");
    server.stop();
    let output = run(&["config", "show", "--config", &config, "--data-dir", &dir]);
    said += &String::from_utf8_lossy(&output.stdout);
    said += &String::from_utf8_lossy(&output.stderr);
    // Offline, and a start that fails.
    for url in [&wrong[0], &wrong[1], &wrong[3]] {
        fs::write(&config, format!("[[shards]]\nid = 0\nurl = \"{url}\"\n")).unwrap();
        let output = run(&["serve", "--config", &config, "--data-dir", &data.text("other")]);
        assert!(!output.status.success());
        said += &String::from_utf8_lossy(&output.stderr);
    }
    said += &fs::read_to_string(&log).unwrap();
    let shown: Vec<_> = said.lines().filter(|line| line.contains(PASSWORD)).collect();
    assert!(shown.is_empty(), "{shown:#?}");
    assert!(said.contains("app:***@"), "addresses are shown without their passwords");
}
