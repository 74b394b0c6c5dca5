"""Who the store's connections are, and what they are not."""

from __future__ import annotations

import psycopg
from sqlalchemy import text

from crm_store.store import Store


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
