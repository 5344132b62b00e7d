//! What can be asked: commands on a conversation, and commands on a user's own rows.

use crate::{
    annex::AnnexKey,
    conversation::GroupSettings,
    extra::Attachment,
    id::{ConversationId, Millis, Seq, UserId},
    inbox::Applied,
    invite::InviteHash,
    member::Role,
    message::{ClientId, Mention, MessageKind},
    permission::RulesChange,
};

/// One command. It touches rows of one subject only, so that it commits in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// On a conversation.
    Conversation(ConversationCommand),
    /// On a user's own rows.
    Inbox(InboxCommand),
}

/// What a command is about; commands of one subject keep their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A conversation with its members, messages and reactions.
    Conversation(ConversationId),
    /// A user's own rows.
    User(UserId),
}

impl Command {
    /// The subject of the command.
    pub const fn subject(&self) -> Subject {
        match self {
            Self::Conversation(command) => Subject::Conversation(command.conversation),
            Self::Inbox(command) => Subject::User(command.user),
        }
    }
}

/// Somebody does something in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationCommand {
    /// Where.
    pub conversation: ConversationId,
    /// Who. The caller has checked that it is really this user.
    pub actor: UserId,
    /// What.
    pub action: Action,
}

/// What somebody does in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Opens a direct conversation; finds it when it is there.
    OpenDirect,
    /// Creates a group.
    CreateGroup(NewGroup),
    /// Sends a message; the first one opens a direct conversation.
    Send(NewMessage),
    /// Changes the text of one's own message.
    Edit(Edit),
    /// Deletes a message for everyone.
    Delete {
        /// Which.
        seq: Seq,
    },
    /// Pins a message for everybody, or takes it down.
    Pin {
        /// Which.
        seq: Seq,
        /// Whether to take it down.
        remove: bool,
    },
    /// Deletes a message for oneself.
    Hide {
        /// Which.
        seq: Seq,
    },
    /// Adds or removes one's own reaction.
    React {
        /// To which message.
        seq: Seq,
        /// With what.
        emoji: String,
        /// Whether to remove it.
        remove: bool,
    },
    /// Marks everything up to `seq` as read and delivered.
    MarkRead {
        /// Clamped to the head.
        seq: Seq,
    },
    /// Marks everything up to `seq` as delivered.
    MarkDelivered {
        /// Clamped to the head.
        seq: Seq,
    },
    /// Adds users to a group.
    AddMembers {
        /// Whom; those who are there already stay as they are.
        users: Vec<UserId>,
    },
    /// Removes a user from a group; oneself: leaves it.
    RemoveMember {
        /// Whom.
        user: UserId,
    },
    /// Gives a member another role; `Owner` hands the group over.
    SetRole {
        /// Whom.
        user: UserId,
        /// The new role.
        role: Role,
    },
    /// Renames a group or changes its settings.
    Change(GroupChange),
    /// Changes how long messages live.
    SetLife(LifeChange),
    /// Messages have lived as long as their timer says: what is due of them becomes tombstones. Nobody asks for it: the
    /// server does it, and who the actor is does not matter.
    Expire {
        /// Which, at most [`crate::limits::USERS_PER_REQUEST_MAX`].
        seqs: Vec<Seq>,
    },
    /// Messages below a seq have lived long enough: they are removed. Nobody asks for it, as for [`Expire`](Self::Expire).
    Retain {
        /// First seq that stays; clamped to the seq after the head, forward only.
        from: Seq,
    },
    /// Deletes a group for everyone.
    DeleteGroup,
    /// Removes a user from a group and keeps him out.
    Ban {
        /// Whom.
        user: UserId,
        /// Until when; none: until it is lifted.
        until: Option<Millis>,
    },
    /// Lifts a ban.
    Unban {
        /// Whose.
        user: UserId,
    },
    /// Makes an invite link.
    CreateInvite(NewInvite),
    /// Ends an invite link.
    RevokeInvite {
        /// Its place.
        place: u8,
        /// Beginning of its hash.
        mark: [u8; 4],
    },
    /// Looks where an invite link leads; changes nothing.
    LookAtInvite {
        /// Its place.
        place: u8,
        /// Hash of its secret.
        hash: InviteHash,
    },
    /// Joins a group by an invite link.
    Join {
        /// Its place.
        place: u8,
        /// Hash of its secret.
        hash: InviteHash,
    },
    /// Changes one's own private view: hidden part, mute.
    ChangeView(ViewChange),
}

/// A group to create.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewGroup {
    /// Its name.
    pub name: String,
    /// Members besides the creator.
    pub members: Vec<UserId>,
    /// Keyed hash of the request, when it came with a client id.
    pub create_hash: Option<u128>,
    /// What is set from the beginning.
    pub settings: GroupSettings,
    /// What is ruled from the beginning.
    pub rules: RulesChange,
}

/// An invite link to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewInvite {
    /// A place that is free, below [`crate::limits::INVITES_MAX`].
    pub place: u8,
    /// Hash of its secret.
    pub hash: InviteHash,
    /// Until when it can be used.
    pub expires_at: Option<Millis>,
    /// How many may join by it.
    pub max_uses: Option<u32>,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// What it is.
    pub kind: MessageKind,
    /// The text.
    pub content: String,
    /// The sender's own id; the same id again gives the first result.
    pub client_id: Option<ClientId>,
    /// Keyed hash over kind, content, reply, mentions and attachments as the client gave them.
    pub payload_hash: u128,
    /// Seq of the message it answers.
    pub reply_to: Option<Seq>,
    /// Users named in the text.
    pub mentions: Vec<Mention>,
    /// Files; none where one of them is not there for this user.
    pub attachments: Option<Vec<Attachment>>,
}

