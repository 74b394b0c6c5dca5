"""Whole-run expectations: Great Expectations' SQL engine on the staged rows of a run, before anything is applied.

::

    staging.<relation>     row_no, v_name, v_credit_limit, k_parent, …
          │ temporary views of one connection, gone with it; expectations keep the fields' names
          ▼
    navette_expect         name, credit_limit, parent, …    for expectations about the run as a table
    navette_expect_<n>     row_no, and the fields that the n-th expectation looks at: the library selects all
                           columns of what it is given, and sorting a million wide rows is slow

The connection is the caller's engine's own, so the library never sees an address or a password; it is read-only but for
the views. What is met is judged by its count alone; samples are asked for where something is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Connection, Engine, MetaData, Table, create_engine, func, inspect, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool
from sqlalchemy.sql.ddl import CreateView

from mappings.check.expectations import KNOWN
from mappings.errors import StoreError
from mappings.language.entities import Entity
from mappings.language.flow import Into
from mappings.words import KEY_SEPARATOR
from pipelines.stages.expectations import library
from pipelines.stages.expectations.declared import Declared, declared, is_there

VIEW, ROW_NUMBER = "navette_expect", "row_no"
PREFIXES = ("v_", "k_")
"""Of the staged columns that hold a field: its value, or the key that its link refers to."""

SAMPLE = 20
_SESSION = (
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "SET work_mem = '128MB'",  # repeated values of a whole run are found by sorting or hashing it
)


@dataclass(frozen=True)
class RunFailure:
    """One expectation that the run does not meet, or that could not be judged (`problem`)."""

    expectation: str
    arguments: Mapping[str, Any]
    rule: str  # what is asked, in words
    observed: str  # what was found instead, in words
    rows: tuple[Mapping[str, Any], ...] = ()  # some of the rows that do not fit: row_no, and the fields judged
    problem: bool = False

    @property
    def params(self) -> dict[str, Any]:
        """For the message `expectation_run`, and to be kept with the run."""
        return {
            "expectation": self.expectation, "arguments": dict(self.arguments), "rule": self.rule,
            "observed": self.observed, "rows": [dict(row) for row in self.rows],
        }


@dataclass(frozen=True)
class Judged:
    """What the library said of one whole-run expectation; `problem`: why it could not be judged."""

    declared: Declared
    asked: Any = field(repr=False)
    success: bool
    found: Mapping[str, Any]  # the library's `result`
    problem: str = ""


class RunExpectations:
    """The whole-run expectations of one into. Raises ConfigurationError as RowExpectations does."""

    def __init__(self, into: Into, entity: Entity) -> None:
        self.label = into.label
        every = [item for item in declared(into, entity) if not item.rows]
        self._items = [item for item in every if is_there(item, into, entity)]
        self.unjudged = [item for item in every if item not in self._items]
        self._asked = [
            library.expectation(item.name, item.given, batch=_view_of(number, item), where=item.where)
            for number, item in enumerate(self._items)
        ]
        self.judged: list[Judged] = []

    def __bool__(self) -> bool:
        return bool(self._items)

    def check(self, engine: Engine, schema: str, relation: str) -> list[RunFailure]:
        """What the rows in `schema`.`relation` (a staging table or view) do not meet; only critical ones are told.

        `engine` needs SELECT on the relation and TEMPORARY on the database. Raises StoreError.
        """
        self.judged = []
        if not self._items:
            return []
        with _alone(engine) as connection:
            views = {asked.batch_id: item.columns for item, asked in zip(self._items, self._asked, strict=True)}
            numbered = _make_views(connection, schema, relation, views)
            batches = _batches(connection, views)
            for item, asked in zip(self._items, self._asked, strict=True):
                self.judged.append(_judge(item, asked, batches, numbered))
        return [_failure(judged) for judged in self.judged if not judged.success and judged.declared.critical]


def _view_of(number: int, item: Declared) -> str:
    return f"{VIEW}_{number}" if KNOWN[item.name].columns else VIEW


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A connection that ends with the block, and with it its temporary views and settings."""
    with engine.connect() as connection:
        connection.detach()
        try:
            yield connection
            # A backend that ends drops its views a little later; until then the staging table cannot be dropped.
            connection.exec_driver_sql("DISCARD TEMP")
            connection.commit()
        except SQLAlchemyError as error:
            raise StoreError(f"the staged rows could not be looked at: {library.because(error)}") from None


def _batches(connection: Connection, views: Iterable[str]) -> Any:
    """The library's SQL engine, on this connection alone, with each view as a batch of that name."""
    raw = connection.connection.dbapi_connection
    engine = create_engine("postgresql+psycopg://", creator=lambda: raw, poolclass=StaticPool)
    batches = library.part("execution_engine").SqlAlchemyExecutionEngine(engine=engine, create_temp_table=False)
    data = library.part("execution_engine.sqlalchemy_batch_data").SqlAlchemyBatchData
    for view in views:
        batches.load_batch_data(view, data(execution_engine=batches, table_name=view, create_temp_table=False))
    return batches


