-- sync.reject, sync.parked, sync.review: the rows that wait, by what they wait for, with where they come from.
CREATE OR REPLACE VIEW sync.reject AS
SELECT h.id, f.flow, f.label, f.system, f.entity, h.key, h.run_id, h.source, h.line, h.row_no, h.code, h.field, h.causes,
    h.raw, h.raw_text, h.since
FROM sync.held h JOIN sync.feed f ON f.id = h.feed WHERE h.outcome = 'rejected' AND h.state = 'open';

CREATE OR REPLACE VIEW sync.parked AS
SELECT h.id, f.flow, f.label, f.system, f.entity, h.key, h.run_id, h.source, h.line, h.row_no, h.code, h.field, h.causes,
    h.raw, h.raw_text, h.since, h.waits_for
FROM sync.held h JOIN sync.feed f ON f.id = h.feed WHERE h.outcome = 'parked' AND h.state = 'open';

CREATE OR REPLACE VIEW sync.review AS
SELECT h.id, f.flow, f.label, f.system, f.entity, h.key, h.run_id, h.source, h.line, h.row_no, h.code, h.field, h.causes,
    h.raw, h.raw_text, h.since, h.candidates
FROM sync.held h JOIN sync.feed f ON f.id = h.feed WHERE h.outcome = 'review' AND h.state = 'open';

-- sync.record_column: the value columns of every entity (what the journal names).
CREATE OR REPLACE VIEW sync.record_column AS
SELECT r.relname::text AS entity, a.attname::text AS field, a.attnum AS position
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class r ON r.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
WHERE n.nspname = 'crm' AND r.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
    AND a.attname NOT IN ('id', 'created_at', 'updated_at', 'version');

-- sync.field_author: who set each column of a record last, and when; who made the record, where it never changed.
CREATE OR REPLACE VIEW sync.field_author AS
SELECT DISTINCT ON (record_id, field) record_id, field, entity, at, system, author, run_id, journal_id
FROM (
    SELECT j.record_id, k.field, j.entity, j.at, j.system, j.author, j.run_id, j.id AS journal_id
    FROM sync.journal j CROSS JOIN LATERAL jsonb_object_keys(j.new) AS k(field) WHERE j.op = 'update'
    UNION ALL
    SELECT j.record_id, c.field, j.entity, j.at, j.system, j.author, j.run_id, j.id
    FROM sync.journal j JOIN sync.record_column c ON c.entity = j.entity WHERE j.op = 'create'
) change
ORDER BY record_id, field, journal_id DESC;

-- sync.made_with: the values a record was made with: what it has now, less what the journal says was changed since.
CREATE OR REPLACE FUNCTION sync.made_with(of_entity text, of_record bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now jsonb;
    earliest jsonb;
BEGIN
    EXECUTE format('SELECT to_jsonb(r) FROM crm.%I r WHERE r.id = $1', of_entity) INTO now USING of_record;
    SELECT jsonb_object_agg(o.key, o.value ORDER BY j.id DESC) INTO earliest  -- of equal keys the last one stays
    FROM sync.journal j CROSS JOIN LATERAL jsonb_each(j.old) AS o WHERE j.record_id = of_record AND j.op = 'update';
    RETURN jsonb_strip_nulls(now - ARRAY['id', 'created_at', 'updated_at', 'version'] || coalesce(earliest, '{}'));
END $$;

-- sync.history: all that happened to a record, oldest first, and to the records it came from (a lead that became this
-- company). `of_record` tells which of them a line is about.
CREATE OR REPLACE FUNCTION sync.history(of_id bigint) RETURNS TABLE (
    id bigint, entity text, of_record bigint, op text, at timestamptz, system text, author text, run_id bigint,
    old jsonb, new jsonb)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE line(record) AS (
        SELECT of_id UNION SELECT s.predecessor FROM sync.succession s JOIN line ON s.successor = line.record
    )
    SELECT j.id, j.entity, j.record_id, j.op, j.at, j.system, j.author, j.run_id, j.old,
        CASE WHEN j.op = 'create' THEN sync.made_with(j.entity, j.record_id) ELSE j.new END
    FROM line JOIN sync.journal j ON j.record_id = line.record ORDER BY j.id
$$;

-- sync.show_difference: makes the view sync.difference: where the CRM and what a system last agreed to say different
-- things, field by field (local overrides, and changes that a flow which only reads cannot send).
-- `theirs` is what the system really stored, where that is not what was agreed. Money is shown with its currency.
CREATE OR REPLACE FUNCTION sync.show_difference(entities text[], columns text[], fields text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part text := $part$
        SELECT %1$L::text AS entity, c.record_id, s.system, s.name AS id_space, c.key, d.field, d.ours,
            coalesce(c.remote -> d.field, d.base) AS theirs
        FROM sync.%2$I c JOIN crm.%1$I r ON r.id = c.record_id JOIN sync.id_space s ON s.id = c.id_space
        JOIN sync.field_set f ON f.id = c.base_set
        CROSS JOIN LATERAL (VALUES %3$s) AS d(field, differs, ours, base)
        WHERE d.differs AND d.field = ANY (f.fields)$part$;
    one text := '(%2$L, r.%1$I IS DISTINCT FROM c.%3$I, to_jsonb(r.%1$I), to_jsonb(c.%3$I))';
    two text := '(%3$L, (r.%1$I, r.%2$I) IS DISTINCT FROM (c.%4$I, c.%5$I), '
        'jsonb_build_array(r.%1$I, r.%2$I), jsonb_build_array(c.%4$I, c.%5$I))';
    archived text := '(''archived'', (r.archived_at IS NOT NULL) IS DISTINCT FROM c.b_archived, '
        'to_jsonb(r.archived_at IS NOT NULL), to_jsonb(c.b_archived))';
    query text;
BEGIN
    SELECT string_agg(format(part, x.entity, 'crosswalk_' || x.entity, x.compared), ' UNION ALL ') INTO query
    FROM (
        SELECT y.entity, string_agg(CASE
            WHEN y.field = 'archived' THEN archived
            WHEN cardinality(y.of) = 1 THEN format(one, y.of[1], y.field, 'b_' || y.of[1])
            ELSE format(two, y.of[1], y.of[2], y.field, 'b_' || y.of[1], 'b_' || y.of[2]) END, ', ') AS compared
        FROM (SELECT e AS entity, f AS field, array_agg(c ORDER BY length(c)) AS of
            FROM unnest(entities, columns, fields) AS z(e, c, f) GROUP BY e, f) y
        GROUP BY y.entity
    ) x;
    EXECUTE 'CREATE VIEW sync.difference AS ' || query;
END $$;
