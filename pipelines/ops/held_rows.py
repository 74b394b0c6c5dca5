"""Held rows as people see them: grouped by cause, or one by one with a sentence for each cause.

The rows come from `sync.held`, or, for a run that waits in review, from what it has staged: nothing of it is in
`sync.held` before it is approved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    DateTime,
    MetaData,
    Select,
    Table,
    Text,
    cast,
    func,
    inspect,
    literal,
    null,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.sql.selectable import FromClause

from crm_store import hub_tables as hub
from mappings.messages import render

if TYPE_CHECKING:
    from pipelines.stages.waiting import Pairs  # pandas and pyarrow with it, which most commands do without

NAMES = ("id", "run_id", "flow", "into", "entity", "outcome", "state", "code", "field", "causes", "key", "source",
         "line", "raw", "raw_text", "candidates", "waits_for", "since", "closed_at", "closed_by", "decision")
STREAMED = 5_000
_AS_THEY_ARE = [name for name in NAMES if name not in {"code", "field", "causes", "candidates", "waits_for"}]


@dataclass(frozen=True)
class Cause:
    """Why a row is held; `sentence` says it in words."""

    code: str
    field: str
    value: str | None
    sentence: str


@dataclass(frozen=True)
class CauseGroup:
    """Every row that is held for the same reason. A row with two causes is in two groups."""

    flow: str
    into: str
    outcome: str
    code: str
    field: str
    count: int
    sentence: str  # of the first of these rows
    source: str | None  # ... and where that one stood
    first_line: int | None
    last_line: int | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class HeldRow:
    """One held row. `raw`: source column to text; `raw_text`: the physical line, where it could not be split."""

    id: int
    run_id: int
    flow: str
    into: str
    entity: str
    outcome: str
    state: str
    key: str | None
    source: str | None
    line: int | None
    causes: tuple[Cause, ...]
    raw: dict[str, str] | None
    raw_text: str | None
    candidates: tuple[int, ...]
    waits_for: tuple[dict[str, Any], ...]
    since: datetime | None
    closed_at: datetime | None
    closed_by: int | None
    decision: dict[str, Any] | None

    @property
    def where(self) -> str:
        """`file:line`, as far as it is known."""
        name = (self.source or "").rsplit("/", 1)[-1]
        return f"{name}:{self.line}" if self.line else name

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def held_rows(*where: ColumnElement[bool]) -> Select[Any]:
    """Rows of `sync.held` (columns NAMES) that all of `where` (on hub.held and hub.feed) fits."""
    held, feed = hub.held, hub.feed
    return (
        select(
            held.c.id, held.c.run_id, feed.c.flow, feed.c.label.label("into"), feed.c.entity, held.c.outcome,
            held.c.state, held.c.code, held.c.field, held.c.causes, held.c.key, held.c.source, held.c.line, held.c.raw,
            held.c.raw_text, held.c.candidates, held.c.waits_for, held.c.since, held.c.closed_at, held.c.closed_by,
            held.c.decision,
        )
        .join_from(held, feed, feed.c.id == held.c.feed).where(*where)
    )


def staged_rows(connection: Connection, run_id: int, flow: str, labels: Sequence[str], source: str
                ) -> Select[Any] | None:
    """What a run that waits in review holds back in staging (columns NAMES); None when there is nothing there.

    `labels` are the intos in order. The ids are row numbers; the raw content is there for rows refused while landing.
    """
    there = set(inspect(connection).get_table_names(schema="staging"))
    parts: list[Select[Any]] = []
    metadata = MetaData(schema="staging")
    for number, label in enumerate(labels):
        name = f"r{run_id}_{number}"
        if not {f"{name}_held", f"{name}_fate", f"{name}_rows"} <= there:
            continue
        held = Table(f"{name}_held", metadata, autoload_with=connection)
        fate = Table(f"{name}_fate", metadata, autoload_with=connection)
        rows = Table(f"{name}_rows", metadata, autoload_with=connection)
        parts += _staged(run_id, flow, label, source, held, fate, rows)
    return _every(parts) if parts else None


def landed_rows(flow: str, pairs: Pairs, source: str) -> Select[Any]:
    """The same of a run that has just landed, by the tables that it staged into; `run_id` is 0."""
    return _every([part for plan, tables in pairs
                   for part in _staged(0, flow, plan.label, source, tables.held, tables.fate, tables.rows)])


def _every(parts: Sequence[Select[Any]]) -> Select[Any]:
    every = union_all(*parts).subquery("staged")
    return select(*[every.c[name] for name in NAMES])


def _staged(run_id: int, flow: str, label: str, source: str, held: Table, fate: Table, rows: Table
            ) -> list[Select[Any]]:
    """What was refused while landing, and what the decision set aside."""
    same = (literal(run_id, BigInteger).label("run_id"), literal(flow, Text).label("flow"),
            literal(label, Text).label("into"), literal("", Text).label("entity"))
    never = cast(null(), DateTime(timezone=True))
    rest = (never.label("since"), never.label("closed_at"), cast(null(), BigInteger).label("closed_by"),
            cast(null(), JSONB).label("decision"))
    refused = select(
        held.c.row_no.label("id"), *same, held.c.outcome, literal("open", Text).label("state"), held.c.code,
        held.c.field, held.c.causes, held.c.key, literal(source, Text).label("source"), held.c.line, held.c.raw,
        held.c.raw_text, held.c.candidates, held.c.waits_for, *rest,
    ).where(held.c.aside.is_not(True) if "aside" in held.c else true())  # an older version's has it not
    cause = func.jsonb_build_array(func.jsonb_build_object(
        "code", fate.c.code, "field", func.coalesce(fate.c.field, ""), "params", fate.c.params, "value", null()
    ))
    return [
        refused,
        select(
            fate.c.row_no, *same, fate.c["class"], literal("open", Text).label("state"), fate.c.code, fate.c.field,
            cause.label("causes"), rows.c.key, literal(source, Text).label("source"), rows.c.line,
            cast(null(), JSON).label("raw"), cast(null(), Text).label("raw_text"),
            cast(fate.c.candidates, ARRAY(BigInteger)), cast(null(), JSONB).label("waits_for"), *rest,
        )
        .join_from(fate, rows, rows.c.row_no == fate.c.row_no)
        .where(fate.c["class"].in_(["rejected", "parked", "review"])),
    ]


def read_rows(connection: Connection, query: Select[Any]) -> list[HeldRow]:
    """The rows of a query with the columns NAMES."""
    return _told_rows(connection, [dict(row) for row in connection.execute(query).mappings()])


def stream_rows(connection: Connection, query: Select[Any]) -> Iterator[HeldRow]:
    """The same for any number of rows: STREAMED of them are in memory at a time."""
    result = connection.execution_options(yield_per=STREAMED).execute(query).mappings()
    for part in result.partitions():
        yield from _told_rows(connection, [dict(row) for row in part])


def _told_rows(connection: Connection, found: Sequence[Mapping[str, Any]]) -> list[HeldRow]:
    spaces = _space_names(connection, found)
    return [
        HeldRow(**{name: row[name] for name in _AS_THEY_ARE},
                causes=tuple(told(cause, spaces) for cause in row["causes"]),
                candidates=tuple(row["candidates"] or ()), waits_for=tuple(row["waits_for"] or ()))
        for row in found
    ]


def grouped(connection: Connection, query: Select[Any], *, most: int | None = None) -> list[CauseGroup]:
    """The rows of `query` by flow, into, outcome and cause; the largest groups first."""
    rows = query.subquery("held_rows")
    names, groups = cause_groups(rows)
    found = connection.execute(groups.limit(most)).mappings().all()
    samples = {(row.into, row.id): row for row in read_rows(connection, _sampled(rows, [g["sample"] for g in found]))}
    result = []
    for group in found:
        row = samples[group["into"], group["sample"]]
        cause = next(c for c in row.causes if (c.code, c.field) == (group["code"], group["field"]))
        result.append(CauseGroup(
            **{name: group[name] for name in (*names, "code", "field", "count", "first_line", "last_line")},
            sentence=cause.sentence, source=row.source,
        ))
    return result


def cause_groups(rows: FromClause) -> tuple[tuple[str, ...], Select[Any]]:
    """One line for each group: its names, code, field, count, first and last line, and the id of a sample."""
    names = ("flow", "into", "outcome")
    cause = func.jsonb_array_elements(rows.c.causes).table_valued("value", name="cause").render_derived().lateral()
    told_cause = cast(cause.c.value, JSONB)
    code = func.jsonb_extract_path_text(told_cause, "code").label("code")
    field = func.coalesce(func.jsonb_extract_path_text(told_cause, "field"), "").label("field")
    count = func.count(rows.c.id.distinct()).label("count")
    groups = (
        select(*[rows.c[name] for name in names], code, field, count, func.min(rows.c.line).label("first_line"),
               func.max(rows.c.line).label("last_line"), func.min(rows.c.id).label("sample"))
        .select_from(rows.join(cause, onclause=true()))
        .group_by(*[rows.c[name] for name in names], code, field)
        .order_by(count.desc(), *[rows.c[name] for name in names], code, field)
    )
    return names, groups


def _sampled(rows: FromClause, ids: Sequence[int]) -> Select[Any]:
    return select(*[rows.c[name] for name in NAMES]).where(rows.c.id.in_(ids))


def told(cause: Mapping[str, Any], spaces: Mapping[int, str]) -> Cause:
    """A stored cause with its sentence; `spaces`: `system/id space` by number."""
    params: dict[str, Any] = {"field": cause.get("field") or "", "value": cause.get("value")}
    params |= cause.get("params") or {}
    code = str(cause["code"])
    if "spaces" in params:
        params["space"] = ", ".join(spaces[number] for number in params["spaces"] if number in spaces)
    return Cause(code, cause.get("field") or "", cause.get("value"), render(code, params))


def _space_names(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """`system/id space` by number, of the spaces that the rows wait for."""
    causes = (cause.get("params") or {} for row in rows for cause in row["causes"])
    wanted = {number for params in causes for number in params.get("spaces", ())}
    if not wanted:
        return {}
    space = hub.id_space
    query = select(space.c.id, space.c.system, space.c.name).where(space.c.id.in_(wanted))
    return {number: f"{system}/{name}" for number, system, name in connection.execute(query)}
