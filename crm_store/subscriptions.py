"""Which feeds write to their system, and what of a record they send: what the outbox's triggers are written for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, Boolean, Connection, Integer, Text, bindparam, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from crm_store import hub_tables as hub
from crm_store.entity_tables import columns_of
from mappings.codecs.way_out import may_be_sent
from mappings.codecs.written import field_cells, written
from mappings.language.entities import Entity
from mappings.language.flow import Flow
from mappings.language.project import Project


@dataclass(frozen=True)
class Subscribed:
    """One writing feed, by its names; `columns` are those of the record whose changes are sent."""

    flow: str
    label: str
    system: str
    entity: str
    space: str
    columns: tuple[str, ...]
    creates: bool


def subscriptions(project: Project) -> list[Subscribed]:
    """Every feed of the project that writes."""
    found: list[Subscribed] = []
    for flow in project.flows.values():
        into = flow.into[0]
        if flow.direction == "in":
            continue
        entity = project.entities[into.entity]
        if project.systems[flow.system].connector == "file":
            found.append(_to_files(flow, entity))
            continue
        # A record that is to be made there is sent whole, the system's own fields included.
        columns = [column for name, line in into.fields.items()
                   if line.out is not False and (flow.write.create or may_be_sent(entity.masters[name], flow.system))
                   for column in _columns(entity, name)]
        # Whether a record is sent at all may hang on fields that are not sent themselves.
        asked = [path.partition(".")[0] for path in flow.write.when]
        columns += [column for name in asked for column in _columns(entity, name)]
        if flow.write.archived != "ignore":
            columns.append("archived_at")
        found.append(Subscribed(flow.flow, into.label, flow.system, into.entity, flow.space_of(into),
                                tuple(sorted(set(columns))), flow.write.create))
    return found


def _to_files(flow: Flow, entity: Entity) -> Subscribed:
    """A row of a file is whole; what the system itself masters alone makes no new one. A record that is archived, or no
    longer is, leaves the files or comes back to them."""
    into = flow.into[0]
    named = [name for name, line in into.fields.items()
             if field_cells(line) and may_be_sent(entity.masters[name], flow.system)]
    named += [path.partition(".")[0] for path in flow.write.when]
    columns = {"archived_at", *(column for name in named for column in _columns(entity, name))}
    return Subscribed(flow.flow, into.label, flow.system, into.entity, flow.space_of(into), tuple(sorted(columns)),
                      creates=flow.write.create or not written(flow).key)


def _columns(entity: Entity, name: str) -> list[str]:
    if name == "archived":
        return ["archived_at"]
    spec = entity.fields.get(name)
    return [name] if spec is None else [str(column.name) for column in columns_of(name, spec)]


def refresh_subscriptions(connection: Connection, project: Project) -> list[str]:
    """Bring sync.subscription to what the flows say; tells what changed."""
    wanted: dict[int, dict[str, Any]] = {}
    for one in subscriptions(project):
        feed = _feed(connection, one)
        wanted[feed] = {"feed": feed, "entity": one.entity, "system": one.system, "columns": list(one.columns),
                        "creates": one.creates}
    have = {row["feed"]: dict(row) for row in connection.execute(select(hub.subscription)).mappings()}
    if wanted == have:
        return []
    connection.execute(delete(hub.subscription))
    if wanted:
        connection.execute(insert(hub.subscription), list(wanted.values()))
    changed = sorted(feed for feed in wanted.keys() | have.keys() if wanted.get(feed) != have.get(feed))
    names = connection.scalars(select(hub.feed.c.flow).where(hub.feed.c.id.in_(changed)).order_by(hub.feed.c.flow))
    return [f"what {name} sends" for name in names]


def _feed(connection: Connection, one: Subscribed) -> int:
    space, feed = hub.id_space, hub.feed
    said = {"system": one.system, "name": one.space, "entity": one.entity}
    connection.execute(upsert(space).values(said).on_conflict_do_nothing())
    number = connection.scalars(select(space.c.id).filter_by(**said)).one()
    named = {"system": one.system, "entity": one.entity, "id_space": number}
    statement = upsert(feed).values(flow=one.flow, label=one.label, **named)
    connection.execute(statement.on_conflict_do_update(index_elements=["flow", "label"], set_=named))
    found: int = connection.scalars(select(feed.c.id).filter_by(flow=one.flow, label=one.label)).one()
    return found


def watch_outbox(connection: Connection, entities: dict[str, Entity]) -> None:
    """The outbox's triggers on every entity's table; none where nothing is sent."""
    rows = connection.execute(select(hub.subscription).order_by(hub.subscription.c.feed)).mappings().all()
    for name in entities:
        mine = [row for row in rows if row["entity"] == name]
        connection.execute(select(func.sync.watch_outbox(
            bindparam(None, name, Text, unique=True),
            bindparam(None, [row["feed"] for row in mine], ARRAY(Integer), unique=True),
            bindparam(None, [row["system"] for row in mine], ARRAY(Text), unique=True),
            bindparam(None, ["\x1f".join(row["columns"]) for row in mine], ARRAY(Text), unique=True),
            bindparam(None, [row["creates"] for row in mine], ARRAY(Boolean), unique=True),
        )))
