"""The staging tables of one run, and the fast way into them.

For each into (`n` is its position), unlogged and dropped with the run; or temporary ones that small runs of a flow
share (pipelines.runs.small), emptied when the next one begins::

    staging.r<run>_<n>_rows    row_no, line, key, mark, fingerprint, v_<column>…, k_<link>…, keep_<field>…
    staging.r<run>_<n>_same    row_no, key, mark: rows whose raw content is the one last applied
    staging.r<run>_<n>_held    rows refused while landing, with causes and raw content
                               (of both, `aside`: an element that is superseded with the row that holds it; `late`:
                               a refused row that is not the newest of its key, so that its elements are aside)
    staging.r<run>_<n>_fate    row_no, class, record_id, …: what was decided (pipelines.stages.decide)
    staging.r<run>_<n>_wait    row_no: rows that wait for a row of the same run
    pg_temp.r<run>_<n>_probe   row_no, key, fingerprint, mark: a page that is looked up (pipelines.stages.same)
    staging.r<run>_gone        key: rows that the system itself says were deleted
    staging.r<run>_pages       the raw rows behind `rows`, a compressed Arrow table a page
    staging.r<run>_answers     row_no, held, mark: the held rows that rows of the run answer (pipelines.stages.answers)
"""

from __future__ import annotations

import io
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from psycopg import sql
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    MetaData,
    Table,
    Text,
    and_,
    func,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON, JSONB
from sqlalchemy.schema import CreateView, DropView

from crm_store.named_ddl import create_tables, ddl_on, drop_tables
from crm_store.store import INDEX_ONLY
from pipelines.stages.plan import IntoPlan

S = TypeVar("S")


@dataclass(frozen=True)
class _Kind:
    """Where staging tables lie, and what becomes of them."""

    schema: str
    prefix: str
    on_commit: str | None
    keyed: bool = False  # indexed by row_no, which pays from some 50 rows on

    def table(self, metadata: MetaData, name: str, *columns: Column[Any]) -> Table:
        return Table(name, metadata, *columns, prefixes=[self.prefix], postgresql_on_commit=self.on_commit)


_UNLOGGED = _Kind("staging", "UNLOGGED", None, keyed=True)
_TEMPORARY = _Kind("pg_temp", "TEMPORARY", "DELETE ROWS")
_KEPT = _Kind("pg_temp", "TEMPORARY", None)  # to empty one at each commit takes the server 0.2 ms, whether used or not


@dataclass(frozen=True)
class IntoStaging:
    """The staging tables of one into."""

    rows: Table
    same: Table
    held: Table
    fate: Table
    wait: Table
    leaving: Table
    probe: Table
    built: dict[Hashable, Any] = field(default_factory=dict, compare=False, repr=False)

    def once(self, name: Hashable, build: Callable[[], S]) -> S:
        """A statement on these tables: building one costs more than a small run's rows do, so each is built once."""
        if name not in self.built:
            self.built[name] = build()
        statement: S = self.built[name]
        return statement

    @property
    def tables(self) -> tuple[Table, ...]:
        return (self.rows, self.same, self.held, self.fate, self.wait)


@dataclass(frozen=True)
class Staging:
    """All staging tables of a run."""

    metadata: MetaData
    intos: tuple[IntoStaging, ...]
    pages: Table
    gone: Table
    answers: Table
    small: bool = False  # few rows, in temporary tables that only the run's own connection sees
    raw: list[pd.DataFrame] = field(default_factory=list)  # the raw rows of a small run

    def create(self, connection: Connection) -> None:
        self.drop(connection)
        create_tables(connection, self.metadata.sorted_tables)

    def drop(self, connection: Connection) -> None:
        drop_tables(connection, self.metadata.sorted_tables)

    def create_temporary(self, connection: Connection) -> None:
        """Makes the tables of small runs, which their connection keeps."""
        create_tables(connection, self.temporary)

    @property
    def temporary(self) -> list[Table]:
        """The tables of small runs."""
        return [*self.metadata.sorted_tables, *[into.probe for into in self.intos]]

    def keep_safe(self, connection: Connection) -> None:
        """A run that waits for a person must outlive a crash of the server: unlogged tables would not."""
        for table in self.metadata.sorted_tables:
            connection.execute(ddl_on("ALTER TABLE %(fullname)s SET LOGGED", table))


def staging_for(run_id: int, plans: tuple[IntoPlan, ...]) -> Staging:
    """The tables of run `run_id`; columns follow the record's own types."""
    return _staging(f"r{run_id}", plans, _UNLOGGED)


def small_staging(number: int, plans: tuple[IntoPlan, ...], *, keyed: bool) -> Staging:
    """The tables that small runs with these plans share, one run after the other."""
    return _staging(f"s{number}", plans, replace(_KEPT, keyed=keyed), small=True)


