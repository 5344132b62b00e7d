//! `backup`, `restore`, `repair`: everything comes back under another history; what is lost is said before it is.

use std::path::Path;

use ostracon_client::Api;
use ostracon_domain::{ConversationId, History, UserId};
use ostracon_proto::{
    EditSettings, Position, UserRef,
    frame::OutgoingMessage,
    rest::{Anchor, CreateConversation, MessagesQuery},
};

use crate::{
    refusal::damage_journal,
    support::{Data, Server, complaint, files, json, run, runtime, said},
};

struct Talk {
    token: String,
    conversation: ConversationId,
    group: ConversationId,
}

/// Alice writes to bob and in a group.
fn talk(server: &Server) -> Talk {
    let users = server.users(&["alice", "bob"]);
    let id = |user: u64| UserId::new(user).unwrap();
    let conversation = ConversationId::direct(id(users[0].0), id(users[1].0));
    let api = server.api(&users[0].1);
    let group = runtime().block_on(async {
        write(&api, conversation, 0..60).await;
        let group = CreateConversation::Group {
            name: "all".into(),
            members: vec![UserRef::Id(id(users[1].0))],
            client_id: None,
            settings: EditSettings { system_messages: Some(false), ..EditSettings::default() },
        };
        let group = api.create_conversation(&group).await.unwrap().value;
        let group = group.conversation.conversation_id;
        write(&api, group, 0..20).await;
        api.react(group, 3, "👍", false).await.unwrap();
        group
    });
    Talk { token: users[0].1.clone(), conversation, group }
}

async fn write(api: &Api, conversation: ConversationId, numbers: std::ops::Range<u32>) {
    for n in numbers {
        let mut message = OutgoingMessage::text(format!("message {n}"));
        message.client_id = Some(format!("c{n}").into());
        api.send(conversation, &message).await.unwrap();
    }
}

/// Texts in order, and the history they belong to.
fn read(server: &Server, talk: &Talk, id: ConversationId) -> (Vec<String>, History) {
    let api = server.api(&talk.token);
    runtime().block_on(async {
        let query =
            MessagesQuery { limit: 200, anchor: Anchor::After(Position::Seq(0)), min_rev: None };
        let page = api.messages(id, &query).await.unwrap();
        let texts =
            page.messages.iter().map(|message| message.content.as_deref().unwrap_or("").to_owned());
        (texts.collect(), page.history)
    })
}

fn numbered(n: u32) -> Vec<String> {
    (0..n).map(|n| format!("message {n}")).collect()
}

#[test]
fn a_back_up_of_a_running_server_comes_back_under_another_history() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let talk = talk(&server);
    let backup = data.text("backup");
    let made = json(&["backup", &backup, "--json", "--data-dir", &server.dir]);
    assert!(made["bytes"].as_u64().unwrap() > 0);
    // What comes later is not in it.
    runtime().block_on(write(&server.api(&talk.token), talk.conversation, 60..70));
    let (before, history) = read(&server, &talk, talk.conversation);
    assert_eq!(before, numbered(70));
    server.stop();

    let copy = files(Path::new(&backup));
    let new = data.text("new");
    let restored = json(&["restore", &backup, "--data-dir", &new, "--json"]);
    assert_eq!(restored["conversations"], 2);
    assert_eq!(files(Path::new(&backup)), copy, "the back-up was changed");

    let server = Server::start(&new);
    let (texts, new_history) = read(&server, &talk, talk.conversation);
    assert_eq!(texts, numbered(60));
    assert_ne!(history, new_history);
    assert_eq!(read(&server, &talk, talk.group).0, numbered(20));
    server.verify();
    // Numbers go on, and an old client id finds its first result.
    runtime().block_on(async {
        let api = server.api(&talk.token);
        write(&api, talk.conversation, 59..62).await;
        let list = api.sync(None, 100).await.unwrap();
        assert_eq!(list.conversations.len(), 2);
    });
    assert_eq!(read(&server, &talk, talk.conversation).0, numbered(62));
    server.verify();
}

#[test]
fn what_is_no_back_up_is_refused() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    talk(&server);
    let backup = data.text("backup");
    said(&["backup", &backup, "--data-dir", &server.dir]);
    let again = run(&["backup", &backup, "--data-dir", &server.dir]);
    assert_eq!(again.status.code(), Some(1));
    assert!(complaint(&again).contains("not empty"), "{}", complaint(&again));

    // A data directory is none, nor is half of a back-up; and nothing is written over anything.
    let dir = server.dir.clone();
    server.stop();
    let new = data.text("new");
    let refused = run(&["restore", &dir, "--data-dir", &new]);
    assert!(complaint(&refused).contains("no complete back-up"), "{}", complaint(&refused));
    let over = run(&["restore", &backup, "--data-dir", &dir]);
    assert!(complaint(&over).contains("is not empty"), "{}", complaint(&over));
    std::fs::remove_file(data.path("backup").join("directory.db")).unwrap();
    let half = run(&["restore", &backup, "--data-dir", &new]);
    assert!(complaint(&half).contains("no complete back-up"), "{}", complaint(&half));
    assert!(!data.path("new").exists());
}

#[test]
fn a_damaged_journal_is_cut_only_when_asked() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let dir = server.dir.clone();
    let talk = talk(&server);
    let (_, history) = read(&server, &talk, talk.conversation);
    server.kill();
    damage_journal(&data.path("data"));

    let shown = run(&["repair", "--json", "--data-dir", &dir]);
    assert_eq!(shown.status.code(), Some(1), "{}", complaint(&shown));
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert!(shown["loss"]["lost_batches"].as_u64().unwrap() > 0, "{shown}");
    assert_eq!(shown["repaired"], false);
    let refused = run(&["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0"]);
    assert!(complaint(&refused).contains("damaged"), "{}", complaint(&refused));

    let words = said(&["repair", "--yes", "--data-dir", &dir]);
    assert!(words.contains("Damaged: ") && words.contains("Lost"), "{words}");
    assert!(said(&["repair", "--data-dir", &dir]).contains("is not damaged"));

    let server = Server::start(&dir);
    let (texts, new_history) = read(&server, &talk, talk.conversation);
    assert_ne!(history, new_history);
    assert_eq!(texts, numbered(texts.len() as u32));
    server.verify();
    runtime().block_on(write(&server.api(&talk.token), talk.conversation, 0..70));
    assert_eq!(read(&server, &talk, talk.conversation).0, numbered(70));
    server.verify();
}

#[test]
fn a_repair_that_was_cut_short_is_asked_for() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let dir = server.dir.clone();
    talk(&server);
    server.stop();
    std::fs::write(data.path("data").join("REPAIR"), "").unwrap();
    let refused = run(&["serve", "--data-dir", &dir, "--listen", "127.0.0.1:0"]);
    assert!(complaint(&refused).contains("ostracon repair --yes"), "{}", complaint(&refused));
    said(&["repair", "--yes", "--data-dir", &dir]);
    Server::start(&dir).verify();
}
