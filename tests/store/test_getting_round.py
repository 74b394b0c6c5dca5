"""A CRM user tries to get round locks, history and the base: by settings, roles, other statements, other objects."""

from __future__ import annotations

import psycopg
import pytest

from crm_store.store import Store
from tests.store.conftest import Desk

REFUSED = ("42501", "55000", "22023")
"""No privilege; a view that cannot be written; a role that this server does not have (the owner of one's own)."""


@pytest.fixture(scope="module")
def linked(desk: Desk) -> int:
    made = desk.company(name="Linked", type="customer", vat_number="FR1")
    desk.link(made, "sage")
    return made


@pytest.mark.parametrize(
    "setting",
    [
        "SET navette.system = 'sage'", "SET navette.run = '7'", "SET search_path = pg_temp, crm, sync",
        "SET row_security = off", "SET check_function_bodies = off", "SET CONSTRAINTS ALL DEFERRED",
        "SET default_transaction_isolation = 'serializable'", "SET transform_null_equals = on",
        "SET plan_cache_mode = force_generic_plan", "SET enable_hashjoin = off", "SET enable_mergejoin = off",
        "SET TIME ZONE 'Asia/Tokyo'", "SET standard_conforming_strings = off", "SET application_name = 'navette_hub'",
    ],
)
def test_no_setting_opens_a_lock_or_forges_an_author(desk: Desk, linked: int, setting: str) -> None:
    desk.crm.execute("RESET ALL")
    desk.crm.execute(setting)
    assert desk.refused("UPDATE crm.company SET name = 'Mine' WHERE id = %s", linked).sqlstate == "42501"
    desk.crm.execute("UPDATE crm.company SET city = 'Lyon' WHERE id = %s", [linked])
    told = desk.hub.execute("SELECT system, run_id, author FROM sync.journal ORDER BY id DESC LIMIT 1").fetchone()
    assert told == (None, None, "navette_app")


@pytest.mark.parametrize(
    "statement",
    [
        "SET session_replication_role = replica", "SET ROLE navette_hub", "SET ROLE navette_owner",
        "SET SESSION AUTHORIZATION navette_hub", "GRANT navette_hub TO CURRENT_USER",
        "ALTER TABLE crm.company DISABLE TRIGGER ALL", "ALTER TABLE crm.company DISABLE TRIGGER refuse_locked",
        "DROP TRIGGER refuse_locked ON crm.company", "ALTER TABLE crm.company DROP COLUMN notes",
        "CREATE TRIGGER mine BEFORE UPDATE ON crm.company FOR EACH ROW EXECUTE FUNCTION crm.keep_record()",
        "CREATE RULE mine AS ON UPDATE TO crm.company DO INSTEAD NOTHING",
        "CREATE TEMP TABLE child () INHERITS (crm.company)", "CREATE TABLE crm.mine (id int)",
        "CREATE FUNCTION crm.fold(int) RETURNS text LANGUAGE sql AS 'SELECT 1'", "CREATE TABLE public.mine (id int)",
        "CREATE SCHEMA mine", "CREATE OR REPLACE FUNCTION sync.is_hub() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE TEMP TABLE company (id bigint); CREATE TRIGGER forge AFTER INSERT ON company"
        " REFERENCING NEW TABLE AS made FOR EACH STATEMENT EXECUTE FUNCTION sync.journal_create()",
        "SELECT sync.refuse_locked('company', '{}', '{}', '{}', '{}')", "SELECT setval('crm.record_id', 1)",
        "SELECT sync.watch_locks('company', '{}', '{}')", "SELECT sync.grant_record('company', '{id}')",
        "INSERT INTO crm.company (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = 'Mine'",
        "UPDATE crm.company SET id = id + 1000000", "UPDATE crm.company SET version = 1",
        "UPDATE crm.company SET updated_at = now(), created_at = now()",
        "DELETE FROM crm.company", "TRUNCATE crm.company", "TRUNCATE crm.company CASCADE",
        "MERGE INTO crm.company c USING (VALUES (1)) AS v(x) ON c.name = 'Linked' WHEN MATCHED THEN DELETE",
        "DELETE FROM sync.journal", "UPDATE sync.journal SET author = 'nobody'", "TRUNCATE sync.journal",
        "INSERT INTO sync.journal (entity, record_id, op, author) VALUES ('company', 1, 'update', 'sage')",
        "DELETE FROM sync.crosswalk_company", "UPDATE sync.crosswalk_company SET b_name = 'Mine'",
        "SELECT * FROM sync.crosswalk_company", "DELETE FROM sync.master", "UPDATE sync.master SET locked = false",
        "UPDATE sync.id_space SET system = 'other'", "UPDATE sync.reject SET code = 'x'", "SELECT * FROM sync.held",
        "UPDATE sync.difference SET key = 'x'", "INSERT INTO sync.succession VALUES (1, 'lead', 2, 'company')",
        "COPY sync.master FROM STDIN", "CREATE TABLE staging.mine (id int)", "ALTER ROLE navette_hub PASSWORD 'mine'",
        "ALTER TABLE crm.company OWNER TO CURRENT_USER", "ALTER ROLE CURRENT_USER SUPERUSER",
    ],
)
def test_what_a_crm_user_may_not_do(desk: Desk, linked: int, statement: str) -> None:
    assert desk.refused(statement).sqlstate in REFUSED
    assert desk.one("SELECT name FROM crm.company WHERE id = %s", linked) == "Linked"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE crm.company c SET name = v.name FROM (VALUES ('Mine')) AS v(name) WHERE c.vat_number = 'FR1'",
        "MERGE INTO crm.company c USING (VALUES ('FR1')) AS v(x) ON c.vat_number = v.x"
        " WHEN MATCHED THEN UPDATE SET name = 'Mine'",
        "WITH changed AS (UPDATE crm.company SET name = 'Mine' WHERE vat_number = 'FR1' RETURNING id)"
        " UPDATE crm.company SET city = 'Lyon' WHERE id IN (SELECT id FROM changed)",
        "DO $$ BEGIN UPDATE crm.company SET name = 'Mine'; EXCEPTION WHEN division_by_zero THEN NULL; END $$",
        "PREPARE edit AS UPDATE crm.company SET name = 'Mine'; EXECUTE edit",
        "UPDATE ONLY crm.company SET name = 'Mine'",
    ],
)
def test_no_other_statement_opens_a_lock(desk: Desk, linked: int, statement: str) -> None:
    assert "mastered by sage and locked" in str(desk.refused(statement))
    assert desk.one("SELECT name FROM crm.company WHERE id = %s", linked) == "Linked"


