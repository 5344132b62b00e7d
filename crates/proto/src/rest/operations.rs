//! The table of all REST calls: what the documents are generated from, and what a router is checked
//! against.

use super::*;
use crate::{
    Entry, ErrorBody,
    ErrorCode::{self, *},
    Inbox, Message,
    frame::OutgoingMessage,
    query::Limit,
};
use utoipa::{
    ToSchema,
    openapi::{RefOr, schema::Schema},
};

/// One REST call.
#[derive(Debug)]
pub struct Operation {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// The path, with `{names}` of its parameters.
    pub path: &'static str,
    /// The heading it stands under.
    pub tag: &'static str,
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// What else there is to know.
    pub notes: &'static str,
    /// Whether it needs a token.
    pub auth: bool,
    /// Parameters of the query.
    pub query: &'static [Param],
    /// The body of the request.
    pub body: Option<Shape>,
    /// Answers below 400.
    pub answers: &'static [Answer],
    /// Refusals besides those that every call can give.
    pub errors: &'static [ErrorCode],
}

/// A parameter of a query.
#[derive(Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// How it is read.
    pub kind: ParamKind,
    /// Whether it must be there.
    pub required: bool,
    /// What it says.
    pub meaning: &'static str,
}

/// How a parameter of a query is read.
#[derive(Debug)]
pub enum ParamKind {
    /// Any text.
    Text,
    /// A whole number, 0 and up.
    Number,
    /// A number of rows.
    Limit(Limit),
    /// A seq, a time or a message id.
    Position,
    /// A cursor of an earlier answer.
    Cursor,
    /// The line of numbers, as text.
    History,
    /// One of these words.
    Words(&'static [&'static str]),
}

/// An answer of a call.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// When.
    pub meaning: &'static str,
    /// The body, if there is one.
    pub body: Option<Shape>,
}

/// A type of this crate as a schema.
#[derive(Clone, Copy)]
pub struct Shape {
    name: fn() -> std::borrow::Cow<'static, str>,
    schema: fn() -> RefOr<Schema>,
    parts: fn(&mut Vec<(String, RefOr<Schema>)>),
}

impl Shape {
    /// The schema of a type.
    #[must_use]
    pub const fn of<T: ToSchema>() -> Self {
        Self { name: T::name, schema: T::schema, parts: T::schemas }
    }

    /// Its name among the components.
    #[must_use]
    pub fn name(self) -> String {
        (self.name)().into_owned()
    }

    /// The schema itself.
    #[must_use]
    pub fn schema(self) -> RefOr<Schema> {
        (self.schema)()
    }

