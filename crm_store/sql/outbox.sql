-- sync.queue: notes that the records `ids` have to go to the system of `of_feed`, and wakes who sends.
--   One marker for a record, however often it changes: its values are read when it is sent. A marker that was refused, or
--   whose time to try again has not come, waits anew: what changed may be what was wrong with it.
--   In the order of ids, so that two writers of the same records wait for each other instead of blocking for ever.
CREATE OR REPLACE FUNCTION sync.queue(of_feed integer, of_system text, ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(cardinality(ids), 0) = 0 THEN
        RETURN;
    END IF;
    INSERT INTO sync.outbox AS o (feed, record_id)
    SELECT of_feed, id FROM unnest(ids) AS x(id) GROUP BY id ORDER BY id
    ON CONFLICT (feed, record_id) DO UPDATE SET generation = o.generation + 1, due_at = now(), tries = 0, why = NULL,
        queued_at = CASE WHEN o.state = 'waiting' THEN o.queued_at ELSE now() END,
        state = CASE WHEN o.state IN ('sending', 'unclear') THEN o.state ELSE 'waiting' END;
    PERFORM pg_notify('navette_outbox', of_system);
END $$;

-- sync.watch_outbox: the outbox's triggers on one entity's table, written for the feeds that send its records: `columns`
-- are, for each feed, the names of those whose changes are sent, joined by the unit separator.
--   Any writer counts: people, applications and other systems' runs. A feed's own run is left out, since the values came
--   from there; where it kept the CRM's value against the system's, it queues the record itself.
--   enable_nestloop: see sync.watch_journal.
CREATE OR REPLACE FUNCTION sync.watch_outbox(entity text, feeds integer[], systems text[], columns text[], creates boolean[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed text;
    made text;
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS queue_changed ON crm.%1$I; DROP TRIGGER IF EXISTS queue_made ON crm.%1$I', entity);
    SELECT string_agg(format($part$
            IF by_feed IS DISTINCT FROM %1$s THEN
                PERFORM sync.queue(%1$s, %2$L, ARRAY(
                    SELECT made.id FROM was JOIN made ON made.id = was.id WHERE (%3$s) IS DISTINCT FROM (%4$s)));
            END IF;$part$, x.feed, x.system,
            (SELECT string_agg(format('was.%I', c), ', ') FROM unnest(string_to_array(x.named, E'\x1f')) AS c),
            (SELECT string_agg(format('made.%I', c), ', ') FROM unnest(string_to_array(x.named, E'\x1f')) AS c)), '')
    INTO changed FROM unnest(feeds, systems, columns) AS x(feed, system, named) WHERE x.named <> '';
    SELECT string_agg(format($part$
            IF by_feed IS DISTINCT FROM %1$s THEN
                PERFORM sync.queue(%1$s, %2$L, ARRAY(SELECT id FROM made));
            END IF;$part$, x.feed, x.system), '')
    INTO made FROM unnest(feeds, systems, creates) AS x(feed, system, creating) WHERE x.creating;
    IF changed IS NOT NULL THEN
        EXECUTE format($make$
            CREATE OR REPLACE FUNCTION sync.%1$I() RETURNS trigger
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET enable_hashjoin = on AS $f$
            DECLARE by_feed integer := CASE WHEN sync.is_hub() THEN nullif(current_setting('navette.feed', true), '') END;
            BEGIN %2$s RETURN NULL; END $f$;
            CREATE TRIGGER queue_changed AFTER UPDATE ON crm.%3$I
                REFERENCING OLD TABLE AS was NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION sync.%1$I();
            $make$, 'queue_changed_' || entity, changed, entity);
    END IF;
    IF made IS NOT NULL THEN
        EXECUTE format($make$
            CREATE OR REPLACE FUNCTION sync.%1$I() RETURNS trigger
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
            DECLARE by_feed integer := CASE WHEN sync.is_hub() THEN nullif(current_setting('navette.feed', true), '') END;
            BEGIN %2$s RETURN NULL; END $f$;
            CREATE TRIGGER queue_made AFTER INSERT ON crm.%3$I
                REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION sync.%1$I();
            $make$, 'queue_made_' || entity, made, entity);
    END IF;
END $$;
