-- sync.lead: takes a flow or a system for this session, and says under which epoch; no row where another session has it.
--   Two processes, A and B: A's connection is cut while it works, the server gives the lock to B, and the epoch tells A.
--   Where A is just noting what it is about to write (sync.leads), B waits until it can see that, but not for ever.
CREATE OR REPLACE FUNCTION sync.lead(lock integer, of_kind text, of_name text) RETURNS TABLE (taken bigint, backend integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s' AS $$
BEGIN
    IF NOT pg_try_advisory_lock(lock, hashtext(of_name)) THEN
        RETURN;
    END IF;
    RETURN QUERY INSERT INTO sync.leadership AS l (kind, name) VALUES (of_kind, of_name)
        ON CONFLICT (kind, name) DO UPDATE SET epoch = l.epoch + 1, at = now() RETURNING l.epoch, pg_backend_pid();
EXCEPTION WHEN lock_not_available THEN
    PERFORM pg_advisory_unlock(lock, hashtext(of_name));  -- a session's lock outlives what is rolled back
END $$;

-- sync.leads: whether the session that took it under this epoch has it still. Until this transaction ends nobody else takes
-- it: what the transaction writes is there when the next one looks.
CREATE OR REPLACE FUNCTION sync.leads(lock integer, of_kind text, of_name text, taken bigint, backend integer) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM sync.leadership WHERE kind = of_kind AND name = of_name AND epoch = taken FOR SHARE;
    RETURN FOUND AND EXISTS (
        SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
        WHERE datname = current_database() AND locktype = 'advisory' AND classid::bigint = lock
            AND objid::bigint = hashtext(of_name)::bigint & 4294967295 AND objsubid = 2 AND granted AND pid = backend);
END $$;

-- sync.leaders: of each of these names who leads it, as the session that holds its lock calls itself; null where nobody does.
--   epoch and at are of the last time that it was taken.
CREATE OR REPLACE FUNCTION sync.leaders(lock integer, of_kind text, names text[])
RETURNS TABLE (name text, epoch bigint, at timestamptz, called text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT asked.name, taken.epoch, taken.at, held.application_name
    FROM unnest(names) AS asked (name)
    LEFT JOIN sync.leadership AS taken ON taken.kind = of_kind AND taken.name = asked.name
    LEFT JOIN LATERAL (
        SELECT coalesce(application_name, '') AS application_name
        FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database LEFT JOIN pg_stat_activity USING (pid)
        WHERE pg_database.datname = current_database() AND locktype = 'advisory' AND classid::bigint = lock
            AND objid::bigint = hashtext(asked.name)::bigint & 4294967295 AND objsubid = 2 AND granted
    ) AS held ON true
    ORDER BY asked.name
$$;
