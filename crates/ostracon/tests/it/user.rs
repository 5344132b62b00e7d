//! `user`: one, many, from a file; passwords from standard input; over the socket and over a URL.

use crate::support::{Data, Server, complaint, json, ostracon, run, run_with_input, said};

#[test]
fn users_are_added_and_listed() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let dir = ["--data-dir", server.dir.as_str()];

    let alice = run_with_input(
        &["user", "add", "Alice", "--display-name", "Alice A.", dir[0], dir[1]],
        "correct horse\n",
    );
    assert!(alice.status.success(), "{}", complaint(&alice));
    let many =
        json(&["user", "add", "--count", "1200", "--prefix", "load", "--json", dir[0], dir[1]]);
    assert_eq!(many["users"].as_array().unwrap().len(), 1200);
    assert_eq!(many["users"][1199]["username"], "load1200");

    let listed = json(&["user", "list", "--json", dir[0], dir[1]]);
    let users = listed["users"].as_array().unwrap();
    assert_eq!(users.len(), 1201);
    assert_eq!(
        (&users[0]["username"], &users[0]["display_name"]),
        (&"alice".into(), &"Alice A.".into())
    );
    let table = said(&["user", "list", "--query", "alice", dir[0], dir[1]]);
    assert!(table.contains("Alice A.") && !table.contains("load1"), "{table}");

    let again = run_with_input(&["user", "add", "alice", dir[0], dir[1]], "correct horse\n");
    assert_eq!(again.status.code(), Some(1));
    assert!(complaint(&again).contains("taken"), "{}", complaint(&again));
}

#[test]
fn names_come_from_a_file() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let file = data.text("names");
    std::fs::write(&file, "bob\n\n  carol\n").unwrap();
    said(&["user", "add", "--file", &file, "--data-dir", &server.dir]);
    let listed = json(&["user", "list", "--json", "--data-dir", &server.dir]);
    assert_eq!(listed["users"][1]["username"], "carol");
    std::fs::write(&file, "\n").unwrap();
    let empty = run(&["user", "add", "--file", &file, "--data-dir", &server.dir]);
    assert!(complaint(&empty).contains("holds no name"));
}

#[test]
fn a_password_is_set_and_works() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let dir = server.dir.as_str();
    said(&["user", "add", "bob", "--no-password", "--data-dir", dir]);
    let set = run_with_input(&["user", "passwd", "bob", "--data-dir", dir], "staple battery\n");
    assert!(set.status.success(), "{}", complaint(&set));
    assert!(!String::from_utf8_lossy(&set.stdout).contains("staple"));
    let made_up = json(&["user", "passwd", "bob", "--generate", "--json", "--data-dir", dir]);
    assert!(made_up["password"].as_str().unwrap().len() >= 16);
    let short = run_with_input(&["user", "passwd", "bob", "--data-dir", dir], "short\n");
    assert_eq!(short.status.code(), Some(1));
    let none = run(&["user", "passwd", "bob", "--data-dir", dir]);
    assert!(complaint(&none).contains("no password on standard input"), "{}", complaint(&none));
}

#[test]
fn an_admin_works_over_a_url() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let dir = server.dir.as_str();
    let users = server.users(&["root", "plain"]);
    said(&["user", "role", "root", "admin", "--data-dir", dir]);
    let list = |token: &str| {
        let mut command = ostracon(&["user", "list", "--json", "--url", &server.url]);
        command.env("OSTRACON_TOKEN", token).output().unwrap()
    };
    assert!(list(&users[0].1).status.success());
    let refused = list(&users[1].1);
    assert_eq!(refused.status.code(), Some(1));
    assert!(complaint(&refused).contains("forbidden"), "{}", complaint(&refused));

    let token = said(&["user", "token", "root", "--device", "laptop", "--data-dir", dir]);
    assert!(list(token.trim()).status.success());
    let without = run(&["user", "list", "--url", &server.url]);
    assert!(complaint(&without).contains("OSTRACON_TOKEN"), "{}", complaint(&without));
}

#[test]
fn a_stopped_server_is_named_with_what_to_do() {
    let data = Data::new();
    let dir = data.text("data");
    Server::start(&dir).stop();
    for arguments in [&["user", "list"][..], &["debug", "sharding"], &["user", "token", "x"]] {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--data-dir", &dir]);
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(1));
        let words = complaint(&output);
        assert!(words.contains(&format!("ostracon serve --data-dir {dir}")), "{words}");
    }
}

#[test]
fn an_account_goes_out_of_use_and_comes_back() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let dir = server.dir.as_str();
    said(&["user", "add", "bob", "--no-password", "--data-dir", dir]);
    let words = said(&["user", "deactivate", "bob", "--data-dir", dir]);
    assert_eq!(words.trim(), "The account bob is out of use now.");
    let listed = json(&["user", "list", "--json", "--data-dir", dir]);
    assert_eq!(listed["users"][0]["active"], false);
    let token = run(&["user", "token", "bob", "--data-dir", dir]);
    assert!(complaint(&token).contains("deactivated"), "{}", complaint(&token));
    said(&["user", "activate", "bob", "--data-dir", dir]);
    said(&["user", "token", "bob", "--data-dir", dir]);
}

#[test]
fn invites_are_made_listed_and_revoked() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let dir = server.dir.as_str();
    let code =
        said(&["user", "invite", "create", "--uses", "3", "--note", "team", "--data-dir", dir]);
    assert!(code.starts_with("inv_"), "{code}");
    let listed = said(&["user", "invite", "list", "--data-dir", dir]);
    assert!(listed.contains("team") && !listed.contains(code.trim()), "{listed}");
    let json = json(&["user", "invite", "list", "--json", "--data-dir", dir]);
    let id = json["invites"][0]["invite_id"].to_string();
    said(&["user", "invite", "revoke", &id, "--data-dir", dir]);
    let again = run(&["user", "invite", "revoke", &id, "--data-dir", dir]);
    assert_eq!(again.status.code(), Some(1));
    assert!(complaint(&again).contains("there is no invite"), "{}", complaint(&again));
}
