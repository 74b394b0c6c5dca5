-- sync.restore_entries: puts entries back into an entity's crosswalk as they were (`entries`: an array of whole rows), to be
-- looked at anew by the next run. Columns that came since are null, columns that went are left out.
CREATE OR REPLACE FUNCTION sync.restore_entries(of_entity text, entries jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('INSERT INTO sync.%1$I SELECT (jsonb_populate_record(NULL::sync.%1$I, e || ''{"fingerprint": null}'')).*
        FROM jsonb_array_elements($1) AS e', 'crosswalk_' || of_entity) USING entries;
END $$;