def test_objects_of_the_same_names_in_a_temporary_schema_change_nothing(desk: Desk, linked: int) -> None:
    for statement in (
        "CREATE FUNCTION pg_temp.is_hub() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE FUNCTION pg_temp.pg_has_role(name, text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE FUNCTION pg_temp.array_remove(text[], text) RETURNS text[] LANGUAGE sql AS 'SELECT NULL::text[]'",
        "CREATE TEMP TABLE master (entity text, field text, type text, systems text[], locked boolean)",
        "CREATE TEMP TABLE pg_roles (rolname name, rolsuper boolean)",
        "CREATE TEMP TABLE was (id bigint, name text)", "CREATE TEMP TABLE made (id bigint, name text)",
        "SET search_path = pg_temp, pg_catalog, crm, sync",
    ):
        desk.crm.execute(statement)
    assert "mastered by sage" in str(desk.refused("UPDATE crm.company SET name = 'Mine' WHERE id = %s", linked))


def test_undoing_a_lock_step_by_step_in_one_transaction_does_not_help(desk: Desk, linked: int) -> None:
    with psycopg.connect(desk.store.crm_url) as user:
        user.execute("SET CONSTRAINTS ALL DEFERRED")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), user.transaction():
            user.execute("UPDATE crm.company SET name = 'Mine' WHERE id = %s", [linked])
        with pytest.raises(psycopg.errors.InsufficientPrivilege), user.transaction():
            user.execute("UPDATE crm.company SET type = 'prospect' WHERE id = %s", [linked])
    assert desk.one("SELECT (name, type)::text FROM crm.company WHERE id = %s", linked) == "(Linked,customer)"


@pytest.mark.parametrize("role", ["navette_hub", "navette_owner", "navette_crm", "navette_dagster"])
def test_no_login_as_another_role_without_its_password(store: Store, role: str) -> None:
    for password in ("", role, "navette", store.passwords[store.roles.app]):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(store.crm_url, user=role, password=password)


def test_a_link_to_nothing_is_refused_wherever_it_stands(desk: Desk) -> None:
    assert desk.refused("INSERT INTO crm.contact (company) VALUES (999999999)").sqlstate == "23503"
    refusal = desk.refused("INSERT INTO crm.contract (equipment) VALUES ('{999999999}')")
    assert (refusal.sqlstate, refusal.diag.message_primary) == (
        "23503", "contract.equipment: there is no equipment 999999999")
    made = desk.crm.execute("INSERT INTO crm.contract (number) VALUES ('1') RETURNING id").fetchone()
    assert desk.refused("UPDATE crm.contract SET contracts = '{5,6}' WHERE id = %s", made[0]).sqlstate == "23503"


def test_sets_are_kept_sorted_and_distinct_whoever_writes_them(desk: Desk) -> None:
    made = desk.company(name="Tagged", tags=["red", "blue", "red", None])
    assert desk.one("SELECT tags FROM crm.company WHERE id = %s", made) == ["blue", "red"]
    assert desk.refused("UPDATE crm.company SET tags = '{pink}' WHERE id = %s", made).sqlstate == "23514"
