-- The tables of one shard. All of them live in one schema; nothing here names it.
--
-- Numbers are bigint: 63 bits; a history is 64 bits and wraps to negative numbers. Times are Unix milliseconds.
-- Columns stand from wide to narrow, so that rows have no padding.

-- Whose shard this is; checked on every new connection.
CREATE TABLE meta (
    id smallint PRIMARY KEY CHECK (id = 0),
    cluster uuid NOT NULL,
    shard bigint NOT NULL
);

-- The fence. A change of state takes the exclusive advisory lock of the shard and the next version; a batch holds the
-- shared one and reads the rows above the version it knows: mostly none.
CREATE TABLE fence (
    id smallint PRIMARY KEY CHECK (id = 0),
    version bigint NOT NULL
);
CREATE TABLE unit_state (
    unit bigint PRIMARY KEY,
    epoch bigint NOT NULL,
    incarnation bigint NOT NULL,
    lease bigint NOT NULL,
    step bigint NOT NULL,
    version bigint NOT NULL,
    phase smallint NOT NULL
);
CREATE INDEX unit_state_by_version ON unit_state (version);

-- The shard's own log of batches. The last statement of a batch raises the position: the row's lock, held until the
-- commit is visible, is what makes positions visible in their order. One row, updated by every batch: nearly the
-- whole page is left for its versions, so that they are pruned without a vacuum.
CREATE TABLE log_head (
    id smallint PRIMARY KEY CHECK (id = 0),
    position bigint NOT NULL
) WITH (fillfactor = 10);
CREATE TABLE dispatch_cursor (
    id smallint PRIMARY KEY CHECK (id = 0),
    position bigint NOT NULL
) WITH (fillfactor = 10);
-- What a dispatcher repeats after a crash: the changed rows of a batch, in the canonical encoding.
CREATE TABLE outbox (
    position bigint PRIMARY KEY,
    rows bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
-- They live for a moment only: compressing them would cost more than it saves.
ALTER TABLE outbox ALTER COLUMN rows SET STORAGE EXTERNAL;

-- Every send updates one row, and no indexed column of it: half of a page is left for the next versions.
CREATE TABLE conversation (
    id uuid PRIMARY KEY,
    unit bigint NOT NULL,
    created_at bigint NOT NULL,
    history bigint NOT NULL,
    head_seq bigint NOT NULL,
    last_message_id bigint,
    last_activity_at bigint NOT NULL,
    rev bigint NOT NULL,
    info_rev bigint NOT NULL,
    mark_rev bigint NOT NULL,
    member_count bigint NOT NULL,
    retained_from bigint NOT NULL,
    deleted_at bigint,
    slot smallint NOT NULL,
    kind smallint NOT NULL,
    history_for smallint NOT NULL,
    large boolean NOT NULL,
    create_hash bytea,
    name text NOT NULL
) WITH (fillfactor = 50);
-- Scans of a unit; counts of conversations that have a unit of their own.
CREATE INDEX conversation_by_unit ON conversation (unit, id);

-- Every send moves its sender's marks. There is no index over mark_rev, which would make each of these updates touch
-- all indexes: marks of others are asked for in groups that are not large only, and those are a few neighbouring rows.
CREATE TABLE member (
    conversation uuid NOT NULL,
    user_id bigint NOT NULL,
    joined_seq bigint NOT NULL,
    left_seq bigint,
    rev bigint NOT NULL,
    read_seq bigint NOT NULL,
    delivered_seq bigint NOT NULL,
    mark_rev bigint NOT NULL,
    hidden_to bigint NOT NULL,
    muted_until bigint,
    role smallint NOT NULL,
    PRIMARY KEY (conversation, user_id)
) WITH (fillfactor = 70);
CREATE INDEX member_by_rev ON member (conversation, rev);

-- Written once, seldom changed. A send touches two indexes; those of changed and of uncounted messages are partial.
-- A client id that has the shape of a UUID is kept as its 16 bytes.
CREATE TABLE message (
    conversation uuid NOT NULL,
    seq bigint NOT NULL,
    message_id bigint NOT NULL,
    sender bigint NOT NULL,
    reply_to bigint,
    created_at bigint NOT NULL,
    edited_at bigint,
    deleted_at bigint,
    deleted_by bigint,
    created_rev bigint NOT NULL,
    rev bigint NOT NULL,
    content_rev bigint NOT NULL,
    slot smallint NOT NULL,
    kind smallint NOT NULL,
    uncounted boolean NOT NULL,
    client_id bytea,
    payload_hash bytea,
    mentions bytea,
    content text NOT NULL,
    PRIMARY KEY (conversation, seq)
) WITH (fillfactor = 95, autovacuum_vacuum_insert_scale_factor = 0.05);
CREATE UNIQUE INDEX message_by_client_id ON message (conversation, sender, client_id)
    WHERE client_id IS NOT NULL;
CREATE INDEX message_changed ON message (conversation, rev) WHERE rev > created_rev;
CREATE INDEX message_uncounted ON message (conversation, seq) WHERE uncounted;

-- Emoji are ordered by their bytes, as everywhere else.
CREATE TABLE reaction (
    conversation uuid NOT NULL,
    seq bigint NOT NULL,
    user_id bigint NOT NULL,
    emoji text COLLATE "C" NOT NULL,
    PRIMARY KEY (conversation, seq, user_id, emoji)
);

CREATE TABLE user_state (
    user_id bigint PRIMARY KEY,
    unit bigint NOT NULL,
    history bigint NOT NULL,
    user_rev bigint NOT NULL,
    slot smallint NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX user_state_by_unit ON user_state (unit, user_id);

-- Every change of an entry moves it in its owner's list: its indexes are touched anyway.
CREATE TABLE inbox (
    user_id bigint NOT NULL,
    conversation uuid NOT NULL,
    applied_history bigint NOT NULL,
    applied_rev bigint NOT NULL,
    applied_mark_rev bigint NOT NULL,
    last_seq bigint NOT NULL,
    last_activity_at bigint NOT NULL,
    hidden_to bigint NOT NULL,
    muted_until bigint,
    archived_seq bigint,
    user_rev bigint NOT NULL,
    marked_unread boolean NOT NULL,
    pinned boolean NOT NULL,
    large boolean NOT NULL,
    removed boolean NOT NULL,
    listed boolean NOT NULL,
    PRIMARY KEY (user_id, conversation)
) WITH (fillfactor = 80);
CREATE INDEX inbox_by_user_rev ON inbox (user_id, user_rev);
CREATE INDEX inbox_by_activity ON inbox (user_id, last_activity_at DESC, conversation DESC) WHERE listed;
CREATE INDEX inbox_large ON inbox (user_id, conversation) WHERE large AND NOT removed;

-- Changes a unit's state if it is as the caller judged it: epoch, phase, incarnation, lease and step, or NULL for no row.
-- One call is one transaction: nobody holds the exclusive lock while a client thinks.
CREATE FUNCTION change_unit(lock_class int, lock_key int, changed bigint, was bigint[], becomes bigint[])
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    is_now bigint[];
    next_version bigint;
BEGIN
    -- Waits for every batch under the old state; the reading that follows sees all they committed.
    PERFORM pg_advisory_xact_lock(lock_class, lock_key);
    SELECT ARRAY[epoch, phase, incarnation, lease, step] INTO is_now FROM unit_state WHERE unit = changed;
    IF is_now IS DISTINCT FROM was THEN
        RETURN false;
    END IF;
    UPDATE fence SET version = version + 1 RETURNING version INTO next_version;
    INSERT INTO unit_state (unit, epoch, phase, incarnation, lease, step, version)
    VALUES (changed, becomes[1], becomes[2], becomes[3], becomes[4], becomes[5], next_version)
    ON CONFLICT (unit) DO UPDATE SET epoch = excluded.epoch, phase = excluded.phase,
        incarnation = excluded.incarnation, lease = excluded.lease, step = excluded.step,
        version = excluded.version;
    RETURN true;
END
$$;

-- The first seq from `low` to `high` whose time (`by` 0), message id (1) or rev of insertion (2) is at least `wanted`;
-- `high` + 1 if there is none. All three rise with seq, so it is found by halving.
CREATE FUNCTION first_seq(of_conversation uuid, low bigint, high bigint, by int, wanted bigint)
RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
    past bigint := high + 1;
    middle bigint;
    found bigint;
BEGIN
    WHILE low < past LOOP
        middle := low + (past - low) / 2;
        SELECT CASE by WHEN 0 THEN created_at WHEN 1 THEN message_id ELSE created_rev END
            INTO found FROM message WHERE conversation = of_conversation AND seq = middle;
        IF found >= wanted THEN
            past := middle;
        ELSE
            low := middle + 1;
        END IF;
    END LOOP;
    RETURN low;
END
$$;

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

-- Messages with the unit and the shard that they live in.
CREATE VIEW placed_message AS
SELECT m.*, c.unit, (SELECT shard FROM meta) AS shard_id
FROM message AS m JOIN conversation AS c ON c.id = m.conversation;

INSERT INTO fence (id, version) VALUES (0, 1);
INSERT INTO log_head (id, position) VALUES (0, 0);
INSERT INTO dispatch_cursor (id, position) VALUES (0, 0);
