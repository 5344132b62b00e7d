-- The full-text index of the shard's messages, made from them: it may be emptied at any time and is filled again.

-- How far each conversation is taken in; without a rev while a long one is read in parts.
CREATE TABLE search_conversation (
    conversation uuid PRIMARY KEY,
    history bigint,
    rev bigint
) WITH (fillfactor = 70);

-- Messages that can be found, with our own tokens as lexemes; no dictionary of the server has a say.
CREATE TABLE search_message (
    conversation uuid NOT NULL,
    seq bigint NOT NULL,
    message_id bigint NOT NULL,
    sender bigint NOT NULL,
    attached boolean NOT NULL,
    tokens tsvector NOT NULL,
    PRIMARY KEY (conversation, seq)
);
CREATE INDEX search_message_tokens ON search_message USING gin (tokens);
