-- Nothing of an upload changes but until when it is kept without use.
CREATE TABLE media (
    id             uuid PRIMARY KEY,
    owner          bigint NOT NULL,
    hash           bytea NOT NULL CHECK (octet_length(hash) = 32),
    size           bigint NOT NULL,
    mime           text NOT NULL,
    width          bigint,
    height         bigint,
    duration_ms    bigint,
    thumbhash      text,
    thumbnail      bytea CHECK (octet_length(thumbnail) = 32),
    thumbnail_size bigint,
    name           text,
    created_at     bigint NOT NULL,
    keep_until     bigint NOT NULL
);
CREATE INDEX media_by_owner ON media (owner) INCLUDE (size);
CREATE INDEX media_by_hash ON media (hash);
CREATE INDEX media_by_thumbnail ON media (thumbnail) WHERE thumbnail IS NOT NULL;
CREATE INDEX media_by_end ON media (keep_until);

-- The reference keeps an upload that is locked to be forgotten from being used.
CREATE TABLE media_use (
    media        uuid NOT NULL REFERENCES media (id),
    conversation uuid NOT NULL,
    seq          bigint NOT NULL,
    PRIMARY KEY (media, conversation, seq)
);
CREATE INDEX media_use_by_message ON media_use (conversation, seq);

-- dying: no upload has it, its bytes are being removed. Its row is locked by whoever adds or forgets uploads of it.
CREATE TABLE media_object (
    hash  bytea PRIMARY KEY CHECK (octet_length(hash) = 32),
    size  bigint NOT NULL,
    dying boolean NOT NULL
);
CREATE INDEX media_object_dying ON media_object (hash) WHERE dying;
