//! Connections with TLS to a real server: whose certificate is believed, by the `sslmode` of the address.

use std::{fs, path::Path, process::Command};

use ostracon_domain::Epoch;
use ostracon_store_postgres::{
    OpenError, PostgresOptions, PostgresShard, UrlError, check_url, testing::Server,
};

use crate::fixture::{CLUSTER, SHARD, ids, say, texts, units};

fn options(url: &str) -> Result<PostgresOptions, UrlError> {
    PostgresOptions::new(url, CLUSTER, SHARD, ids(1))
}

async fn opened(url: &str) -> Result<PostgresShard, OpenError> {
    let options = options(url).unwrap();
    PostgresShard::format(&options, units().map(|unit| (unit, Epoch(1)))).await?;
    PostgresShard::connect(options).await
}

/// Why a shard cannot be opened at an address.
async fn refused(url: &str) -> String {
    match opened(url).await {
        Ok(_) => panic!("{url} was believed"),
        Err(error) => error.to_string(),
    }
}

/// Another authority, which has signed nothing.
fn stranger(dir: &Path) -> String {
    let (key, certificate) = (dir.join("key"), dir.join("crt"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x"])
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    certificate.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_is_reached_with_tls_and_only_if_its_server_is_believed() {
    let server = Server::start();
    let authority = server.tell("tls");
    let plain = server.url();
    let dir = tempfile::tempdir().unwrap();
    let stranger = stranger(dir.path());
    let with = |more: &str| format!("{plain}?{more}");
    let elsewhere = |more: &str| plain.replace("127.0.0.1", "localhost") + "?" + more;

    // The server takes no plain connection, so whatever serves is encrypted.
    for url in [plain.clone(), with("sslmode=disable")] {
        let why = refused(&url).await;
        assert!(why.contains("no encryption"), "{why}");
    }
    let mut said = Vec::new();
    for (n, url) in [
        with("sslmode=require"),
        with("sslmode=prefer"),
        with(&format!("sslmode=require&sslrootcert={authority}")),
        with(&format!("sslmode=verify-ca&sslrootcert={authority}")),
        elsewhere(&format!("sslmode=verify-ca&sslrootcert={authority}")),
        with(&format!("sslmode=verify-full&sslrootcert={authority}")),
        with(&format!("sslrootcert={}&sslmode=verify-full", authority.replace('/', "%2F"))),
    ]
    .into_iter()
    .enumerate()
    {
        let shard = opened(&url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        said.push(n.to_string());
        say(&shard, &n.to_string()).await.unwrap();
        assert_eq!(texts(&shard).await, said, "{url}");
    }

    for url in [
        with("sslmode=verify-full"),
        with("sslmode=verify-ca"),
        with(&format!("sslmode=require&sslrootcert={stranger}")),
        with(&format!("sslmode=verify-ca&sslrootcert={stranger}")),
        with(&format!("sslmode=verify-full&sslrootcert={stranger}")),
        elsewhere(&format!("sslmode=verify-full&sslrootcert={authority}")),
    ] {
        let why = match options(&url) {
            Ok(_) => refused(&url).await,
            // A machine without any list of authorities.
            Err(error) => error.to_string(),
        };
        assert!(why.contains("TLS") || why.contains("certif"), "{url}: {why}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty");
    fs::write(&empty, "").unwrap();
    let refused = |more: &str| {
        let url = format!("postgres://me:secret@db/chat?{more}");
        let error = check_url(&url).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        error
    };
    assert!(refused("sslmode=allow").contains("sslmode is one of"));
    assert!(refused("sslmode=require&sslrootcert=/nowhere").contains("cannot be read"));
    let empty = format!("sslmode=verify-full&sslrootcert={}", empty.to_str().unwrap());
    assert!(refused(&empty).contains("no certificate"));
    assert!(refused("sslmode=verify-full&sslrootcert=%zz").contains("no path"));
}
