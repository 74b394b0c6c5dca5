-- sync.is_hub: whether this session is the hub's. Asks for the session's user, which SET ROLE does not change (PostgreSQL
-- 18 runs AFTER triggers as the role that was current when they were queued, 15 does not), and never for a setting, which
-- every client can change. A superuser is a member of every role and is no hub for that.
CREATE OR REPLACE FUNCTION sync.is_hub() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_has_role(session_user, 'navette_hub', 'MEMBER')
        AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = session_user)
$$;

-- sync.author: who writes: the session's user. Behind the login of HTTP requests, which nothing else uses, stand many: it
-- says for whom (navette_http:shop).
CREATE OR REPLACE FUNCTION sync.author() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT session_user || CASE WHEN session_user IN ('navette_http', 'navette_http_' || current_database())
        THEN coalesce(':' || nullif(current_setting('navette.author', true), ''), '') ELSE '' END
$$;

-- sync.journal_create: one line for each new record. Its values are not repeated (that would double the cost of a first
-- load): sync.history reads them from the record, less what later lines say was changed.
-- The author is sync.author(); system and run are what the hub says of itself, and believed from the hub alone.
CREATE OR REPLACE FUNCTION sync.journal_create() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    hub boolean := sync.is_hub();
    by_author text := sync.author();  -- once for the statement, not for each of its rows
    by_system text := CASE WHEN hub THEN nullif(current_setting('navette.system', true), '') END;
    by_run bigint := CASE WHEN hub THEN nullif(current_setting('navette.run', true), '') END;
BEGIN
    INSERT INTO sync.journal (entity, record_id, op, system, author, run_id)
    SELECT tg_table_name, made.id, 'create', by_system, by_author, by_run FROM made;
    RETURN NULL;
END $$;

-- sync.watch_journal: the journal's triggers on one entity's table. The one for changes is written for its columns: a line
-- for each record whose values changed, with the old and new values of those columns only.
--   enable_nestloop is off in it: the plan is kept for the session, and one made for a single edit would compare the old
--   and new rows of a later batch of 20,000 each with each (more than a minute instead of 0.2 s). enable_hashjoin is on:
--   sessions that look everything up by index have it off, and would be left with just that (500 rows 58 ms, not 9).
CREATE OR REPLACE FUNCTION sync.watch_journal(entity text, columns text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    piece text := $piece$CASE WHEN was.%1$I IS DISTINCT FROM made.%1$I
        THEN %2$L || coalesce(to_json(%3$s.%1$I)::text, 'null') END$piece$;
    old_pieces text := (SELECT string_agg(format(piece, c, to_json(c) || ':', 'was'), ', ') FROM unnest(columns) c);
    new_pieces text := (SELECT string_agg(format(piece, c, to_json(c) || ':', 'made'), ', ') FROM unnest(columns) c);
    was text := (SELECT string_agg(format('was.%I', c), ', ') FROM unnest(columns) c);
    made text := (SELECT string_agg(format('made.%I', c), ', ') FROM unnest(columns) c);
BEGIN
    EXECUTE format($make$
        CREATE OR REPLACE FUNCTION sync.%1$I() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET enable_hashjoin = on AS $f$
        DECLARE
            hub boolean := sync.is_hub();
            by_author text := sync.author();
            by_system text := CASE WHEN hub THEN nullif(current_setting('navette.system', true), '') END;
            by_run bigint := CASE WHEN hub THEN nullif(current_setting('navette.run', true), '') END;
            by_feed integer := CASE WHEN hub THEN nullif(current_setting('navette.feed', true), '') END;
        BEGIN
            -- What is known of a record elsewhere must be looked at again: a raw row like the last one is no proof then.
            WITH changed AS MATERIALIZED (
                SELECT made.id,
                    ('{' || array_to_string(ARRAY[%2$s], ',') || '}')::jsonb AS before,
                    ('{' || array_to_string(ARRAY[%3$s], ',') || '}')::jsonb AS after
                FROM was JOIN made ON made.id = was.id
                WHERE (%4$s) IS DISTINCT FROM (%5$s)
            ), told AS (
                INSERT INTO sync.journal (entity, record_id, op, system, author, run_id, old, new)
                SELECT tg_table_name, id, 'update', by_system, by_author, by_run, before, after FROM changed
            )
            UPDATE sync.%7$I AS x SET fingerprint = NULL
            WHERE x.record_id = ANY (ARRAY(SELECT id FROM changed))
                AND x.fingerprint IS NOT NULL AND x.feed IS DISTINCT FROM by_feed;
            RETURN NULL;
        END $f$;
        CREATE OR REPLACE TRIGGER journal_create AFTER INSERT ON crm.%6$I
            REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION sync.journal_create();
        CREATE OR REPLACE TRIGGER journal_update AFTER UPDATE ON crm.%6$I
            REFERENCING OLD TABLE AS was NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION sync.%1$I();
        $make$, 'journal_' || entity, old_pieces, new_pieces, was, made, entity, 'crosswalk_' || entity);
END $$;
