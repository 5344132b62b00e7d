//! One's own view of a conversation: pinned, muted, archived, hidden. Nobody else sees it.

use crate::schema;
use ostracon_domain::{Millis, Seq};
use serde::{Deserialize, Serialize};

/// One's own settings of one conversation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Inbox {
    /// Kept at the top of the list.
    pub pinned: bool,
    /// Silent until then; null when not muted.
    #[schema(value_type = Option<schema::Millis>, required = true)]
    pub muted_until: Option<Millis>,
    /// Out of the way until the next message.
    pub archived: bool,
    /// Everything up to this seq is hidden for oneself; 0 when nothing is.
    #[schema(value_type = u64)]
    pub hidden_to: Seq,
    /// Marked as unread by hand.
    pub marked_unread: bool,
    /// A text that was begun and not sent; left out when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<String>,
}
