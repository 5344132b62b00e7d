//! Data directories of former releases, frozen by `dev/fixture`: each opens, has all that was said, and is written on.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use ostracon_client::Api;
use ostracon_domain::{ConversationId, UserId};
use ostracon_proto::{
    Position,
    frame::OutgoingMessage,
    rest::{Anchor, MessagesQuery},
};

use crate::support::{Data, Server, json, runtime, said};

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut all: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

fn unpacked(fixture: &Path) -> Data {
    let data = Data::new();
    let folder = data.path("data");
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(fixture).arg("-C").arg(folder.parent().unwrap());
    assert!(tar.status().unwrap().success(), "{}", fixture.display());
    data
}

/// Texts by seq; `None` for what was deleted.
async fn texts(api: &Api, id: ConversationId) -> Vec<Option<String>> {
    let query =
        MessagesQuery { limit: 200, anchor: Anchor::After(Position::Seq(0)), min_rev: None };
    let page = api.messages(id, &query).await.unwrap();
    let texts = page.messages.iter().map(|message| message.content.as_deref().map(str::to_owned));
    texts.collect()
}

/// What `dev/fixture` says between alice and bob.
fn expected() -> Vec<Option<String>> {
    (1..=30)
        .map(|n| match n {
            3 => Some("edited".to_owned()),
            4 => None,
            n => Some(format!("message {n}")),
        })
        .collect()
}

#[test]
fn directories_of_former_releases_open_and_are_written_on() {
    let all = fixtures();
    assert!(!all.is_empty(), "no fixture");
    for fixture in all {
        let data = unpacked(&fixture);
        let dir = data.text("data");
        let what = fixture.display().to_string();
        let server = Server::start(&dir);
        server.verify();
        assert!(said(&["doctor", "--data-dir", &dir]).contains("Everything agrees."), "{what}");
        let users = json(&["user", "list", "--json", "--data-dir", &dir]);
        let names: Vec<_> = users["users"]
            .as_array()
            .unwrap()
            .iter()
            .map(|user| (user["user_id"].as_u64().unwrap(), user["username"].as_str().unwrap()))
            .collect();
        let id = |name: &str| {
            let (id, _) = names.iter().find(|(_, known)| *known == name).unwrap();
            UserId::new(*id).unwrap()
        };
        let talk = ConversationId::direct(id("alice"), id("bob"));
        let overrides =
            json(&["shards", "overrides", "--json", "--data-dir", &dir])["conversations"].clone();
        assert_eq!(overrides[0]["conversation_id"], talk.to_string(), "{what}: {overrides}");
        assert_eq!(overrides[0]["shard"], 3, "{what}: {overrides}");
        let token = |name: &str| {
            let token = json(&["user", "token", name, "--json", "--data-dir", &dir]);
            token["token"].as_str().unwrap().to_owned()
        };
        let (alice, bob) = (server.api(&token("alice")), server.api(&token("bob")));
        runtime().block_on(async {
            assert_eq!(texts(&bob, talk).await, expected(), "{what}");
            let page = bob
                .messages(
                    talk,
                    &MessagesQuery {
                        limit: 1,
                        anchor: Anchor::After(Position::Seq(4)),
                        min_rev: None,
                    },
                )
                .await
                .unwrap();
            assert_eq!(page.messages[0].reactions.len(), 1, "{what}");
            // A retry finds the first result, and the next message the next number.
            let message = |text: &str| {
                let mut message = OutgoingMessage::text(text.to_owned());
                message.client_id = Some(text.to_owned().into());
                message
            };
            assert_eq!(alice.send(talk, &message("message 30")).await.unwrap().value.seq, 30);
            assert_eq!(alice.send(talk, &message("written on")).await.unwrap().value.seq, 31);
        });
        let moved = json(&[
            "shards",
            "move",
            "--pair",
            "alice:bob",
            "--to",
            "1",
            "--wait",
            "--json",
            "--data-dir",
            &dir,
        ]);
        assert_eq!(moved["state"], "done", "{what}: {moved}");
        server.verify();
        assert!(server.stop().success());
        let server = Server::start(&dir);
        server.verify();
        let bob = server.api(&token("bob"));
        let count = runtime().block_on(texts(&bob, talk)).len();
        assert_eq!(count, 31, "{what}");
    }
}