def _staging(prefix: str, plans: tuple[IntoPlan, ...], kind: _Kind, *, small: bool = False) -> Staging:
    metadata = MetaData(schema=kind.schema)
    intos = tuple(_into(metadata, f"{prefix}_{number}", plan, kind) for number, plan in enumerate(plans))
    pages = kind.table(
        metadata, f"{prefix}_pages",
        Column("first", BigInteger), Column("last", BigInteger), Column("payload", LargeBinary),
    )
    gone = kind.table(metadata, f"{prefix}_gone", Column("key", Text))
    answers = kind.table(metadata, f"{prefix}_answers", Column("row_no", BigInteger),
                         Column("held", BigInteger), Column("mark", BigInteger))
    return Staging(metadata, intos, pages, gone, answers, small)


def staged_type(plan: IntoPlan, column: str) -> Column[Any]:
    """The column `v_<column>` with the record's type; `archived` is a boolean here."""
    if column == "archived":
        return Column("v_archived", Boolean)
    return Column(f"v_{column}", plan.record.c[column].type)


def _into(metadata: MetaData, prefix: str, plan: IntoPlan, kind: _Kind) -> IntoStaging:
    values: list[Column[Any]] = []
    for item in plan.fields:
        reference = item.reference
        if reference is None:
            values += [staged_type(plan, column) for column in item.columns]
        elif reference.many:
            values.append(Column(f"k_{reference.column}", ARRAY(Text)))
        else:
            values.append(Column(f"k_{reference.column}", Text))
        # Null, and left out of the COPY, unless some row of the page says nothing on the field.
        values.append(Column(f"keep_{item.name}", Boolean))
    def of_source() -> list[Column[Any]]:
        return [Column("source_no", BigInteger)] if plan.into.each else []

    rows = kind.table(
        metadata, f"{prefix}_rows",
        Column("row_no", BigInteger, index=kind.keyed), Column("line", BigInteger), Column("key", Text),
        Column("mark", BigInteger), *of_source(),
        Column("stamp", BigInteger), Column("fingerprint", BigInteger), *values,
    )
    same = kind.table(metadata, f"{prefix}_same", Column("row_no", BigInteger), Column("key", Text),
                  Column("mark", BigInteger), *of_source(), Column("aside", Boolean))
    held = kind.table(metadata, f"{prefix}_held", *held_columns())
    fate = kind.table(
        metadata, f"{prefix}_fate", *match_columns(plan),
        Column("waits", Boolean), Column("changed", Boolean), Column("open", Boolean),
    )
    wait = kind.table(metadata, f"{prefix}_wait", Column("row_no", BigInteger, primary_key=kind.keyed,
                                                        autoincrement=False))
    leaving = kind.table(metadata, f"{prefix}_leaving", Column("key", Text), Column("record_id", BigInteger),
                         Column("row_no", BigInteger))
    probe = (_TEMPORARY if kind is _UNLOGGED else kind).table(
        MetaData(schema="pg_temp"), f"{prefix}_probe", Column("row_no", BigInteger), Column("key", Text),
        Column("fingerprint", BigInteger), Column("mark", BigInteger), *of_source())
    return IntoStaging(rows, same, held, fate, wait, leaving, probe)


def held_columns() -> list[Column[Any]]:
    """The columns of a held row before it is written: staging's and the batch's."""
    return [
        Column("row_no", BigInteger), Column("source_no", BigInteger), Column("line", BigInteger),
        Column("key", Text), Column("mark", BigInteger), Column("outcome", Text), Column("code", Text),
        Column("field", Text), Column("causes", JSONB),
        Column("raw", JSON), Column("raw_text", Text), Column("candidates", ARRAY(BigInteger)),
        Column("waits_for", JSONB), Column("aside", Boolean), Column("late", Boolean),
    ]


def match_columns(plan: IntoPlan) -> list[Column[Any]]:
    """The columns that pipelines.stages.match gives."""
    links = [
        Column(f"l_{r.column}", ARRAY(BigInteger) if r.many else BigInteger) for r in plan.references
    ]
    return [
        Column("row_no", BigInteger), Column("class", Text), Column("record_id", BigInteger), Column("code", Text),
        Column("field", Text), Column("params", JSONB), Column("candidates", ARRAY(BigInteger)), *links,
    ]


def copy_frame(connection: Connection, table: Table, frame: pd.DataFrame | pa.Table) -> None:
    """COPY a frame whose columns are named like the table's; '' stays '', null is null, lists become arrays."""
    data = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    if data.num_rows == 0:
        return
    data = pa.table({name: _writable(data.column(name)) for name in data.column_names})
    sink = io.BytesIO()
    pyarrow.csv.write_csv(data, sink, pyarrow.csv.WriteOptions(include_header=False, batch_size=16_384))
    target = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier(*([table.schema] if table.schema else []), table.name),
        sql.SQL(", ").join(sql.Identifier(name) for name in data.column_names),
    )
    with driver(connection).cursor() as cursor, cursor.copy(target) as copy:
        copy.write(sink.getbuffer())


