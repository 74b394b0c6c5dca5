"""What a run held back, for Dagster's pages: a sample with reasons, and how many rows each expectation refused."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
from sqlalchemy import Connection, Select, Text, cast, func, select, true
from sqlalchemy.dialects.postgresql import JSONB

from crm_store import hub_tables as tables
from pipelines.hub import Hub
from pipelines.ops.held_rows import HeldRow, held_rows, read_rows, staged_rows
from pipelines.runs.result import RunResult

SAMPLE = 20
"""Rows shown; the report has more, and `navette rejects export` all."""

Refusals = Counter[tuple[str, str, str]]
"""Rows by (label of the into, expectation, its arguments as `told_arguments` writes them)."""


def held_sample(hub: Hub, result: RunResult, limit: int = SAMPLE) -> list[HeldRow]:
    """The first rows that the run refused, put to review or parked, refused ones first."""
    with hub.engine.connect() as connection:
        held = _held(connection, result)
        if held is None:
            return []
        rows = held.subquery("held_of_run")
        return read_rows(connection, select(rows).order_by(rows.c.outcome == "parked", rows.c.line).limit(limit))


def refusals(hub: Hub, result: RunResult) -> Refusals:
    """How many rows of the run each expectation refused."""
    counted: Refusals = Counter()
    with hub.engine.connect() as connection:
        held = _held(connection, result)
        if held is None:
            return counted
        rows = held.subquery("held_of_run")
        cause = func.jsonb_array_elements(rows.c.causes).table_valued("value", name="cause").render_derived().lateral()
        told = cast(cause.c.value, JSONB)
        name = func.jsonb_extract_path_text(told, "params", "expectation").label("name")
        said = cast(func.jsonb_extract_path(told, "params", "arguments"), Text).label("said")
        query = (
            select(rows.c["into"].label("label"), name, said, func.count().label("rows"))
            .select_from(rows.join(cause, onclause=true()))
            .where(func.jsonb_extract_path_text(told, "code") == "expectation")
            .group_by(rows.c["into"], name, said)
        )
        for row in connection.execute(query):
            counted[row.label, row.name, told_arguments(orjson.loads(row.said or "{}"))] += row.rows
    return counted


def told_arguments(arguments: Any) -> str:
    """One text for one value, whatever the order of its keys; as JSON, since that is how the store has it."""
    return orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str).decode()


def _held(connection: Connection, result: RunResult) -> Select[Any] | None:
    """Held rows of a run; those of a run in review are still in its staging."""
    if result.state == "review":
        return staged_rows(connection, result.run_id, result.flow, list(result.into), result.source)
    return held_rows(tables.held.c.run_id == result.run_id)
