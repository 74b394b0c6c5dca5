-- The floor made by hand: what a careful person would write for this one file, with no check, no match and no history.
-- Named statements; benchmarks/floor.py runs them in this order.

-- name: tables
DROP SCHEMA IF EXISTS floor CASCADE;
CREATE SCHEMA floor;
CREATE UNLOGGED TABLE floor.staging (
    account text, name text, siret text, vat_number text, street text, postal_code text, city text, country text, phone text,
    email text, website text, payment_mode text, segment text, credit_limit text, currency text, discount text, opened_on text,
    changed_at text, is_supplier text, notes text
);
CREATE TABLE floor.company (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, type text NOT NULL DEFAULT 'customer', family text,
    archived_at timestamptz, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
    version integer NOT NULL DEFAULT 1,
    customer_code text, name text NOT NULL, siret text UNIQUE, vat_number text, street text, postal_code text, city text,
    country text, phone text, email text, website text, payment_mode text, segment text, credit_limit numeric,
    credit_limit_currency text, discount numeric, opened_on date, changed_at timestamptz, is_supplier boolean, notes text
);
CREATE TABLE floor.crosswalk (
    id_space integer NOT NULL, key text NOT NULL, record_id bigint NOT NULL, linked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id_space, key)
);

-- name: copy
COPY floor.staging FROM STDIN WITH (FORMAT csv, HEADER true, DELIMITER ';', NULL '');

-- name: records
INSERT INTO floor.company AS c (
    customer_code, name, siret, vat_number, street, postal_code, city, country, phone, email, website, payment_mode, segment,
    credit_limit, credit_limit_currency, discount, opened_on, changed_at, is_supplier, notes
)
SELECT
    account, name, siret, vat_number, street, postal_code, city, country, phone, email, website, payment_mode, segment,
    replace(credit_limit, ',', '.')::numeric, currency, replace(discount, ',', '.')::numeric, to_date(opened_on, 'DD/MM/YYYY'),
    changed_at::timestamptz, is_supplier = 'O', notes
FROM floor.staging
ON CONFLICT (siret) DO UPDATE SET
    customer_code = excluded.customer_code, name = excluded.name, vat_number = excluded.vat_number, street = excluded.street,
    postal_code = excluded.postal_code, city = excluded.city, country = excluded.country, phone = excluded.phone,
    email = excluded.email, website = excluded.website, payment_mode = excluded.payment_mode, segment = excluded.segment,
    credit_limit = excluded.credit_limit, credit_limit_currency = excluded.credit_limit_currency,
    discount = excluded.discount, opened_on = excluded.opened_on, changed_at = excluded.changed_at,
    is_supplier = excluded.is_supplier, notes = excluded.notes, updated_at = now(), version = c.version + 1;

-- name: crosswalk
INSERT INTO floor.crosswalk (id_space, key, record_id)
SELECT 1, s.account, c.id FROM floor.staging s JOIN floor.company c ON c.siret = s.siret;
