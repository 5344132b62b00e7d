-- Accounts that must not be used, and what lets somebody sign up where not everybody may.
ALTER TABLE account ADD COLUMN active boolean NOT NULL DEFAULT true;

CREATE TABLE invite (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code_hash  bytea NOT NULL CONSTRAINT invite_code UNIQUE CHECK (octet_length(code_hash) = 32),
    note       text,
    created_at bigint NOT NULL,
    expires_at bigint,
    uses_left  bigint NOT NULL CHECK (uses_left >= 0)
);
