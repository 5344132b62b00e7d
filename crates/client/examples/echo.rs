//! A bot that says back what it is told: `cargo run -p ostracon-client --example echo -- URL TOKEN`.

use std::{collections::BTreeMap, error::Error};

use ostracon_client::{Client, Config, Event};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(token)) = (arguments.next(), arguments.next()) else {
        return Err("usage: echo URL TOKEN".into());
    };
    echo(&url, token).await
}

/// Answers until the client ends.
pub(crate) async fn echo(url: &str, token: String) -> Result<(), Box<dyn Error>> {
    let bot = Client::start(Config::new(url.parse()?, token)).await?;
    let mut events = bot.events();
    let mut answered = BTreeMap::new();
    while let Some(event) = events.next().await {
        let Event::Changed(conversation) = event else { continue };
        // Its messages are loaded at the first look, and kept up to date from then on.
        bot.open(conversation).await?;
        let Some(shown) = bot.snapshot(conversation).await? else { continue };
        let newest = answered.entry(conversation).or_insert(0);
        for message in &shown.messages {
            let told = message.content.as_deref().filter(|_| message.sender_id != bot.me());
            if let Some(text) = told.filter(|_| message.seq > *newest) {
                // Kept over lost connections until it is durable, and then there once.
                bot.send(conversation, format!("You said: {text}")).await?;
                *newest = message.seq;
            }
        }
    }
    Ok(())
}
