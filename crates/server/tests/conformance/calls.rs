//! Every REST call and every command of the WebSocket with what it takes and who may make it. A new
//! operation of the protocol must get a row here: the tests that go over this table then cover it.

use ostracon_proto::{
    frame::Command,
    rest::{OPERATIONS, Operation},
};
use serde_json::{Value, json};

use crate::world::User;

/// What a call answers: the status, and the code of a refusal.
pub(crate) type Answer = (u16, &'static str);

const OK: Answer = (200, "");
const MADE: Answer = (201, "");
const DONE: Answer = (204, "");
pub(crate) const FORBIDDEN: Answer = (403, "forbidden");
const NOT_FOUND: Answer = (404, "not_found");
const NOT_MEMBER: Answer = (403, "not_member");

/// Of what a call is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scope {
    /// Needs no token.
    Open,
    /// Of the caller's own things, or of what everybody may know.
    Own,
    /// Of the operator: forbidden to whoever has not the admin role.
    Operator,
    /// Of a group: what a former member, a member, an admin and the owner get.
    Group { former: Answer, member: Answer, admin: Answer, owner: Answer },
}

pub(crate) struct Row {
    /// Method and path, as in the table of the protocol.
    pub(crate) call: &'static str,
    pub(crate) scope: Scope,
    /// A good body.
    pub(crate) body: fn(&Stage) -> Option<Value>,
}

/// What the bodies and paths speak of.
pub(crate) struct Stage {
    /// The group.
    pub(crate) group: String,
    /// A message of its owner, and its seq.
    pub(crate) message_id: String,
    pub(crate) seq: u64,
    /// A member nobody acts as.
    pub(crate) other: u64,
    /// Somebody who is no member.
    pub(crate) outsider: u64,
    pub(crate) session: String,
}

const fn group(former: Answer, member: Answer, admin: Answer, owner: Answer) -> Scope {
    Scope::Group { former, member, admin, owner }
}

const fn all(answer: Answer) -> Scope {
    group(answer, answer, answer, answer)
}

const fn row(call: &'static str, scope: Scope, body: fn(&Stage) -> Option<Value>) -> Row {
    Row { call, scope, body }
}

fn none(_: &Stage) -> Option<Value> {
    None
}

