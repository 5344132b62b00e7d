-- Live moves: notes of what changes in captured units, and a change of state that clears them.

-- Subjects that changed since their unit began to be captured, each with the version that it came to. Kind 0 is a
-- conversation by its id, kind 1 a user whose number fills the id's low half. Upserted with the change itself.
CREATE TABLE note (
    unit bigint NOT NULL,
    subject uuid NOT NULL,
    rev bigint NOT NULL,
    mark_rev bigint NOT NULL,
    kind smallint NOT NULL,
    PRIMARY KEY (unit, kind, subject)
) WITH (fillfactor = 70);

-- Changes a unit's state if it is as the caller judged it: epoch, phase, incarnation, lease and step, or NULL for no row.
-- One call is one transaction: nobody holds the exclusive lock while a client thinks.
CREATE OR REPLACE FUNCTION change_unit(lock_class int, lock_key int, changed bigint, was bigint[], becomes bigint[])
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    is_now bigint[];
    next_version bigint;
BEGIN
    -- Pages, notes and relabels of this unit hold its row and not the shard's lock: waiting for them here, before the
    -- shard's lock is asked for, holds up nobody else.
    PERFORM FROM unit_state WHERE unit = changed FOR NO KEY UPDATE;
    -- Where epoch and phase stay, no batch can tell the difference: no lock, and no new version to read.
    IF was[1:2] = becomes[1:2] THEN
        UPDATE unit_state SET incarnation = becomes[3], lease = becomes[4], step = becomes[5]
        WHERE unit = changed AND ARRAY[epoch, phase, incarnation, lease, step] = was;
        RETURN FOUND;
    END IF;
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
    -- Notes belong to one capture: they end when the unit is open (0) or elsewhere (4), and begin empty when it goes
    -- from open to capturing (1).
    IF becomes[2] IN (0, 4) OR (was[2] = 0 AND becomes[2] = 1) THEN
        DELETE FROM note WHERE unit = changed;
    END IF;
    RETURN true;
END
$$;
