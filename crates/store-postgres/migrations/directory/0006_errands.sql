-- The queue of what is to be told outside. kind 0: a user; 1: one device of a user; 2: another system.
-- state 0: to be done; 1: done; 2: given up. held_until: whoever took it holds it until then; 0: nobody.
CREATE TABLE errand (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key          text NOT NULL CONSTRAINT errand_key UNIQUE,
    kind         smallint NOT NULL CHECK (kind IN (0, 1, 2)),
    user_id      bigint,
    conversation uuid,
    subscription bigint,
    hook         text,
    event        text,
    seq          bigint NOT NULL,
    mention_seq  bigint NOT NULL,
    count        bigint NOT NULL,
    state        smallint NOT NULL CHECK (state IN (0, 1, 2)),
    attempts     bigint NOT NULL,
    created_at   bigint NOT NULL,
    due_at       bigint NOT NULL,
    held_until   bigint NOT NULL,
    error        text
);
CREATE INDEX errand_due ON errand (due_at, id) WHERE state = 0;
CREATE INDEX errand_ended ON errand (due_at) WHERE state <> 0;
CREATE INDEX errand_dead ON errand (id) WHERE state = 2;