pub(crate) const ROWS: &[Row] = &[
    row("POST /api/v1/auth/register", Scope::Open, |_| {
        Some(json!({"username": "newcomer", "password": "correct horse", "display_name": "New"}))
    }),
    row("POST /api/v1/auth/login", Scope::Open, |_| {
        Some(json!({"username": "newcomer", "password": "correct horse", "device_name": "phone"}))
    }),
    row("POST /api/v1/auth/logout", Scope::Own, none),
    row("GET /api/v1/auth/sessions", Scope::Own, none),
    row("DELETE /api/v1/auth/sessions", Scope::Own, none),
    row("DELETE /api/v1/auth/sessions/{session_id}", Scope::Own, none),
    row("POST /api/v1/auth/ticket", Scope::Own, none),
    row("GET /api/v1/me", Scope::Own, none),
    row("PATCH /api/v1/me", Scope::Own, |_| Some(json!({"display_name": "Somebody"}))),
    row("GET /api/v1/users", Scope::Own, none),
    row("GET /api/v1/users/{user_id}", Scope::Own, none),
    row("POST /api/v1/users/lookup", Scope::Own, |stage| {
        Some(json!({"ids": [stage.other], "external_ids": ["nobody"]}))
    }),
    row("GET /api/v1/presence", Scope::Own, none),
    row("POST /api/v1/dialog/{user_id}/send", Scope::Own, |stage| {
        Some(json!({"to": stage.other, "text": "hello", "client_id": "d-1"}))
    }),
    row("GET /api/v1/dialog/{user_id}/list", Scope::Own, none),
    row("GET /api/v1/conversations", Scope::Own, none),
    row("GET /api/v1/conversations/unread", Scope::Own, none),
    row("POST /api/v1/conversations", Scope::Own, |stage| {
        Some(json!({"type": "group", "name": "g", "member_ids": [stage.other], "client_id": "g-1"}))
    }),
    row("GET /api/v1/conversations/{conversation_id}", all(OK), none),
    row(
        "PATCH /api/v1/conversations/{conversation_id}",
        group(NOT_MEMBER, FORBIDDEN, OK, OK),
        |_| Some(json!({"name": "renamed", "settings": {"history_for": "all"}})),
    ),
    row(
        "DELETE /api/v1/conversations/{conversation_id}",
        group(NOT_MEMBER, FORBIDDEN, FORBIDDEN, DONE),
        none,
    ),
    row("PATCH /api/v1/conversations/{conversation_id}/inbox", all(OK), |_| {
        Some(json!({"pinned": true, "muted_until": 1_900_000_000_000_u64, "archived": true,
            "hidden_to": 1, "marked_unread": true}))
    }),
    row("GET /api/v1/conversations/{conversation_id}/messages", all(OK), none),
    row(
        "POST /api/v1/conversations/{conversation_id}/messages",
        group(NOT_MEMBER, MADE, MADE, MADE),
        |stage| {
            Some(json!({"content": "hello", "type": "text", "client_id": "m-1",
                "reply_to": stage.seq,
                "mentions": [{"user_id": stage.other, "start": 0, "end": 5}]}))
        },
    ),
    row(
        "GET /api/v1/conversations/{conversation_id}/messages/{seq}/seen",
        group(NOT_MEMBER, OK, OK, OK),
        none,
    ),
    row(
        "PATCH /api/v1/conversations/{conversation_id}/messages/{seq}",
        group(NOT_MEMBER, FORBIDDEN, FORBIDDEN, OK),
        |_| Some(json!({"content": "edited", "if_content_rev": null})),
    ),
    row(
        "DELETE /api/v1/conversations/{conversation_id}/messages/{seq}",
        group(NOT_MEMBER, FORBIDDEN, OK, OK),
        none,
    ),
    row(
        "PUT /api/v1/conversations/{conversation_id}/messages/{seq}/reactions/{emoji}",
        group(NOT_MEMBER, OK, OK, OK),
        none,
    ),
    row(
        "DELETE /api/v1/conversations/{conversation_id}/messages/{seq}/reactions/{emoji}",
        group(NOT_MEMBER, OK, OK, OK),
        none,
    ),
    row("GET /api/v1/conversations/{conversation_id}/messages/{seq}/edits", all(OK), none),
    row("GET /api/v1/conversations/{conversation_id}/messages/{seq}/replies", all(OK), none),
    row("GET /api/v1/conversations/{conversation_id}/pins", all(OK), none),
    row(
        "PUT /api/v1/conversations/{conversation_id}/pins/{seq}",
        group(NOT_MEMBER, FORBIDDEN, OK, OK),
        none,
    ),
    row(
        "DELETE /api/v1/conversations/{conversation_id}/pins/{seq}",
        group(NOT_MEMBER, FORBIDDEN, OK, OK),
        none,
    ),
    row(
        "POST /api/v1/conversations/{conversation_id}/read",
        group(NOT_MEMBER, OK, OK, OK),
        |stage| Some(json!({"seq": stage.seq})),
    ),
    row(
        "POST /api/v1/conversations/{conversation_id}/delivered",
        group(NOT_MEMBER, OK, OK, OK),
        |stage| Some(json!({"message_id": stage.message_id})),
    ),
    row("GET /api/v1/conversations/{conversation_id}/members", all(OK), none),
    row(
        "POST /api/v1/conversations/{conversation_id}/members",
        group(NOT_MEMBER, FORBIDDEN, OK, OK),
        |stage| Some(json!({"user_ids": [stage.outsider]})),
    ),
    row(
        "PATCH /api/v1/conversations/{conversation_id}/members/{user_id}",
        group(NOT_MEMBER, FORBIDDEN, FORBIDDEN, OK),
        |_| Some(json!({"role": "admin"})),
    ),
    row(
        "DELETE /api/v1/conversations/{conversation_id}/members/{user_id}",
        group(NOT_MEMBER, FORBIDDEN, OK, OK),
        none,
    ),
    row(
        "POST /api/v1/conversations/{conversation_id}/invites",
        group(NOT_MEMBER, FORBIDDEN, MADE, MADE),
        |_| Some(json!({"max_uses": 3, "expires_at": 1_900_000_000_000_u64})),
    ),
    row(
        "GET /api/v1/conversations/{conversation_id}/invites",
        group(NOT_MEMBER, FORBIDDEN, OK, OK),
        none,
    ),
    row(
        "DELETE /api/v1/conversations/{conversation_id}/invites/{invite_id}",
        group(NOT_MEMBER, FORBIDDEN, NOT_FOUND, NOT_FOUND),
        none,
    ),
    row(
        "POST /api/v1/conversations/{conversation_id}/bans",
        group(NOT_MEMBER, FORBIDDEN, OK, OK),
        |stage| Some(json!({"user_id": stage.other, "until": 1_900_000_000_000_u64})),
    ),
    row(
        "GET /api/v1/conversations/{conversation_id}/bans",
        group(NOT_MEMBER, FORBIDDEN, OK, OK),
        none,
    ),
    row(
        "DELETE /api/v1/conversations/{conversation_id}/bans/{user_id}",
        group(NOT_MEMBER, FORBIDDEN, OK, OK),
        none,
    ),
    row("GET /api/v1/join/{token}", Scope::Own, none),
    row("POST /api/v1/join/{token}", Scope::Own, none),
    row("GET /api/v1/conversations/{conversation_id}/changes", all(OK), none),
    row("GET /api/v1/search", Scope::Own, none),
    row("GET /api/v1/search/conversations", Scope::Own, none),
    row("POST /api/v1/media/upload", Scope::Own, none),
    row("POST /api/v1/media/uploads", Scope::Own, none),
    row("PATCH /api/v1/media/uploads/{upload_id}", Scope::Own, none),
    row("DELETE /api/v1/media/uploads/{upload_id}", Scope::Own, none),
    row("GET /api/v1/media/{media_id}", Scope::Own, none),
    row("GET /api/v1/media/file/{media_id}", Scope::Open, none),
    row("GET /api/v1/media/thumbnail/{media_id}", Scope::Open, none),
    row("GET /api/v1/sync", Scope::Own, none),
    row("GET /api/v1/push/vapid-key", Scope::Own, none),
    row("POST /api/v1/push/subscriptions", Scope::Own, |_| {
        Some(json!({
            "endpoint": "https://push.example/device",
            "keys": {
                "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
                "auth": "BTBZMqHH6r4Tts7J_aSIgg",
            },
        }))
    }),
    row("GET /api/v1/push/subscriptions", Scope::Own, none),
    row("PATCH /api/v1/push/subscriptions/{subscription_id}", Scope::Own, |_| {
        Some(json!({"enabled": false}))
    }),
    row("DELETE /api/v1/push/subscriptions/{subscription_id}", Scope::Own, none),
    row("GET /api/v1/push/settings", Scope::Own, none),
    row("PATCH /api/v1/push/settings", Scope::Own, |_| Some(json!({"scope": "mentions"}))),
    row("GET /api/v1/ws", Scope::Own, none),
    row("GET /healthz", Scope::Open, none),
    row("GET /readyz", Scope::Open, none),
    row("GET /metrics", Scope::Operator, none),
    row("GET /openapi.json", Scope::Open, none),
    row("GET /api/v1/admin/shards", Scope::Operator, none),
    row("POST /api/v1/admin/shards", Scope::Operator, none),
    row("DELETE /api/v1/admin/shards/{shard_id}", Scope::Operator, none),
    row("POST /api/v1/admin/shards/{shard_id}/drain", Scope::Operator, none),
    row("POST /api/v1/admin/shards/{shard_id}/accept", Scope::Operator, none),
    row("POST /api/v1/admin/shards/plan", Scope::Operator, none),
    row("POST /api/v1/admin/shards/move", Scope::Operator, none),
    row("GET /api/v1/admin/shards/overrides", Scope::Operator, none),
    row("GET /api/v1/admin/shards/jobs", Scope::Operator, none),
    row("GET /api/v1/admin/shards/jobs/{job_id}", Scope::Operator, none),
    row("POST /api/v1/admin/shards/jobs/{job_id}/apply", Scope::Operator, none),
    row("POST /api/v1/admin/shards/jobs/{job_id}/pause", Scope::Operator, none),
    row("POST /api/v1/admin/shards/jobs/{job_id}/resume", Scope::Operator, none),
    row("POST /api/v1/admin/shards/jobs/{job_id}/abort", Scope::Operator, none),
    row("POST /api/v1/admin/shards/jobs/{job_id}/undo", Scope::Operator, none),
    row("GET /api/v1/admin/shards/hot", Scope::Operator, none),
    row("GET /api/v1/admin/shards/garbage", Scope::Operator, none),
    row("POST /api/v1/admin/shards/garbage", Scope::Operator, none),
    row("GET /api/v1/admin/audit", Scope::Operator, none),
    row("GET /api/v1/admin/search", Scope::Operator, none),
    row("POST /api/v1/admin/search", Scope::Operator, none),
];

