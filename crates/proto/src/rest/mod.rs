//! Bodies and queries of the REST calls, one file for each group, and the table of all calls.
//! Routing and status codes of a running server are not here; they follow this table.

pub mod admin;
pub mod auth;
pub mod conversations;
pub mod dialog;
pub mod invites;
pub mod live;
pub mod media;
pub mod messages;
pub mod operations;
pub mod push;
pub mod search;
pub mod sync;
pub mod users;

pub use auth::{Login, Register, Session, Sessions, SignedIn, SignedOut, Ticket};
pub use conversations::{
    AddMembers, Changed, Conversations, ConversationsQuery, CreateConversation, EditConversation,
    EditInbox, EditMember, Members, MembersAdded, MembersQuery, Unread,
};
pub use dialog::{DialogList, DialogMessage, DialogQuery, DialogSend};
pub use invites::{
    BanUser, CreateGroupInvite, GroupBan, GroupBans, GroupInvite, GroupInviteMade, GroupInvites,
    JoinPreview,
};
pub use live::{PresenceList, PresenceQuery, SeenBy};
pub use media::Media;
pub use messages::{
    Anchor, DeleteQuery, Deleted, EditContent, Edits, Empty, FormerContent, Hidden, MarkUpTo,
    MessagePage, MessagesQuery, Pins, Replies, RepliesQuery,
};
pub use operations::{OPERATIONS, Operation};
pub use push::{
    EditPushSettings, EditSubscription, PushSettings, PushSubscription, PushSubscriptions,
    Subscribe, SubscriptionKeys, VapidPublicKey,
};
pub use search::{
    SearchConversations, SearchConversationsQuery, SearchEdge, SearchFound, SearchHit, SearchQuery,
    SearchSort,
};
pub use sync::{Changes, ChangesQuery, HiddenMessage, Sync, SyncQuery};
pub use users::{EditPrivacy, EditProfile, LookupUsers, OwnProfile, Profile, Profiles, UsersQuery};
