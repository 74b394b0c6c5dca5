-- Who may do what. Each migration takes all rights back and grants them anew, so that what is not here is nobody's.
REVOKE ALL ON SCHEMA crm, sync, staging FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA crm, sync FROM PUBLIC, navette_hub, navette_crm;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA crm, sync FROM PUBLIC, navette_hub, navette_crm;
GRANT USAGE ON SCHEMA crm, sync TO navette_hub, navette_crm;
GRANT USAGE, CREATE ON SCHEMA staging TO navette_hub;
GRANT USAGE ON SEQUENCE crm.record_id TO navette_hub, navette_crm;
GRANT SELECT ON SEQUENCE sync.journal_id_seq TO navette_hub;  -- whether anything was journaled since it looked
GRANT EXECUTE ON FUNCTION crm.fold(text), crm.fold_company(text), crm.is_set(text[]), crm.is_set(bigint[]), crm.as_set(text[]),
    crm.as_set(bigint[]), crm.convert_lead(bigint, bigint), sync.is_hub(), sync.made_with(text, bigint),
    sync.history(bigint) TO navette_hub, navette_crm;

GRANT EXECUTE ON FUNCTION sync.bearer(text) TO navette_crm;

-- The hub: everything but deleting records, and writing what triggers and migrations write.
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA crm TO navette_hub;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA sync TO navette_hub;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA sync TO navette_hub;
GRANT EXECUTE ON FUNCTION sync.restore_entries(text, jsonb), sync.lead(integer, text, text),
    sync.leads(integer, text, text, bigint, integer), sync.leaders(integer, text, text[]) TO navette_hub;
REVOKE INSERT, UPDATE, DELETE ON sync.journal, sync.succession, sync.master, sync.subscription, sync.applied,
    sync.alembic_version FROM navette_hub;

-- CRM applications: read all records and their journal, write values (column by column: not id, version or times).
GRANT SELECT ON ALL TABLES IN SCHEMA crm TO navette_crm;
GRANT SELECT ON sync.journal, sync.succession, sync.record_column, sync.field_author, sync.difference, sync.reject,
    sync.parked, sync.review TO navette_crm;
