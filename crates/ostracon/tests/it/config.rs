//! `config`: what is printed is what is in force, what is wrong is said.

use crate::support::{Data, json, ostracon, run, said};

#[test]
fn without_anything_it_prints_the_defaults() {
    let printed = json(&["config", "print", "--json"]);
    let defaults = serde_json::to_value(ostracon_server::Config::default()).unwrap();
    assert_eq!(printed, defaults);
    assert_eq!(said(&["config", "print"]).trim(), ostracon_server::config::example().trim());
}

#[test]
fn what_is_printed_reads_back_as_the_same() {
    let data = Data::new();
    let file = data.text("config.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:9\"\n[limits]\ngroup_members_max = 7\n").unwrap();
    let printed = said(&["config", "print", "--config", &file]);
    std::fs::write(&file, &printed).unwrap();
    assert_eq!(said(&["config", "print", "--config", &file]), printed);
    assert!(printed.contains("group_members_max = 7"));
}

#[test]
fn the_environment_beats_the_file() {
    let data = Data::new();
    let file = data.text("config.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:9\"\n").unwrap();
    let mut command = ostracon(&["config", "print", "--json", "--config", &file]);
    let output = command.env("OSTRACON_LISTEN", "127.0.0.1:10").output().unwrap();
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["listen"], "127.0.0.1:10");
}

#[test]
fn what_is_wrong_is_said() {
    let data = Data::new();
    let file = data.text("config.toml");
    for (text, word) in [
        ("lisen = \"x\"\n", "lisen"),
        ("listen = \"nowhere\"\n", "listen"),
        ("[limits]\ngroup_members_max = 1\n", "group_members_max"),
    ] {
        std::fs::write(&file, text).unwrap();
        let check = run(&["config", "check", "--config", &file]);
        assert_eq!(check.status.code(), Some(1), "{text}");
        assert!(String::from_utf8_lossy(&check.stdout).contains(word), "{text}");
        let check = run(&["config", "check", "--json", "--config", &file]);
        assert!(String::from_utf8_lossy(&check.stdout).contains(word), "{text}");
    }
    std::fs::write(&file, "").unwrap();
    assert_eq!(said(&["config", "check", "--config", &file]), "");
    assert_eq!(
        json(&["config", "check", "--json", "--config", &file])["problems"],
        serde_json::json!([])
    );
}
