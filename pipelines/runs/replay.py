"""Replay: held rows go down the road again, after the mapping or the data was put right, or a parent has come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    and_,
    any_,
    cast,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from crm_store import hub_tables as tables
from crm_store.match_indexes import has_value
from mappings.codecs.columns import variables_used
from mappings.errors import ConfigurationError, RetryLater
from mappings.language.flow import Into
from pipelines.hub import Hub
from pipelines.ops.sentences import said
from pipelines.reports import write_report
from pipelines.runs.executing import execute
from pipelines.runs.lock import flow_lock
from pipelines.runs.order import order_of_flows
from pipelines.runs.orders import Order, Progress, quiet
from pipelines.runs.patience import briefly
from pipelines.runs.replaying import HeldRow, HeldSource
from pipelines.runs.result import RunResult, not_run
from pipelines.runs.rings import ringed
from pipelines.stages.match import creates_open, fitting
from pipelines.stages.staging import index_lookups

REPLAYED = ("rejected", "parked")
RETRY = "retry"
"""Why parked rows are replayed by themselves."""


def replay(hub: Hub, flow: str | None = None, ids: Sequence[int] | None = None, progress: Progress = quiet, *,
           trigger: str = "replay", outcomes: Sequence[str] = REPLAYED, matching: bool = True) -> list[RunResult]:
    """Admits open held rows again: of one flow or all, or those with these ids; flows in the order of references.

    Physical lines that could not be split have no columns to replay: they come again with their file. The rows are
    input rows of the runs that replay them. `matching`: False creates records without looking for existing ones.
    Raises ConfigurationError where check refuses `flow`; where all are replayed, such a one does not stop the others.
    """
    results: list[RunResult] = []
    for name in order_of_flows(hub.project):
        if flow is not None and name != flow:
            continue
        try:
            for group, rows in _groups(hub, name, ids, outcomes, together=trigger == RETRY):
                told = said(f"{trigger}_of" if len(rows) > 1 else f"{trigger}_of_one", count=len(rows))
                with flow_lock(hub, name):
                    order = Order(
                        flow=hub.flow(name), source=HeldSource(rows, dict(group.detected)), name=told,
                        variables=dict(group.variables), trigger=trigger, guarded=False, matching=matching,
                        row_marks=tuple(row.mark for row in rows),
                    )
                    result = execute(hub, order, progress)
                    result.report = str(write_report(hub, result.run_id))
                    results.append(result)
        except ConfigurationError as error:
            if flow is not None:
                raise
            results.append(not_run(name, error))
    return results


def admit_again(hub: Hub, flow: str | None, ids: Sequence[int] | None, progress: Progress = quiet) -> list[RunResult]:
    """`replay` of rejected and parked rows, and then of those that wait for what it brought."""
    results = replay(hub, flow, ids, progress)
    if any(result.changed for result in results):
        results += retry_parked(hub, progress)
    return results


def retry_parked(hub: Hub, progress: Progress = quiet) -> list[RunResult]:
    """Replays the parked rows whose missing records exist by now, again while that brings new ones.

    A flow that another run has for longer than a moment is left out: that run looks for ready rows itself when it ends.
    So is one that check refuses: its rows wait on.
    """
    results: list[RunResult] = []
    tried: set[int] = set()
    with briefly():
        while ready := [number for number in _ready(hub) if number not in tried]:
            tried |= set(ready)
            for name in order_of_flows(hub.project):
                with suppress(ConfigurationError, RetryLater):
                    results += replay(hub, name, ready, progress, trigger=RETRY, outcomes=("parked",))
    return results


_PARKED = (tables.held.c.state == "open", tables.held.c.outcome == "parked")
_WAIT = func.jsonb_array_elements(tables.held.c.waits_for).table_valued("value").lateral("wait")
_TOLD = cast(_WAIT.c.value, JSONB)
_WAITS = tables.held.join(_WAIT, onclause=true())
_CREATE_KNOWN = (tables.held.c.state == "open", tables.held.c.code == "create_open",
                 ~creates_open(tables.held.c.feed))
Told = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Group:
    """What rows that are replayed together have in common: parts of their files' names, and what was detected there."""

    variables: Told
    detected: Told


def _groups(hub: Hub, flow: str, ids: Sequence[int] | None, outcomes: Sequence[str], *, together: bool
            ) -> Iterator[tuple[_Group, list[HeldRow]]]:
    """Open rows of a flow by the variables of the file they came from, and by its decimal sign: `1,234` of a few rows
    does not tell it. A raw row held in two intos is one row.

    `together`: by those variables only that the flow uses, so that rows of several files can meet in one run.
    """
    held, feed, run = tables.held, tables.feed, tables.run
    query = (
        select(held.c.id, held.c.raw, held.c.mark, held.c.line, run.c.cursor, run.c.detected)
        .join_from(held, feed, feed.c.id == held.c.feed).join(run, run.c.id == held.c.run_id)
        .where(feed.c.flow == flow, held.c.state == "open", held.c.raw.is_not(None), held.c.outcome.in_(outcomes))
        .order_by(held.c.mark.asc().nulls_last(), held.c.run_id, held.c.row_no)
    )
    if ids is not None:
        query = query.where(held.c.id == any_(literal(list(ids), ARRAY(BigInteger))))
    used = variables_used(hub.flow(flow))
    groups: dict[tuple[Told, str], dict[str, HeldRow]] = defaultdict(dict)
    shared: dict[tuple[Told, str], tuple[set[tuple[str, str]], set[tuple[str, str]]]] = {}
    with hub.engine.connect() as connection:
        for number, raw, mark, line, cursor, detected in connection.execute(query):
            told = tuple(sorted(((cursor or {}).get("variables") or {}).items()))
            found = {name: value for name, value in (detected or {}).items() if name != "export"}
            group = (tuple(pair for pair in told if pair[0] in used) if together else told, found.get("decimal", ""))
            names, forms = shared.get(group, (set(told), set(found.items())))
            shared[group] = names & set(told), forms & set(found.items())
            known = groups[group].setdefault(repr(raw), HeldRow(raw, mark, line))
            known.numbers.append(number)
            known.mark = mark  # of two files that brought the very same, the later
    for group, rows in groups.items():
        names, forms = shared[group]
        yield _Group(tuple(sorted(names)), tuple(sorted(forms))), list(rows.values())


