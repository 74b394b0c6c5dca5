"""Row-local expectations on one decoded batch after the other: the rows that do not fit are refused.

::

    decoded batch ─▶ columns as the library knows them ─▶ its metric `<expectation>.condition` ─▶ labels of the rows
                     (each distinct value once, where it                                          that do not fit
                      judges value by value in Python)

The verdict on each value is Great Expectations'. What is done around it for speed: its graph of metrics is built once
per flow and resolved per batch; it sees only the columns judged; and a slow expectation sees each value once.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from mappings.check.expectations import KNOWN
from mappings.errors import RunStopped
from mappings.faults import Faults
from mappings.language.entities import Entity
from mappings.language.flow import Into
from pipelines.stages.expectations import columns, library
from pipelines.stages.expectations.declared import Declared, declared, is_there, scale_of

SAMPLE = 20
"""Values that do not fit, kept per expectation for the report."""

_SEES_NULLS = ("expect_column_values_to_not_be_null", "expect_column_values_to_be_null")
_ONE_BY_ONE = ("regex", "strftime", "dateutil", "json", "pair_values_to_be_in_set", "unique_within_record")
_SUM = "expect_multicolumn_sum_to_equal"
_SETTINGS = {"catch_exceptions": False, "result_format": "BOOLEAN_ONLY"}


@dataclass
class Tally:
    """What one expectation found in all batches of a run so far; counts of rows."""

    element: int = 0
    null: int = 0
    judged: int = 0
    unexpected: int = 0
    sample: list[Any] = field(default_factory=list)


class RowExpectations:
    """The row-local expectations of one into; made once per run, since it keeps count over the batches.

    Raises ConfigurationError for an expectation that does not exist or is asked for in a way that cannot be meant.
    """

    def __init__(self, into: Into, entity: Entity) -> None:
        every = [item for item in declared(into, entity) if item.rows]
        there = [item for item in every if is_there(item, into, entity)]
        self.label = into.label
        self.unjudged = [item for item in every if item not in there]  # the source lacks a column they look at
        self._judges = [RowJudge(item, entity, number) for number, item in enumerate(there)]

    def __bool__(self) -> bool:
        return bool(self._judges)

    @property
    def judges(self) -> list[RowJudge]:
        return self._judges

    @cached_property
    def _engine(self) -> Any:
        library.load()
        from great_expectations.execution_engine import PandasExecutionEngine

        return PandasExecutionEngine()

    def check(self, values: pd.DataFrame) -> Faults:
        """The rows of a decoded batch (columns as in Decoded.values, labels as index) that do not fit.

        Faults have code `expectation` and params expectation, arguments and rule (what is asked, in words). Raises
        RunStopped when the library cannot judge a batch at all.
        """
        faults = Faults()
        if not self._judges or values.empty:
            return faults
        shown: dict[Hashable, columns.Shown] = {}
        try:
            for judge in self._judges:
                labels = judge.judge(values, self._engine, shown)
                if len(labels) and judge.declared.critical:
                    faults.add(
                        labels, field=judge.declared.fields[0], code="expectation", value=judge.text(values, labels),
                        expectation=judge.declared.name, arguments=judge.declared.said, rule=judge.rule,
                    )
        finally:
            self._engine.batch_manager.batch_data_cache.clear()
        return faults


class RowJudge:
    """One expectation: the library's object, its graph of metrics, and the tally of the run."""

    def __init__(self, item: Declared, entity: Entity, number: int) -> None:
        self.declared, self.tally = item, Tally()
        self._batch = str(number)
        self._scale = scale_of(item, entity) if item.name == _SUM else None
        self._text = KNOWN[item.name].of == "text"
        self._form = self._chosen_form()
        self.expectation = library.expectation(item.name, self._arguments(), batch=self._batch, where=item.where)
        self._graph: Any = None
        self._condition: Any = None

    @cached_property
    def rule(self) -> str:
        return library.rule_of(self.expectation)

    def judge(self, values: pd.DataFrame, engine: Any, shown: dict[Hashable, columns.Shown]) -> pd.Index[Any]:
        """Labels of the rows that do not fit, in the order of the batch; what is shown to the library is shared."""
        seen = self._show(values, shown)
        engine.load_batch_data(self._batch, seen.frame)
        resolved = self._resolve(engine)
        unfit: pd.Series = resolved[self._condition][0]
        lines = unfit.index[np.asarray(unfit, dtype=bool)]
        if seen.codes is None:
            labels, judged = lines, len(unfit)
        else:
            known = np.append(np.zeros(len(seen.frame), dtype=bool), False)  # the last stands for code -1, no value
            wrong = known.copy()
            known[unfit.index], wrong[lines] = True, True
            labels, judged = values.index[wrong[seen.codes]], int(known[seen.codes].sum())
        self._count(values, resolved, labels, judged)
        return labels

    def text(self, values: pd.DataFrame, labels: pd.Index[Any]) -> pd.Series:
        """The values judged in those rows, as text: `12.50`, or `debit: 12.50, credit: (none)` where there are several."""
        names, rows = self.declared.fields, values.loc[labels]
        texts = {name: pd.Series(columns.as_text(columns.arrow(rows[name])), index=labels, dtype="str") for name in names}
        if len(names) == 1:
            return texts[names[0]]
        joined = pd.Series("", index=labels, dtype="str")
        for name, text in texts.items():
            joined = joined + (", " if name != names[0] else "") + f"{name}: " + text.fillna("(none)")
        return joined

    def _chosen_form(self) -> columns.Form:
        item = self.declared
        conditional = item.arguments.get("row_condition") is not None
        if not conditional and any(word in item.name for word in _ONE_BY_ONE):
            return "distinct"
        single = len(KNOWN[item.name].columns) == 1 and len(item.fields) == 1
        return "rows" if conditional or not single or item.name in _SEES_NULLS else "values"

    def _arguments(self) -> dict[str, Any]:
        """Dates become moments, as the columns are shown; a sum is counted in the smallest unit of its fields."""
        given = {word: _shown_value(value) for word, value in self.declared.given.items()}
        if self._scale:
            given["sum_total"] = float(Decimal(str(given["sum_total"])).scaleb(self._scale))
        return given

    def _show(self, values: pd.DataFrame, shown: dict[Hashable, columns.Shown]) -> columns.Shown:
        key = (self.declared.columns, self._form, self._text, self._scale)
        if key not in shown:
            shown[key] = columns.show(
                values, self.declared.columns, self._form, text=self._text, scale=self._scale
            )
        return shown[key]

    def _resolve(self, engine: Any) -> dict[Any, Any]:
        """Every metric that the expectation depends on, computed by the library on the batch it was given."""
        from great_expectations.exceptions import GreatExpectationsError

        try:
            if self._graph is None:
                self._graph, self._condition = self._plan(engine)
            resolved, _ = self._graph.resolve(runtime_configuration=_SETTINGS, show_progress_bars=False)
        except GreatExpectationsError as error:
            raise RunStopped(
                f"{self.declared.name} cannot judge {', '.join(self.declared.fields)}: {library.because(error)}",
                where=self.declared.where, todo="correct the expectation, or remove it",
            ) from None
        return dict(resolved)

    def _plan(self, engine: Any) -> tuple[Any, Any]:
        """The graph of metrics, and the id of the one that tells row by row what does not fit."""
        from great_expectations.validator.metrics_calculator import MetricsCalculator

        needed = self.expectation.get_validation_dependencies(
            execution_engine=engine, runtime_configuration=dict(_SETTINGS)
        )
        graph = MetricsCalculator(engine, show_progress_bars=False).build_metric_dependency_graph(
            needed.get_metric_configurations(), runtime_configuration=dict(_SETTINGS)
        )
        wanted = f"{self.expectation.map_metric}.condition"
        return graph, next(edge.left.id for edge in graph.edges if edge.left.metric_name == wanted)

    def _count(self, values: pd.DataFrame, resolved: dict[Any, Any], labels: pd.Index[Any], judged: int) -> None:
        found = {identity.metric_name: value for identity, value in resolved.items()}
        tally, conditional = self.tally, self.declared.arguments.get("row_condition") is not None
        element = int(found["table.row_count"]) if conditional else len(values)
        tally.element += element
        tally.null += element - judged if self._form != "rows" else int(
            found.get("column_values.nonnull.unexpected_count", 0)
        )
        tally.judged += judged
        tally.unexpected += len(labels)
        room = SAMPLE - len(tally.sample)
        if len(labels) and room > 0:
            tally.sample += [None if pd.isna(text) else text for text in self.text(values, labels[:room])]


def _shown_value(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_shown_value(item) for item in value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), tzinfo=UTC)
    return value
