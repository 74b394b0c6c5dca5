-- Who may do what. Each migration takes all rights back and grants them anew, so that what is not here is nobody's.
REVOKE ALL ON SCHEMA crm, sync, staging FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA crm, sync FROM PUBLIC, navette_hub, navette_crm;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA crm, sync FROM PUBLIC, navette_hub, navette_crm;
GRANT USAGE ON SCHEMA crm, sync TO navette_hub, navette_crm;
GRANT USAGE, CREATE ON SCHEMA staging TO navette_hub;
GRANT USAGE ON SEQUENCE crm.record_id TO navette_hub, navette_crm;
GRANT EXECUTE ON FUNCTION crm.fold(text), crm.is_set(text[]), crm.is_set(bigint[]) TO PUBLIC;

-- The hub: everything but deleting records and writing what triggers and migrations write.
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA crm TO navette_hub;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA sync TO navette_hub;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA sync TO navette_hub;
REVOKE INSERT, UPDATE, DELETE ON sync.journal, sync.master, sync.applied, sync.alembic_version FROM navette_hub;

-- CRM applications: read all records and their journal, write values (column by column: not id, version or times).
GRANT SELECT ON ALL TABLES IN SCHEMA crm TO navette_crm;
GRANT SELECT ON sync.journal TO navette_crm;
DO $$
DECLARE
    entity record;
BEGIN
    FOR entity IN
        SELECT r.relname AS name, string_agg(format('%I', a.attname), ', ' ORDER BY a.attnum) AS columns
        FROM pg_catalog.pg_class r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid
        WHERE r.relnamespace = 'crm'::regnamespace AND r.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
            AND a.attname NOT IN ('id', 'created_at', 'updated_at', 'version')
        GROUP BY r.relname
    LOOP
        EXECUTE format('GRANT INSERT (%1$s), UPDATE (%1$s) ON crm.%2$I TO navette_crm', entity.columns, entity.name);
    END LOOP;
END $$;
