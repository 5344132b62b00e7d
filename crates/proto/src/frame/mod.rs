//! WebSocket frames: `{"type": …, "id"?: …, "data": {…}}`. What clients send, what the server
//! sends, and the client's own reference that comes back in every answer.

pub mod client;
pub mod encode;
pub mod live;
mod reference;
pub mod server;

pub use client::{
    ATTACHMENTS_MAX, AttachmentRef, ClientFrame, Command, DeleteMessage, DeleteScope, EditMessage,
    FrameError, Heartbeat, Mark, MarkTarget, OutgoingMessage, React, SendMessage, SendTarget,
};
pub use live::{Presence, PresenceOf, PresenceStatus, Typing, TypingNotice};
pub use reference::FrameRef;
pub use server::{
    ConversationUpdated, Done, HeartbeatAnswer, Hello, InboxUpdated, MemberUpdated, MessageDeleted,
    MessageHidden, MessageSent, MessageUpdated, NewMessage, ReceiptUpdated, Received, ServerData,
    ServerFrame, SyncRequired,
};
