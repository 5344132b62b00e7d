//! What a check found: how much was read, and what is wrong. Also the JSON of `verify`.

use ostracon_domain::{Row, ShardId};
use serde::{Deserialize, Serialize};

/// Problems named in a report; more are counted only.
const LISTED_MAX: usize = 1_000;

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// A row or a unit is not where the map says.
    Placement,
    /// Rows that no unit leads to.
    Unreachable,
    /// Messages are missing, or there are too many.
    Seq,
    /// A rev is missing, used twice or from the future.
    Rev,
    /// The same for marks.
    MarkRev,
    /// The same for a user's own numbers.
    UserRev,
    /// The head of a conversation does not fit its messages.
    Head,
    /// Ids or times of messages go back.
    Order,
    /// Members do not fit their conversation.
    Members,
    /// A message is not what its state demands.
    Message,
    /// A reaction without a message that can have one.
    Reaction,
    /// A small row belongs to nothing.
    Annex,
    /// A client id was used twice.
    ClientId,
    /// A user's list lacks a conversation, has one too many, or does not follow.
    List,
    /// The journal knows a newer state than the tables.
    Journal,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of thing.
    pub kind: ProblemKind,
    /// Where it was found.
    pub shard: u32,
    /// The conversation, user, unit or shard.
    pub subject: String,
    /// One sentence.
    pub text: String,
}

/// How much was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Shards.
    pub shards: u64,
    /// Units of the map.
    pub units: u64,
    /// Conversations, deleted groups included.
    pub conversations: u64,
    /// Member rows, former members included.
    pub members: u64,
    /// Messages, tombstones included.
    pub messages: u64,
    /// Reactions.
    pub reactions: u64,
    /// Small rows beside messages.
    #[serde(default)]
    pub annexes: u64,
    /// Users with rows of their own.
    pub users: u64,
    /// Entries of lists.
    pub entries: u64,
    /// Rows of the journal that were looked for in the tables.
    pub journal_rows: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        self.shards += other.shards;
        self.units += other.units;
        self.conversations += other.conversations;
        self.members += other.members;
        self.messages += other.messages;
        self.reactions += other.reactions;
        self.annexes += other.annexes;
        self.users += other.users;
        self.entries += other.entries;
        self.journal_rows += other.journal_rows;
    }

    pub(super) fn row(&mut self, row: &Row) {
        let count = match row {
            Row::Conversation(_) => &mut self.conversations,
            Row::Member(_) => &mut self.members,
            Row::Message(_) => &mut self.messages,
            Row::Reaction(_) => &mut self.reactions,
            Row::User(_) => &mut self.users,
            Row::Inbox(_) => &mut self.entries,
            Row::Annex(_) => &mut self.annexes,
            Row::ReactionGone(_)
            | Row::MessagesGone { .. }
            | Row::AnnexGone(_)
            | Row::AnnexesGone { .. } => return,
        };
        *count += 1;
    }

    /// Counts a row that should not be where it is; its name if it is the head of a subject.
    pub(super) fn count_misplaced(&mut self, row: &Row) -> Option<String> {
        self.row(row);
        match row {
            Row::Conversation(row) => Some(format!("conversation {}", row.id)),
            Row::User(row) => Some(format!("user {}", row.user)),
            _ => None,
        }
    }
}

/// The result of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How much was read.
    pub counts: Counts,
    /// What is wrong; at most 1,000 are named.
    pub problems: Vec<Problem>,
    /// How much is wrong.
    pub problem_count: u64,
}

impl Report {
    pub(super) fn new(counts: Counts, problems: Problems) -> Self {
        Self { counts, problems: problems.listed, problem_count: problems.count }
    }

    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problem_count == 0
    }
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub(super) struct Problems {
    listed: Vec<Problem>,
    count: u64,
}

impl Problems {
    pub(super) fn add(&mut self, kind: ProblemKind, shard: ShardId, subject: String, text: String) {
        self.count += 1;
        if self.listed.len() < LISTED_MAX {
            self.listed.push(Problem { kind, shard: shard.0, subject, text });
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn append(&mut self, other: Self) {
        let room = LISTED_MAX.saturating_sub(self.listed.len());
        self.count += other.count;
        self.listed.extend(other.listed.into_iter().take(room));
    }

    /// Those whose kind and subject were found before too.
    pub(super) fn also_in(mut self, before: &Self) -> Self {
        let all = self.listed.len() as u64;
        self.listed.retain(|problem| {
            before
                .listed
                .iter()
                .any(|old| old.kind == problem.kind && old.subject == problem.subject)
        });
        self.count -= all - self.listed.len() as u64;
        self
    }
}