def _ready(hub: Hub) -> list[int]:
    """Parked rows with a wait that can be answered now: a key that the crosswalk has, a value that one record has, a
    record that fits, a create of which it is known by now what became of it; and rows that wait for each other."""
    held, told, waits = tables.held, _TOLD, _WAITS
    key, entity_of, by = (func.jsonb_extract_path_text(told, name) for name in ("key", "entity", "by"))
    waiting = and_(*_PARKED)
    found: set[int] = set()
    with hub.ask.connect() as connection:
        if not connection.scalar(select(parked())):
            return []
    with hub.engine.connect() as connection:
        found |= set(creates_known(connection))
        feed = tables.feed
        compares = func.jsonb_exists(told, "values")
        asks = (
            select(feed.c.flow, feed.c.label, feed.c.id, entity_of, compares)
            .select_from(waits.join(feed, feed.c.id == held.c.feed)).where(waiting)
        )
        wanted: dict[str, set[str]] = defaultdict(set)
        for name, label, number, entity, compared in connection.execute(asks.distinct()).all():
            wanted[name].add(entity)
            flow = hub.project.flows.get(name)
            into = next((each for each in flow.into if each.label == label), None) if flow and compared else None
            if into is not None:
                found |= _fitting(connection, hub, number, into)
        asked = set().union(*wanted.values())
        every = {name: x for name, x in hub.tables.crosswalk.items() if name in asked}
        for name, entities in wanted.items():
            flow = hub.project.flows.get(name)
            if flow is not None and entities & {into.entity for into in flow.into}:
                mine = {entity: x for entity, x in every.items() if entity in entities}
                found |= ringed(connection, hub.flow(name), mine)
        for entity, x in every.items():
            spaces = select(
                cast(func.jsonb_array_elements_text(func.jsonb_extract_path(told, "spaces")), Integer)
            ).scalar_subquery()
            query = select(held.c.id).select_from(waits).where(
                waiting, entity_of == entity, exists().where(x.c.id_space.in_(spaces), x.c.key == key),
            )
            found |= set(connection.scalars(query).all())
            # A set of links needs every one of its records.
            keys = func.jsonb_array_elements_text(func.jsonb_extract_path(told, "keys")).column_valued("each_key")
            lacks = exists(select(keys).where(~exists().where(x.c.id_space.in_(spaces), x.c.key == keys)))
            query = select(held.c.id).select_from(waits).where(
                waiting, entity_of == entity, func.jsonb_exists(told, "keys"), ~lacks
            )
            found |= set(connection.scalars(query).all())
        if not wanted:
            return sorted(found)
        every_value = func.coalesce(func.jsonb_extract_path(told, "keys"), func.jsonb_build_array(key))
        value = func.jsonb_array_elements_text(every_value).column_valued("each_value")
        named = select(entity_of, by).select_from(waits).where(waiting, by.is_not(None)).distinct()
        for entity, field in connection.execute(named).all():
            record = hub.tables.record.get(entity)
            if record is None or field not in record.c:
                continue  # the mapping has changed since
            spec = hub.project.entities[entity].fields.get(field)
            fits = select(func.count()).where(has_value(record.c[field], spec, value)).scalar_subquery()
            lacks = exists(select(value).where(fits != 1))
            query = select(held.c.id).select_from(waits).where(waiting, entity_of == entity, by == field, ~lacks)
            found |= set(connection.scalars(query).all())
    return sorted(found)


def _fitting(connection: Connection, hub: Hub, feed: int, into: Into) -> set[int]:
    """Parked rows of a feed that a record fits by now, as the match rules of today compare what the rows told."""
    record, fields = hub.tables.record[into.entity], hub.project.entities[into.entity].fields

    def same(name: str) -> ColumnElement[bool]:
        value = func.jsonb_extract_path_text(_TOLD, "values", name)
        return has_value(record.c[name], fields.get(name), value)

    # As scalars, of which each row's is looked up: of an EXISTS the planner may read the whole table once instead.
    fits = [
        select(record.c.id).where(*fitting(into, rule, record, same)).limit(1).scalar_subquery().is_not(None)
        for rule in into.match
    ]
    query = select(tables.held.c.id).select_from(_WAITS).where(
        *_PARKED, tables.held.c.feed == feed, func.jsonb_exists(_TOLD, "values"), or_(false(), *fits))
    with index_lookups(connection):
        return set(connection.scalars(query).all())


def parked() -> ColumnElement[bool]:
    """Whether any row is parked."""
    return exists().where(*_PARKED)


def create_known() -> ColumnElement[bool]:
    """Whether there are rows that `creates_known` finds."""
    return exists().where(*_CREATE_KNOWN)


def creates_known(connection: Connection) -> Sequence[int]:
    """Rows that were parked since a create of their feed was open, and none is any more."""
    return connection.scalars(select(tables.held.c.id).where(*_CREATE_KNOWN)).all()


def retry_after_creates(hub: Hub, progress: Progress = quiet) -> None:
    """`retry_parked`, where what became of a create has just been found out."""
    with hub.ask.connect() as connection:
        known = creates_known(connection)
    if known:
        retry_parked(hub, progress)
