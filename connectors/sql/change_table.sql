-- name: schema
CREATE SCHEMA IF NOT EXISTS navette_changes

-- name: change
-- One line for each key that a statement touched. `txid`: the transaction that did it, which says when others see it.
CREATE TABLE IF NOT EXISTS navette_changes.change (
    id bigserial PRIMARY KEY,
    resource text NOT NULL,
    key jsonb NOT NULL,
    op text NOT NULL,
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT clock_timestamp())

-- name: change_index
CREATE INDEX IF NOT EXISTS change_by_transaction ON navette_changes.change (resource, txid)

-- name: tracked
-- The tables whose changes are recorded, the key that is recorded, since which transaction, and up to where lines were
-- thrown away again: a position from before either is of no use.
CREATE TABLE IF NOT EXISTS navette_changes.tracked (
    resource text PRIMARY KEY,
    key text[] NOT NULL,
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    pruned pg_snapshot)

-- name: record
-- The function of all triggers. Arguments: the resource, then its key columns. It runs as its owner, so that whoever
-- writes the table needs no right on the change table.
--   Statements are planned anew each time: a plan kept from single rows must not serve a batch.
CREATE OR REPLACE FUNCTION navette_changes.record() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET intervalstyle = 'iso_8601' AS $navette$
DECLARE
    pairs text;
    lines bigint;
BEGIN
    SELECT string_agg(format('%L, %I', TG_ARGV[n], TG_ARGV[n]), ', ') INTO pairs FROM generate_series(1, TG_NARGS - 1) n;
    EXECUTE 'INSERT INTO navette_changes.change (resource, key, op) SELECT $1, touched.key, $2 FROM ('
        || CASE TG_OP
            WHEN 'INSERT' THEN format('SELECT jsonb_build_object(%s) AS key FROM new_rows', pairs)
            WHEN 'DELETE' THEN format('SELECT jsonb_build_object(%s) AS key FROM old_rows', pairs)
            WHEN 'UPDATE' THEN format('SELECT jsonb_build_object(%s) AS key FROM new_rows'
                ' UNION SELECT jsonb_build_object(%s) FROM old_rows', pairs, pairs)
            ELSE format('SELECT jsonb_build_object(%s) AS key FROM %I.%I', pairs, TG_TABLE_SCHEMA, TG_TABLE_NAME)
        END || ') touched'
    USING TG_ARGV[0], lower(TG_OP);
    GET DIAGNOSTICS lines = ROW_COUNT;
    IF lines > 0 THEN
        PERFORM pg_notify('navette', TG_ARGV[0]);
    END IF;
    RETURN NULL;
END $navette$

-- name: record_right
REVOKE ALL ON FUNCTION navette_changes.record() FROM PUBLIC

-- name: on_insert
CREATE OR REPLACE TRIGGER navette_insert AFTER INSERT ON {table}
REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION navette_changes.record({arguments})

-- name: on_update
CREATE OR REPLACE TRIGGER navette_update AFTER UPDATE ON {table}
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION navette_changes.record({arguments})

-- name: on_delete
CREATE OR REPLACE TRIGGER navette_delete AFTER DELETE ON {table}
REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION navette_changes.record({arguments})

-- name: on_truncate
-- Before, while the keys can still be read.
CREATE OR REPLACE TRIGGER navette_truncate BEFORE TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION navette_changes.record({arguments})

-- name: track
INSERT INTO navette_changes.tracked (resource, key) VALUES ({resource}, {key}) ON CONFLICT (resource) DO NOTHING

-- name: grant_schema
GRANT USAGE ON SCHEMA navette_changes TO {role}

-- name: grant_change
GRANT SELECT, DELETE ON navette_changes.change TO {role}

-- name: grant_tracked
GRANT SELECT, UPDATE ON navette_changes.tracked TO {role}

-- name: drop_trigger
DROP TRIGGER IF EXISTS {trigger} ON {table}

-- name: untrack
DELETE FROM navette_changes.tracked WHERE resource = {resource}

-- name: forget
DELETE FROM navette_changes.change WHERE resource = {resource}

-- name: last_one
-- Takes the rest away once no table is recorded any more.
DO $navette$ BEGIN
    IF NOT EXISTS (SELECT FROM navette_changes.tracked) THEN
        DROP FUNCTION navette_changes.record();
        DROP TABLE navette_changes.change, navette_changes.tracked;
        DROP SCHEMA navette_changes;
    END IF;
END $navette$

-- name: mark_pruned
UPDATE navette_changes.tracked SET pruned = %(before)s::pg_snapshot
WHERE resource = %(resource)s
    AND (pruned IS NULL OR pg_snapshot_xmin(pruned) < pg_snapshot_xmin(%(before)s::pg_snapshot))

-- name: prune
-- A bounded piece of the lines that a reader at `before` has already seen.
DELETE FROM navette_changes.change WHERE id IN (
    SELECT id FROM navette_changes.change
    WHERE resource = %(resource)s AND txid < pg_snapshot_xmax(%(before)s::pg_snapshot)
        AND pg_visible_in_snapshot(txid, %(before)s::pg_snapshot)
    ORDER BY txid LIMIT %(lines)s)

-- name: look
-- Where the snapshot stands that this transaction reads; and against a position: whether that still tells all (taken after
-- recording began, not older than what was pruned, and of this server's own count of transactions: a database that was
-- dumped and loaded elsewhere begins to count anew), and whether anything is recorded since.
SELECT pg_current_snapshot()::text,
    coalesce(
        pg_visible_in_snapshot(t.txid, since.at)
        AND (t.pruned IS NULL OR pg_snapshot_xmin(t.pruned) <= pg_snapshot_xmin(since.at))
        AND pg_snapshot_xmax(since.at) <= pg_snapshot_xmax(pg_current_snapshot()), false),
    EXISTS (
        SELECT FROM navette_changes.change c
        WHERE c.resource = t.resource AND c.txid >= pg_snapshot_xmin(since.at)
            AND NOT pg_visible_in_snapshot(c.txid, since.at))
FROM (SELECT %(since)s::pg_snapshot AS at) since LEFT JOIN navette_changes.tracked t ON t.resource = %(resource)s
