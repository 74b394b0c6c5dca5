-- crm.keep_record: what every change of a record keeps: its id, a version that counts, when it was made and changed.
CREATE OR REPLACE FUNCTION crm.keep_record() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF new.id <> old.id THEN
        RAISE EXCEPTION 'the id of a record never changes (% %)', tg_table_name, old.id
            USING ERRCODE = 'insufficient_privilege', HINT = 'Make another record, or archive this one.';
    END IF;
    new.version := old.version + 1;
    new.updated_at := now();
    new.created_at := old.created_at;
    RETURN new;
END $$;

-- crm.refuse_delete: records are archived, so that links, crosswalk and journal never point into the void.
CREATE OR REPLACE FUNCTION crm.refuse_delete() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'records of % are archived, never deleted', tg_table_name
        USING ERRCODE = 'insufficient_privilege', HINT = 'Set archived_at instead.';
END $$;

-- sync.watch_record: the triggers that every entity's table has, whatever its fields; and a tenth of each page that inserts
-- leave free, so that most changed rows stay on theirs, and no index hears of them.
--   A write that changes nothing is none: others hold the record by its version, which stays. Compared are whole rows as
--   they are stored (*<> asks no type for its equality), sets in order: triggers of a row fire by their names, so that
--   arrange_sets goes before keep_record.
CREATE OR REPLACE FUNCTION sync.watch_record(entity text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE OR REPLACE TRIGGER keep_record BEFORE UPDATE ON crm.%I
        FOR EACH ROW WHEN (old *<> new) EXECUTE FUNCTION crm.keep_record()', entity);
    EXECUTE format('CREATE OR REPLACE TRIGGER refuse_delete BEFORE DELETE ON crm.%I
        FOR EACH STATEMENT EXECUTE FUNCTION crm.refuse_delete()', entity);
    EXECUTE format('CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON crm.%I
        FOR EACH STATEMENT EXECUTE FUNCTION crm.refuse_delete()', entity);
    EXECUTE format('ALTER TABLE crm.%I SET (fillfactor = 90)', entity);
    EXECUTE format('ALTER TABLE sync.%I SET (fillfactor = 90)', 'crosswalk_' || entity);
END $$;

-- sync.watch_sets: sets of values and of links, whoever writes them: kept sorted and distinct, every link of a record
-- that exists (foreign keys do not reach into arrays; since nothing is ever deleted, a look when writing is enough).
-- `columns` are the entity's array columns; `targets` the entity that each links to, null for choices.
CREATE OR REPLACE FUNCTION sync.watch_sets(entity text, columns text[], targets text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unsorted text := (SELECT string_agg(format('NOT crm.is_set(new.%I)', c), ' OR ') FROM unnest(columns) c);
    sorting text := (SELECT string_agg(format('new.%1$I := crm.as_set(new.%1$I);', c), ' ') FROM unnest(columns) c);
    checking text := (SELECT string_agg(format($check$
            IF EXISTS (SELECT FROM made WHERE %1$I IS NOT NULL) THEN
                EXECUTE 'SELECT item FROM made, unnest(made.%1$I) AS item
                    WHERE NOT EXISTS (SELECT FROM crm.%2$I t WHERE t.id = item) LIMIT 1' INTO missing;
                IF missing IS NOT NULL THEN
                    RAISE EXCEPTION '%3$s: there is no %2$s %%', missing USING ERRCODE = 'foreign_key_violation';
                END IF;
            END IF;$check$, c, t, entity || '.' || c), '') FROM unnest(columns, targets) AS x(c, t) WHERE t IS NOT NULL);
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS keep_sets ON crm.%1$I; DROP TRIGGER IF EXISTS arrange_sets ON crm.%1$I;
        DROP TRIGGER IF EXISTS check_links_made ON crm.%1$I; DROP TRIGGER IF EXISTS check_links_changed ON crm.%1$I', entity);
    IF unsorted IS NOT NULL THEN
        EXECUTE format($make$
            CREATE OR REPLACE FUNCTION sync.%1$I() RETURNS trigger
            LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $f$ BEGIN %2$s RETURN new; END $f$;
            CREATE TRIGGER arrange_sets BEFORE INSERT OR UPDATE ON crm.%3$I
                FOR EACH ROW WHEN (%4$s) EXECUTE FUNCTION sync.%1$I();
            $make$, 'sets_' || entity, sorting, entity, unsorted);
    END IF;
    IF checking IS NOT NULL THEN
        EXECUTE format($make$
            CREATE OR REPLACE FUNCTION sync.%1$I() RETURNS trigger
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
            DECLARE missing bigint;
            BEGIN %2$s RETURN NULL; END $f$;
            CREATE TRIGGER check_links_made AFTER INSERT ON crm.%3$I
                REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION sync.%1$I();
            CREATE TRIGGER check_links_changed AFTER UPDATE ON crm.%3$I
                REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION sync.%1$I();
            $make$, 'links_' || entity, checking, entity);
    END IF;
END $$;

-- sync.grant_record: what CRM applications may write of one entity.
CREATE OR REPLACE FUNCTION sync.grant_record(of_entity text, columns text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    listed text := (SELECT string_agg(format('%I', c), ', ') FROM unnest(columns) c);
BEGIN
    EXECUTE format('GRANT INSERT (%1$s), UPDATE (%1$s) ON crm.%2$I TO navette_crm', listed, of_entity);
END $$;