def _make_views(
    connection: Connection, schema: str, relation: str, views: Mapping[str, tuple[str, ...]]
) -> bool:
    """Makes each view with those fields, or with all; tells whether the rows have a number."""
    columns = [
        Column(found["name"], found["type"]) for found in inspect(connection).get_columns(relation, schema=schema)
    ]
    table = Table(relation, MetaData(), *columns, schema=schema)
    fields = {
        column.name.removeprefix(prefix): column
        for prefix in PREFIXES for column in table.columns if column.name.startswith(prefix)
    }
    shown = {name: _shown(column).label(name) for name, column in fields.items()}
    number = table.c.get(ROW_NUMBER)
    numbered = number is not None and ROW_NUMBER not in fields
    for view, names in views.items():
        what = [shown[name] for name in names or shown if name in shown]
        if names and numbered:
            what.insert(0, number)
        connection.execute(CreateView(select(*what), view, temporary=True))
    connection.commit()
    for setting in _SESSION:
        connection.exec_driver_sql(setting)
    connection.commit()
    return numbered


def _shown(column: Column[Any]) -> Any:
    """Lists are judged as text, their parts joined, as in row-local expectations."""
    return func.array_to_string(column, KEY_SEPARATOR) if isinstance(column.type, ARRAY) else column


def _judge(item: Declared, asked: Any, batches: Any, numbered: bool) -> Judged:
    """The library's verdict on one expectation."""
    mapped = getattr(asked, "map_metric", None) is not None
    counts: dict[str, Any] = {"result_format": "BASIC", "partial_unexpected_count": 0}
    sample: dict[str, Any] = {"result_format": "SUMMARY", "partial_unexpected_count": SAMPLE}
    if numbered and mapped:
        sample |= {"unexpected_index_column_names": [ROW_NUMBER], "return_unexpected_index_query": False}
    try:
        result = _validate(asked, batches, counts if mapped else sample)
        if mapped and not result.success:
            result = _validate(asked, batches, sample)
    except Exception as error:  # an expectation that does not fit the data can fail anywhere in the library
        return Judged(item, asked, False, {}, library.because(error))
    return Judged(item, asked, bool(result.success), result.result or {})


def _validate(asked: Any, batches: Any, form: dict[str, Any]) -> Any:
    settings = {"catch_exceptions": False, "result_format": form}
    calculator = library.part("validator.metrics_calculator").MetricsCalculator(batches, show_progress_bars=False)
    needed = asked.get_validation_dependencies(execution_engine=batches, runtime_configuration=dict(settings))
    resolved, _ = calculator.compute_metrics(needed.get_metric_configurations(), dict(settings))
    return asked.metrics_validate(resolved, runtime_configuration=dict(settings), execution_engine=batches)


def _failure(judged: Judged) -> RunFailure:
    item, found = judged.declared, judged.found
    rule = str(item.arguments.get("description") or "") or library.rule_of(judged.asked, item.said)
    if judged.problem:
        return RunFailure(item.name, item.said, rule, f"it cannot be judged: {judged.problem}", problem=True)
    return RunFailure(item.name, item.said, rule, _observed(found), _sample(found))


def _observed(found: Mapping[str, Any]) -> str:
    """What the library found, in words."""
    if "unexpected_count" in found and "element_count" in found:
        judged = found["element_count"] - (found.get("missing_count") or 0)
        share = 100 * found["unexpected_count"] / judged if judged else 0
        return f"{found['unexpected_count']} of {judged} rows do not fit ({share:.3g} %)"
    details: Mapping[str, Any] = found.get("details") or {}
    mismatched = details.get("mismatched") or {}
    if mismatched:
        return "; ".join(f"{word}: {value}" for word, value in mismatched.items())
    if found.get("partial_unexpected_list"):
        return f"found {', '.join(str(value) for value in found['partial_unexpected_list'])}"
    return f"found {found['observed_value']}" if found.get("observed_value") is not None else "nothing was found"


def _sample(found: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Some of the rows that do not fit: with their number, or (repeated combinations) their values alone.

    The library also offers a query for all of them; it is made to be read, and names no row of a repeated combination.
    """
    listed = found.get("partial_unexpected_index_list") or found.get("partial_unexpected_list") or []
    return tuple(
        {str(name): _kept(value) for name, value in row.items()} for row in listed[:SAMPLE] if isinstance(row, Mapping)
    )


def _kept(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | str) else str(value)
