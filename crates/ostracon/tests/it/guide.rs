//! The guide's examples: pages of commands run from top to bottom, the bot is the one that is printed.

#[expect(dead_code, reason = "an example has a main, which a test does not call")]
#[path = "../../../client/examples/echo.rs"]
mod echo;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ostracon_client::{Address, Client, Config};
use ostracon_domain::UserId;

use crate::support::{Data, Server};

fn page(name: &str) -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide");
    std::fs::read_to_string(guide.join(name)).unwrap()
}

/// The blocks of a language in a page, one behind the other.
fn blocks(page: &str, language: &str) -> String {
    let fence = format!("```{language}");
    let mut inside = false;
    let lines = page.lines().filter(|line| {
        let is_fence = line.starts_with("```");
        if is_fence {
            inside = !inside && *line == fence;
        }
        inside && !is_fence
    });
    lines.flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn the_page_of_commands_works_from_top_to_bottom() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail"]).env("URL", &server.url);
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    let commands = blocks(&page("curl.md"), "sh");
    shell.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for expected in ["\"Ben\"", "Saturday, ten at the station", "I bring maps", "\"unauthorized\""]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn the_bot_of_the_page_is_the_example() {
    let example: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client/examples/echo.rs");
    let example = std::fs::read_to_string(example).unwrap();
    assert!(example.ends_with(&blocks(&page("rust.md"), "rust")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_answers() {
    let data = Data::new();
    let server = Server::start(&data.text("data"));
    let [(_, ann), (bot, token)] = server.users(&["ann", "echo-bot"]).try_into().unwrap();
    let url = server.url.clone();
    let running =
        tokio::spawn(
            async move { echo::echo(&url, token).await.map_err(|error| error.to_string()) },
        );
    let address: Address = server.url.parse().unwrap();
    let ann = Client::start(Config::new(address, ann)).await.unwrap();
    let (direct, _) = ann.send(UserId::new(bot).unwrap(), "hello").await.unwrap();
    ann.open(direct).await.unwrap();
    let answered = ann.until(move |device| {
        let shown = device.snapshot(direct)?;
        let newest = shown.messages.last()?.content.clone()?;
        (newest == "You said: hello").then_some(())
    });
    answered.await.unwrap();
    running.abort();
}
