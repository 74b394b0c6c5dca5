-- Schemas, and the one sequence all records are numbered by: an id is unique across the store, whatever the entity.
CREATE SCHEMA IF NOT EXISTS crm;
CREATE SCHEMA IF NOT EXISTS sync;
CREATE SCHEMA IF NOT EXISTS staging;
CREATE SEQUENCE IF NOT EXISTS crm.record_id;
