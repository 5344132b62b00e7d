-- What the live part keeps of users. presence 0: everyone sees it; 1: contacts; 2: nobody.
CREATE TABLE person (
    user_id       bigint PRIMARY KEY REFERENCES account (id),
    last_seen_at  bigint,
    presence      smallint NOT NULL DEFAULT 0 CHECK (presence IN (0, 1, 2)),
    read_receipts boolean NOT NULL DEFAULT true
);
CREATE INDEX person_private ON person (user_id) WHERE presence <> 0 OR NOT read_receipts;
