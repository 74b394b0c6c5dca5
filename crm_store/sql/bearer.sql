-- sync.bearer: who may use a token, by its digest, and as which role; nothing for one that is unknown or revoked. Notes, to
-- the minute, when it was used.
CREATE OR REPLACE FUNCTION sync.bearer(of_digest text, OUT name text, OUT role text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found record;
BEGIN
    SELECT t.id, t.name, t.role, t.used_at INTO found FROM sync.token t WHERE t.digest = of_digest AND t.revoked_at IS NULL;
    IF found.id IS NULL THEN
        RETURN;
    END IF;
    name := found.name;
    role := found.role;
    IF found.used_at IS NULL OR found.used_at < now() - interval '1 minute' THEN
        UPDATE sync.token t SET used_at = now()
        WHERE t.id = (SELECT u.id FROM sync.token u WHERE u.id = found.id FOR UPDATE SKIP LOCKED);
    END IF;
END $$;
