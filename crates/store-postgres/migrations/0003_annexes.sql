-- Optional parts of rows, and small rows beside the messages of a conversation.

-- NULL when empty, as nearly always.
ALTER TABLE conversation ADD COLUMN extra bytea;
ALTER TABLE member ADD COLUMN extra bytea;
ALTER TABLE message ADD COLUMN extra bytea;
ALTER TABLE user_state ADD COLUMN extra bytea;
ALTER TABLE inbox ADD COLUMN extra bytea;

-- What the two parts of the key, the number and the value are, its kind tells. Kinds below 64 belong to their message:
-- they change and travel with it. `seq` is the message that a row is removed with, or 0.
CREATE TABLE annex (
    conversation uuid NOT NULL,
    first bigint NOT NULL,
    second bigint NOT NULL,
    seq bigint NOT NULL,
    number bigint NOT NULL,
    kind smallint NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (conversation, kind, first, second)
);
CREATE INDEX annex_by_seq ON annex (conversation, seq) WHERE seq > 0;

-- The view names its columns: a new one of the table is not part of it until it is made anew.
DROP VIEW placed_message;
CREATE VIEW placed_message AS
SELECT m.*, c.unit, (SELECT shard FROM meta) AS shard_id
FROM message AS m JOIN conversation AS c ON c.id = m.conversation;
