-- crm.keep_record: what every change of a record keeps: its id, a version that counts, the time of the change.
CREATE OR REPLACE FUNCTION crm.keep_record() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF new.id <> old.id THEN
        RAISE EXCEPTION 'the id of a record never changes' USING ERRCODE = 'integrity_constraint_violation';
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

-- sync.watch_record: puts all triggers on one entity's table. Run by every migration, for every entity.
CREATE OR REPLACE FUNCTION sync.watch_record(entity text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE OR REPLACE TRIGGER keep_record BEFORE UPDATE ON crm.%I
        FOR EACH ROW EXECUTE FUNCTION crm.keep_record()', entity);
    EXECUTE format('CREATE OR REPLACE TRIGGER refuse_delete BEFORE DELETE ON crm.%I
        FOR EACH STATEMENT EXECUTE FUNCTION crm.refuse_delete()', entity);
    EXECUTE format('CREATE OR REPLACE TRIGGER refuse_truncate BEFORE TRUNCATE ON crm.%I
        FOR EACH STATEMENT EXECUTE FUNCTION crm.refuse_delete()', entity);
END $$;

SELECT sync.watch_record(tablename) FROM pg_catalog.pg_tables r WHERE schemaname = 'crm' AND EXISTS (
    SELECT FROM pg_catalog.pg_tables c WHERE c.schemaname = 'sync' AND c.tablename = 'crosswalk_' || r.tablename);
