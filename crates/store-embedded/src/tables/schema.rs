//! The tables of one shard, as SQL steps that never change once released. Not the place of any query.

/// "OSsh": names a shard's file among all SQLite files.
pub(crate) const APPLICATION_ID: i32 = i32::from_be_bytes(*b"OSsh");

/// All steps from an empty file to the present version.
///
/// `meta` has one row: whose shard this is and how far it has followed the journal. Conversations have an integer key,
/// so that rows of a conversation do not repeat its 16 bytes. Messages lie in the order in which they were applied,
/// sorted by conversation inside a transaction: a page of history is a few neighbouring pages of the file.
/// A conversation of kind -1 is only a key: an import brought rows of it before its own.
/// Optional parts of rows are NULL when empty. An annex knows the message that it belongs to, or 0.
/// A send touches two indexes; those of changed and of uncounted messages are partial and stay small.
pub(crate) const STEPS: &[&str] = &[
    "
CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    cluster BLOB NOT NULL,
    shard INTEGER NOT NULL,
    applied INTEGER NOT NULL,
    dispatched INTEGER NOT NULL,
    incarnation INTEGER NOT NULL
) STRICT;

CREATE TABLE unit_state (
    unit INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    incarnation INTEGER NOT NULL,
    lease INTEGER NOT NULL,
    step INTEGER NOT NULL
) STRICT;

CREATE TABLE conversation (
    key INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    unit INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    history INTEGER NOT NULL,
    head_seq INTEGER NOT NULL,
    last_message_id INTEGER,
    last_activity_at INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    info_rev INTEGER NOT NULL,
    mark_rev INTEGER NOT NULL,
    member_count INTEGER NOT NULL,
    large INTEGER NOT NULL,
    retained_from INTEGER NOT NULL,
    history_for INTEGER NOT NULL,
    create_hash BLOB,
    deleted_at INTEGER
) STRICT;
CREATE INDEX conversation_by_unit ON conversation (unit, id);

CREATE TABLE member (
    conversation INTEGER NOT NULL,
    user INTEGER NOT NULL,
    role INTEGER NOT NULL,
    joined_seq INTEGER NOT NULL,
    left_seq INTEGER,
    rev INTEGER NOT NULL,
    read_seq INTEGER NOT NULL,
    delivered_seq INTEGER NOT NULL,
    mark_rev INTEGER NOT NULL,
    hidden_to INTEGER NOT NULL,
    muted_until INTEGER,
    PRIMARY KEY (conversation, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_by_rev ON member (conversation, rev);
CREATE INDEX member_by_mark_rev ON member (conversation, mark_rev);

CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    client_id ANY,
    payload_hash BLOB,
    kind INTEGER NOT NULL,
    content TEXT NOT NULL,
    reply_to INTEGER,
    mentions BLOB,
    created_at INTEGER NOT NULL,
    edited_at INTEGER,
    deleted_at INTEGER,
    deleted_by INTEGER,
    uncounted INTEGER NOT NULL,
    created_rev INTEGER NOT NULL,
    rev INTEGER NOT NULL,
    content_rev INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX message_by_seq ON message (conversation, seq);
CREATE UNIQUE INDEX message_by_client_id ON message (conversation, sender, client_id)
    WHERE client_id IS NOT NULL;
CREATE INDEX message_changed ON message (conversation, rev) WHERE rev > created_rev;
CREATE INDEX message_uncounted ON message (conversation, seq) WHERE uncounted = 1;

CREATE TABLE reaction (
    conversation INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    user INTEGER NOT NULL,
    emoji TEXT NOT NULL,
    PRIMARY KEY (conversation, seq, user, emoji)
) STRICT, WITHOUT ROWID;

CREATE TABLE user_state (
    user INTEGER PRIMARY KEY,
    unit INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    history INTEGER NOT NULL,
    user_rev INTEGER NOT NULL
) STRICT;
CREATE INDEX user_state_by_unit ON user_state (unit, user);

CREATE TABLE inbox (
    user INTEGER NOT NULL,
    conversation BLOB NOT NULL,
    applied_history INTEGER NOT NULL,
    applied_rev INTEGER NOT NULL,
    applied_mark_rev INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    last_activity_at INTEGER NOT NULL,
    hidden_to INTEGER NOT NULL,
    muted_until INTEGER,
    archived_seq INTEGER,
    marked_unread INTEGER NOT NULL,
    pinned INTEGER NOT NULL,
    large INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    listed INTEGER NOT NULL,
    user_rev INTEGER NOT NULL,
    PRIMARY KEY (user, conversation)
) STRICT, WITHOUT ROWID;
CREATE INDEX inbox_by_user_rev ON inbox (user, user_rev);
CREATE INDEX inbox_by_activity ON inbox (user, last_activity_at DESC, conversation DESC)
    WHERE listed = 1;
CREATE INDEX inbox_large ON inbox (user, conversation) WHERE large = 1 AND removed = 0;
",
    "
ALTER TABLE conversation ADD COLUMN extra BLOB;
ALTER TABLE member ADD COLUMN extra BLOB;
ALTER TABLE message ADD COLUMN extra BLOB;
ALTER TABLE user_state ADD COLUMN extra BLOB;
ALTER TABLE inbox ADD COLUMN extra BLOB;

CREATE TABLE annex (
    conversation INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    first INTEGER NOT NULL,
    second INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    number INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (conversation, kind, first, second)
) STRICT, WITHOUT ROWID;
CREATE INDEX annex_by_seq ON annex (conversation, seq) WHERE seq > 0;
",
];