impl Row {
    pub(crate) fn method(&self) -> &'static str {
        self.call.split_once(' ').unwrap().0
    }

    fn path(&self) -> &'static str {
        self.call.split_once(' ').unwrap().1
    }

    /// The path with everything filled in, of this conversation.
    pub(crate) fn path_of(&self, stage: &Stage, conversation: &str) -> String {
        let path = self.path();
        let filled = path
            .replace("{conversation_id}", conversation)
            .replace("{seq}", &stage.seq.to_string())
            .replace("{user_id}", &stage.other.to_string())
            .replace("{session_id}", &stage.session)
            .replace("{subscription_id}", "999999")
            .replace("{shard_id}", "0")
            .replace("{invite_id}", "7-00000000")
            .replace("{token}", "no-such-link")
            .replace("{job_id}", "1")
            .replace("{media_id}", "0123456789abcdef0123456789abcdef")
            .replace("{upload_id}", "0123456789abcdef0123456789abcdef")
            .replace("{emoji}", "%F0%9F%91%8D");
        assert!(!filled.contains('{'), "{filled}: a parameter that this table does not know");
        match path {
            "/api/v1/users" => format!("{filled}?query=a"),
            "/api/v1/presence" => format!("{filled}?user_ids={}", stage.other),
            "/api/v1/search" | "/api/v1/search/conversations" => format!("{filled}?q=a"),
            _ => filled,
        }
    }

    /// Its row of the protocol's own table.
    pub(crate) fn operation(&self) -> &'static Operation {
        let matches = |row: &&Operation| format!("{} {}", row.method, row.path) == self.call;
        OPERATIONS.iter().find(matches).unwrap_or_else(|| panic!("{}: no such call", self.call))
    }
}

