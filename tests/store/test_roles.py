"""Who the store's connections are, and what they are not."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from crm_store.store import Store, admin_connection


def test_the_hub_works_as_a_role_that_is_no_superuser_and_owns_nothing(store: Store) -> None:
    with store.hub().connect() as connection:
        role = connection.execute(
            text(
                "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles"
                " WHERE rolname = session_user"
            )
        ).one()
        owned = connection.execute(
            text("SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname = session_user")
        ).scalar_one()
    assert tuple(role) == ("navette_hub", False, False, False, False)
    assert owned == 0


def test_crm_applications_log_in_as_members_of_navette_crm(store: Store) -> None:
    with psycopg.connect(store.crm_url) as connection:
        row = connection.execute(
            "SELECT pg_has_role(session_user, 'navette_crm', 'MEMBER'),"
            " pg_has_role(session_user, 'navette_hub', 'MEMBER')"
        ).fetchone()
    assert row == (True, False)


def test_requests_over_http_log_in_as_a_crm_application_that_can_become_no_hub(store: Store) -> None:
    with store.http().connect() as connection:
        row = connection.execute(text(
            "SELECT session_user, pg_has_role(session_user, 'navette_crm', 'MEMBER'),"
            " pg_has_role(session_user, 'navette_hub', 'MEMBER'), r.rolsuper OR r.rolcreaterole OR r.rolcreatedb"
            " FROM pg_roles r WHERE r.rolname = session_user")).one()
        assert tuple(row) == (store.roles.http, True, False, False)
        for role in (store.roles.hub, "navette_hub", store.roles.owner):
            with pytest.raises(ProgrammingError, match="permission denied"):
                connection.execute(text(f"SET ROLE {role}"))
            connection.rollback()
    store.http().dispose()


def test_a_store_made_before_there_was_a_login_gets_it() -> None:
    home = Path(mkdtemp(prefix="nvr-", dir="/tmp"))
    try:
        store = Store.open(home)
        with closing(admin_connection(store)) as admin:
            admin.execute("DROP ROLE navette_http")
        for path, was in ((home / "secrets/passwords.json", store.roles.http), (home / "roles.json", "embedded")):
            told = json.loads(path.read_text())
            told.pop(was)
            path.write_text(json.dumps(told))
        again = Store.open(home)
        assert {role: again.passwords[role] for role in store.passwords if role != store.roles.http}.items() <= (
            store.passwords.items())
        with again.http().connect() as connection:
            assert connection.scalar(text("SELECT session_user")) == store.roles.http
        again.http().dispose()
    finally:
        Store.stop(home)
        rmtree(home)
