//! `shards`, `doctor` and `audit`, as an operator types them: while somebody talks, over restarts and kill -9.

use std::process::Output;

use ostracon_domain::{ConversationId, UserId};
use ostracon_proto::frame::OutgoingMessage;
use serde_json::Value;

use crate::support::{Data, Server, complaint, json, ostracon, run, runtime, said};

/// `shards` with these arguments on the server's data directory.
fn shards(server: &Server, arguments: &[&str]) -> Output {
    run(&with_dir(server, arguments))
}

fn with_dir<'a>(server: &'a Server, arguments: &[&'a str]) -> Vec<&'a str> {
    [&["shards"], arguments, &["--data-dir", &server.dir]].concat()
}

fn shards_json(server: &Server, arguments: &[&str]) -> Value {
    json(&[&with_dir(server, arguments)[..], &["--json"]].concat())
}

fn shards_said(server: &Server, arguments: &[&str]) -> String {
    said(&with_dir(server, arguments))
}

fn send(
    server: &Server,
    users: &[(u64, String)],
    texts: impl Iterator<Item = u64>,
) -> ConversationId {
    let id = |user: u64| UserId::new(user).unwrap();
    let conversation = ConversationId::direct(id(users[0].0), id(users[1].0));
    let api = server.api(&users[0].1);
    runtime().block_on(async {
        for n in texts {
            let mut message = OutgoingMessage::text(format!("message {n}"));
            message.client_id = Some(format!("c{n}").into());
            api.send(conversation, &message).await.unwrap();
        }
    });
    conversation
}

fn is_quiet(server: &Server) -> bool {
    let status = shards_json(server, &["status"]);
    status["garbage"] == 0 && status["moves"] == 0
}

/// Until leftovers are gone; each look is a process of its own.
fn settle(server: &Server) {
    let quiet = (0..600).any(|_| is_quiet(server));
    assert!(quiet, "{}", shards_json(server, &["status"]));
}

#[test]
fn an_operator_adds_a_shard_moves_a_pair_there_and_back() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let users = server.users(&["alice", "bob"]);
    let conversation = send(&server, &users, 0..20);

    assert!(shards_said(&server, &["status"]).contains("accepting"));
    let added = shards_json(&server, &["add", "--url", "embedded"]);
    assert_eq!(added["shard"], 4);
    let dry = shards_said(&server, &["plan", "--add", "1", "--dry-run"]);
    assert!(dry.contains("dry run") && dry.contains("3,276 units"), "{dry}");
    assert!(shards_said(&server, &["moves"]).contains("Nothing was ever moved."));

    let moved = shards_json(&server, &["move", "--pair", "alice:bob", "--to", "4", "--wait"]);
    let mut keys: Vec<_> = moved.as_object().unwrap().keys().cloned().collect();
    keys.sort_unstable();
    let told = "bytes freeze_ms freezes job_id moves refused rows seconds state units";
    assert_eq!(keys.join(" "), told);
    assert_eq!(
        (&moved["state"], &moved["units"], &moved["refused"]),
        (&Value::from("done"), &Value::from(1), &Value::from(0))
    );
    assert!(moved["rows"].as_u64().unwrap() >= 20 && moved["freezes"].as_u64().unwrap() >= 2);
    let job = moved["job_id"].to_string();
    let where_it_is = json(&[
        "debug",
        "messages",
        &conversation.to_string(),
        "--json",
        "--data-dir",
        &server.dir,
    ]);
    assert_eq!(where_it_is["shard"], 4);
    send(&server, &users, 20..25);

    let shown = shards_said(&server, &["show", &job]);
    assert!(
        shown.contains("carve") && shown.contains(&format!("ostracon shards undo {job}")),
        "{shown}"
    );
    assert!(shards_said(&server, &["overrides"]).contains(&conversation.to_string()));
    assert!(shards_said(&server, &["moves"]).contains("done"));
    assert!(shards_said(&server, &["moves", "--watch"]).contains("No job runs."));
    let again = shards_json(&server, &["move", "--pair", "alice:bob", "--to", "4", "--wait"]);
    assert_eq!((&again["state"], &again["moves"]), (&Value::from("done"), &Value::from(0)));

    settle(&server);
    let refused = shards(&server, &["remove", "4"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaint(&refused).contains("it is the home of 1 units"), "{}", complaint(&refused));
    let undone = shards_json(&server, &["undo", &job, "--wait"]);
    assert_eq!(undone["state"], "done");
    settle(&server);
    assert!(shards_said(&server, &["overrides"]).contains("Everything lives in its slot."));
    assert!(shards_said(&server, &["remove", "4"]).contains("forgotten"));
    assert!(shards_said(&server, &["gc"]).contains("Nothing is left behind."));
    assert!(said(&["doctor", "--data-dir", &server.dir]).contains("Everything agrees."));
    server.verify();
    let audit = said(&["audit", "--data-dir", &server.dir]);
    for action in ["shard.add", "job.plan", "job.state", "shard.remove", "local socket"] {
        assert!(audit.contains(action), "{action}: {audit}");
    }
    let audit = json(&["audit", "--limit", "1", "--json", "--data-dir", &server.dir]);
    assert_eq!(audit["entries"].as_array().unwrap().len(), 1);

    // A kill and a start: nothing of all that stands in the way.
    let dir = server.dir.clone();
    server.kill();
    let server = Server::start(&dir);
    assert_eq!(shards_json(&server, &["status"])["shards"].as_array().unwrap().len(), 4);
    server.verify();
}

#[test]
fn a_job_goes_on_after_kill_9() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let users = server.users(&["alice", "bob"]);
    send(&server, &users, 0..50);
    shards_json(&server, &["add", "--url", "embedded"]);
    let begun = shards_json(&server, &["move", "--slot", "0..400", "--to", "4"]);
    assert_eq!(begun["state"], "running");
    let job = begun["job_id"].to_string();
    let dir = server.dir.clone();
    server.kill();

    let server = Server::start(&dir);
    let ended = (0..3_000).find_map(|_| {
        let job = shards_json(&server, &["show", &job]);
        (job["state"] != "running").then_some(job)
    });
    let ended = ended.expect("it ends");
    assert_eq!(ended["state"], "done", "{ended}");
    let status = shards_json(&server, &["status"]);
    assert_eq!(status["shards"][4]["units"], 400);
    settle(&server);
    server.verify();
    assert!(said(&["doctor", "--data-dir", &server.dir]).contains("Everything agrees."));
    send(&server, &users, 50..55);
    assert!(server.stop().success());
}