/// Every call of the protocol has its row, and no other.
#[test]
fn the_table_has_every_call() {
    let mut known: Vec<String> =
        OPERATIONS.iter().map(|row| format!("{} {}", row.method, row.path)).collect();
    let mut rows: Vec<&str> = ROWS.iter().map(|row| row.call).collect();
    known.sort();
    rows.sort_unstable();
    assert_eq!(rows, known);
    for row in ROWS {
        let operation = row.operation();
        assert_eq!(operation.auth, row.scope != Scope::Open, "{}", row.call);
    }
}

/// A command of the WebSocket in a group.
pub(crate) struct CommandRow {
    pub(crate) kind: &'static str,
    /// Codes of refusals; empty where it is taken.
    pub(crate) former: &'static str,
    pub(crate) member: &'static str,
    pub(crate) admin: &'static str,
    pub(crate) data: fn(&Stage) -> Value,
}

pub(crate) const COMMANDS: &[CommandRow] = &[
    CommandRow {
        kind: "send_message",
        former: "not_member",
        member: "",
        admin: "",
        data: |stage| {
            json!({"content": "hello", "type": "text", "client_id": "w-1", "reply_to": stage.seq,
                "mentions": [{"user_id": stage.other, "start": 0, "end": 5}]})
        },
    },
    CommandRow {
        kind: "edit_message",
        former: "not_member",
        member: "forbidden",
        admin: "forbidden",
        data: |stage| json!({"seq": stage.seq, "content": "edited", "if_content_rev": null}),
    },
    CommandRow {
        kind: "delete_message",
        former: "not_member",
        member: "forbidden",
        admin: "",
        data: |stage| json!({"seq": stage.seq, "for": "everyone"}),
    },
    CommandRow {
        kind: "react",
        former: "not_member",
        member: "",
        admin: "",
        data: |stage| json!({"seq": stage.seq, "emoji": "👍", "remove": false}),
    },
    CommandRow {
        kind: "mark_read",
        former: "not_member",
        member: "",
        admin: "",
        data: |stage| json!({"seq": stage.seq}),
    },
    CommandRow {
        kind: "mark_delivered",
        former: "not_member",
        member: "",
        admin: "",
        data: |stage| json!({"message_id": stage.message_id}),
    },
];

