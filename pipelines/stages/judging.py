"""Judging: what `expect:` asks of the rows of a run and of the run as a whole, and the pages that tell of it.

::

    of a run                                        judged
    more rows than a page, and row by row           by a process of its own, beside reading and decoding
    few rows, or the run as a whole is judged too   here, where the whole run's expectations need the store

Nothing of Great Expectations is imported before there are rows to judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pandas as pd
from sqlalchemy import Engine

from mappings.check.expectations import KNOWN, judges_rows
from mappings.errors import ExpectationFailed
from mappings.faults import Faults
from mappings.language.flow import Flow, Into
from pipelines.stages.expectations.apart import Apart
from pipelines.stages.expectations.library import load_ahead
from pipelines.stages.held import json_text
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import Staging, everything_landed

if TYPE_CHECKING:
    from pipelines.stages.expect import RowExpectations


@dataclass(frozen=True)
class Docs:
    """Where the Data Docs of a run go, and what names the run in them."""

    folder: Path
    title: str


class Judging:
    """The expectations of one run; `intos`: what each reads, in the order of `plans`."""

    def __init__(self, plans: Sequence[IntoPlan], intos: Sequence[Into]) -> None:
        self._plans, self._intos = plans, intos
        self._rows: dict[int, RowExpectations] = {}
        self._apart: Apart | None = None
        self._begun = False
        self._may_be_apart = not any(map(_asks_of_run, intos))

    def begin(self, *, more: bool) -> None:
        """Rows that will be judged were read; `more`: others are likely to follow."""
        if self._begun:
            return
        self._begun = True
        if more and self._may_be_apart:
            self._apart = Apart([(into, plan.entity) for into, plan in zip(self._intos, self._plans, strict=True)])
        else:
            load_ahead()

    def check(self, number: int, values: pd.DataFrame) -> Future[Faults]:
        """The rows of a decoded batch of the into with that number that do not fit; as RowExpectations.check."""
        if self._apart is not None:
            return self._apart.check(number, values)
        found: Future[Faults] = Future()
        found.set_result(self._here(number).check(values))
        return found

    def end(self, engine: Engine, staging: Staging, docs: Docs | None) -> list[dict[str, Any]]:
        """Judges the run as a whole, once everything has landed, and writes the pages; returns what is not met."""
        if self._apart is not None:
            if docs is not None:
                self._apart.document(docs.folder, docs.title, datetime.now(UTC))
            return []
        failures: list[dict[str, Any]] = []
        results = []
        for number, (plan, into) in enumerate(zip(self._plans, self._intos, strict=True)):
            if number not in self._rows and not _asks_of_run(into):
                continue
            from pipelines.stages.expect import IntoResults, RunExpectations

            run = RunExpectations(into, plan.entity)
            if run:
                with everything_landed(engine, plan, staging.intos[number]) as relation:
                    failures += [
                        {"into": plan.label, "expectation": failure.expectation, "rule": failure.rule,
                         "arguments": orjson.loads(json_text(failure.arguments)), "observed": failure.observed}
                        for failure in run.check(engine, "staging", relation)
                    ]
            results.append(IntoResults(plan.label, self._here(number), run))
        if results and docs is not None:
            from pipelines.stages.expect import build_docs

            build_docs(results, docs.folder, title=docs.title, at=datetime.now(UTC))
        return failures

    def close(self) -> None:
        """Ends the process that judges, if there is one."""
        if self._apart is not None:
            self._apart.close()

    def _here(self, number: int) -> RowExpectations:
        from pipelines.stages.expect import RowExpectations

        if number not in self._rows:
            self._rows[number] = RowExpectations(self._intos[number], self._plans[number].entity)
        return self._rows[number]


def must_be_met(flow: Flow, failures: Sequence[dict[str, Any]]) -> None:
    """Raises ExpectationFailed when the run as a whole does not meet an expectation; nothing was applied."""
    if failures:
        told = [f"{failure['into']}: {failure['expectation']} ({failure['observed']})" for failure in failures]
        raise ExpectationFailed(
            "the run does not meet what the mapping expects of it: " + "; ".join(told),
            where=f"flow {flow.flow}", todo="correct the source, or the expectation; nothing was applied",
            failures=tuple(failures),
        )


def _asks_of_run(into: Into) -> bool:
    """Whether any expectation is about the run as a whole."""
    every = [asked for item in into.expect for asked in item.items()]
    return any(name in KNOWN and not judges_rows(name, arguments) for name, arguments in every)
