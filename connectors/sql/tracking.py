"""Reading by change table: the lines whose transaction is seen now and was not seen at the last read.

A position is a snapshot of the server's. Run A writes and stays open, run B writes and commits, we read B; when A
commits, its lines are those of a transaction that the last snapshot did not see, however long ago they were written.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, Text, and_, cast, column, exists, func, literal, select, table

from connectors.remote import Key, Position
from connectors.sql.cells import SNAPSHOT, cell, cells, own, value
from connectors.sql.relation import Relation, parts_of
from connectors.sql.session import Connection, run
from connectors.sql.statements import statements
from mappings.errors import ConfigurationError

CHANNEL = "navette"
TRIGGERS = ["navette_insert", "navette_update", "navette_delete", "navette_truncate"]
_CHANGE = table("change", *[column(name) for name in ("resource", "key", "txid")], schema="navette_changes")


def recorded_key(connection: Connection, relation: Relation) -> tuple[tuple[str, ...] | None, bool]:
    """The key under which the table's changes are recorded, None if they are not; and whether all triggers work."""
    row = connection.execute(statements("catalog.sql")["has_tracked"]).fetchone()
    if relation.target is None or row is None or not row[0]:
        return None, False
    schema, name = parts_of(relation.name, "")
    row = connection.execute(statements("catalog.sql")["tracked"], {
        "schema": schema, "name": name, "resource": relation.name, "triggers": TRIGGERS}).fetchone()
    return (tuple(row[0]), row[1] == len(TRIGGERS)) if row else (None, False)


def is_tracked(connection: Connection, relation: Relation) -> bool:
    """Raises ConfigurationError when changes are recorded under another key, or only in part."""
    key, whole = recorded_key(connection, relation)
    if key is None:
        return False
    if key != relation.key:
        raise ConfigurationError(
            f"its changes are recorded by ({', '.join(key)}), and the key is ({', '.join(relation.key)})",
            where=relation.name, todo="let one key serve all flows, or take the change table away and prepare anew",
        )
    if not whole:
        raise ConfigurationError(
            "its change table has lost triggers, or they are switched off", where=relation.name,
            todo="navette system prepare SYSTEM puts them back; then read everything once",
        )
    return True


def snapshot(connection: Connection) -> Position:
    """The position of the snapshot that this transaction reads."""
    row = run(connection, select(cast(own.pg_current_snapshot(), Text))).fetchone()
    assert row is not None
    return Position({"snapshot": row[0]})


def reaches(connection: Connection, relation: Relation, since: Position) -> bool:
    """Whether the change table tells all that happened since this position."""
    at = since.mark.get("snapshot")
    if at is None:
        return False
    row = connection.execute(
        statements("change_table.sql")["reaches"], {"since": at, "resource": relation.name}).fetchone()
    return bool(row and row[0])


def changed_rows(relation: Relation, names: tuple[str, ...], since: Position) -> Select[Any]:
    """The rows that changed and are there, as they are now."""
    keys = _keys(relation, since)
    return select(*cells(relation, names)).select_from(relation.rows.join(keys, _same(relation, keys)))


def gone_keys(connection: Connection, relation: Relation, since: Position) -> list[Key]:
    """The keys that changed and are not there: deleted, or given another key."""
    keys, fields = _keys(relation, since), relation.keyed()
    here = exists().where(_same(relation, keys)).select_from(relation.rows).correlate(keys)
    told = [func.coalesce(cell(value(keys.c[f"k{at}"], field), field), "") for at, field in enumerate(fields)]
    return [tuple(row) for row in run(connection, select(*told).where(~here)).fetchall()]


def _keys(relation: Relation, since: Position) -> Subquery:
    at = cast(literal(since.mark["snapshot"], Text), SNAPSHOT)
    names = [_CHANGE.c.key.op("->>")(literal(field.name, Text)).label(f"k{place}")
             for place, field in enumerate(relation.keyed())]
    return select(*names).distinct().where(
        _CHANGE.c.resource == relation.name,
        _CHANGE.c.txid >= own.pg_snapshot_xmin(at),
        ~own.pg_visible_in_snapshot(_CHANGE.c.txid, at),
    ).subquery("touched")


def _same(relation: Relation, keys: Subquery) -> ColumnElement[bool]:
    return and_(*[relation.rows.c[field.name] == value(keys.c[f"k{place}"], field)
                  for place, field in enumerate(relation.keyed())])
