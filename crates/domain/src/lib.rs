//! The rules of Ostracon: ids, placement, conversations and what a command may do to them.
//!
//! It is: pure. No I/O, no async, no clock, no randomness; time and ids arrive as arguments.
//! It is not: a store (rows are loaded and written elsewhere) and not a protocol (frames live in `proto`).
//!
//! To add a command: a variant in [`command`], what it loads in [`ConversationCommand::needs`],
//! its rule in one file of [`mod@decide`], its result in [`outcome`], its tests beside the rule.

pub mod access;
pub mod annex;
pub mod ban;
pub mod command;
pub mod conversation;
pub mod decide;
pub mod edition;
pub mod emoji;
pub mod extra;
pub mod id;
pub mod inbox;
pub mod invite;
pub mod limits;
pub mod member;
pub mod message;
pub mod message_id;
pub mod outcome;
pub mod pair_hash;
pub mod permission;
pub mod placement;
pub mod privacy;
pub mod push_setting;
pub mod refusal;
pub mod row;
pub mod slice;
pub mod unread;

pub use access::{Access, access};
pub use annex::{Annex, AnnexKey, AnnexKind};
pub use ban::Ban;
pub use command::{
    Action, Command, ConversationCommand, Edit, GroupChange, InboxAction, InboxChange,
    InboxCommand, LifeChange, Needs, NewGroup, NewInvite, NewMessage, Subject, ViewChange,
};
pub use conversation::{Conversation, ConversationKind, GroupSettings, HistoryFor};
pub use decide::{Context, IdSource, decide, decide_inbox};
pub use edition::Edition;
pub use extra::{
    Attachment, ConversationExtra, Extra, InboxExtra, MemberExtra, MessageExtra, Pinned, UserExtra,
};
pub use id::{
    ConversationId, Epoch, History, IdError, MarkRev, MessageId, Millis, Party, Rev, Seq, ShardId,
    Slot, UnitId, UserId, UserRev,
};
pub use inbox::{Applied, InboxEntry, UserState};
pub use invite::{Invite, InviteHash};
pub use limits::Limits;
pub use member::{Member, Role};
pub use message::{ClientId, Mention, Message, MessageKind, MessageView, Quote, ReactionGroup};
pub use message_id::MessageIds;
pub use outcome::Outcome;
pub use pair_hash::pair_hash;
pub use permission::{GroupRules, Level, Permission, RulesChange};
pub use placement::{
    PlacementMap, UnitAt, UnitHome,
    change::{Cover, MapChange, MapError},
    user_override::UserOverride,
};
pub use privacy::{PresenceFor, Privacy};
pub use push_setting::{PushScope, PushSetting};
pub use refusal::{Refusal, RefusalCode};
pub use row::{Reaction, Row};
pub use slice::{ConversationSlice, InboxSlice};
pub use unread::unread;
