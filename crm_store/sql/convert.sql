-- crm.convert_lead: a lead becomes a company: `of_company`, or a new one made of what both have in common. Gives its id.
--   The lead is archived and linked to the company, and stays known to its systems under its ids: their next run must
--   find it, and make no second lead of it. The company gets the lead's ids as aliases in the same id spaces (feed 0: no
--   flow made them), so that what refers to them as a company finds it. What hangs on the lead (events, attachments,
--   addresses …) hangs on the company too, unless it hangs on another. sync.history reads through.
--   Converting again gives the same company.
CREATE OR REPLACE FUNCTION crm.convert_lead(of_lead bigint, of_company bigint DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    became bigint;
    common text;
    child text;
BEGIN
    PERFORM FROM crm.lead WHERE id = of_lead FOR UPDATE;
    IF NOT found THEN
        RAISE EXCEPTION 'there is no lead %', of_lead USING ERRCODE = 'no_data_found';
    END IF;
    SELECT successor INTO became FROM sync.succession WHERE predecessor = of_lead;
    IF found THEN
        RETURN became;
    END IF;
    IF of_company IS NOT NULL THEN
        PERFORM FROM crm.company WHERE id = of_company;
        IF NOT found THEN
            RAISE EXCEPTION 'there is no company %', of_company USING ERRCODE = 'no_data_found';
        END IF;
        became := of_company;
    ELSE
        SELECT string_agg(format('%I', l.attname), ', ') INTO common
        FROM pg_attribute l JOIN pg_attribute c ON c.attname = l.attname AND c.atttypid = l.atttypid
        WHERE l.attrelid = 'crm.lead'::regclass AND c.attrelid = 'crm.company'::regclass AND l.attnum > 0
            AND c.attnum > 0 AND NOT l.attisdropped AND NOT c.attisdropped AND l.attname NOT IN
                ('id', 'type', 'archived_at', 'created_at', 'updated_at', 'version', 'name', 'status');
        EXECUTE format($make$
            INSERT INTO crm.company (name, %1$s)
            SELECT coalesce(company_name, name, nullif(concat_ws(' ', first_name, last_name), ''), email), %1$s
            FROM crm.lead WHERE id = $1 RETURNING id
            $make$, common) INTO became USING of_lead;
    END IF;
    INSERT INTO sync.id_space (system, name, entity)
    SELECT s.system, s.name, 'company' FROM sync.id_space s
    WHERE EXISTS (SELECT FROM sync.crosswalk_lead k WHERE k.record_id = of_lead AND k.id_space = s.id)
    ON CONFLICT DO NOTHING;
    INSERT INTO sync.crosswalk_company (id_space, key, feed, record_id, is_primary)
    SELECT t.id, k.key, 0, became, false
    FROM sync.crosswalk_lead k JOIN sync.id_space s ON s.id = k.id_space
    JOIN sync.id_space t ON t.system = s.system AND t.name = s.name AND t.entity = 'company'
    WHERE k.record_id = of_lead
    ON CONFLICT DO NOTHING;
    FOR child IN
        SELECT a.entity FROM sync.record_column a JOIN sync.record_column b ON b.entity = a.entity
        WHERE a.field = 'lead' AND b.field = 'company'
    LOOP
        EXECUTE format('UPDATE crm.%I SET company = $1 WHERE lead = $2 AND company IS NULL', child)
        USING became, of_lead;
    END LOOP;
    UPDATE crm.lead SET company = became, status = 'converted', converted_at = now(), archived_at = now()
    WHERE id = of_lead;
    INSERT INTO sync.succession (predecessor, predecessor_entity, successor, successor_entity)
    VALUES (of_lead, 'lead', became, 'company');
    RETURN became;
END $$;