/// A new text for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Which message.
    pub seq: Seq,
    /// The new text.
    pub content: String,
    /// Only if the content still is of this rev.
    pub if_content_rev: Option<u64>,
}

/// What an admin changes of a group; `None` leaves it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupChange {
    /// A new name.
    pub name: Option<String>,
    /// New settings.
    pub settings: Option<GroupSettings>,
    /// New rules.
    pub rules: RulesChange,
}

/// What is changed of how long messages live; `None` leaves it, `Some(None)` ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LifeChange {
    /// Seconds after which new messages disappear, within [`crate::limits::TIMER_S`].
    pub timer_s: Option<Option<u32>>,
    /// Seconds after which messages are removed, within [`crate::limits::RETENTION_S`].
    pub retention_s: Option<Option<u32>>,
}

/// What a member changes of the private part of the member row; `None` leaves it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ViewChange {
    /// Hide everything up to this seq; clamped to the head, forward only.
    pub hidden_to: Option<Seq>,
    /// Silent until this time; `Some(None)` ends it.
    pub muted_until: Option<Option<Millis>>,
}

/// A change of a user's own rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxCommand {
    /// Whose.
    pub user: UserId,
    /// What.
    pub action: InboxAction,
}

/// What happens to a user's own rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboxAction {
    /// Conversations moved on: from a dispatcher.
    Apply(Vec<InboxChange>),
    /// The user changes an entry; `None` leaves a field.
    Set {
        /// Which entry; it must exist.
        conversation: ConversationId,
        /// Keep it at the top.
        pinned: Option<bool>,
        /// Move it to the archive or back.
        archived: Option<bool>,
        /// Mark it as unread.
        marked_unread: Option<bool>,
        /// A text that was begun and not sent, at most [`crate::limits::TEXT_UNITS_MAX`]; `Some(None)` takes it away.
        draft: Option<Option<String>>,
    },
}

/// How far a conversation has moved on, for one of its members. Merging two keeps the later of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxChange {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Where it stands now.
    pub applied: Applied,
    /// Seq of its newest message.
    pub last_seq: Seq,
    /// Time of its newest message.
    pub last_activity_at: Millis,
    /// The member row's private fields, when they were part of the change.
    pub view: Option<(Seq, Option<Millis>)>,
    /// Whether the conversation is large as of `applied`.
    pub large: bool,
    /// The conversation is gone for this user.
    pub removed: bool,
}

impl InboxChange {
    /// Takes in a later change of the same entry.
    pub fn merge(&mut self, later: Self) {
        let same_line = self.applied.history == later.applied.history;
        let view = later.view.or(self.view.take());
        if same_line {
            let (mine, new) = (self.applied, later.applied);
            *self = Self {
                applied: Applied {
                    history: new.history,
                    rev: mine.rev.max(new.rev),
                    mark_rev: mine.mark_rev.max(new.mark_rev),
                },
                last_seq: self.last_seq.max(later.last_seq),
                last_activity_at: self.last_activity_at.max(later.last_activity_at),
                view,
                large: if new.rev >= mine.rev { later.large } else { self.large },
                removed: self.removed || later.removed,
                conversation: later.conversation,
            };
        } else {
            *self = Self { view, ..later };
        }
    }
}

/// The rows a conversation command must see before it can be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Member rows of these users; the actor is always the first.
    pub members: Vec<UserId>,
    /// Message rows, with their reactions and the quotes of what they answer.
    pub messages: Vec<Seq>,
    /// Small rows.
    pub annexes: Vec<AnnexKey>,
}

impl ConversationCommand {
    /// What must be loaded. The conversation row always is; for a send with a client id also its duplicate, if any.
    pub fn needs(&self) -> Needs {
        let mut users = vec![self.actor];
        let mut messages = Vec::new();
        let mut annexes = Vec::new();
        match &self.action {
            Action::Send(message) => messages.extend(message.reply_to),
            Action::Edit(Edit { seq, .. })
            | Action::Delete { seq }
            | Action::Pin { seq, .. }
            | Action::React { seq, .. } => messages.push(*seq),
            Action::Hide { seq } => {
                messages.push(*seq);
                annexes.push(AnnexKey::hidden(self.actor, *seq));
            }
            Action::AddMembers { users: added } => {
                users.extend(added);
                annexes.extend(added.iter().map(|user| AnnexKey::ban(*user)));
            }
            Action::Ban { user, .. } | Action::Unban { user } => {
                users.push(*user);
                annexes.push(AnnexKey::ban(*user));
            }
            Action::CreateInvite(NewInvite { place, .. })
            | Action::RevokeInvite { place, .. }
            | Action::LookAtInvite { place, .. } => annexes.push(AnnexKey::invite(*place)),
            Action::Join { place, .. } => {
                annexes.extend([AnnexKey::invite(*place), AnnexKey::ban(self.actor)]);
            }
            Action::RemoveMember { user } | Action::SetRole { user, .. } => users.push(*user),
            Action::CreateGroup(group) => users.extend(&group.members),
            Action::Expire { seqs } => messages.extend(seqs),
            Action::OpenDirect
            | Action::SetLife(_)
            | Action::Retain { .. }
            | Action::MarkRead { .. }
            | Action::MarkDelivered { .. }
            | Action::Change(_)
            | Action::DeleteGroup
            | Action::ChangeView(_) => {}
        }
        Needs { members: users, messages, annexes }
    }

    /// The sender and client id whose first result must be looked up, for a send that names one.
    pub const fn probe(&self) -> Option<(UserId, &ClientId)> {
        match &self.action {
            Action::Send(NewMessage { client_id: Some(client_id), .. }) => {
                Some((self.actor, client_id))
            }
            _ => None,
        }
    }
}
