"""Journal, locks and rights of every entity's table, made by the functions of crm_store/sql for its columns."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ARRAY, Connection, Text, bindparam, func, select

from crm_store.entity_tables import columns_of
from mappings.language.entities import Entity


def value_columns(entity: Entity) -> list[tuple[str, str]]:
    """(column, field) of all that may be written of a record; `archived` stands in archived_at."""
    own = [(str(column.name), name) for name, spec in entity.fields.items() for column in columns_of(name, spec)]
    return [("type", "type"), ("family", "family"), ("archived_at", "archived"), *own]


def watch(connection: Connection, entities: Mapping[str, Entity]) -> None:
    """Put the triggers on every entity's table, and make the view of differences.

    Call it after sync.master was written: locks are made for the fields that are mastered.
    """
    every: list[tuple[str, str, str]] = []
    for name, entity in entities.items():
        pairs = value_columns(entity)
        columns, fields = [column for column, _ in pairs], [field for _, field in pairs]
        sets = [(field, spec.to or None) for field, spec in entity.fields.items() if spec.type in ("choices", "links")]
        _call(connection, "watch_record", name)
        _call(connection, "watch_journal", name, columns)
        _call(connection, "watch_locks", name, columns, fields)
        _call(connection, "watch_sets", name, [field for field, _ in sets], [to for _, to in sets])
        every += [(name, column, field) for column, field in pairs]
    _call(connection, "show_difference", *[[row[part] for row in every] for part in range(3)])


def grant(connection: Connection, entities: Mapping[str, Entity]) -> None:
    """Let CRM roles write the value columns, after grants.sql took all rights back."""
    for name, entity in entities.items():
        _call(connection, "grant_record", name, [column for column, _ in value_columns(entity)])


def _call(connection: Connection, function: str, *arguments: str | list[str] | list[str | None]) -> None:
    bound = [
        bindparam(None, value, Text if isinstance(value, str) else ARRAY(Text), unique=True) for value in arguments
    ]
    connection.execute(select(getattr(func.sync, function)(*bound)))