@contextmanager
def everything_landed(engine: Engine, plan: IntoPlan, tables: IntoStaging) -> Iterator[str]:
    """The name of a relation in `staging` with every good row of the run, while the block runs.

    Rows that were the same as last time were not staged: their values are those of the last agreement.
    """
    name = f"{tables.rows.name}_all"
    columns = [column for item in plan.fields if item.reference is None for column in item.columns]
    x = plan.crosswalk
    staged = select(tables.rows.c.row_no, *[tables.rows.c[f"v_{column}"] for column in columns])
    same = (
        select(tables.same.c.row_no, *[x.c[f"b_{column}"].label(f"v_{column}") for column in columns])
        .select_from(tables.same)
        .join(x, and_(x.c.id_space == literal_column(str(plan.id_space)), x.c.key == tables.same.c.key,
                      x.c.feed == literal_column(str(plan.feed))))
    )
    with engine.begin() as connection:
        connection.execute(CreateView(union_all(staged, same), name, schema="staging", or_replace=True))
    try:
        yield name
    finally:
        with engine.begin() as connection:
            connection.execute(DropView(Table(name, MetaData(schema="staging")), if_exists=True))


@contextmanager
def in_transaction(connection: Connection) -> Iterator[None]:
    """A transaction of its own, unless the connection is in one."""
    if connection.in_transaction():
        yield
        return
    with connection.begin():
        yield


@contextmanager
def index_lookups(connection: Connection) -> Iterator[None]:
    """Joins by index while the block runs: a batch is small beside the store, whatever stale statistics say.

    A table that was empty when it was last analysed is otherwise read whole for every row of the first load. Not for
    statements that write records: their triggers join whole transition tables. Connections of small runs do so always.
    """
    if connection.get_execution_options().get("by_index"):
        yield
        return
    names = INDEX_ONLY
    connection.execute(select(*[func.set_config(name, "off", True) for name in names]))
    yield
    # Not after an error: the transaction is over, and the settings with it.
    connection.execute(select(*[func.set_config(name, "on", True) for name in names]))


def by_record(number: ColumnElement[int], wanted: int) -> ColumnElement[bool]:
    """`number = wanted` of entries that are looked up by their record.

    As a sum no index answers it. Else a planner whose statistics are from when the table was small reads an id space
    whole for each record: the index by record does not look cheaper.
    """
    return number + 0 == wanted


def driver(connection: Connection) -> psycopg.Connection[tuple[object, ...]]:
    """The psycopg connection under a SQLAlchemy one."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    return raw


def _writable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _array_literals(column)
    if pa.types.is_timestamp(kind):
        # The writer spends twenty times as long on a moment with a zone as on a text that ends in its "Z".
        utc = pc.cast(pc.cast(column, pa.timestamp("us", tz="UTC")), pa.timestamp("us"))
        return pc.binary_join_element_wise(pc.cast(utc, pa.string()), "Z", "")
    return column


def _array_literals(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """{"a","b"} for each list: quotes and backslashes escaped, set-based."""
    flat = column.combine_chunks()
    values = pc.cast(flat.flatten(), pa.string())
    escaped = pc.replace_substring(pc.replace_substring(values, "\\", "\\\\"), '"', '\\"')
    quoted = pc.binary_join_element_wise('"', escaped, '"', "")
    lengths = pc.fill_null(pc.list_value_length(flat), 0)
    offsets = pa.array([0], pa.int32())
    offsets = pa.concat_arrays([offsets, pc.cast(pc.cumulative_sum(lengths), pa.int32())])
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, quoted), ",")
    literal = pc.binary_join_element_wise("{", joined, "}", "")
    return pa.chunked_array([pc.if_else(pc.is_valid(flat), literal, pa.scalar(None, pa.string()))])


def pack(frame: pd.DataFrame, row_numbers: pd.Index[int]) -> bytes:
    """Raw rows as one compressed Arrow table, the row number in column `#row`."""
    table = pa.Table.from_pandas(frame, preserve_index=False, nthreads=1)  # more would begin threads for each page
    table = table.append_column("#row", pa.array(row_numbers, pa.int64()))
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return sink.getvalue()


def unpack(payload: bytes, wanted: pa.Array) -> pa.Table:
    """The rows of a packed page whose number is among `wanted`."""
    with pa.ipc.open_stream(payload) as reader:
        table = reader.read_all()
    return table.filter(pc.is_in(table.column("#row"), wanted))
