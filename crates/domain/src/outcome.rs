//! What a decided command answers.

use std::sync::Arc;

use crate::{
    annex::Annex,
    conversation::Conversation,
    id::{History, MarkRev, Millis, Rev, Seq, UserId},
    inbox::InboxEntry,
    member::Member,
    message::MessageView,
};

/// The result of a command. Everything in it is as of this command, not of the end of its batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A direct conversation or a group is there.
    Opened {
        /// The conversation.
        conversation: Arc<Conversation>,
        /// The caller's member row.
        member: Arc<Member>,
        /// Whether this command made it.
        created: bool,
    },
    /// A message is stored.
    Sent {
        /// The message as it is now.
        message: MessageView,
        /// The sender's mark rev, which moved to this message.
        mark_rev: MarkRev,
        /// The line of numbers that its revs belong to.
        history: History,
        /// Whether an earlier send with the same client id made it.
        duplicate: bool,
    },
    /// A message was edited or got or lost a reaction.
    Changed {
        /// The message as it is now.
        message: MessageView,
        /// The line of numbers that its revs belong to.
        history: History,
    },
    /// A message is deleted.
    Deleted {
        /// Which.
        seq: Seq,
        /// Rev of the deletion.
        rev: Rev,
        /// The line of numbers that the rev belongs to.
        history: History,
        /// When.
        at: Millis,
        /// By whom.
        by: UserId,
    },
    /// The caller's member row is as asked (marks, mute, hidden part).
    Marked {
        /// The caller's member row.
        member: Arc<Member>,
        /// Whether anything moved.
        moved: bool,
    },
    /// A message is deleted for the caller only.
    Hidden {
        /// The caller's member row.
        member: Arc<Member>,
        /// What says so; its number is the mark rev of it.
        annex: Arc<Annex>,
        /// The line of numbers that the mark rev belongs to.
        history: History,
    },
    /// Members were added, removed or given a role.
    Members {
        /// The member rows as they are now.
        members: Vec<Arc<Member>>,
        /// The conversation's rev after it.
        rev: Rev,
        /// The line of numbers that the rev belongs to.
        history: History,
    },
    /// An invite link is as asked, or this is what it leads to.
    Invite {
        /// The conversation.
        conversation: Arc<Conversation>,
        /// The link's row.
        annex: Arc<Annex>,
    },
    /// The conversation was renamed, changed or deleted.
    Group {
        /// The conversation.
        conversation: Arc<Conversation>,
        /// The caller's member row.
        member: Arc<Member>,
    },
    /// Messages have disappeared or were removed, as far as they were due.
    Swept {
        /// The conversation.
        conversation: Arc<Conversation>,
    },
    /// Entries of a user's own list as they are now; only those that changed.
    Inbox {
        /// The entries.
        entries: Vec<Arc<InboxEntry>>,
    },
}
