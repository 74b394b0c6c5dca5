"""Reading by change table: the lines whose transaction is seen now and was not seen at the last read.

A position is a snapshot of the server's. Run A writes and stays open, run B writes and commits, we read B; when A
commits, its lines are those of a transaction that the last snapshot did not see, however long ago they were written.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import ColumnElement, Subquery, Text, and_, bindparam, cast, column, exists, func, literal, select
from sqlalchemy import table as table_of

from connectors.remote import Key, Position
from connectors.sql.cells import SNAPSHOT, cell, cells, own, value
from connectors.sql.relation import Relation, parts_of
from connectors.sql.session import Connection, Rendered, rendered
from connectors.sql.statements import statements
from mappings.errors import ConfigurationError

CHANNEL = "navette"
TRIGGERS = ["navette_insert", "navette_update", "navette_delete", "navette_truncate"]
_CHANGE = table_of("change", *[column(name) for name in ("resource", "key", "txid")], schema="navette_changes")


def recorded_key(connection: Connection, relation: Relation, *, there: bool = False
                 ) -> tuple[tuple[str, ...] | None, bool]:
    """The key under which the table's changes are recorded, None if they are not; and whether all triggers work.
    `there`: that there are change tables is known, and need not be asked first."""
    if relation.target is None:
        return None, False
    row = (True,) if there else connection.execute(statements("catalog.sql")["has_tracked"]).fetchone()
    if row is None or not row[0]:
        return None, False
    schema, name = parts_of(relation.name, "")
    row = connection.execute(statements("catalog.sql")["tracked"], {
        "schema": schema, "name": name, "resource": relation.name, "triggers": TRIGGERS}).fetchone()
    return (tuple(row[0]), row[1] == len(TRIGGERS)) if row else (None, False)


def is_tracked(connection: Connection, relation: Relation, *, there: bool = False) -> bool:
    """Raises ConfigurationError when changes are recorded under another key, or only in part."""
    key, whole = recorded_key(connection, relation, there=there)
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


@dataclass(frozen=True)
class Look:
    """What a transaction sees of a change table; against the position that was asked about, whether it tells all that
    happened since (`reaches`), and whether that is anything (`moved`)."""

    position: Position
    reaches: bool
    moved: bool


def look(connection: Connection, relation: Relation, since: Position | None) -> Look:
    """To be asked in the snapshot that is read."""
    row = connection.execute(statements("change_table.sql")["look"], _asked(relation, since)).fetchone()
    assert row is not None
    return Look(Position({"snapshot": row[0]}), row[1], row[2])


def changed_rows(relation: Relation, names: tuple[str, ...], since: Position) -> Rendered:
    """The rows that changed and are there, as they are now."""
    return _changed_rows(relation, names).over(_asked(relation, since))


def gone_keys(connection: Connection, relation: Relation, since: Position) -> list[Key]:
    """The keys that changed and are not there: deleted, or given another key."""
    statement = _gone_keys(relation).over(_asked(relation, since))
    return [tuple(row) for row in connection.execute(statement.text, statement.values).fetchall()]


def _asked(relation: Relation, since: Position | None) -> dict[str, str | None]:
    return {"since": since.mark.get("snapshot") if since is not None else None, "resource": relation.name}


@lru_cache(256)
def _changed_rows(relation: Relation, names: tuple[str, ...]) -> Rendered:
    keys = _keys(relation)
    return rendered(select(*cells(relation, names)).select_from(relation.rows.join(keys, _same(relation, keys))))


@lru_cache(256)
def _gone_keys(relation: Relation) -> Rendered:
    keys, fields = _keys(relation), relation.keyed()
    here = exists().where(_same(relation, keys)).select_from(relation.rows).correlate(keys)
    told = [func.coalesce(cell(value(keys.c[f"k{at}"], field), field), "") for at, field in enumerate(fields)]
    return rendered(select(*told).where(~here))


def _keys(relation: Relation) -> Subquery:
    at = cast(bindparam("since", type_=Text), SNAPSHOT)
    names = [_CHANGE.c.key.op("->>")(literal(field.name, Text)).label(f"k{place}")
             for place, field in enumerate(relation.keyed())]
    return select(*names).distinct().where(
        _CHANGE.c.resource == bindparam("resource", type_=Text),
        _CHANGE.c.txid >= own.pg_snapshot_xmin(at),
        ~own.pg_visible_in_snapshot(_CHANGE.c.txid, at),
    ).subquery("touched")


def _same(relation: Relation, keys: Subquery) -> ColumnElement[bool]:
    return and_(*[relation.rows.c[field.name] == value(keys.c[f"k{place}"], field)
                  for place, field in enumerate(relation.keyed())])
