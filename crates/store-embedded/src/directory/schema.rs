//! The tables, as steps. A released step never changes; a new one goes to the end. `docs/data.md` describes them.

/// Scripts in the order they are taken.
pub(super) const STEPS: &[&str] = &["
CREATE TABLE cluster (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    id          BLOB NOT NULL CHECK (length(id) = 16),
    map_version INTEGER NOT NULL
) STRICT;

CREATE TABLE secret (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL CHECK (length(value) = 32)
) STRICT, WITHOUT ROWID;

CREATE TABLE shard (
    id  INTEGER PRIMARY KEY AUTOINCREMENT,
    url TEXT NOT NULL
) STRICT;

CREATE TABLE unit (
    id    INTEGER PRIMARY KEY,
    shard INTEGER NOT NULL REFERENCES shard (id),
    epoch INTEGER NOT NULL
) STRICT;

-- kind 1: subject is a conversation id, 16 bytes. Others are kept free.
CREATE TABLE override (
    rank    INTEGER PRIMARY KEY AUTOINCREMENT,
    kind    INTEGER NOT NULL,
    subject BLOB NOT NULL,
    unit    INTEGER NOT NULL REFERENCES unit (id),
    UNIQUE (kind, subject)
) STRICT;

CREATE TABLE node (
    number    INTEGER PRIMARY KEY CHECK (number BETWEEN 0 AND 1023),
    ids_until INTEGER NOT NULL,
    leased_at INTEGER NOT NULL
) STRICT;

CREATE TABLE user (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    username      TEXT UNIQUE,
    external_id   TEXT UNIQUE,
    display_name  TEXT NOT NULL,
    folded_name   TEXT NOT NULL,
    role          INTEGER NOT NULL CHECK (role IN (0, 1)),
    password_hash TEXT,
    created_at    INTEGER NOT NULL,
    version       INTEGER NOT NULL,
    CHECK (username IS NOT NULL OR external_id IS NOT NULL)
) STRICT;

CREATE TABLE session (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    user         INTEGER NOT NULL REFERENCES user (id),
    token_hash   BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    device_name  TEXT,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    expires_at   INTEGER
) STRICT;
CREATE INDEX session_by_user ON session (user);
CREATE INDEX session_by_end ON session (expires_at) WHERE expires_at IS NOT NULL;
"];
