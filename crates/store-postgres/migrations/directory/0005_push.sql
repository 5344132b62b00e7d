-- Devices that are reached through a push service. They go with their session.
CREATE TABLE push_subscription (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    bigint NOT NULL REFERENCES account (id),
    session_id bigint REFERENCES session (id) ON DELETE CASCADE,
    endpoint   text NOT NULL CONSTRAINT push_endpoint UNIQUE,
    p256dh     bytea NOT NULL CHECK (length(p256dh) = 65),
    auth       bytea NOT NULL CHECK (length(auth) = 16),
    created_at bigint NOT NULL,
    expires_at bigint,
    enabled    boolean NOT NULL
);
CREATE INDEX push_subscription_by_user ON push_subscription (user_id);
CREATE INDEX push_subscription_by_session ON push_subscription (session_id) WHERE session_id IS NOT NULL;

-- What users want to be told. scope 0: all; 1: what mentions them; 2: nothing. Who has no row is told all with its text.
CREATE TABLE push_setting (
    user_id bigint PRIMARY KEY REFERENCES account (id),
    scope   smallint NOT NULL CHECK (scope IN (0, 1, 2)),
    preview boolean NOT NULL
);
