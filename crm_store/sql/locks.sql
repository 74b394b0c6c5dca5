-- sync.is_locked: whether `by_system` masters `of_field` of records of type `of_type`, with a lock. A rule for the type
-- goes before the rule for all types.
CREATE OR REPLACE FUNCTION sync.is_locked(of_entity text, of_field text, of_type text, by_system text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT locked AND by_system = ANY (systems) FROM sync.master
    WHERE entity = of_entity AND field = of_field AND type IN (of_type, '')
    ORDER BY type = '' LIMIT 1
$$;

-- sync.refuse_locked: refuses changes of locked fields of linked records; one item of the arrays for each changed field.
-- Rules by type are those of the type the record had; changing the type may not be the way out of a lock either.
--   The statement is planned anew each time, by the number of changes at hand: one edit must not read the crosswalk.
CREATE OR REPLACE FUNCTION sync.refuse_locked(
    of_entity text, ids bigint[], old_types text[], new_types text[], fields text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_nestloop = on AS $$
DECLARE
    found record;
BEGIN
    EXECUTE format($look$
        SELECT x.field, x.id, s.system, c.key
        FROM unnest($2, $3, $4, $5) AS x(id, old_type, new_type, field)
        JOIN sync.%I c ON c.record_id = x.id
        JOIN sync.id_space s ON s.id = c.id_space
        WHERE sync.is_locked($1, x.field, x.old_type, s.system)
            OR x.field = 'type' AND EXISTS (
                SELECT FROM sync.master m WHERE m.entity = $1 AND sync.is_locked($1, m.field, x.old_type, s.system)
                    AND sync.is_locked($1, m.field, x.new_type, s.system) IS NOT TRUE)
        ORDER BY x.id LIMIT 1
        $look$, 'crosswalk_' || of_entity)
    INTO found USING of_entity, ids, old_types, new_types, fields;
    IF found.id IS NOT NULL THEN
        RAISE EXCEPTION '% of % % is mastered by % and locked', found.field, of_entity, found.id, found.system
            USING ERRCODE = 'insufficient_privilege', COLUMN = found.field, TABLE = of_entity, SCHEMA = 'crm',
            HINT = format('Change it in %s (its key there is %s), and let the next run bring it here.',
                found.system, found.key);
    END IF;
END $$;

-- sync.watch_locks: the lock's trigger on one entity's table, written for the fields that some system masters; none for
-- an entity without such fields. `columns` belong, one by one, to `fields` (money has two columns).
--   A change of `type` is looked at always. enable_nestloop: see sync.watch_journal.
CREATE OR REPLACE FUNCTION sync.watch_locks(of_entity text, columns text[], fields text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    changed text := (
        SELECT string_agg(format('CASE WHEN (%s) IS DISTINCT FROM (%s) THEN %L END', was, made, x.field), ', ')
        FROM (
            SELECT f AS field, string_agg(format('was.%I', c), ', ') AS was, string_agg(format('made.%I', c), ', ') AS made
            FROM unnest(columns, fields) AS y(c, f) GROUP BY f
        ) x
        WHERE EXISTS (SELECT FROM sync.master m WHERE m.entity = of_entity AND m.locked AND m.field = x.field)
            OR x.field = 'type');
BEGIN
    EXECUTE format('DROP TRIGGER IF EXISTS refuse_locked ON crm.%I', of_entity);
    IF NOT EXISTS (SELECT FROM sync.master m WHERE m.entity = of_entity AND m.locked) THEN
        RETURN;
    END IF;
    EXECUTE format($make$
        CREATE OR REPLACE FUNCTION sync.%1$I() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_nestloop = off SET enable_hashjoin = on AS $f$
        DECLARE
            ids bigint[]; old_types text[]; new_types text[]; fields text[];
        BEGIN
            IF sync.is_hub() THEN
                RETURN NULL;
            END IF;
            SELECT array_agg(x.id), array_agg(x.old_type), array_agg(x.new_type), array_agg(x.field)
            INTO ids, old_types, new_types, fields
            FROM (
                SELECT made.id, coalesce(was.type, '') AS old_type, coalesce(made.type, '') AS new_type,
                    unnest(array_remove(ARRAY[%2$s], NULL)) AS field
                FROM was JOIN made ON made.id = was.id
            ) x;
            IF ids IS NOT NULL THEN
                PERFORM sync.refuse_locked(tg_table_name, ids, old_types, new_types, fields);
            END IF;
            RETURN NULL;
        END $f$;
        CREATE TRIGGER refuse_locked AFTER UPDATE ON crm.%3$I
            REFERENCING OLD TABLE AS was NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION sync.%1$I();
        $make$, 'locks_' || of_entity, changed, of_entity);
END $$;
