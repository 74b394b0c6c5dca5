"""sync.master, which the lock trigger reads: who owns which field, written anew from the entities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from crm_store.hub_tables import master
from mappings.language.entities import Entity


def refresh_masters(connection: Connection, entities: Mapping[str, Entity]) -> list[str]:
    """Bring sync.master to what `entities` say; tells what changed.

    A field has rows only if a system masters it for some type: one with type '' for every type that has none of its
    own, and one for each type named. Fields of the CRM or of both sides are in them with no systems.
    """
    wanted = {(row["entity"], row["field"], row["type"]): row for name in entities for row in _rows(entities[name])}
    have = {(row.entity, row.field, row.type): dict(row._mapping) for row in connection.execute(select(master))}
    if wanted == have:
        return []
    connection.execute(delete(master))
    if wanted:
        connection.execute(insert(master), list(wanted.values()))
    changed = sorted({f"{entity}.{field}" for entity, field, _ in wanted.keys() | have.keys()
                      if _of(wanted, entity, field) != _of(have, entity, field)})
    return [f"masters of {name}" for name in changed]


def _rows(entity: Entity) -> list[dict[str, Any]]:
    return [
        {
            "entity": entity.name, "field": field, "type": "" if kind == "else" else kind,
            "systems": list(rule.systems), "locked": bool(rule.systems) and rule.lock, "ranked": len(rule.systems) > 1,
        }
        for field, rules in entity.masters.items() if any(rule.kind == "systems" for rule in rules.values())
        for kind, rule in rules.items()
    ]


def _of(rows: Mapping[tuple[str, str, str], Any], entity: str, field: str) -> list[Any]:
    return [row for key, row in sorted(rows.items()) if key[:2] == (entity, field)]
