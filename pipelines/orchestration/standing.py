"""How things stand, read from the store: which run of a flow waits in review, how many records an entity has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from crm_store import hub_tables as tables
from pipelines.hub import Hub
from pipelines.runs.intake import oldest_in_review


def run_in_review(hub: Hub, flow: str) -> int | None:
    """The oldest run of the flow that waits for a person."""
    with hub.engine.connect() as connection:
        return oldest_in_review(connection, flow)


@dataclass(frozen=True)
class EntityCount:
    """Records of one entity; `types` and `links` are (name, number), the largest first."""

    records: int
    archived: int
    types: Sequence[tuple[str, int]]
    links: Sequence[tuple[str, int]]  # records linked, by system


def count_entity(hub: Hub, name: str) -> EntityCount:
    """Counts the records of an entity, and those that each system knows."""
    record, x = hub.tables.record[name], hub.tables.crosswalk[name]
    space = tables.id_space
    archived = func.count(record.c.archived_at)
    by_type = (
        select(func.coalesce(record.c.type, ""), func.count(), archived).group_by(record.c.type)
        .order_by(func.count().desc())
    )
    linked = func.count(x.c.record_id.distinct()).label("linked")
    by_system = (
        select(space.c.system, linked).join_from(x, space, space.c.id == x.c.id_space).group_by(space.c.system)
        .order_by(linked.desc(), space.c.system)
    )
    with hub.engine.connect() as connection:
        types = connection.execute(by_type).all()
        links = connection.execute(by_system).all()
    return EntityCount(
        records=sum(row[1] for row in types), archived=sum(row[2] for row in types),
        types=[(row[0], row[1]) for row in types if row[0]], links=[(row[0], row[1]) for row in links],
    )