/// Not called: a new command does not compile before it was thought of here.
#[expect(dead_code, reason = "its arms are the check")]
fn has_a_row(command: &Command<'_>) -> bool {
    match command {
        Command::SendMessage(_)
        | Command::EditMessage(_)
        | Command::DeleteMessage(_)
        | Command::React(_)
        | Command::MarkRead(_)
        | Command::MarkDelivered(_) => COMMANDS.iter().any(|row| row.kind == command.kind()),
        // Without an answer; `live` has its stories.
        Command::Typing(_) => true,
        // Of no conversation.
        Command::PresenceSubscribe(_) | Command::PresenceUnsubscribe(_) | Command::Heartbeat => {
            true
        }
    }
}

impl CommandRow {
    pub(crate) fn data_in(&self, stage: &Stage, conversation: &str) -> Value {
        let mut data = (self.data)(stage);
        data["conversation_id"] = json!(conversation);
        data
    }
}

/// People of a group in every relation to it.
pub(crate) struct Cast {
    pub(crate) owner: User,
    pub(crate) admin: User,
    pub(crate) member: User,
    pub(crate) former: User,
    pub(crate) stranger: User,
    pub(crate) other: User,
    pub(crate) outsider: User,
}

impl Cast {
    pub(crate) const NAMES: [&str; 7] =
        ["owner", "admin", "member", "former", "stranger", "other", "outsider"];

    pub(crate) fn new(
        [owner, admin, member, former, stranger, other, outsider]: [User; 7],
    ) -> Self {
        Self { owner, admin, member, former, stranger, other, outsider }
    }

    /// A new group with everybody in place and one message.
    pub(crate) async fn stage(&self) -> Stage {
        let owner = &self.owner;
        let members = [&self.admin, &self.member, &self.former, &self.other];
        let group = owner.group("group", &members).await;
        let message = owner.say(&group, "of the owner").await;
        let at = |user: &User| format!("/conversations/{group}/members/{}", user.id);
        owner.patch(&at(&self.admin), json!({"role": "admin"})).await.is(200);
        owner.delete(&at(&self.former)).await.is(200);
        Stage {
            message_id: message["message_id"].as_str().unwrap().to_owned(),
            seq: message["seq"].as_u64().unwrap(),
            other: self.other.id,
            outsider: self.outsider.id,
            session: "999999".to_owned(),
            group,
        }
    }
}

/// What the table expects is possible at all.
#[test]
fn answers_of_the_table_have_codes_of_the_protocol() {
    for row in ROWS {
        if let Scope::Group { former, member, admin, owner } = row.scope {
            for (status, code) in [former, member, admin, owner] {
                let known =
                    ostracon_proto::ErrorCode::ALL.iter().find(|known| known.as_str() == code);
                assert_eq!(known.is_some(), status >= 400, "{}: {code}", row.call);
                assert!(known.is_none_or(|known| known.status() == status), "{}: {code}", row.call);
            }
        }
    }
}
