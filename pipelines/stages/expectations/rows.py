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
_ONE_BY_ONE = ("regex", "strftime", "dateutil", "json", "pair_values_to_be_in_set")
_PATTERN = "expect_select_column_values_to_be_unique_within_record"
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
        return library.part("execution_engine").PandasExecutionEngine()

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
                unfit = judge.judge(values, self._engine, shown)
                if len(unfit) and judge.declared.critical:
                    faults.add(
                        unfit.index, field=judge.declared.fields[0], code="expectation", value=unfit,
                        expectation=judge.declared.name, arguments=judge.declared.said, rule=judge.rule,
                    )
        finally:
            self._engine.batch_manager.batch_data_cache.clear()
        return faults


class RowJudge:
    """One expectation: the library's object for what it is shown, and for what was said; and the tally of the run."""

    def __init__(self, item: Declared, entity: Entity, number: int) -> None:
        self.declared, self.tally = item, Tally()
        self._batch = str(number)
        self._scale = scale_of(item, entity) if item.name == _SUM else None
        self._as_text = KNOWN[item.name].of == "text"
        self._form = self._chosen_form()
        self.expectation = library.expectation(item.name, self._arguments(), batch=self._batch, where=item.where)
        self.said = library.expectation(item.name, item.given, batch=self._batch, where=item.where)
        self._graph: Any = None
        self._condition: Any = None

    @cached_property
    def rule(self) -> str:
        """What is asked, in words."""
        return str(self.declared.arguments.get("description") or "") or library.rule_of(self.said, self.declared.said)

    def judge(self, values: pd.DataFrame, engine: Any, shown: dict[Hashable, columns.Shown]) -> pd.Series:
        """What does not fit: the values as text, by the label of the row, in the order of the batch.

        `shown` keeps what the library was shown of this batch, for other expectations on the same fields.
        """
        seen = self._show(values, shown)
        engine.load_batch_data(self._batch, seen.frame)
        resolved = self._resolve(engine)
        condition: pd.Series = resolved[self._condition][0]
        lines = condition.index[np.asarray(condition, dtype=bool)]
        if seen.codes is None:
            labels, judged = lines, len(condition)
        else:
            known = np.zeros(len(seen.frame) + 1, dtype=bool)  # the last stands for code -1, no value
            wrong = known.copy()
            known[condition.index], wrong[lines] = True, True
            labels, judged = values.index[wrong[seen.codes]], int(known[seen.codes].sum())
        unfit = self._text(values, labels)
        self._count(values, resolved, unfit, judged)
        return unfit

    def _text(self, values: pd.DataFrame, labels: pd.Index[Any]) -> pd.Series:
        """`12.50`, or `debit: 12.50, credit: (none)` where several fields are judged."""
        names = list(self.declared.fields)
        if len(labels) == 0:
            return pd.Series([], index=labels, dtype="str")
        rows = values[names].loc[labels]
        texts = [pd.Series(columns.as_text(columns.arrow(rows[name])), index=labels, dtype="str") for name in names]
        if len(names) == 1:
            return texts[0]
        parts = [f"{name}: " + text.fillna("(none)") for name, text in zip(names, texts, strict=True)]
        return parts[0].str.cat(pd.concat(parts[1:], axis=1), sep=", ")

    def _chosen_form(self) -> columns.Form:
        item = self.declared
        conditional = item.arguments.get("row_condition") is not None
        if not conditional and item.name == _PATTERN:
            return "pattern"
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
        key = (self.declared.columns, self._form, self._as_text, self._scale)
        if key not in shown:
            shown[key] = columns.show(
                values, self.declared.columns, self._form, text=self._as_text, scale=self._scale
            )
        return shown[key]

    def _resolve(self, engine: Any) -> dict[Any, Any]:
        """Every metric that the expectation depends on, computed by the library on the batch it was given."""
        try:
            if self._graph is None:
                self._graph, self._condition = self._plan(engine)
            resolved, _ = self._graph.resolve(runtime_configuration=_SETTINGS, show_progress_bars=False)
        except library.part("exceptions").GreatExpectationsError as error:
            raise RunStopped(
                f"{self.declared.name} cannot judge {', '.join(self.declared.fields)}: {library.because(error)}",
                where=self.declared.where, todo="correct the expectation, or remove it",
            ) from None
        return dict(resolved)

    def _plan(self, engine: Any) -> tuple[Any, Any]:
        """The graph of the metric that tells row by row what does not fit, and that metric's id.

        The library's counts and samples of one batch are left out: they would be of no use for a run of many batches.
        """
        calculator = library.part("validator.metrics_calculator").MetricsCalculator(engine, show_progress_bars=False)
        needed = self.expectation.get_validation_dependencies(
            execution_engine=engine, runtime_configuration=dict(_SETTINGS)
        )
        every = calculator.build_metric_dependency_graph(needed.get_metric_configurations(), dict(_SETTINGS))
        wanted = f"{self.expectation.map_metric}.condition"
        condition = next(edge.left for edge in every.edges if edge.left.metric_name == wanted)
        return calculator.build_metric_dependency_graph([condition], dict(_SETTINGS)), condition.id

    def _count(self, values: pd.DataFrame, resolved: dict[Any, Any], unfit: pd.Series, judged: int) -> None:
        tally, element = self.tally, len(values)
        if self.declared.arguments.get("row_condition") is not None:
            element = next(int(value) for key, value in resolved.items() if key.metric_name == "table.row_count")
        tally.element += element
        tally.null += element - judged
        tally.judged += judged
        tally.unexpected += len(unfit)
        room = SAMPLE - len(tally.sample)
        tally.sample += [None if pd.isna(text) else text for text in unfit.head(max(room, 0))]


def _shown_value(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_shown_value(item) for item in value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), tzinfo=UTC)
    return value
