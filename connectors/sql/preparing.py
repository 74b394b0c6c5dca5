"""The change table of a system: shown, made, pruned and taken away again. Every statement can also be run by hand."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg
from psycopg import sql

from connectors.remote import Position
from connectors.sql.faults import statement_fault
from connectors.sql.relation import Relation, parts_of
from connectors.sql.session import Connection
from connectors.sql.statements import statements
from connectors.sql.tracking import TRIGGERS, recorded_key
from mappings.errors import ConfigurationError

_MAKE = ("schema", "change", "change_index", "tracked", "record", "record_right", "on_insert", "on_update", "on_delete",
         "on_truncate", "track", "grant_schema", "grant_change", "grant_tracked")
_PIECE = 10_000
_LOCK_WAIT = "5s"  # a trigger waits for writers to end, and meanwhile everyone else would wait behind it


def prepare_statements(connection: Connection, relation: Relation, role: str) -> list[str]:
    """The SQL that lets the database record changes of a table, in order; nothing of it is run here.

    Raises ConfigurationError for what is no table, has no key, or is recorded under another key already.
    """
    if relation.target is None or relation.kind not in ("r", "p"):
        raise ConfigurationError(
            "only a table's changes can be recorded", where=relation.name,
            todo="name the table itself, or a column with the time of change",
        )
    relation.keyed()
    recorded, _ = recorded_key(connection, relation)
    if recorded not in (None, relation.key):
        raise ConfigurationError(
            f"its changes are recorded by ({', '.join(recorded or ())}) already", where=relation.name,
            todo="let one key serve all flows, or take that change table away first",
        )
    return _filled(connection, relation, _MAKE, role)


def prepare(connection: Connection, relation: Relation, role: str) -> None:
    """Makes the change table and the triggers, all or nothing; does nothing where all is there."""
    wanted = prepare_statements(connection, relation, role)
    if recorded_key(connection, relation) == (relation.key, True):
        return
    if recorded_key(connection, relation)[0] is not None:  # triggers were lost: what happened meanwhile nobody knows
        wanted = [*_filled(connection, relation, ("untrack",)), *wanted]
    _all_or_nothing(connection, relation, wanted)


def unprepare_statements(connection: Connection, relation: Relation) -> list[str]:
    """The SQL that takes triggers and recorded changes away, with the last table the change table too; to be run by
    the table's owner. Nothing where nothing is recorded."""
    if recorded_key(connection, relation)[0] is None:
        return []
    drops = [_composed(connection, relation, "drop_trigger", trigger=sql.Identifier(name)) for name in TRIGGERS]
    return [*drops, *_filled(connection, relation, ("untrack", "forget", "last_one"))]


def unprepare(connection: Connection, relation: Relation) -> None:
    """Takes away what `prepare` made, all or nothing."""
    _all_or_nothing(connection, relation, unprepare_statements(connection, relation))


def prune(connection: Connection, relation: Relation, before: Position, limit: int) -> int:
    """Deletes at most `limit` lines that a reader at `before` has seen; how many it deleted.

    Readers whose position is older will read everything: give the oldest position of all flows.
    """
    at = before.mark.get("snapshot")
    if at is None:
        return 0
    given = {"before": at, "resource": relation.name}
    connection.execute(statements("change_table.sql")["mark_pruned"], given)
    deleted = 0
    while deleted < limit:
        lines = min(_PIECE, limit - deleted)
        count = connection.execute(statements("change_table.sql")["prune"], given | {"lines": lines}).rowcount
        deleted += count
        if count < lines:
            break
    return deleted


def _all_or_nothing(connection: Connection, relation: Relation, wanted: Iterable[str]) -> None:
    try:
        with connection.transaction():
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_LOCK_WAIT))
            for text in wanted:
                connection.execute(sql.SQL(text))
    except psycopg.Error as error:
        raise statement_fault(error, relation.name) from error


def _filled(connection: Connection, relation: Relation, names: Iterable[str], role: str = "") -> list[str]:
    return [_composed(connection, relation, name, role=sql.Identifier(role)) for name in names]


def _composed(connection: Connection, relation: Relation, name: str, **more: sql.Composable) -> str:
    schema, table = parts_of(relation.name, "")
    given: dict[str, sql.Composable] = {
        "table": sql.Identifier(schema, table),
        "resource": sql.Literal(relation.name),
        "key": sql.Literal(list(relation.key)),
        "arguments": sql.SQL(", ").join([sql.Literal(one) for one in (relation.name, *relation.key)]),
        **more,
    }
    return sql.SQL(statements("change_table.sql")[name]).format(**given).as_string(connection)
