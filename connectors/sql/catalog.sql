-- name: relation
-- A table, view or foreign table: what kind it is, and what may be done with it (updatable: bits 4 update, 8 insert, 16
-- delete, of which views with INSTEAD OF triggers have theirs).
SELECT c.oid, c.relkind::text, pg_relation_is_updatable(c.oid, true),
    has_table_privilege(c.oid, 'INSERT') OR has_any_column_privilege(c.oid, 'INSERT'),
    has_any_column_privilege(c.oid, 'UPDATE'), has_table_privilege(c.oid, 'DELETE')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')

-- name: attributes
-- Its columns in order.
SELECT a.attname::text, a.atttypid, a.attnotnull
FROM pg_attribute a WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum

-- name: types
-- What the types are at bottom, one row for each oid given, in order. A domain is what it stands on: a cast to varchar(5)
-- would cut in silence, assigning to it refuses.
SELECT n.nspname::text, t.typname::text, t.typcategory::text, t.typtype::text, e.typname::text, base.filled
FROM unnest(%(oids)s::oid[]) WITH ORDINALITY AS given (oid, place)
CROSS JOIN LATERAL (
    WITH RECURSIVE chain (oid, depth, filled) AS (
        SELECT given.oid, 0, false
        UNION ALL
        SELECT d.typbasetype, chain.depth + 1, chain.filled OR d.typnotnull
        FROM chain JOIN pg_type d ON d.oid = chain.oid WHERE d.typtype = 'd')
    SELECT chain.oid, chain.filled FROM chain ORDER BY depth DESC LIMIT 1
) base
JOIN pg_type t ON t.oid = base.oid
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_type e ON t.typcategory = 'A' AND e.oid = t.typelem
ORDER BY given.place

-- name: numbered
-- Of the columns of a table's unique index those that the database numbers by itself.
SELECT a.attname::text
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (x.indkey)
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND i.relname = %(index)s
    AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%%')

-- name: open_transactions
-- The server's clock, since when the oldest transaction of this database is open, and how many sessions we may not see.
-- Ask before taking the snapshot: a transaction that ends between the two is then in the list, or in the snapshot.
SELECT to_json(statement_timestamp()) #>> '{}', to_json(min(a.xact_start)) #>> '{}',
    count(*) FILTER (WHERE a.query = '<insufficient privilege>')
FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
    AND coalesce(a.backend_type, 'client backend') = 'client backend'
    AND a.application_name IS DISTINCT FROM %(reader)s

-- name: tracked
-- Whether a table's changes are recorded (change_table.sql): the key that is recorded, and how many of its triggers work.
SELECT t.key, (
    SELECT count(*) FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND g.tgname = ANY (%(triggers)s) AND g.tgenabled IN ('O', 'A'))
FROM navette_changes.tracked t WHERE t.resource = %(resource)s

-- name: has_tracked
-- Whether there are change tables at all, and we may look into them.
SELECT EXISTS (
    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'navette_changes' AND c.relname = 'tracked' AND has_schema_privilege(n.oid, 'USAGE')
        AND has_table_privilege(c.oid, 'SELECT'))
