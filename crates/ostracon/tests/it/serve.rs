//! `serve`: the ready line, the demo, signals, the lock.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::support::{Data, Server, complaint, ostracon, run, signal};

fn get(listen: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(listen).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_says_where_it_is_and_is_there() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    assert_ne!(server.listen(), "127.0.0.1:0");
    assert_eq!(server.ready["pid"], server.process());
    assert!(get(&server.listen(), "/readyz").starts_with("HTTP/1.1 200"));
    assert!(server.stop().success());
}

#[test]
fn the_ready_line_is_friendly_and_demo_passwords_are_shown_once() {
    let data = Data::new();
    let dir = data.text("data");
    let start = || {
        let arguments = [
            "serve",
            "--data-dir",
            &dir,
            "--listen",
            "127.0.0.1:0",
            "--demo",
            "--log-level",
            "off",
        ];
        let mut child = ostracon(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            lines.push(line.unwrap());
            if lines.last().unwrap().starts_with("Ostracon is ready on http://127.0.0.1:") {
                break;
            }
        }
        signal(&child, Signal::INT);
        assert!(child.wait().unwrap().success());
        lines
    };
    let first = start();
    assert_eq!(first.len(), 4, "{first:?}");
    for (line, name) in first.iter().zip(["alice", "bob", "carol"]) {
        assert!(line.starts_with(&format!("Made user {name}, password ")), "{line}");
    }
    assert_eq!(start().len(), 1);
}

#[test]
fn a_fresh_start_is_quick() {
    let data = Data::new();
    let dir = data.text("data");
    Server::start(&dir).stop();
    let begun = Instant::now();
    let server = Server::start(&dir);
    // Ten times what an idle machine needs: this one is busy with other tests.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(server);
}

#[test]
fn a_second_process_is_refused_in_words() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let second = run(&["serve", "--data-dir", &server.dir, "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    let words = complaint(&second);
    assert!(words.contains("is in use by another process"), "{words}");
    assert!(words.contains(&server.process().to_string()), "{words}");
    assert!(get(&server.listen(), "/healthz").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_taken_port_is_refused_in_words() {
    let data = Data::new();
    let server = Server::start(&data.text("one"));
    let other = data.text("two");
    let second = run(&["serve", "--data-dir", &other, "--listen", &server.listen()]);
    assert_eq!(second.status.code(), Some(1));
    assert!(complaint(&second).contains("cannot listen on"), "{}", complaint(&second));
}

#[test]
fn it_stops_while_clients_are_connected() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let idle = TcpStream::connect(server.listen()).unwrap();
    assert!(server.stop().success());
    drop(idle);
}
