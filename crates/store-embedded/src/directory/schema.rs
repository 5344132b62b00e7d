//! The tables, as steps. A released step never changes; a new one goes to the end. `docs/data.md` describes them.

/// Scripts in the order they are taken.
pub(super) const STEPS: &[&str] = &[
    "
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
",
    "
-- state 0: moves bring units to it; 1: it is being emptied.
ALTER TABLE shard ADD COLUMN state INTEGER NOT NULL DEFAULT 0 CHECK (state IN (0, 1));

CREATE TABLE hot_user (
    user INTEGER PRIMARY KEY,
    rank INTEGER NOT NULL UNIQUE,
    own  INTEGER REFERENCES unit (id)
) STRICT;

CREATE TABLE hot_user_slot (
    user INTEGER NOT NULL REFERENCES hot_user (user),
    slot INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 16383),
    unit INTEGER NOT NULL REFERENCES unit (id),
    PRIMARY KEY (user, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE hot_user_target (
    user  INTEGER NOT NULL REFERENCES hot_user (user),
    place INTEGER NOT NULL,
    shard INTEGER NOT NULL REFERENCES shard (id),
    PRIMARY KEY (user, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE job (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    title      TEXT NOT NULL,
    request    TEXT NOT NULL,
    asked_by   TEXT NOT NULL,
    state      INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    error      TEXT
) STRICT;

-- A shard may be gone while its moves are remembered: no reference.
CREATE TABLE move (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    job         INTEGER NOT NULL REFERENCES job (id),
    source      INTEGER NOT NULL,
    destination INTEGER NOT NULL,
    change      TEXT NOT NULL,
    phase       INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    lease       INTEGER NOT NULL,
    freeze      INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    since       INTEGER NOT NULL,
    progress    TEXT NOT NULL,
    error       TEXT,
    retry_at    INTEGER
) STRICT;
CREATE INDEX move_by_job ON move (job);
-- Copying, freezing, committed, aborting.
CREATE INDEX move_active ON move (id) WHERE phase IN (2, 3, 4, 6);

CREATE TABLE move_unit (
    unit INTEGER NOT NULL,
    move INTEGER NOT NULL REFERENCES move (id),
    PRIMARY KEY (unit, move)
) STRICT, WITHOUT ROWID;

CREATE TABLE garbage (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    shard INTEGER NOT NULL REFERENCES shard (id),
    unit  INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    since INTEGER NOT NULL
) STRICT;

CREATE TABLE garbage_slot (
    garbage INTEGER NOT NULL REFERENCES garbage (id) ON DELETE CASCADE,
    slot    INTEGER NOT NULL,
    PRIMARY KEY (garbage, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE sequence (
    name TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO sequence VALUES
    ('lease', 0),
    ('rank', (SELECT coalesce(max(rank), 0) FROM override)),
    ('unit', (SELECT max(16383, coalesce(max(id), 0)) FROM unit));

CREATE TABLE coordinator (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    holder INTEGER NOT NULL,
    until  INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    who     TEXT NOT NULL,
    origin  TEXT NOT NULL,
    action  TEXT NOT NULL,
    target  TEXT NOT NULL,
    detail  TEXT NOT NULL
) STRICT;
",
    "
ALTER TABLE user ADD COLUMN active INTEGER NOT NULL DEFAULT 1 CHECK (active IN (0, 1));

CREATE TABLE invite (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    code_hash  BLOB NOT NULL UNIQUE CHECK (length(code_hash) = 32),
    note       TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    uses_left  INTEGER NOT NULL CHECK (uses_left >= 0)
) STRICT;
",
    "
-- presence 0: everyone sees it; 1: contacts; 2: nobody.
CREATE TABLE person (
    user          INTEGER PRIMARY KEY REFERENCES user (id),
    last_seen_at  INTEGER,
    presence      INTEGER NOT NULL DEFAULT 0 CHECK (presence IN (0, 1, 2)),
    read_receipts INTEGER NOT NULL DEFAULT 1 CHECK (read_receipts IN (0, 1))
) STRICT;
CREATE INDEX person_private ON person (user) WHERE presence <> 0 OR read_receipts = 0;
",
    "
-- Nothing of an upload changes but until when it is kept without use.
CREATE TABLE media (
    id             BLOB PRIMARY KEY CHECK (length(id) = 16),
    owner          INTEGER NOT NULL,
    hash           BLOB NOT NULL CHECK (length(hash) = 32),
    size           INTEGER NOT NULL,
    mime           TEXT NOT NULL,
    width          INTEGER,
    height         INTEGER,
    duration_ms    INTEGER,
    thumbhash      TEXT,
    thumbnail      BLOB CHECK (length(thumbnail) = 32),
    thumbnail_size INTEGER,
    name           TEXT,
    created_at     INTEGER NOT NULL,
    keep_until     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX media_by_owner ON media (owner, size);
CREATE INDEX media_by_hash ON media (hash);
CREATE INDEX media_by_thumbnail ON media (thumbnail) WHERE thumbnail IS NOT NULL;
CREATE INDEX media_by_end ON media (keep_until);

CREATE TABLE media_use (
    media        BLOB NOT NULL REFERENCES media (id),
    conversation BLOB NOT NULL CHECK (length(conversation) = 16),
    seq          INTEGER NOT NULL,
    PRIMARY KEY (media, conversation, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX media_use_by_message ON media_use (conversation, seq);

-- dying 1: no upload has it, its bytes are being removed.
CREATE TABLE media_object (
    hash  BLOB PRIMARY KEY CHECK (length(hash) = 32),
    size  INTEGER NOT NULL,
    dying INTEGER NOT NULL CHECK (dying IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX media_object_dying ON media_object (hash) WHERE dying = 1;
",
    "
CREATE TABLE push_subscription (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    user       INTEGER NOT NULL REFERENCES user (id),
    session    INTEGER REFERENCES session (id) ON DELETE CASCADE,
    endpoint   TEXT NOT NULL UNIQUE,
    p256dh     BLOB NOT NULL CHECK (length(p256dh) = 65),
    auth       BLOB NOT NULL CHECK (length(auth) = 16),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    enabled    INTEGER NOT NULL CHECK (enabled IN (0, 1))
) STRICT;
CREATE INDEX push_subscription_by_user ON push_subscription (user);
CREATE INDEX push_subscription_by_session ON push_subscription (session) WHERE session IS NOT NULL;

-- scope 0: all; 1: what mentions the user; 2: nothing.
CREATE TABLE push_setting (
    user    INTEGER PRIMARY KEY REFERENCES user (id),
    scope   INTEGER NOT NULL CHECK (scope IN (0, 1, 2)),
    preview INTEGER NOT NULL CHECK (preview IN (0, 1))
) STRICT;
",
    "
-- kind 0: a user is to be told; 1: one device of a user; 2: another system.
-- state 0: to be done; 1: done; 2: given up. held_until: whoever took it holds it until then; 0: nobody.
CREATE TABLE errand (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    key          TEXT NOT NULL UNIQUE,
    kind         INTEGER NOT NULL CHECK (kind IN (0, 1, 2)),
    user         INTEGER,
    conversation BLOB CHECK (length(conversation) = 16),
    subscription INTEGER,
    hook         TEXT,
    event        TEXT,
    seq          INTEGER NOT NULL,
    mention_seq  INTEGER NOT NULL,
    count        INTEGER NOT NULL,
    state        INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
    attempts     INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    held_until   INTEGER NOT NULL,
    error        TEXT
) STRICT;
CREATE INDEX errand_due ON errand (due_at, id) WHERE state = 0;
CREATE INDEX errand_ended ON errand (due_at) WHERE state <> 0;
CREATE INDEX errand_dead ON errand (id) WHERE state = 2;
",
];
