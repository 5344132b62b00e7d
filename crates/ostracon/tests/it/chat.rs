//! Two people talk through pipes while the server is killed and started again under them.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{Data, Server, complaint, ostracon, run_with_input};

/// Longer than anything here takes, so that a failure says what is missing.
const PATIENCE: Duration = Duration::from_secs(60);

/// One chat process, driven line by line.
struct Chat {
    child: Child,
    input: ChildStdin,
    lines: Receiver<Value>,
    /// Everything said so far.
    said: Vec<Value>,
}

impl Chat {
    fn start(server: &Server, token: &str, more: &[&str]) -> Self {
        let mut arguments = vec!["chat", "--json", "--token-file", "-", "--url", &server.url];
        arguments.extend(more);
        let mut command = ostracon(&arguments);
        command.env("OSTRACON_TOKEN", token).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take().unwrap();
        Self { child, input, lines, said: Vec::new() }
    }

    fn type_line(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// Waits until something was said for which this holds; it may have been said before.
    fn until(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut looked_at = 0;
        loop {
            if let Some(found) = self.said[looked_at..].iter().find(|said| holds(said)) {
                return found.clone();
            }
            looked_at = self.said.len();
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(said) => self.said.push(said),
                Err(error) => panic!("{what}: {error}; said: {:#?}", self.said),
            }
        }
    }

    /// Waits for the next thing said for which this holds.
    fn next(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.said.clear();
        self.until(what, holds)
    }

    fn until_message(&mut self, text: &str) -> Value {
        self.until(text, |said| said["event"] == "message" && said["text"] == text)
    }

    /// Texts of messages in the order in which they were shown, with their seqs.
    fn messages(&self) -> Vec<(u64, String)> {
        let messages = self.said.iter().filter(|said| said["event"] == "message");
        messages
            .map(|said| (said["seq"].as_u64().unwrap(), said["text"].as_str().unwrap().to_owned()))
            .collect()
    }

    fn quit(mut self) -> bool {
        self.type_line("/quit");
        self.child.wait().unwrap().success()
    }
}

impl Drop for Chat {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is(event: &'static str) -> impl Fn(&Value) -> bool {
    move |said| said["event"] == event
}

#[test]
fn two_people_talk_while_the_server_is_killed() {
    let data = Data::new();
    let dir = data.text("data");
    let mut server = Server::start(&dir);
    let listen = server.listen();
    let users = server.users(&["alice", "bob"]);
    let mut alice = Chat::start(&server, &users[0].1, &["--to", "bob"]);
    let mut bob = Chat::start(&server, &users[1].1, &["--to", "alice"]);
    alice.until("connected", is("connected"));
    bob.until("connected", is("connected"));

    alice.type_line("hello bob");
    bob.until_message("hello bob");
    bob.type_line("hello alice");
    alice.until_message("hello alice");

    for round in 0..3 {
        // Typed while it dies: some of it before, some after.
        for n in 0..10 {
            alice.type_line(&format!("alice {round} {n}"));
            bob.type_line(&format!("bob {round} {n}"));
        }
        if round != 1 {
            alice.until_message(&format!("bob {round} 0"));
        }
        server.kill();
        alice.next("disconnected", is("disconnected"));
        alice.type_line(&format!("alice {round} while it is away"));
        server = Server::start_with(&dir, &listen, &[]);
        for chat in [&mut alice, &mut bob] {
            chat.until_message(&format!("alice {round} while it is away"));
            chat.until_message(&format!("bob {round} 9"));
        }
    }
    alice.type_line("/edit 1 hello again");
    bob.until("edit", |said| said["event"] == "edited" && said["text"] == "hello again");
    bob.type_line("/react 1 👍");
    alice.until("reaction", |said| said["event"] == "reactions" && said["reactions"] == "👍 1");
    bob.type_line("/delete 2");
    alice.until("deletion", |said| said["event"] == "deleted" && said["seq"] == 2);
    alice.until("receipt", |said| said["event"] == "read" && said["user"] == "bob");

    // A device that comes now sees the same, once and in order.
    let mut fresh = Chat::start(&server, &users[1].1, &["--to", "alice"]);
    fresh.until_message("alice 2 while it is away");
    fresh.until_message("bob 2 9");
    let shown = fresh.messages();
    let seqs: Vec<u64> = shown.iter().map(|(seq, _)| *seq).collect();
    let last = *seqs.last().unwrap();
    assert_eq!(last, 2 + 3 * 21);
    // The newest page has 50; one message is deleted.
    assert_eq!(seqs, (last - 49..=last).collect::<Vec<_>>());
    for who in ["alice", "bob"] {
        let own: Vec<&str> = shown
            .iter()
            .map(|(_, text)| text.as_str())
            .filter(|text| text.starts_with(&format!("{who} 2 ")))
            .collect();
        let mut expected: Vec<String> = (0..10).map(|n| format!("{who} 2 {n}")).collect();
        expected.extend((who == "alice").then(|| "alice 2 while it is away".to_owned()));
        assert_eq!(own, expected);
    }
    assert!(fresh.quit() && alice.quit() && bob.quit());
    server.verify();
}

#[test]
fn badges_groups_and_lists() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let users = server.users(&["alice", "bob", "carol"]);
    let mut alice = Chat::start(&server, &users[0].1, &[]);
    alice.until("connected", is("connected"));
    alice.type_line("/new group \"the team\" bob carol");
    alice.until("open", |said| said["event"] == "opened" && said["chat"] == "the team");
    for n in 1..=3 {
        alice.type_line(&format!("news {n}"));
    }
    alice.until_message("news 3");

