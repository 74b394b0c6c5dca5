"""What the store's database says reaches people behind a sentence of ours: what happened, where, and what to do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
import typer
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from crm_store.migrate import migrate, migrate_if_needed
from crm_store.store import Store
from crm_store.store_faults import is_lost, store_error
from mappings.errors import ConfigurationError, RetryLater, StoreError
from pipelines.cli.console import errors_told
from tests.conftest import write_files
from tests.store.conftest import Desk


def refused(store: Store, statement: str) -> StoreError:
    """What comes of a statement of the hub's."""
    with pytest.raises(DBAPIError) as caught, store.hub().begin() as connection:
        connection.execute(text(statement))
    return store_error(caught.value, "flow customers")


@pytest.mark.parametrize(
    ("statement", "meant", "todo"),
    [
        ("DELETE FROM crm.company", "the login that works on the store lacks a right", "navette store migrate"),
        ("SELECT * FROM sync.no_such_table", "the store is not as this version of Navette expects it", "navette store migrate"),
        ("SELECT no_such_column FROM sync.run", "the store is not as this version of Navette expects it", "store migrate"),
        ("SELECT set_config('transaction_read_only', 'on', true), nextval('crm.record_id')", "the store takes no changes", "NAVETTE_DATABASE_URL"),
        ("SELECT set_config('statement_timeout', '1', true); SELECT pg_sleep(5)", "the store stopped a statement,", "run it again"),
        ("SELECT 1 / 0", "the store refused what Navette asked of it", "report this"),
    ],
)
def test_what_the_database_says_stands_behind_what_it_means(desk: Desk, statement: str, meant: str, todo: str) -> None:
    error = refused(desk.store, statement)
    assert error.message.startswith(meant)
    assert error.where == "flow customers"
    assert todo in error.todo
    assert statement not in str(error)


def test_a_connection_that_is_cut_is_told_as_such(desk: Desk) -> None:
    error = refused(desk.store, "SELECT pg_terminate_backend(pg_backend_pid())")
    assert error.message.startswith("the connection to the store was lost (")
    assert error.todo == "see that its server runs, then run it again; it goes on where it stopped"


@pytest.mark.parametrize(("value", "kind"), [
    ("timestamptz 'infinity'", "timestamp too large (after year 10K)"), ("date '-infinity'", "date too small (before year 1)"),
    ("timestamptz '10000-01-01'", "timestamp too large (after year 10K)"),
])
def test_what_the_driver_cannot_read_is_no_lost_connection_and_its_value_is_not_told(desk: Desk, value: str, kind: str) -> None:
    with pytest.raises((DBAPIError, psycopg.Error)) as caught, desk.store.hub().begin() as connection:
        connection.execute(text(f"SELECT {value}")).all()
    assert not is_lost(caught.value)
    error = store_error(caught.value)
    assert error.message == f"the store holds a value that Navette cannot read ({kind})"
    assert "years 1 to 9999" in error.todo


@pytest.mark.parametrize("fault", [psycopg.OperationalError("x"), psycopg.InterfaceError("x")])
def test_an_error_of_the_connection_without_a_state_is_a_lost_one(fault: psycopg.Error) -> None:
    assert is_lost(fault)
    assert is_lost(DBAPIError("", {}, fault))


def test_no_driver_s_error_ends_a_command_in_a_traceback(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, errors_told(), desk.store.connect(desk.store.roles.hub) as connection:
        connection.execute("SELECT 1 FROM sync.no_such_table")
    assert ended.value.exit_code == 4
    assert "error: the store is not as this version of Navette expects it (" in capsys.readouterr().err


def test_a_wrong_database_or_host_is_told_with_its_place(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm_store.store._CONNECT_SECONDS", 0)
    wrong = make_url(desk.store.crm_url).set(database="nothing")
    with pytest.raises(ConfigurationError, match="has no such database") as unknown:
        Store.open(tmp_path, wrong.render_as_string(hide_password=False))
    assert unknown.value.where == f"database nothing at {wrong.host}:{wrong.port}"
    assert str(wrong.password) not in str(unknown.value)
    with pytest.raises(RetryLater, match=r"does not answer .*refused") as silent:
        Store.open(tmp_path, "postgresql://boss:word@127.0.0.1:1/navette")
    assert silent.value.where == "database navette at 127.0.0.1:1"


def test_a_store_of_a_newer_version_is_left_alone_and_told_as_such(empty: Store, tmp_path: Path) -> None:
    project = write_files(tmp_path, {})
    migrate(empty, project)
    with empty.owner().begin() as connection:
        connection.execute(text("UPDATE sync.alembic_version SET version_num = '9999'"))
        connection.execute(text("DELETE FROM sync.applied WHERE name = 'store'"))
    with pytest.raises(ConfigurationError, match=r"a newer version of Navette has brought this store up.* 9999"):
        migrate_if_needed(empty, project)


def test_a_migration_that_lacks_a_right_says_so_and_that_nothing_was_changed(empty: Store, tmp_path: Path) -> None:
    hub = empty.roles.hub
    url = empty.url and empty.url.set(username=hub, password=empty.passwords[hub])  # of a server of one's own
    weak = replace(empty, url=url, roles=replace(empty.roles, owner=hub))
    with pytest.raises(StoreError, match="lacks a right") as lacking:
        migrate(weak, write_files(tmp_path, {}))
    assert lacking.value.where == "bringing the store up to date, which changed nothing"
