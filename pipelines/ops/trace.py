"""Trace: what happened to one key of a system, in order of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, or_, select

from crm_store import hub_tables as tables
from mappings.errors import ConfigurationError
from mappings.language.words import did_you_mean
from mappings.messages import noticed
from pipelines.hub import Hub
from pipelines.ops.held_rows import held_rows, read_rows
from pipelines.ops.keys import known_keys, near_keys
from pipelines.ops.records import Difference, differences, record_values

KINDS = ("held", "became", "conflict", "settled", "journal", "linked", "closed", "dismissed", "notice")
"""Kinds of events, in the order in which those of one moment are told."""


@dataclass(frozen=True)
class Entry:
    """The key in one id space: the record that it is, and since when."""

    flow: str
    into: str
    id_space: str
    key: str
    entity: str
    record_id: int
    primary: bool
    since: datetime
    absent_since: datetime | None
    run_id: int | None  # the run that applied its row last
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Traced:
    """One thing that happened; kind is one of KINDS."""

    at: datetime
    kind: str
    flow: str | None
    run_id: int | None
    said: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """Everything about a key. `records`: by entity and id, every value that is not empty."""

    system: str
    keys: tuple[str, ...]
    entries: tuple[Entry, ...]
    elsewhere: tuple[dict[str, Any], ...]  # other keys of the same records
    events: tuple[Traced, ...]
    records: tuple[dict[str, Any], ...]
    runs: tuple[dict[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def trace(hub: Hub, system: str, key: str) -> Trace:
    """What happened to `key`, whole or one part of a composite one.

    Raises ConfigurationError (exit 1) for an unknown system or key, with those that are near.
    """
    if system not in hub.project.systems:
        known = ", ".join(sorted(hub.project.systems)) or "none"
        raise ConfigurationError(
            f"there is no system {system!r}{did_you_mean(system, list(hub.project.systems))}",
            todo=f"the systems of this project: {known}",
        )
    with hub.engine.connect() as connection:
        keys = known_keys(hub, connection, system, key)
        if not keys:
            near = near_keys(hub, connection, system, key)
            raise ConfigurationError(
                f"{system} has no key {key!r}, neither among records nor among rejects",
                todo=f"near it: {', '.join(near)}" if near else "see that a run has read it: navette status",
            )
        return _trace(hub, connection, system, keys)


def _trace(hub: Hub, connection: Connection, system: str, keys: Sequence[str]) -> Trace:
    entries = _entries(hub, connection, system, keys)
    records = dict.fromkeys((entry.entity, entry.record_id) for entry in entries)
    before = _predecessors(connection, [number for _, number in records])
    events = [
        *(_linked(entry) for entry in entries), *_held(connection, system, keys), *_conflicts(connection, system, keys),
        *_journal(connection, [*(number for _, number in records), *before]),
        *_became(connection, [*(number for _, number in records), *before]),
    ]
    numbers = {event.run_id for event in events if event.run_id} | {entry.run_id for entry in entries if entry.run_id}
    runs = _runs(connection, sorted(numbers))
    events += [Traced(run["ended_at"] or run["started_at"], "notice", run["flow"], run["id"], {"notice": notice})
               for run in runs for notice in run["notices"]]
    return Trace(
        system=system, keys=tuple(keys), entries=tuple(entries),
        elsewhere=tuple(_elsewhere(hub, connection, list(records), {(e.id_space, e.key) for e in entries})),
        events=tuple(sorted(events, key=lambda event: (event.at, KINDS.index(event.kind)))),
        records=tuple(
            {"entity": entity, "id": number, "values": record_values(connection, hub, entity, number)}
            for entity, number in records
        ),
        runs=tuple(runs),
    )


def _entries(hub: Hub, connection: Connection, system: str, keys: Sequence[str]) -> list[Entry]:
    feed, space = tables.feed, tables.id_space
    found = []
    for entity, x in hub.tables.crosswalk.items():
        query = (
            select(x, feed.c.flow, feed.c.label, space.c.name.label("space"))
            .join_from(x, feed, feed.c.id == x.c.feed).join(space, space.c.id == x.c.id_space)
            .where(x.c.id_space.in_(select(space.c.id).where(space.c.system == system)), x.c.key.in_(keys))
            .order_by(x.c.linked_at)
        )
        found += [
            Entry(
                flow=row["flow"], into=row["label"], id_space=row["space"], key=row["key"], entity=entity,
                record_id=row["record_id"], primary=row["is_primary"], since=row["linked_at"],
                absent_since=row["absent_since"], run_id=row["run_id"],
                differences=differences(connection, hub, entity, dict(row)),
            )
            for row in connection.execute(query).mappings()
        ]
    return found


def _linked(entry: Entry) -> Traced:
    return Traced(entry.since, "linked", entry.flow, None, {
        "into": entry.into, "key": entry.key, "id_space": entry.id_space, "entity": entry.entity,
        "record_id": entry.record_id,
    })


def _held(connection: Connection, system: str, keys: Sequence[str]) -> list[Traced]:
    held, feed, run = tables.held, tables.feed, tables.run
    events = []
    rows = read_rows(connection, held_rows(feed.c.system == system, held.c.key.in_(keys)))
    closing = select(run.c.id, run.c.trigger).where(run.c.id.in_([row.closed_by for row in rows if row.closed_by]))
    triggers = dict(connection.execute(closing).all())
    for row in rows:
        said = {"id": row.id, "into": row.into, "key": row.key, "outcome": row.outcome, "where": row.where,
                "state": row.state, "causes": [cause.sentence for cause in row.causes], "raw": row.raw}
        assert row.since is not None
        events.append(Traced(row.since, "held", row.flow, row.run_id, said))
        if row.closed_at is not None:
            kind = "dismissed" if row.state == "dismissed" else "closed"
            events.append(Traced(row.closed_at, kind, row.flow, row.closed_by,
                                 {"id": row.id, "into": row.into, "key": row.key, "entity": row.entity,
                                  "trigger": triggers.get(row.closed_by or 0), "decision": row.decision}))
    return events


def _conflicts(connection: Connection, system: str, keys: Sequence[str]) -> list[Traced]:
    conflict, feed = tables.conflict, tables.feed
    query = (
        select(conflict, feed.c.flow, feed.c.label).join_from(conflict, feed, feed.c.id == conflict.c.feed)
        .where(feed.c.system == system, conflict.c.key.in_(keys))
    )
    events = []
    decisions: set[tuple[str, str]] = set()  # one decision settles all the conflicts that it is about
    for row in connection.execute(query).mappings():
        said = {"id": row["id"], "into": row["label"], "key": row["key"], "entity": row["entity"],
                "record_id": row["record_id"], "field": row["field"], "based": row["based"], "base": row["base"],
                "ours": row["ours"], "theirs": row["theirs"], "winner": row["winner"], "state": row["state"],
                "decision": row["decision"]}
        events.append(Traced(row["at"], "conflict", row["flow"], row["run_id"], said))
        if row["decision"] and (row["field"], row["decision"]["at"]) not in decisions:
            decisions.add((row["field"], row["decision"]["at"]))
            run_id = row["decision"].get("run_id")  # where a run saw that both sides agree
            events.append(Traced(datetime.fromisoformat(row["decision"]["at"]), "settled", row["flow"], run_id,
                                 said | {"value": row["decision"].get("value")}))
    return events


def _journal(connection: Connection, records: Sequence[int]) -> list[Traced]:
    journal, run = tables.journal, tables.run
    query = (
        select(journal, run.c.flow).join_from(journal, run, run.c.id == journal.c.run_id, isouter=True)
        .where(journal.c.record_id.in_(records)).order_by(journal.c.id)
    )
    return [
        Traced(row["at"], "journal", row["flow"], row["run_id"], {
            "op": row["op"], "entity": row["entity"], "record_id": row["record_id"], "system": row["system"],
            "author": row["author"], "old": row["old"],
            "new": row["new"] or (_made_with(connection, row) if row["op"] == "create" else None),
        })
        for row in connection.execute(query).mappings().all()
    ]


def _made_with(connection: Connection, row: RowMapping) -> dict[str, Any] | None:
    """What a record was created with: the journal keeps only what changed since."""
    made: dict[str, Any] | None = connection.scalar(select(func.sync.made_with(row["entity"], row["record_id"])))
    return made


def _predecessors(connection: Connection, records: Sequence[int]) -> list[int]:
    """The leads that the records once were: the journal reads through them."""
    succession = tables.succession
    found: list[int] = []
    wanted = list(records)
    while wanted:
        query = select(succession.c.predecessor).where(
            succession.c.successor.in_(wanted), succession.c.predecessor.not_in([*found, *records])
        )
        wanted = list(connection.scalars(query))
        found += wanted
    return found


def _became(connection: Connection, records: Sequence[int]) -> list[Traced]:
    succession = tables.succession
    query = select(succession).where(
        or_(succession.c.predecessor.in_(records), succession.c.successor.in_(records))
    )
    return [
        Traced(row["at"], "became", None, None, {name: row[name] for name in (
            "predecessor", "predecessor_entity", "successor", "successor_entity")})
        for row in connection.execute(query).mappings()
    ]


def _elsewhere(hub: Hub, connection: Connection, records: Sequence[tuple[str, int]], mine: set[tuple[str, str]]
               ) -> list[dict[str, Any]]:
    """Other keys by which the same records are known."""
    space = tables.id_space
    found = []
    for entity, number in records:
        x = hub.tables.crosswalk[entity]
        query = (
            select(space.c.system, space.c.name.label("id_space"), x.c.key,
                   func.bool_or(x.c.is_primary).label("primary"))
            .join_from(x, space, space.c.id == x.c.id_space).where(x.c.record_id == number)
            .group_by(space.c.system, space.c.name, x.c.key).order_by(space.c.system, space.c.name, x.c.key)
        )
        found += [
            {"entity": entity, "record_id": number, **row} for row in connection.execute(query).mappings()
            if (row["id_space"], row["key"]) not in mine
        ]
    return found


def _runs(connection: Connection, runs: Sequence[int]) -> list[dict[str, Any]]:
    run = tables.run
    query = (
        select(run.c.id, run.c.flow, run.c.state, run.c.trigger, run.c.source, run.c.full, run.c.started_at,
               run.c.ended_at, run.c.notices)
        .where(run.c.id.in_(runs)).order_by(run.c.id)
    )
    return [{**row, "notices": noticed(row["notices"])} for row in connection.execute(query).mappings()]
