//! The operator's calls: the same over `admin.sock` in the data directory (mode 0600, no token) and under
//! `/api/v1/admin/` for callers with the admin role. Bodies are in [`types`].
//!
//! | call | does |
//! |---|---|
//! | `GET /api/v1/admin/status` | [`types::Status`] |
//! | `GET /api/v1/admin/sharding` | [`types::Sharding`]: what each shard holds |
//! | `GET /api/v1/admin/messages?conversation=&limit=&before=` | [`types::MessagePlaces`]: where the newest messages of a conversation are, without texts |
//! | `GET /api/v1/admin/deleted?conversation=&limit=&before=` | [`types::DeletedMessages`]: what was deleted for everyone among so many messages, where `messages.keep_deleted` is on; in the audit log |
//! | `GET /api/v1/admin/users?query=&after=&limit=` | [`types::Users`] |
//! | `POST /api/v1/admin/users` [`types::CreateUsers`] | 201 [`types::CreatedUsers`]: up to 20,000 at once, each signed in |
//! | `POST /api/v1/admin/users/{user}/password` [`types::SetPassword`] | [`types::NewPassword`]; its sessions end |
//! | `POST /api/v1/admin/users/{user}/role` [`types::SetRole`] | [`types::User`] |
//! | `POST /api/v1/admin/users/{user}/deactivate` · `…/activate` | [`types::User`]; nobody is signed in to it any more · again |
//! | `GET /api/v1/admin/invites` | [`types::Invites`]: those that can still be used |
//! | `POST /api/v1/admin/invites` [`types::NewInvite`] | 201 [`types::MadeInvite`] |
//! | `DELETE /api/v1/admin/invites/{id}` | 204; it cannot be used any more |
//! | `POST /api/v1/admin/users/{user}/token` [`types::NewToken`] | [`types::Token`] |
//! | `GET /api/v1/admin/push` | [`types::PushStatus`]: the queue of what is told outside |
//! | `GET /api/v1/admin/push/dead?of=push\|events` | [`types::DeadErrands`]: what was given up |
//! | `POST /api/v1/admin/push/replay` [`types::Replay`] | [`types::Replayed`]; it is tried again |
//! | `POST /api/v1/admin/push/test` [`types::PushTest`] | [`types::PushTested`]: a message to all devices of a user |
//! | `POST /api/v1/admin/backup` [`types::BackupTo`] | lines of JSON: `{"progress":{done,total,text}}` now and then, bytes of the shard that is copied; then `{"result":`[`types::Backup`]`}` or `{"error":text}` |
//! | `POST /api/v1/admin/verify` | the same kind of lines; the result is a [`Report`](crate::verify::Report) |
//! | `POST /api/v1/admin/doctor` [`Repair`](ostracon_proto::rest::admin::Repair) | the same kind of lines; the result is a [`Doctor`](ostracon_proto::rest::admin::Doctor) |
//! | `POST /api/v1/admin/stop` | 202; then the server stops in good order |
//!
//! Calls on shards, jobs, search indexes and the audit log are in the protocol's own table, `proto::rest`.
//!
//! `{user}` is a number, `ext:` with an external id, or a user name (`name:` before it, should it be all digits).

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod deleted;
pub(crate) mod hot;
pub(crate) mod invites;
pub(crate) mod jobs;
pub(crate) mod messages;
pub(crate) mod plan;
pub(crate) mod push;
pub(crate) mod search;
pub(crate) mod sharding;
pub(crate) mod shards;
pub(crate) mod socket;
pub(crate) mod status;
pub mod types;
pub(crate) mod users;
