//! Stories of configuration files, variables and flags.

use super::*;

fn load(file: &str, env: &[(&str, &str)], flags: Flags) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, file).unwrap();
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Config::load(Some(&path), env, flags).map_err(|error| error.to_string())
}

#[test]
fn the_example_is_the_default() {
    let read: Config = toml::from_str(&example()).unwrap();
    assert_eq!(read, Config::default());
    read.check().unwrap();
    let keys = toml::Table::try_from(Config::default()).unwrap();
    for (name, value) in &keys {
        if let Some(section) = value.as_table() {
            assert!(example().contains(&format!("\n[{name}]\n")), "{name}");
            for key in section.keys() {
                assert!(example().contains(&format!("\n{key} = ")), "{name}.{key}");
            }
        }
    }
}

#[test]
fn a_printed_configuration_reads_back() {
    let mut config =
        Config { shards: vec![Shard { id: 7, ..Shard::default() }], ..Config::default() };
    config.jwt.audience = "a \"quoted\" one".to_owned();
    let read: Config = toml::from_str(&config.to_toml()).unwrap();
    assert_eq!(read, config);
}

#[test]
fn passwords_of_databases_are_not_shown() {
    let shard = |id, url: &str| Shard { id, url: url.into(), ..Shard::default() };
    let url = "postgres://me:sesame@127.0.0.1:5432/chat?schema=a";
    let config = Config { shards: vec![shard(0, url), shard(1, "embedded")], ..Config::default() };
    config.check().unwrap();
    let shown = config.to_toml();
    assert!(!shown.contains("sesame"), "{shown}");
    let replica = Shard { replica: url.into(), ..shard(0, "embedded") };
    let config_with_replica = Config { shards: vec![replica], ..Config::default() };
    assert!(!config_with_replica.to_toml().contains("sesame"));
    assert!(config_with_replica.check().is_err(), "an embedded shard has no replica");
    assert!(shown.contains("postgres://me:***@127.0.0.1:5432/chat?schema=a"), "{shown}");
    for shown in [format!("{config:?}"), serde_json::to_string(&config).unwrap()] {
        assert!(!shown.contains("sesame"), "{shown}");
    }

    let wrong = ["mysql://me:sesame@db", "postgres://me:sesame@db:x/chat"];
    for url in wrong {
        let config = Config { shards: vec![shard(0, url)], ..Config::default() };
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("shard 0") && !error.contains("sesame"), "{error}");
    }
}

#[test]
fn flags_beat_variables_and_these_beat_the_file() {
    let file = "listen = '0.0.0.0:1'\ndata_dir = 'a'\n[limits]\ngroup_members_max = 7\n";
    let env = [
        ("OSTRACON_LISTEN", "0.0.0.0:2"),
        ("OSTRACON_DATA_DIR", "b"),
        ("OSTRACON_RATE_LIMITS__BURST", "9"),
        ("OSTRACON_AUTH__REGISTRATION", "closed"),
        ("OSTRACON_TOKEN", "for another program"),
        ("PATH", "/bin"),
    ];
    let flags =
        Flags { listen: Some("0.0.0.0:3".to_owned()), no_rate_limits: true, ..Flags::default() };
    let config = load(file, &env, flags).unwrap();
    assert_eq!(config.listen, "0.0.0.0:3");
    assert_eq!(config.data_dir, std::path::PathBuf::from("b"));
    assert_eq!(config.limits.group_members_max, 7);
    assert_eq!(config.rate_limits.burst, 9);
    assert!(!config.rate_limits.enabled);
    assert_eq!(config.auth.registration, Registration::Closed);
}

#[test]
fn what_is_unknown_or_wrong_is_named() {
    for (file, env, expect) in [
        ("lisen = 'x'", ("A", "B"), "lisen"),
        ("[limits]\nmembers = 3", ("A", "B"), "members"),
        ("", ("OSTRACON_LIMITS__MEMBERS", "3"), "OSTRACON_LIMITS__MEMBERS"),
        ("", ("OSTRACON_LIMITS__GROUP_MEMBERS_MAX", "x"), "whole number"),
        ("", ("OSTRACON_AUTH__REGISTRATION", "perhaps"), "OSTRACON_AUTH__REGISTRATION"),
    ] {
        let error = load(file, &[env], Flags::default()).unwrap_err();
        assert!(error.contains(expect), "{error}");
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let mut config = Config { listen: "nowhere".to_owned(), ..Config::default() };
    config.limits.frame_bytes_max = 1;
    config.connections.silence_s = 1;
    config.jwt.algorithm = JwtAlgorithm::HS256;
    let told = config.check().unwrap_err().to_string();
    for key in ["listen", "frame_bytes_max", "silence_s", "jwt.key_file"] {
        assert!(told.contains(key), "{told}");
    }
}
