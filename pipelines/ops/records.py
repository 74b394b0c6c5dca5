"""Records as people recognise them: their `show` fields, their values, and where they differ from a system."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from crm_store import hub_tables as tables
from crm_store.entity_tables import columns_of
from pipelines.hub import Hub


@dataclass(frozen=True)
class Difference:
    """One column whose value in the record, at the last agreement, or in the system are not all the same."""

    column: str
    record: Any
    base: Any
    remote: Any


def shown_records(connection: Connection, hub: Hub, entity: str, ids: Collection[int]) -> dict[int, dict[str, Any]]:
    """By id: entity, id, type, archived (bool), and the entity's `show` fields. Ids that do not exist are left out."""
    record = hub.tables.record.get(entity)
    if record is None or not ids:
        return {}
    names = [name for name in hub.project.entities[entity].show if name in record.c]
    query = select(record.c.id, record.c.type, record.c.archived_at, *[record.c[name] for name in names])
    return {
        row["id"]: {"entity": entity, "id": row["id"], "type": row["type"], "archived": row["archived_at"] is not None,
                    **{name: row[name] for name in names}}
        for row in connection.execute(query.where(record.c.id.in_(ids))).mappings()
    }


def named(shown: Mapping[str, Any] | None, number: int) -> str:
    """A record in a line: its id and what its `show` fields hold."""
    if shown is None:
        return f"{number}"
    told = [str(value) for name, value in shown.items() if name not in ("entity", "id", "type", "archived") and value]
    return " · ".join([f"{number}", *told, *filter(None, [shown["type"], "archived" if shown["archived"] else ""])])


def record_values(connection: Connection, hub: Hub, entity: str, number: int) -> dict[str, Any]:
    """Every column of a record that is not empty."""
    record = hub.tables.record[entity]
    row = connection.execute(select(record).where(record.c.id == number)).mappings().one_or_none()
    return {} if row is None else {name: value for name, value in row.items() if value is not None}


def differences(connection: Connection, hub: Hub, entity: str, entry: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Where the record of a crosswalk entry (a row of its table) is not what both sides last agreed on."""
    fields = connection.scalar(select(tables.field_set.c.fields).where(tables.field_set.c.id == entry["base_set"]))
    values = record_values(connection, hub, entity, entry["record_id"])
    remote = entry["remote"] or {}
    found = []
    for name in fields or ():
        for column in field_columns(hub, entity, name):
            ours = "archived_at" in values if column == "archived" else values.get(column)
            base = entry.get(f"b_{column}")
            if ours != base or column in remote:
                found.append(Difference(column, ours, base, remote.get(column, base)))
    return tuple(found)


def field_columns(hub: Hub, entity: str, name: str) -> list[str]:
    """The columns of a field (none if the entity no longer has it); type, family and archived are their own."""
    spec = hub.project.entities[entity].fields.get(name)
    if spec is None:
        return [name] if name in ("type", "family", "archived") else []
    return [column.name for column in columns_of(name, spec)]