    /// The schemas it refers to, in any order, some perhaps more than once.
    #[must_use]
    pub fn parts(self) -> Vec<(String, RefOr<Schema>)> {
        let mut parts = Vec::new();
        (self.parts)(&mut parts);
        parts
    }
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

/// Refusals that every call with a token can give.
pub const ERRORS_WITH_TOKEN: &[ErrorCode] = &[Unauthorized, RateLimited, Internal];
/// Refusals that every call without a token can give.
pub const ERRORS_WITHOUT_TOKEN: &[ErrorCode] = &[RateLimited, Internal];
const READ: &[ErrorCode] = &[NotFound, Invalid, ShardUnavailable];
const READ_OR_FORBIDDEN: &[ErrorCode] = &[Forbidden, NotFound, Invalid, ShardUnavailable];
const LIST_OF_GROUP: &[ErrorCode] =
    &[Forbidden, NotMember, NotFound, Conflict, Invalid, ShardUnavailable];
const WRITE: &[ErrorCode] = &[
    BadRequest,
    Forbidden,
    NotMember,
    NotFound,
    Conflict,
    TooLarge,
    Invalid,
    Busy,
    ShardUnavailable,
];
const WRITE_NO_BODY: &[ErrorCode] =
    &[Forbidden, NotMember, NotFound, Conflict, Invalid, Busy, ShardUnavailable];

const UPLOAD: &[ErrorCode] =
    &[BadRequest, NotFound, Conflict, TooLarge, UnsupportedMedia, Invalid, Busy, ShardUnavailable];
const SIGNED: &[Param] = &[
    Param {
        name: "expires",
        kind: ParamKind::Text,
        required: true,
        meaning: "Until when the address is good, seconds of Unix time.",
    },
    Param {
        name: "signature",
        kind: ParamKind::Text,
        required: true,
        meaning: "The server's signature over path and query before it.",
    },
];

const fn limit(limit: Limit) -> Param {
    Param {
        name: "limit",
        kind: ParamKind::Limit(limit),
        required: false,
        meaning: "How many; larger ones are cut to the maximum, 0 is `invalid`.",
    }
}

const fn param(name: &'static str, kind: ParamKind, meaning: &'static str) -> Param {
    Param { name, kind, required: false, meaning }
}

const fn ok<T: ToSchema>(meaning: &'static str) -> Answer {
    Answer { status: 200, meaning, body: Some(Shape::of::<T>()) }
}

const fn created<T: ToSchema>(meaning: &'static str) -> Answer {
    Answer { status: 201, meaning, body: Some(Shape::of::<T>()) }
}

const NO_CONTENT: Answer = Answer { status: 204, meaning: "Done.", body: None };

const CURSOR: Param = param(
    "cursor",
    ParamKind::Cursor,
    "`next_cursor` of the page before; none for the first page.",
);

/// Starts a row of the table.
const fn call(
    method: &'static str,
    path: &'static str,
    tag: &'static str,
    summary: &'static str,
) -> Operation {
    Operation {
        method,
        path,
        tag,
        summary,
        notes: "",
        auth: true,
        query: &[],
        body: None,
        answers: &[],
        errors: &[],
    }
}

const AUTH: &str = "Signing in";
const USERS: &str = "Users";
const DIALOGS: &str = "Dialogs";
const CONVERSATIONS: &str = "Conversations";
const MESSAGES: &str = "Messages";
const MEDIA: &str = "Files";
const MEMBERS: &str = "Members";
const SYNC: &str = "Staying level";
const SEARCH: &str = "Search";
const PUSH: &str = "While away";
const OPERATOR: &str = "Operator";
const SHARDS: &str = "Shards";
/// What every call of an operator can be refused with besides.
const ADMIN: &[ErrorCode] = &[Forbidden];
const ADMIN_WRITE: &[ErrorCode] =
    &[BadRequest, Forbidden, NotFound, Conflict, Invalid, ShardUnavailable];
/// Jobs on a page.
const JOBS: Limit = Limit { default: 20, max: 100 };
/// Hot things of a kind.
const TOP: Limit = Limit { default: 10, max: 100 };
/// Entries of the audit log on a page.
const AUDITS: Limit = Limit { default: 50, max: 1_000 };
const AFTER: Param =
    param("after", ParamKind::Number, "`next` of the page before; none for the first page.");

/// Every REST call, in the order of the documentation.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        notes: "Can be switched off by the operator, or be for those with an `invite` only (`forbidden`). `conflict` when the name is taken.",
        auth: false,
        body: Some(Shape::of::<Register<'_>>()),
        answers: &[created::<SignedIn>("Signed up and signed in.")],
        errors: &[BadRequest, Forbidden, Conflict, Invalid, Busy],
        ..call("POST", "/api/v1/auth/register", AUTH, "Create an account and sign in.")
    },
    Operation {
        notes: "A wrong name and a wrong password get the same answer after the same time. `forbidden`: the password was right, and the account is deactivated.",
        auth: false,
        body: Some(Shape::of::<Login<'_>>()),
        answers: &[ok::<SignedIn>("Signed in.")],
        errors: &[BadRequest, Unauthorized, Forbidden, Invalid, Busy],
        ..call("POST", "/api/v1/auth/login", AUTH, "Sign in with name and password.")
    },
    Operation {
        notes: "Its connections close with 4401.",
        answers: &[NO_CONTENT],
        ..call("POST", "/api/v1/auth/logout", AUTH, "Sign this session out.")
    },
    Operation {
        answers: &[ok::<Sessions>("All sessions of this user.")],
        ..call("GET", "/api/v1/auth/sessions", AUTH, "List one's own sessions.")
    },
    Operation {
        notes: "Not the one that asks. Their connections close with 4401.",
        answers: &[ok::<SignedOut>("How many ended.")],
        ..call("DELETE", "/api/v1/auth/sessions", AUTH, "Sign all other devices out.")
    },
    Operation {
        notes: "Its connections close with 4401.",
        answers: &[NO_CONTENT],
        errors: &[NotFound],
        ..call("DELETE", "/api/v1/auth/sessions/{session_id}", AUTH, "Revoke a session.")
    },
    Operation {
        notes: "For browsers, which cannot send headers with a WebSocket: `/api/v1/ws?ticket=…`.",
        answers: &[ok::<Ticket>("A ticket for one use within 30 seconds.")],
        ..call("POST", "/api/v1/auth/ticket", AUTH, "Get a ticket for the WebSocket.")
    },
    Operation {
        answers: &[ok::<OwnProfile>("One's own profile.")],
        ..call("GET", "/api/v1/me", USERS, "Read one's own profile.")
    },
    Operation {
        body: Some(Shape::of::<EditProfile>()),
        answers: &[ok::<OwnProfile>("The profile as it is now.")],
        errors: &[BadRequest, Invalid],
        ..call("PATCH", "/api/v1/me", USERS, "Change one's own profile.")
    },
    Operation {
        query: &[
            Param {
                name: "query",
                kind: ParamKind::Text,
                required: true,
                meaning: "Beginning of a user name or display name.",
            },
            limit(UsersQuery::LIMIT),
        ],
        answers: &[ok::<Profiles>("Matching users.")],
        errors: &[Invalid],
        ..call("GET", "/api/v1/users", USERS, "Find users by name.")
    },
    Operation {
        answers: &[ok::<Profile>("The profile.")],
        errors: &[NotFound],
        ..call("GET", "/api/v1/users/{user_id}", USERS, "Read a user's profile.")
    },
    Operation {
        notes: "Ids that nobody has are left out.",
        body: Some(Shape::of::<LookupUsers>()),
        answers: &[ok::<Profiles>("Those that exist.")],
        errors: &[BadRequest, Invalid],
        ..call("POST", "/api/v1/users/lookup", USERS, "Read many profiles at once.")
    },
    Operation {
        notes: "One for each user that was asked for, in that order; what is not for you to see, and who does not \
                exist, is offline.",
        query: &[Param {
            name: "user_ids",
            kind: ParamKind::Text,
            required: true,
            meaning: "User ids with commas between, at most 500.",
        }],
        answers: &[ok::<PresenceList>("Who is online.")],
        errors: &[Invalid, ShardUnavailable],
        ..call("GET", "/api/v1/presence", USERS, "Read who is online, or was last.")
    },
    Operation {
        notes: "A view of the direct conversation with that user. The same `client_id` with the \
                same text gets the first result with 200; with another text, `conflict`.",
        body: Some(Shape::of::<DialogSend<'_>>()),
        answers: &[
            created::<DialogMessage<'_>>("Sent; durable."),
            ok::<DialogMessage<'_>>("Sent before under this `client_id`: the first result."),
        ],
        errors: WRITE,
        ..call("POST", "/api/v1/dialog/{user_id}/send", DIALOGS, "Send text to a user.")
    },
    Operation {
        notes: "Deleted messages stay, with empty text and `deleted`, so that offsets are arithmetic.",
        query: &[
            limit(DialogQuery::LIMIT),
            param("offset", ParamKind::Number, "How many of the newest to leave out."),
        ],
        answers: &[ok::<DialogList<'_>>("The messages, newest first.")],
        errors: READ,
        ..call("GET", "/api/v1/dialog/{user_id}/list", DIALOGS, "List what was said with a user.")
    },
    Operation {
        query: &[limit(ConversationsQuery::LIMIT), CURSOR],
        answers: &[ok::<Conversations<'_>>("A page of the chat list.")],
        errors: &[Invalid, ShardUnavailable],
        ..call(
            "GET",
            "/api/v1/conversations",
            CONVERSATIONS,
            "Read the chat list, latest activity first.",
        )
    },
    Operation {
        answers: &[ok::<Unread>("Unread counts.")],
        errors: &[ShardUnavailable],
        ..call(
            "GET",
            "/api/v1/conversations/unread",
            CONVERSATIONS,
            "Read all unread counts, cheaply.",
        )
    },
    Operation {
        notes: "A direct conversation exists once for two users; its id follows from theirs.",
        body: Some(Shape::of::<conversations::CreateConversationWire<'_>>()),
        answers: &[
            created::<Entry<'_>>("Created."),
            ok::<Entry<'_>>("It exists already (direct, or a group with this `client_id`)."),
        ],
        errors: WRITE,
        ..call(
            "POST",
            "/api/v1/conversations",
            CONVERSATIONS,
            "Open a direct conversation or create a group.",
        )
    },
    Operation {
        answers: &[ok::<Entry<'_>>("The entry of the chat list.")],
        errors: READ,
        ..call(
            "GET",
            "/api/v1/conversations/{conversation_id}",
            CONVERSATIONS,
            "Read one conversation.",
        )
    },
    Operation {
        notes: "In groups by whom `settings.change` allows it, settings by an admin at least. Of a direct conversation both \
                may change `timer_s` and `retention_s`.",
        body: Some(Shape::of::<EditConversation<'_>>()),
        answers: &[ok::<Entry<'_>>("The entry as it is now.")],
        errors: WRITE,
        ..call(
            "PATCH",
            "/api/v1/conversations/{conversation_id}",
            CONVERSATIONS,
            "Rename a group, change its settings, say how long messages live.",
        )
    },
    Operation {
        notes: "Groups only, by the owner.",
        answers: &[NO_CONTENT],
        errors: WRITE_NO_BODY,
        ..call(
            "DELETE",
            "/api/v1/conversations/{conversation_id}",
            CONVERSATIONS,
            "Delete a group for everyone.",
        )
    },
    Operation {
        notes: "Nobody else sees these settings.",
        body: Some(Shape::of::<EditInbox>()),
        answers: &[ok::<Inbox>("The settings as they are now.")],
        errors: &[BadRequest, NotFound, Invalid, Busy, ShardUnavailable],
        ..call(
            "PATCH",
            "/api/v1/conversations/{conversation_id}/inbox",
            CONVERSATIONS,
            "Pin, mute, archive, hide, mark as unread, keep a draft.",
        )
    },
    Operation {
        notes: "At most one of `before`, `after` and `around`; without any, the newest page.",
        query: &[
            limit(MessagesQuery::LIMIT),
            param("before", ParamKind::Position, "The page that ends right before this position."),
            param("after", ParamKind::Position, "The page that begins right after this position."),
            param("around", ParamKind::Position, "The page with this position in its middle."),
            param(
                "min_rev",
                ParamKind::Number,
                "The page may be stale, but holds everything up to this rev.",
            ),
        ],
        answers: &[ok::<MessagePage<'_>>("The page, by rising seq.")],
        errors: READ,
        ..call(
            "GET",
            "/api/v1/conversations/{conversation_id}/messages",
            MESSAGES,
            "Read a page of messages.",
        )
    },
    Operation {
        notes: "The same `client_id` with the same payload gets the first result with 200, also \
                after an edit; after a deletion with any payload. With another payload, `conflict`.",
        body: Some(Shape::of::<OutgoingMessage<'_>>()),
        answers: &[
            created::<Message<'_>>("Sent; durable."),
            ok::<Message<'_>>("Sent before under this `client_id`: the message as it is now."),
        ],
        errors: WRITE,
        ..call(
            "POST",
            "/api/v1/conversations/{conversation_id}/messages",
            MESSAGES,
            "Send a message.",
        )
    },
    Operation {
        notes: "By its sender. The operator may limit how long after its sending; admins of groups always may.",
        body: Some(Shape::of::<EditContent<'_>>()),
        answers: &[ok::<Message<'_>>("The message as it is now.")],
        errors: WRITE,
        ..call(
            "PATCH",
            "/api/v1/conversations/{conversation_id}/messages/{seq}",
            MESSAGES,
            "Edit a message.",
        )
    },
    Operation {
        notes: "The messages whose `reply_to` names it: the thread below it.",
        query: &[
            limit(RepliesQuery::LIMIT),
            param("after", ParamKind::Number, "The page that begins right after this seq."),
        ],
        answers: &[ok::<Replies<'_>>("The page, by rising seq.")],
        errors: READ,
        ..call(
            "GET",
            "/api/v1/conversations/{conversation_id}/messages/{seq}/replies",
            MESSAGES,
            "Read the answers to a message.",
        )
    },
    Operation {
        notes: "What it said before, where the operator keeps that; else nothing. At most 100 are kept; deleting the message \
                removes them.",
        answers: &[ok::<Edits<'_>>("Former contents, oldest first.")],
        errors: READ,
        ..call(
            "GET",
            "/api/v1/conversations/{conversation_id}/messages/{seq}/edits",
            MESSAGES,
            "Read what a message said before.",
        )
    },
    Operation {
        notes: "`forbidden` in groups that are `large`. Who does not tell, and for who does not tell anybody, is among \
                those it was delivered to.",
        answers: &[ok::<SeenBy>("Who has read it.")],
        errors: READ_OR_FORBIDDEN,
        ..call(
            "GET",
            "/api/v1/conversations/{conversation_id}/messages/{seq}/seen",
            MESSAGES,
            "Read who has read a message.",
        )
    },
    Operation {
        notes: "For everyone: by its sender; in groups also by whom `settings.delete_messages` allows it. The operator may \
                limit how long after its sending the sender may; admins always may. For me: by who may read it, and the answer is \
                `{mark_rev, history}`. Twice gets the same answer.",
        query: &[param("for", ParamKind::Words(&["everyone", "me"]), "For whom.")],
        answers: &[ok::<Deleted>("Deleted; a tombstone stays.")],
        errors: WRITE_NO_BODY,
        ..call(
            "DELETE",
            "/api/v1/conversations/{conversation_id}/messages/{seq}",
            MESSAGES,
            "Delete a message.",
        )
    },
    Operation {
        answers: &[ok::<Changed>("One's own reaction is there.")],
        errors: WRITE_NO_BODY,
        ..call(
            "PUT",
            "/api/v1/conversations/{conversation_id}/messages/{seq}/reactions/{emoji}",
            MESSAGES,
            "React to a message.",
        )
    },
    Operation {
        answers: &[ok::<Changed>("One's own reaction is gone.")],
        errors: WRITE_NO_BODY,
        ..call(
            "DELETE",
            "/api/v1/conversations/{conversation_id}/messages/{seq}/reactions/{emoji}",
            MESSAGES,
            "Take a reaction back.",
        )
    },
    Operation {
        answers: &[ok::<Pins<'_>>("The pinned messages, by rising seq.")],
        errors: &[BadRequest, NotFound, ShardUnavailable],
        ..call("GET", "/api/v1/conversations/{conversation_id}/pins", MESSAGES, "Pinned messages.")
    },
    Operation {
        notes: "In groups by whom `settings.pin` allows it. At most 100; one more is `conflict`.",
        answers: &[ok::<Changed>("The message is pinned.")],
        errors: WRITE_NO_BODY,
        ..call(
            "PUT",
            "/api/v1/conversations/{conversation_id}/pins/{seq}",
            MESSAGES,
            "Pin a message.",
        )
    },
    Operation {
        notes: "In groups by whom `settings.pin` allows it.",
        answers: &[ok::<Changed>("The message is not pinned.")],
        errors: WRITE_NO_BODY,
        ..call(
            "DELETE",
            "/api/v1/conversations/{conversation_id}/pins/{seq}",
            MESSAGES,
            "Take a pinned message down.",
        )
    },
    Operation {
        notes: "Forward only, clamped to the newest message. Read implies delivered.",
        body: Some(Shape::of::<messages::MarkUpToWire>()),
        answers: &[ok::<Empty>("Marked.")],
        errors: &[BadRequest, NotMember, NotFound, Invalid, Busy, ShardUnavailable],
        ..call(
            "POST",
            "/api/v1/conversations/{conversation_id}/read",
            MESSAGES,
            "Mark as read up to a message.",
        )
    },
    Operation {
        notes: "Forward only, clamped to the newest message.",
        body: Some(Shape::of::<messages::MarkUpToWire>()),
        answers: &[ok::<Empty>("Marked.")],
        errors: &[BadRequest, NotMember, NotFound, Invalid, Busy, ShardUnavailable],
        ..call(
            "POST",
            "/api/v1/conversations/{conversation_id}/delivered",
            MESSAGES,
            "Mark as delivered up to a message.",
        )
    },
    Operation {
        notes: "With `query` a page may be shorter, also empty, while `next_cursor` is there: each call looks at 5,000 \
                members. Case and marks do not count.",
        query: &[
            param(
                "query",
                ParamKind::Text,
                "Only those whose name begins so, or several words of it do.",
            ),
            limit(MembersQuery::LIMIT),
            CURSOR,
        ],
        answers: &[ok::<Members>("A page of members.")],
        errors: READ,
        ..call(
            "GET",
            "/api/v1/conversations/{conversation_id}/members",
            MEMBERS,
            "List the members.",
        )
    },
    Operation {
        notes: "By whom `settings.add_members` allows it. Each new member is one change of its own.",
        body: Some(Shape::of::<AddMembers>()),
        answers: &[ok::<MembersAdded>("Added.")],
        errors: WRITE,
        ..call(
            "POST",
            "/api/v1/conversations/{conversation_id}/members",
            MEMBERS,
            "Add members to a group.",
        )
    },
    Operation {
        notes: "By the owner. Giving `owner` to another hands the group over.",
        body: Some(Shape::of::<EditMember>()),
        answers: &[ok::<Changed>("The role is set.")],
        errors: WRITE,
        ..call(
            "PATCH",
            "/api/v1/conversations/{conversation_id}/members/{user_id}",
            MEMBERS,
            "Change a member's role.",
        )
    },
    Operation {
        notes: "Removing oneself is leaving. An owner hands the group over first (`conflict`); the \
                last one out deletes it.",
        answers: &[ok::<Changed>("No longer a member.")],
        errors: WRITE_NO_BODY,
        ..call(
            "DELETE",
            "/api/v1/conversations/{conversation_id}/members/{user_id}",
            MEMBERS,
            "Remove a member, or leave.",
        )
    },
    Operation {
        notes: "By whom `settings.add_members` allows it. At most 100 that can be used; one more is `conflict`. The token \
                is shown here only; what a link looks like is the client's matter.",
        body: Some(Shape::of::<CreateGroupInvite>()),
        answers: &[created::<GroupInviteMade>("The link, with its token.")],
        errors: WRITE,
        ..call(
            "POST",
            "/api/v1/conversations/{conversation_id}/invites",
            MEMBERS,
            "Make an invite link for a group.",
        )
    },
    Operation {
        notes: "By whom `settings.add_members` allows it.",
        answers: &[ok::<GroupInvites>("The links that can still be used.")],
        errors: LIST_OF_GROUP,
        ..call(
            "GET",
            "/api/v1/conversations/{conversation_id}/invites",
            MEMBERS,
            "List the invite links of a group.",
        )
    },
    Operation {
        notes: "By whom `settings.add_members` allows it. Twice gets the same answer.",
        answers: &[NO_CONTENT],
        errors: WRITE_NO_BODY,
        ..call(
            "DELETE",
            "/api/v1/conversations/{conversation_id}/invites/{invite_id}",
            MEMBERS,
            "Revoke an invite link.",
        )
    },
    Operation {
        notes: "A link that cannot be used (any more) is `not_found`.",
        answers: &[ok::<JoinPreview>("The group.")],
        errors: &[NotFound, Busy, ShardUnavailable],
        ..call("GET", "/api/v1/join/{token}", MEMBERS, "Look where an invite link leads.")
    },
    Operation {
        notes: "As if somebody had added the caller; a member uses nothing up. A link that cannot be used (any more) is \
                `not_found`, who is banned is `forbidden`, a full group is `conflict`.",
        answers: &[ok::<Entry<'_>>("The entry of the chat list.")],
        errors: WRITE_NO_BODY,
        ..call("POST", "/api/v1/join/{token}", MEMBERS, "Join a group by an invite link.")
    },
    Operation {
        notes: "By an admin or the owner, only of a lower role. A member is removed. Who is banned cannot be added or \
                join by a link until the ban ends or is lifted.",
        body: Some(Shape::of::<BanUser>()),
        answers: &[ok::<Changed>("Banned.")],
        errors: WRITE,
        ..call(
            "POST",
            "/api/v1/conversations/{conversation_id}/bans",
            MEMBERS,
            "Keep a user out of a group.",
        )
    },
    Operation {
        notes: "By an admin or the owner.",
        query: &[limit(MembersQuery::LIMIT), CURSOR],
        answers: &[ok::<GroupBans>("A page of bans.")],
        errors: LIST_OF_GROUP,
        ..call(
            "GET",
            "/api/v1/conversations/{conversation_id}/bans",
            MEMBERS,
            "List who is kept out of a group.",
        )
    },
    Operation {
        notes: "By an admin or the owner. Nobody is added by it.",
        answers: &[ok::<Changed>("Not banned any more.")],
        errors: WRITE_NO_BODY,
        ..call(
            "DELETE",
            "/api/v1/conversations/{conversation_id}/bans/{user_id}",
            MEMBERS,
            "Lift a ban.",
        )
    },
    Operation {
        notes: "The body is `multipart/form-data` with one part `file`. The type is found out from the bytes; the name of the part and the type it says only name the file, but what is said to be a picture, sound or film must be one (`unsupported_media`). Pictures are turned as they are to be seen and lose their metadata; damaged and overlong ones are refused, as are drawings (SVG) with scripts.",
        answers: &[created::<Media>("Stored.")],
        errors: UPLOAD,
        ..call("POST", "/api/v1/media/upload", MEDIA, "Upload a file.")
    },
    Operation {
        notes: "The protocol is tus 1.0.0 with its extensions creation, termination and expiration: every call has `Tus-Resumable: 1.0.0` (else 412), this one `Upload-Length` and perhaps `Upload-Metadata` with `filename` and `filetype`. The answer's `Location` is the upload; it is gone after a day.",
        answers: &[Answer { status: 201, meaning: "Begun.", body: None }],
        errors: UPLOAD,
        ..call("POST", "/api/v1/media/uploads", MEDIA, "Begin an upload that may be interrupted.")
    },
    Operation {
        notes: "The body is `application/offset+octet-stream`, `Upload-Offset` where it begins: `conflict` at another place, 423 while another call writes. What has come stays if the call is cut off; `HEAD` on the same path says in `Upload-Offset` how far that is. The last answer has the id of the file in `Media-Id`, and `HEAD` has it from then on. A file that is refused takes its upload with it.",
        answers: &[Answer { status: 204, meaning: "Added.", body: None }],
        errors: UPLOAD,
        ..call("PATCH", "/api/v1/media/uploads/{upload_id}", MEDIA, "Add bytes to an upload.")
    },
    Operation {
        answers: &[NO_CONTENT],
        errors: &[NotFound],
        ..call("DELETE", "/api/v1/media/uploads/{upload_id}", MEDIA, "Give an upload up.")
    },
    Operation {
        notes: "For who uploaded it, and for who may read a message with it: with new addresses.",
        answers: &[ok::<Media>("What is known of it.")],
        errors: &[NotFound, ShardUnavailable],
        ..call("GET", "/api/v1/media/{media_id}", MEDIA, "Look a file up.")
    },
    Operation {
        notes: "The address is `url` of a file, with its signature; it needs no token. `Range`, `If-Range` and `If-None-Match` are understood; the answer may be kept for as long as the address is good. What a browser might run is a download of no type.",
        auth: false,
        query: SIGNED,
        answers: &[
            Answer { status: 200, meaning: "Its bytes.", body: None },
            Answer { status: 206, meaning: "A part of them.", body: None },
            Answer { status: 304, meaning: "The client has them.", body: None },
        ],
        errors: &[Forbidden, NotFound, ShardUnavailable],
        ..call("GET", "/api/v1/media/file/{media_id}", MEDIA, "Download a file.")
    },
    Operation {
        notes: "The address is `thumbnail_url` of a file; as for the file itself.",
        auth: false,
        query: SIGNED,
        answers: &[
            Answer { status: 200, meaning: "Its bytes.", body: None },
            Answer { status: 304, meaning: "The client has them.", body: None },
        ],
        errors: &[Forbidden, NotFound, ShardUnavailable],
        ..call("GET", "/api/v1/media/thumbnail/{media_id}", MEDIA, "Download a small picture.")
    },
    Operation {
        notes: "The newest state of every row that changed after `since_rev`, in rev order, \
                complete up to the answer's `rev`. Ask again while `more` is true.",
        query: &[
            param("since_rev", ParamKind::Number, "Changes above this; 0 = from the start."),
            param("since_mark", ParamKind::Number, "Marks above this; 0 = all."),
            param(
                "history",
                ParamKind::History,
                "The line of numbers that the two belong to; may be left out only with `since_rev=0`.",
            ),
            limit(ChangesQuery::LIMIT),
        ],
        answers: &[ok::<Changes<'_>>("What changed.")],
        errors: READ,
        ..call(
            "GET",
            "/api/v1/conversations/{conversation_id}/changes",
            SYNC,
            "Read what changed in a conversation.",
        )
    },
    Operation {
        query: &[
            param(
                "cursor",
                ParamKind::Cursor,
                "`cursor` of the last answer; none = from the start.",
            ),
            limit(SyncQuery::LIMIT),
        ],
        answers: &[ok::<Sync<'_>>("What changed in one's own list.")],
        errors: &[Invalid, ShardUnavailable],
        ..call("GET", "/api/v1/sync", SYNC, "Read which conversations changed.")
    },
    Operation {
        notes: "Every word must stand in the text, from the border of a word on: `foo` finds `foo.png`. Words in \
                quotation marks must stand together. See docs/search.md. A message that was edited or deleted is \
                found as it is now; a new one after a second or two.",
        query: &[
            Param {
                required: true,
                ..param(
                    "q",
                    ParamKind::Text,
                    "What to look for: at most 16 words and 256 UTF-16 units.",
                )
            },
            param("conversation_id", ParamKind::Text, "Only in this conversation."),
            param(
                "from",
                ParamKind::Text,
                "Only of this user: a number, or `ext:` and an external id.",
            ),
            param(
                "after",
                ParamKind::Position,
                "Only messages after this one, or from this time on.",
            ),
            param("before", ParamKind::Position, "Only messages before this one, or this time."),
            param(
                "has",
                ParamKind::Words(&["attachment"]),
                "Only messages with something attached.",
            ),
            param(
                "sort",
                ParamKind::Words(&["newest", "best"]),
                "`newest` first, or the `best` of the newest 300 that match.",
            ),
            CURSOR,
            limit(SearchQuery::LIMIT),
        ],
        answers: &[ok::<SearchFound<'_>>("What was found.")],
        errors: READ,
        ..call("GET", "/api/v1/search", SEARCH, "Find messages by their words.")
    },
    Operation {
        notes: "Each word of the query must begin a word of the name; case and marks do not matter. A direct conversation \
                has the names of the other user.",
        query: &[
            Param { required: true, ..param("q", ParamKind::Text, "The beginning of a name.") },
            limit(SearchConversationsQuery::LIMIT),
        ],
        answers: &[ok::<SearchConversations<'_>>("What was found.")],
        errors: &[Invalid, ShardUnavailable],
        ..call(
            "GET",
            "/api/v1/search/conversations",
            SEARCH,
            "Find conversations of one's own list by name.",
        )
    },
    Operation {
        notes: "For `applicationServerKey` of `PushManager.subscribe` in a browser.",
        answers: &[ok::<VapidPublicKey>("The server's public key.")],
        errors: &[Forbidden],
        ..call("GET", "/api/v1/push/vapid-key", PUSH, "Read the key that devices subscribe with.")
    },
    Operation {
        notes: "It goes with the session. The same endpoint again renews its keys; one that was somebody else's is taken from \
                there. Of more than 20 the oldest go. With a token of another system it lasts 60 days: subscribe again now and then.",
        body: Some(Shape::of::<Subscribe>()),
        answers: &[created::<PushSubscription>("The device is reached from now on.")],
        errors: &[BadRequest, Forbidden, Invalid],
        ..call("POST", "/api/v1/push/subscriptions", PUSH, "Let this device be reached while away.")
    },
    Operation {
        answers: &[ok::<PushSubscriptions>("One's own devices.")],
        errors: &[Forbidden],
        ..call(
            "GET",
            "/api/v1/push/subscriptions",
            PUSH,
            "List one's own devices that are reached.",
        )
    },
    Operation {
        body: Some(Shape::of::<EditSubscription>()),
        answers: &[ok::<PushSubscription>("The device as it is now.")],
        errors: &[BadRequest, Forbidden, NotFound, Invalid],
        ..call(
            "PATCH",
            "/api/v1/push/subscriptions/{subscription_id}",
            PUSH,
            "Silence a device, or let it be reached again.",
        )
    },
    Operation {
        answers: &[NO_CONTENT],
        errors: &[Forbidden, NotFound],
        ..call("DELETE", "/api/v1/push/subscriptions/{subscription_id}", PUSH, "Forget a device.")
    },
    Operation {
        answers: &[ok::<PushSettings>("What one wants to be told.")],
        errors: &[Forbidden],
        ..call("GET", "/api/v1/push/settings", PUSH, "Read what one wants to be told while away.")
    },
    Operation {
        notes: "Single conversations are muted in one's own view of them (`muted_until`).",
        body: Some(Shape::of::<EditPushSettings>()),
        answers: &[ok::<PushSettings>("The settings as they are now.")],
        errors: &[BadRequest, Forbidden, Invalid],
        ..call(
            "PATCH",
            "/api/v1/push/settings",
            PUSH,
            "Change what one wants to be told while away.",
        )
    },
    Operation {
        notes: "`?ticket=` instead of the header for browsers. Frames: see docs/protocol.md.",
        query: &[param("ticket", ParamKind::Text, "A ticket instead of the header.")],
        answers: &[Answer { status: 101, meaning: "The WebSocket is open.", body: None }],
        errors: &[BadRequest],
        ..call("GET", "/api/v1/ws", SYNC, "Open the WebSocket.")
    },
    Operation {
        auth: false,
        answers: &[Answer { status: 200, meaning: "The process lives.", body: None }],
        ..call("GET", "/healthz", OPERATOR, "Is it alive?")
    },
    Operation {
        auth: false,
        answers: &[
            Answer {
                status: 200,
                meaning: "It serves; the body has the state of each shard.",
                body: None,
            },
            Answer {
                status: 503,
                meaning: "It does not serve now; the body says why.",
                body: None,
            },
        ],
        ..call("GET", "/readyz", OPERATOR, "Does it serve?")
    },
    Operation {
        answers: &[Answer { status: 200, meaning: "Prometheus text.", body: None }],
        ..call(
            "GET",
            "/metrics",
            OPERATOR,
            "Metrics, for users with the admin role; at the operators' own address, for whoever reaches it.",
        )
    },
    Operation {
        auth: false,
        answers: &[Answer { status: 200, meaning: "This document.", body: None }],
        ..call("GET", "/openapi.json", OPERATOR, "The description of this API.")
    },
    Operation {
        notes: "Everything under this heading is for users with the admin role, and for the admin socket.",
        answers: &[ok::<admin::Shards>("All shards.")],
        errors: ADMIN,
        ..call("GET", "/api/v1/admin/shards", SHARDS, "What each shard is and holds.")
    },
    Operation {
        notes: "Its tables are made first. It holds nothing until a job brings units.",
        body: Some(Shape::of::<admin::AddShard>()),
        answers: &[created::<admin::Shard>("It is there.")],
        errors: ADMIN_WRITE,
        ..call("POST", "/api/v1/admin/shards", SHARDS, "Add a shard.")
    },
    Operation {
        notes: "`conflict` while it holds a unit or leftovers, or a move or an override names it.",
        answers: &[NO_CONTENT],
        errors: ADMIN_WRITE,
        ..call("DELETE", "/api/v1/admin/shards/{shard_id}", SHARDS, "Forget a shard that is empty.")
    },
    Operation {
        notes: "It takes no units any more, and a job brings all it has elsewhere.",
        answers: &[created::<admin::JobReport>("The job; it runs.")],
        errors: ADMIN_WRITE,
        ..call("POST", "/api/v1/admin/shards/{shard_id}/drain", SHARDS, "Empty a shard.")
    },
    Operation {
        answers: &[ok::<admin::Shard>("It takes units.")],
        errors: ADMIN_WRITE,
        ..call(
            "POST",
            "/api/v1/admin/shards/{shard_id}/accept",
            SHARDS,
            "Let a shard take units again.",
        )
    },
    Operation {
        notes: "Without `dry_run` the job is stored and waits to be applied.",
        body: Some(Shape::of::<admin::PlanRequest>()),
        answers: &[
            ok::<admin::Planned>("What would be done."),
            created::<admin::Planned>("The job is stored."),
        ],
        errors: ADMIN_WRITE,
        ..call("POST", "/api/v1/admin/shards/plan", SHARDS, "Plan how units are spread.")
    },
    Operation {
        notes: "What is there already is not moved: a job without moves is done at once.",
        body: Some(Shape::of::<admin::MoveRequest>()),
        answers: &[
            ok::<admin::Planned>("What would be done."),
            created::<admin::JobReport>("The job; it runs."),
        ],
        errors: ADMIN_WRITE,
        ..call("POST", "/api/v1/admin/shards/move", SHARDS, "Move slots, a conversation or a user.")
    },
    Operation {
        answers: &[ok::<admin::SearchIndexes>("The index of each shard.")],
        errors: ADMIN,
        ..call("GET", "/api/v1/admin/search", SEARCH, "What each index holds.")
    },
    Operation {
        notes: "Nothing is refused meanwhile; messages are found as far as the indexes know them.",
        body: Some(Shape::of::<admin::Reindex>()),
        answers: &[ok::<admin::SearchIndexes>("It has begun.")],
        errors: ADMIN_WRITE,
        ..call("POST", "/api/v1/admin/search", SEARCH, "Bring the indexes level with their shards.")
    },
    Operation {
        answers: &[ok::<admin::Overrides>("What lives apart from its slot.")],
        errors: ADMIN,
        ..call(
            "GET",
            "/api/v1/admin/shards/overrides",
            SHARDS,
            "List isolated conversations and users.",
        )
    },
    Operation {
        query: &[limit(JOBS), AFTER],
        answers: &[ok::<admin::Jobs>("Jobs, newest first, with the moves that are under way.")],
        errors: &[Forbidden, Invalid],
        ..call("GET", "/api/v1/admin/shards/jobs", SHARDS, "List jobs.")
    },
    Operation {
        answers: &[ok::<admin::Job>("The job with its moves.")],
        errors: &[Forbidden, NotFound],
        ..call("GET", "/api/v1/admin/shards/jobs/{job_id}", SHARDS, "Read one job.")
    },
    Operation {
        notes: "One that runs already is left alone.",
        answers: &[ok::<admin::JobReport>("It runs.")],
        errors: ADMIN_WRITE,
        ..call("POST", "/api/v1/admin/shards/jobs/{job_id}/apply", SHARDS, "Begin a planned job.")
    },
    Operation {
        notes: "Moves that are under way end first.",
        answers: &[ok::<admin::JobReport>("No move of it begins.")],
        errors: ADMIN_WRITE,
        ..call("POST", "/api/v1/admin/shards/jobs/{job_id}/pause", SHARDS, "Pause a job.")
    },
    Operation {
        answers: &[ok::<admin::JobReport>("It runs.")],
        errors: ADMIN_WRITE,
        ..call("POST", "/api/v1/admin/shards/jobs/{job_id}/resume", SHARDS, "Go on with a job.")
    },
    Operation {
        notes: "Moves that are under way go back; those that are done stay, `undo` takes them back.",
        answers: &[ok::<admin::JobReport>("It ends.")],
        errors: ADMIN_WRITE,
        ..call("POST", "/api/v1/admin/shards/jobs/{job_id}/abort", SHARDS, "Give a job up.")
    },
    Operation {
        notes: "A new job that does the reverse, last move first.",
        answers: &[created::<admin::JobReport>("The new job; it runs.")],
        errors: ADMIN_WRITE,
        ..call("POST", "/api/v1/admin/shards/jobs/{job_id}/undo", SHARDS, "Take a job back.")
    },
    Operation {
        notes: "Of this node, smoothed over some windows.",
        query: &[limit(TOP)],
        answers: &[ok::<admin::Hot>(
            "What costs most, with a command that would bring it elsewhere.",
        )],
        errors: &[Forbidden, Invalid],
        ..call(
            "GET",
            "/api/v1/admin/shards/hot",
            SHARDS,
            "List hot units, conversations and users.",
        )
    },
    Operation {
        answers: &[ok::<admin::Garbage>("What moves left behind.")],
        errors: ADMIN,
        ..call("GET", "/api/v1/admin/shards/garbage", SHARDS, "List leftovers.")
    },
    Operation {
        notes: "They are removed by themselves, page by page; this wakes whoever removes them, who looks for leftovers about once a second.",
        answers: &[ok::<admin::Garbage>("What is left.")],
        errors: ADMIN,
        ..call("POST", "/api/v1/admin/shards/garbage", SHARDS, "Ask for leftovers to be removed.")
    },
    Operation {
        query: &[limit(AUDITS), AFTER],
        answers: &[ok::<admin::Audit>("What operators did, newest first.")],
        errors: &[Forbidden, Invalid],
        ..call("GET", "/api/v1/admin/audit", SHARDS, "Read the audit log.")
    },
];

/// The body of every refusal.
pub const ERROR_BODY: Shape = Shape::of::<ErrorBody>();
