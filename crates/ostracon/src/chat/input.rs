//! What a line means: a command behind a slash, or something to say. Nothing is done here.

use ostracon_domain::Seq;

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// Say something in the open conversation.
    Say(String),
    /// Answer a message.
    Reply(Seq, String),
    /// Open a conversation: a user's name, a group's name, an id, or its place in the list.
    Open(String),
    /// Create a group with these users and open it.
    New {
        /// Its name.
        name: String,
        /// User names.
        members: Vec<String>,
    },
    /// Change what one said.
    Edit(Seq, String),
    /// Delete a message for everyone.
    Delete(Seq),
    /// React to a message, or take it back.
    React {
        /// Which message.
        seq: Seq,
        /// With what.
        emoji: String,
        /// Whether to take it back.
        remove: bool,
    },
    /// Mark everything in the open conversation as read.
    Read,
    /// Show the chat list.
    List,
    /// Show who is in the open conversation.
    Members,
    /// Load older messages.
    Older,
    /// Try failed messages again.
    Retry,
    /// Give failed messages up.
    Discard,
    /// Say what commands there are.
    Help,
    /// End.
    Quit,
    /// Nothing was typed.
    Nothing,
}

/// The commands, for `/help`.
pub(crate) const HELP: [&str; 14] = [
    "/open NAME          open a conversation: user, group, id or number in the list",
    "/new NAME USER…     create a group (quote a name with spaces)",
    "/list               chats with unread counts",
    "/members            who is here",
    "/older              load older messages",
    "/reply SEQ TEXT     answer a message",
    "/edit SEQ TEXT      change a message of yours",
    "/delete SEQ         delete a message for everyone",
    "/react SEQ EMOJI    react; /unreact takes it back",
    "/read               mark everything here as read",
    "/retry, /discard    what to do with messages that were refused",
    "/quit               end",
    "//TEXT              say something that begins with a slash",
    "TEXT                say it",
];

/// Reads a line.
///
/// # Errors
/// A sentence for whoever typed it.
pub(crate) fn parse(line: &str) -> Result<Input, String> {
    let line = line.trim_end_matches(['\r', '\n']);
    if line.trim().is_empty() {
        return Ok(Input::Nothing);
    }
    let Some(rest) = line.strip_prefix('/') else {
        return Ok(Input::Say(line.to_owned()));
    };
    if rest.starts_with('/') {
        return Ok(Input::Say(rest.to_owned()));
    }
    let (word, rest) = split(rest);
    let need = |text: &str, what: &str| {
        if text.is_empty() { Err(format!("/{word} needs {what}")) } else { Ok(text.to_owned()) }
    };
    Ok(match word {
        "open" | "o" => Input::Open(need(rest, "a name")?),
        "new" | "group" => new_group(rest)?,
        "reply" | "r" => {
            let (seq, text) = seq(rest, word)?;
            Input::Reply(seq, need(text, "a text")?)
        }
        "edit" | "e" => {
            let (seq, text) = seq(rest, word)?;
            Input::Edit(seq, need(text, "a text")?)
        }
        "delete" | "del" => Input::Delete(seq(rest, word)?.0),
        "react" | "unreact" => {
            let (seq, emoji) = seq(rest, word)?;
            Input::React { seq, emoji: need(emoji, "an emoji")?, remove: word == "unreact" }
        }
        "read" => Input::Read,
        "list" | "chats" => Input::List,
        "members" => Input::Members,
        "older" => Input::Older,
        "retry" => Input::Retry,
        "discard" => Input::Discard,
        "help" | "?" => Input::Help,
        "quit" | "q" | "exit" => Input::Quit,
        _ => return Err(format!("there is no command /{word}; /help lists them")),
    })
}

/// The first word and what follows it.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    match text.find(char::is_whitespace) {
        Some(at) => (&text[..at], text[at..].trim_start()),
        None => (text, ""),
    }
}

fn seq<'a>(text: &'a str, command: &str) -> Result<(Seq, &'a str), String> {
    let (number, rest) = split(text);
    let number = number.strip_prefix('#').unwrap_or(number);
    let seq = number.parse().map_err(|_| format!("/{command} needs the number of a message"))?;
    Ok((seq, rest))
}

/// `NAME USER…`; the name may stand in quotes. The word `group` before it is passed over: `/new group NAME …`.
fn new_group(text: &str) -> Result<Input, String> {
    let text = match split(text) {
        ("group", rest) if !rest.is_empty() => rest,
        _ => text,
    };
    let (name, rest) = match text.strip_prefix('"').and_then(|text| text.split_once('"')) {
        Some((name, rest)) => (name, rest),
        None => split(text),
    };
    if name.trim().is_empty() {
        return Err("/new needs a name".to_owned());
    }
    let members = rest.split([' ', ',']).filter(|name| !name.is_empty()).map(str::to_owned);
    Ok(Input::New { name: name.trim().to_owned(), members: members.collect() })
}
