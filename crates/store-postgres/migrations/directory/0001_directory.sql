-- The directory of a cluster. docs/data.md describes the rows; names differ from there where SQL has taken them:
-- account for user, user_id for a column user, freeze_number for freeze.

-- map_version is locked by whoever changes the map, shards, or which units are in a move.
CREATE TABLE cluster (
    one         int PRIMARY KEY CHECK (one = 1),
    id          uuid NOT NULL,
    map_version bigint NOT NULL
);

CREATE TABLE secret (
    name  text COLLATE "C" PRIMARY KEY,
    value bytea NOT NULL CHECK (octet_length(value) = 32)
);

-- state 0: moves bring units to it; 1: it is being emptied.
CREATE TABLE shard (
    id    bigint PRIMARY KEY,
    url   text NOT NULL,
    state smallint NOT NULL CHECK (state IN (0, 1))
);

CREATE TABLE unit (
    id    bigint PRIMARY KEY,
    shard bigint NOT NULL REFERENCES shard (id),
    epoch bigint NOT NULL
);

-- kind 1: subject is a conversation id. Others are kept free.
CREATE TABLE override (
    rank    bigint PRIMARY KEY,
    kind    smallint NOT NULL,
    subject uuid NOT NULL,
    unit    bigint NOT NULL REFERENCES unit (id),
    UNIQUE (kind, subject)
);

CREATE TABLE hot_user (
    user_id bigint PRIMARY KEY,
    rank    bigint NOT NULL UNIQUE,
    own     bigint REFERENCES unit (id)
);

CREATE TABLE hot_user_slot (
    user_id bigint NOT NULL REFERENCES hot_user (user_id),
    slot    bigint NOT NULL CHECK (slot BETWEEN 0 AND 16383),
    unit    bigint NOT NULL REFERENCES unit (id),
    PRIMARY KEY (user_id, slot)
);

CREATE TABLE hot_user_target (
    user_id bigint NOT NULL REFERENCES hot_user (user_id),
    place   bigint NOT NULL,
    shard   bigint NOT NULL REFERENCES shard (id),
    PRIMARY KEY (user_id, place)
);

-- holder: the random number of the data directory of a node, which nobody else has.
CREATE TABLE node (
    number    bigint PRIMARY KEY CHECK (number BETWEEN 0 AND 1023),
    holder    uuid NOT NULL CONSTRAINT node_holder UNIQUE,
    ids_until bigint NOT NULL,
    leased_at bigint NOT NULL
);

CREATE TABLE account (
    id            bigint PRIMARY KEY,
    username      text COLLATE "C" CONSTRAINT account_username UNIQUE,
    external_id   text COLLATE "C" CONSTRAINT account_external_id UNIQUE,
    display_name  text NOT NULL,
    folded_name   text NOT NULL,
    role          smallint NOT NULL CHECK (role IN (0, 1)),
    password_hash text,
    created_at    bigint NOT NULL,
    version       bigint NOT NULL,
    CHECK (username IS NOT NULL OR external_id IS NOT NULL)
);

