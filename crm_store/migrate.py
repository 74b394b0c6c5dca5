"""`navette store migrate`: brings a store to what this version and the project's entities want, or refuses whole.

::

    advisory lock ─▶ schemas, functions ─▶ hub's tables ─▶ entities' tables ─▶ triggers, views, grants ─▶ masters
                     crm_store/sql         Alembic         compared: what adds is done  crm_store/sql

One transaction: a refusal, an error or a kill leaves the store as it was.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from crm_store.entity_tables import compile_entities
from crm_store.hub_tables import applied
from crm_store.masters import refresh_masters
from crm_store.match_indexes import match_rules
from crm_store.store import Store
from crm_store.store_faults import sqlstate, store_error
from crm_store.subscriptions import refresh_subscriptions, subscriptions, watch_outbox
from crm_store.triggers import grant, watch
from mappings.errors import ConfigurationError, RetryLater, StoreError
from mappings.language.project import Project

if TYPE_CHECKING:
    from alembic.config import Config

SQL = Path(__file__).parent / "sql"
MIGRATIONS = Path(__file__).parent / "migrations"
BEFORE_TABLES = ("schemas.sql", "values.sql", "clear.sql")
AFTER_TABLES = ("records.sql", "journal.sql", "locks.sql", "outbox.sql", "views.sql", "convert.sql",
                "mending.sql", "bearer.sql", "leadership.sql")
_LOCK = 4_723_001  # one migration at a time on one database
_DIGEST = "store"
_BUSY = ("55P03", "40P01")  # a lock was not to be had; a deadlock


def migrate(store: Store, project: Project) -> list[str]:
    """Bring the store to what `project` wants; one line for each thing done, empty when nothing was.

    Raises ConfigurationError for every change that could lose data (nothing is done then), RetryLater when a
    transaction elsewhere holds a table for more than a minute.
    """
    try:
        with store.owner().begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '60s'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            done = _migrate(connection, project)
    except (DBAPIError, psycopg.Error) as fault:
        raise _translated(fault) from fault
    store.owner().dispose()  # the owner's connections are for this only
    return done


def migrate_if_needed(store: Store, project: Project) -> list[str]:
    """`migrate`, unless the store is already what `project` wants: one small query tells."""
    with store.hub().connect() as connection:
        try:
            row = connection.execute(applied.select().where(applied.c.name == _DIGEST)).one_or_none()
        except DBAPIError as fault:  # a new store has no such table, and no right to look for it
            if not isinstance(fault.orig, psycopg.errors.UndefinedTable | psycopg.errors.InsufficientPrivilege):
                raise _translated(fault) from fault
            row = None
    return [] if row is not None and row.value == wanted_digest(project) else migrate(store, project)


def wanted_digest(project: Project) -> str:
    """Of all that a migration depends on: entities, masters, match rules, and this version's own files."""
    whole: list[Any] = [path.read_bytes().hex() for path in sorted([*SQL.glob("*.sql"), *MIGRATIONS.rglob("*.py")])]
    for name, entity in sorted(project.entities.items()):
        fields = {field: spec.model_dump() for field, spec in entity.fields.items()}
        masters = {field: {kind: vars(rule) for kind, rule in rules.items()} for field, rules in entity.masters.items()}
        rules = sorted(match_rules(project.flows.values(), name))
        whole.append([name, entity.types, entity.families, fields, masters, rules])
    whole.append([vars(subscribed) for subscribed in subscriptions(project)])
    return hashlib.sha256(orjson.dumps(whole)).hexdigest()


def alembic_config(connection: Connection) -> Config:
    """For Alembic's commands on the hub's own tables, over `connection`."""
    from alembic.config import Config  # here: most commands find nothing to migrate

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def run_file(connection: Connection, name: str) -> None:
    """Run one file of crm_store/sql whole; each can be run again and again."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    raw.execute((SQL / name).read_bytes())


def _migrate(connection: Connection, project: Project) -> list[str]:
    from crm_store.entity_migration import migrate_entities

    for name in BEFORE_TABLES:
        run_file(connection, name)
    done = _migrate_hub(connection)
    tables = compile_entities(project.entities)
    done += migrate_entities(connection, tables, project)
    for name in AFTER_TABLES:
        run_file(connection, name)
    done += refresh_masters(connection, project.entities)
    done += refresh_subscriptions(connection, project)
    watch(connection, project.entities)
    watch_outbox(connection, project.entities)
    run_file(connection, "grants.sql")
    grant(connection, project.entities)
    value = wanted_digest(project)
    statement = insert(applied).values(name=_DIGEST, value=value)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": value}))
    return done


def _migrate_hub(connection: Connection) -> list[str]:
    def version() -> str:
        known = connection.execute(text("SELECT to_regclass('sync.alembic_version')")).scalar()
        if known is None:
            return "none"
        return str(connection.execute(text("SELECT version_num FROM sync.alembic_version")).scalar())

    from alembic import command
    from alembic.util import CommandError

    before = version()
    try:
        command.upgrade(alembic_config(connection), "head")
    except CommandError as unknown:
        raise ConfigurationError(
            f"a newer version of Navette has brought this store up: its tables are at {before}, which this one does not"
            " know", todo="use that version, or a later one",
        ) from unknown
    after = version()
    return [f"hub's tables: {before} -> {after}"] if after != before else []


def _translated(fault: DBAPIError | psycopg.Error) -> RetryLater | StoreError:
    if sqlstate(fault) in _BUSY:
        return RetryLater("the store is in use, and its tables could not be changed", todo="try again in a moment")
    return store_error(fault, "bringing the store up to date, which changed nothing")