#[test]
fn a_user_is_isolated_from_afar_by_an_admin_and_by_nobody_else() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let users = server.users(&["alice", "bob", "carol"]);
    send(&server, &users, 0..5);
    send(&server, &[users[0].clone(), users[2].clone()], 0..5);
    let from_afar = |token: &str, arguments: &[&str]| {
        let mut command = ostracon(&[arguments, &["--url", &server.url, "--json"]].concat());
        command.env("OSTRACON_TOKEN", token).output().unwrap()
    };
    let refused = from_afar(&users[0].1, &["shards", "status"]);
    assert!(complaint(&refused).contains("admin role"), "{}", complaint(&refused));
    said(&["user", "role", "carol", "admin", "--data-dir", &server.dir]);
    shards_json(&server, &["add", "--url", "embedded"]);
    let moved =
        from_afar(&users[2].1, &["shards", "move", "--user", "alice", "--to", "4,1", "--wait"]);
    assert!(moved.status.success(), "{}", complaint(&moved));
    let report: Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert_eq!(report["state"], "done", "{report}");
    assert!(shards_said(&server, &["overrides"]).contains("4,1"));
    let audit = from_afar(&users[2].1, &["audit"]);
    let audit: Value = serde_json::from_slice(&audit.stdout).unwrap();
    let planned = audit["entries"].as_array().unwrap().iter();
    let planned: Vec<_> = planned.filter(|entry| entry["action"] == "job.plan").collect();
    assert!(planned[0]["who"].as_str().unwrap().starts_with("carol"), "{planned:?}");
    assert_eq!(planned[0]["from"], "127.0.0.1");
    server.verify();

    // A back-up has the shard that came later, and lists follow also of those who live apart.
    send(&server, &users, 5..8);
    let copy = data.text("copy");
    said(&["backup", &copy, "--data-dir", &server.dir]);
    let restored = data.text("restored");
    said(&["restore", &copy, "--data-dir", &restored]);
    let server = Server::start(&restored);
    server.verify();
    assert_eq!(shards_json(&server, &["status"])["shards"].as_array().unwrap().len(), 5);
    assert!(shards_said(&server, &["overrides"]).contains("4,1"));
    send(&server, &users, 8..10);
}

#[test]
fn what_makes_no_sense_is_said_before_anything_is_asked() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    for (arguments, needle) in [
        (&["move", "--to", "1"][..], "required"),
        (&["move", "--slot", "1", "--user", "2", "--to", "1"][..], "cannot be used with"),
        (&["move", "--slot", "1"][..], "--to"),
        (&["plan"][..], "required"),
        (&["plan", "--add", "1", "--balance"][..], "cannot be used with"),
        (&["move", "--slot", "1", "--to", "9"][..], "there is no shard 9"),
        (&["move", "--user", "nobody", "--to", "1"][..], "No such user"),
        (&["apply", "77"][..], "There is no job 77"),
        (&["pause"][..], "there is no such job"),
        (&["add", "--url", "mysql://x"][..], "postgres://"),
    ] {
        let output = shards(&server, arguments);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(complaint(&output).contains(needle), "{arguments:?}: {}", complaint(&output));
    }
}