CREATE TABLE session (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id      bigint NOT NULL CONSTRAINT session_of_account REFERENCES account (id),
    token_hash   bytea NOT NULL CONSTRAINT session_token UNIQUE CHECK (octet_length(token_hash) = 32),
    device_name  text,
    created_at   bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    expires_at   bigint
);
CREATE INDEX session_by_user ON session (user_id);
CREATE INDEX session_by_end ON session (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE job (
    id         bigint PRIMARY KEY,
    title      text NOT NULL,
    request    text NOT NULL,
    asked_by   text NOT NULL,
    state      smallint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    error      text
);

-- A shard may be gone while its moves are remembered: no reference.
CREATE TABLE move (
    id            bigint PRIMARY KEY,
    job           bigint NOT NULL REFERENCES job (id),
    source        bigint NOT NULL,
    destination   bigint NOT NULL,
    change        text NOT NULL,
    phase         smallint NOT NULL,
    attempt       bigint NOT NULL,
    lease         bigint NOT NULL,
    freeze_number bigint NOT NULL,
    created_at    bigint NOT NULL,
    since         bigint NOT NULL,
    progress      text NOT NULL,
    error         text,
    retry_at      bigint
);
CREATE INDEX move_by_job ON move (job);
-- Copying, freezing, committed, aborting.
CREATE INDEX move_active ON move (id) WHERE phase IN (2, 3, 4, 6);

CREATE TABLE move_unit (
    unit bigint NOT NULL,
    move bigint NOT NULL REFERENCES move (id),
    PRIMARY KEY (unit, move)
);

CREATE TABLE garbage (
    id    bigint PRIMARY KEY,
    shard bigint NOT NULL REFERENCES shard (id),
    unit  bigint NOT NULL,
    epoch bigint NOT NULL,
    since bigint NOT NULL
);

CREATE TABLE garbage_slot (
    garbage bigint NOT NULL REFERENCES garbage (id) ON DELETE CASCADE,
    slot    bigint NOT NULL,
    PRIMARY KEY (garbage, slot)
);

-- Numbers that are drawn in the transaction that uses them, so that none is lost.
CREATE TABLE sequence (
    name text COLLATE "C" PRIMARY KEY,
    last bigint NOT NULL
);
INSERT INTO sequence (name, last) VALUES ('account', 0), ('shard', 0), ('job', 0), ('move', 0), ('garbage', 0),
    ('audit', 0), ('lease', 0), ('rank', 0), ('unit', 16383);

CREATE TABLE coordinator (
    one    int PRIMARY KEY CHECK (one = 1),
    holder bigint NOT NULL,
    until  bigint NOT NULL
);

CREATE TABLE audit (
    id     bigint PRIMARY KEY,
    at     bigint NOT NULL,
    who    text NOT NULL,
    origin text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    detail text NOT NULL
);

-- For people with SQL: the placement of a pair, computed as the server does.

-- The pair hash of two user ids in either order: an unsigned number of 64 bits.
CREATE FUNCTION pair_hash(a bigint, b bigint)
RETURNS numeric LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    wrap CONSTANT numeric := 18446744073709551616;
    half CONSTANT numeric := 9223372036854775808;
    h numeric;
    bits bigint;
BEGIN
    h := mod(least(a, b)::numeric * 2654435761 + greatest(a, b)::numeric * 2654435789, wrap);
    FOR round IN 1..2 LOOP
        -- The same 64 bits as a signed number: shifted without its sign, and mixed in.
        bits := CASE WHEN h >= half THEN h - wrap ELSE h END;
        bits := bits # ((bits >> 16) & 281474976710655);
        h := CASE WHEN bits < 0 THEN bits + wrap ELSE bits END;
        IF round = 1 THEN
            h := mod(h * 2654435761, wrap);
        END IF;
    END LOOP;
    RETURN h;
END
$$;

-- The slot of a direct conversation; of a user's own rows with the same id twice.
CREATE FUNCTION slot_of(a bigint, b bigint)
RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN mod(pair_hash(a, b), 16384)::int;

-- The id of the direct conversation of two users: 53 bits of the smaller one and 53 of the larger one in the free bits
-- of a UUID of version 8.
CREATE FUNCTION direct_id(a bigint, b bigint)
RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (lpad(to_hex(least(a, b) >> 5), 12, '0')
    || '8' || lpad(to_hex(((least(a, b) & 31) << 7) | (greatest(a, b) >> 46)), 3, '0')
    || lpad(to_hex((2::bigint << 62) | ((greatest(a, b) & 70368744177663) << 16)), 16, '0'))::uuid;

-- The shard of a pair by the plain rule "hash mod number of shards". This is where a new cluster of so many shards puts
-- it if their number divides 16384 and they are numbered from 0; rows that have moved since are elsewhere: the view below
-- says where a row is.
CREATE FUNCTION calculate_shard_id(a bigint, b bigint, shards int)
RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN mod(pair_hash(a, b), shards)::int;

-- The same for two users by their ids in an existing system; null if one is unknown.
CREATE FUNCTION calculate_shard_id(a text, b text, shards int)
RETURNS int LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN calculate_shard_id((SELECT id FROM account WHERE external_id = a), (SELECT id FROM account WHERE external_id = b),
    shards);

-- The shard that a direct conversation lives on now, by the map with its overrides: its own unit, else that of its oldest
-- hot user, else its slot's.
CREATE FUNCTION placed_shard_id(a bigint, b bigint)
RETURNS bigint LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN (SELECT shard FROM unit WHERE id = coalesce(
    (SELECT o.unit FROM override AS o WHERE o.kind = 1 AND o.subject = direct_id(a, b)),
    (SELECT s.unit FROM hot_user_slot AS s WHERE s.slot = slot_of(a, b) AND s.user_id =
        (SELECT h.user_id FROM hot_user AS h WHERE h.user_id IN (a, b) ORDER BY h.rank LIMIT 1)),
    slot_of(a, b)));

-- The same for two users by their ids in an existing system; null if one is unknown.
CREATE FUNCTION placed_shard_id(a text, b text)
RETURNS bigint LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN placed_shard_id((SELECT id FROM account WHERE external_id = a), (SELECT id FROM account WHERE external_id = b));
