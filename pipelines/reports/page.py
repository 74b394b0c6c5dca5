"""Facts as an HTML page that stands alone: no script, no network, everything from outside escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mappings.words import OUTCOMES
from pipelines.ops.held_rows import CauseGroup
from pipelines.ops.sentences import said, shown
from pipelines.reports.facts import RunFacts
from pipelines.reports.picture import picture_of

MOST_CAUSES = 40
"""Causes told at length on one page; the CSV has them all."""


def run_page(facts: RunFacts, csv_name: str) -> str:
    """The page of one run."""
    picture = picture_of([sampled.cause for sampled in facts.causes])
    page = _templates().get_template("run.html.j2")
    return page.render(facts=facts, picture=picture, csv_name=csv_name, most=MOST_CAUSES)


def index_page(runs: list[Mapping[str, Any]]) -> str:
    """The page that lists runs (id, flow, state, started_at, rows_read, name, and every outcome's count)."""
    return _templates().get_template("index.html.j2").render(runs=runs)


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("pipelines.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"said": said, "shown": shown, "placed": _placed, "raw_line": _raw_line, "plain": _plain,
                     "outcomes": OUTCOMES}
    return made


def _placed(cause: CauseGroup) -> str:
    if cause.first_line is None:
        return said("cause_unplaced", count=cause.count, outcome=cause.outcome)
    if cause.count == 1:
        return said("cause_row", outcome=cause.outcome, first=cause.first_line)
    return said("cause_rows", count=cause.count, outcome=cause.outcome, first=cause.first_line, last=cause.last_line)


def _raw_line(raw: Mapping[str, str]) -> str:
    """The cells that hold something, each with its column."""
    line = "\n".join(f"{name}: {value}" for name, value in raw.items() if value)
    return line if len(line) <= 1_000 else f"{line[:999]}…"


def _plain(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
