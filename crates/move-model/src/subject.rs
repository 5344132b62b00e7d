//! The rows of a conversation: what a command changes, what a page of a copy carries, and how the
//! destination takes such a page. Fences are no concern here.

use crate::{
    list::List,
    names::{CommandNumber, Conversation, Unit, Version},
};

/// Messages that a conversation can grow to.
pub const MESSAGES_MAX: usize = 5;
/// Pages in one request: a drain carries one for each conversation.
pub const PAGES_MAX: usize = 2;

/// A message. Its place in the conversation is its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Message {
    /// The command that sent it.
    pub sent_by: CommandNumber,
    /// The command that gave it its present text.
    pub text_by: CommandNumber,
    /// The version of the conversation at its last change.
    pub rev: Version,
}

/// The small rows of a conversation; they are read and written as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Small {
    /// The version of the conversation.
    pub version: Version,
    /// The number of the newest message.
    pub head: u8,
    /// The number of the oldest message that is kept; it only rises.
    pub retained_from: u8,
}

/// All that a conversation holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Content {
    /// The small rows.
    pub small: Small,
    /// The messages, first to last; a removed one leaves a hole.
    pub messages: List<Option<Message>, MESSAGES_MAX>,
}

/// A conversation on a shard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Row {
    /// The unit that the row says it belongs to.
    pub unit: Unit,
    /// What it holds.
    pub content: Content,
}

/// What a command does to a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Act {
    /// Adds a message.
    Append,
    /// Edits message 1.
    Edit,
    /// Removes message 1 physically.
    Remove,
}

/// A part of a conversation on its way from source to destination.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Page {
    /// Whose rows these are.
    pub conversation: Conversation,
    /// The small rows, unless an earlier page carried them.
    pub small: Option<Small>,
    /// Messages with their index.
    pub messages: List<(u8, Message), MESSAGES_MAX>,
}

impl Content {
    /// Nothing yet: what the first command finds.
    pub const EMPTY: Self =
        Self { small: Small { version: 0, head: 0, retained_from: 1 }, messages: List::new() };

    /// A conversation with `count` messages from before the model begins.
    pub fn with_messages(count: u8) -> Self {
        let messages = (0..count)
            .map(|at| {
                let before = -1 - at.cast_signed();
                Some(Message { sent_by: before, text_by: before, rev: at + 1 })
            })
            .collect();
        Self { small: Small { version: count, head: count, retained_from: 1 }, messages }
    }

    /// The content after a command. With `look_up`, a message that this command already sent is
    /// found by its client id and nothing happens.
    #[must_use]
    pub fn after(mut self, number: CommandNumber, act: Act, look_up: bool) -> Self {
        let rev = self.small.version + 1;
        match (act, self.messages.first().flatten()) {
            (Act::Append, _) => {
                if look_up && self.messages.iter().flatten().any(|sent| sent.sent_by == number) {
                    return self;
                }
                self.messages.push(Some(Message { sent_by: number, text_by: number, rev }));
                self.small.head += 1;
            }
            (Act::Edit, Some(message)) => {
                self.messages.set(0, Some(Message { text_by: number, rev, ..message }));
            }
            (Act::Remove, Some(_)) => {
                self.messages.set(0, None);
                self.small.retained_from = 2;
            }
            (Act::Edit | Act::Remove, None) => return self,
        }
        self.small.version = rev;
        self
    }
}

impl Row {
    /// A row before its first command or page.
    pub const fn empty(unit: Unit) -> Self {
        Self { unit, content: Content::EMPTY }
    }

    /// The version and the number of the newest message: what both sides compare before a commit.
    pub fn digest(&self) -> (Version, u8) {
        (self.content.small.version, self.content.small.head)
    }

    /// All that must follow once the destination holds `version`: the small rows whole, and the
    /// messages changed since.
    pub fn since(&self, conversation: Conversation, version: Version) -> Page {
        self.page(conversation, true, |_, message| message.rev > version)
    }

    /// A page of the messages that `wanted` names by index and message.
    pub fn page(
        &self,
        conversation: Conversation,
        with_small: bool,
        wanted: impl Fn(u8, &Message) -> bool,
    ) -> Page {
        let messages = (0..)
            .zip(self.content.messages.iter())
            .filter_map(|(at, message)| message.map(|message| (at, message)))
            .filter(|(at, message)| wanted(*at, message))
            .collect();
        Page { conversation, small: with_small.then_some(self.content.small), messages }
    }

    /// The row after a page. Small rows are written only if their version is higher than the
    /// stored one, a message only if its rev is: so an older image never overwrites a newer one.
    /// Without `compare` everything is written.
    #[must_use]
    pub fn after_page(mut self, page: &Page, compare: bool) -> Self {
        let content = &mut self.content;
        if let Some(small) = page.small
            && (small.version > content.small.version || !compare)
        {
            content.small = small;
        }
        let retained_from = usize::from(content.small.retained_from);
        for (at, message) in page.messages.iter() {
            let at = usize::from(at);
            while content.messages.len() <= at {
                content.messages.push(None);
            }
            let stored = content.messages.get(at).flatten();
            let newer = stored.is_none_or(|stored| message.rev > stored.rev);
            if at + 1 >= retained_from && (newer || !compare) {
                content.messages.set(at, Some(message));
            }
        }
        for at in 0..content.messages.len().min(retained_from.saturating_sub(1)) {
            content.messages.set(at, None);
        }
        self
    }
}

#[cfg(test)]
mod tests;