    let mut bob = Chat::start(&server, &users[1].1, &[]);
    bob.until("badge", |said| said["event"] == "unread" && said["unread"] == 3);
    bob.type_line("/list");
    let line = bob.until("list", is("chat"));
    assert_eq!((&line["chat"], &line["unread"]), (&"the team".into(), &3.into()));
    assert_eq!(line["last"], "news 3");
    bob.type_line("/open 1");
    bob.until_message("news 1");
    bob.until_message("news 3");
    bob.type_line("/list");
    alice.until("receipt", |said| said["event"] == "read" && said["seq"] == 4);
    bob.type_line("/members");
    bob.until("members", |said| said["text"] == "alice (owner)");
    bob.type_line("/reply 2 an answer");
    alice.until_message("an answer");

    // What cannot be done is said, and nothing ends.
    for (line, word) in [
        ("/edit 2 not mine", "only the sender"),
        ("/delete 99", "message"),
        ("/open nobody", "nobody"),
        ("/nonsense", "no command"),
    ] {
        bob.type_line(line);
        let error = bob.next(line, is("error"));
        let text = error["text"].as_str().unwrap().to_lowercase();
        assert!(text.contains(word), "{line}: {text}");
    }
    assert!(bob.quit() && alice.quit());
}

#[test]
fn what_was_piped_in_is_sent_before_it_ends() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let dir = server.dir.as_str();
    let add = |name: &str| {
        let made = run_with_input(&["user", "add", name, "--data-dir", dir], "correct horse\n");
        assert!(made.status.success(), "{}", complaint(&made));
    };
    add("alice");
    add("bob");
    let chat = |user: &str, to: &str, input: &str| {
        run_with_input(&["chat", "--user", user, "--to", to, "--url", &server.url], input)
    };
    let wrong = chat("alice", "bob", "wrong horse\nhello\n");
    assert_eq!(wrong.status.code(), Some(1));
    let sent = chat("alice", "bob", "correct horse\nhello\nand good-bye\n");
    assert!(sent.status.success(), "{}", complaint(&sent));
    assert!(!String::from_utf8_lossy(&sent.stdout).contains("horse"));
    let read = chat("bob", "alice", "correct horse\n");
    let text = String::from_utf8(read.stdout).unwrap();
    assert!(text.contains("[alice] #1 alice: hello\n[alice] #2 alice: and good-bye\n"), "{text}");
}

#[test]
fn a_session_that_is_revoked_ends_the_chat() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let users = server.users(&["alice"]);
    let mut alice = Chat::start(&server, &users[0].1, &[]);
    alice.until("connected", is("connected"));
    let out =
        run_with_input(&["user", "passwd", "alice", "--data-dir", &server.dir], "a new password\n");
    assert!(out.status.success(), "{}", complaint(&out));
    assert_eq!(alice.child.wait().unwrap().code(), Some(1));
}
