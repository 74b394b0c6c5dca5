"""Which rows of a page are, to the byte, what was last applied under the same mapping.

::

    entries of the feed      how                                           costs
    none                     not asked at all                              a first load pays nothing
    few rows are read        by key, in the run's own transaction          a look-up a row
    up to MOST_KNOWN         all fingerprints are taken into memory        8 bytes an entry, no look-up
    more                     by key, a page at a time, in several lanes    a look-up a row
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    bindparam,
    collate,
    func,
    insert,
    literal_column,
    select,
    true,
)
from sqlalchemy.schema import CreateTable

from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import IntoStaging, copy_frame, driver, in_transaction, index_lookups

MOST_KNOWN = 4_000_000
"""Fingerprints that a run takes into memory. A key is part of what its row's fingerprint is made of, so that the
fingerprint alone says which row it is."""


class SameRows(Protocol):
    """Tells rows that are the same, and notes them in staging; one for each connection that pages are looked up on.

    `empty`: nothing is ever the same. `once`: no two rows that were the same have one key; False where nobody knows.
    """

    empty: bool

    @property
    def once(self) -> bool: ...

    def changed(self, rows: pd.Index[int], keys: pd.Series, hashes: pd.Series, marks: pd.Series,
                parents: pd.Series | None = None) -> pd.Index[int]:
        """The rows (labels) of a page that must be decoded; `parents` of elements: the row of the source of each."""

    def close(self) -> None:
        """Leaves nothing on the connection, which others use next."""


def same_rows(connections: Sequence[Connection], plan: IntoPlan, staging: IntoStaging, run_id: int, *,
              afresh: bool = False, small: bool = False) -> Sequence[SameRows]:
    """One for each connection. `small`: a small run, whose connection has its probe, and keeps it.

    None are the same where every row is to be looked at `afresh`: what is about to be sent must be compared with what
    is there, whatever was applied last.
    """
    if small and not afresh:  # of few rows each is asked for as quickly as whether there are entries
        return [ByKey(connection, plan, staging, run_id, small=True) for connection in connections]
    known = np.empty(0, np.int64) if afresh else _known(connections[0], plan, run_id)
    if known is None:
        return [ByKey(connection, plan, staging, run_id) for connection in connections]
    met = _Met(len(known))
    return [Known(connection, staging, known, met) for connection in connections]


def _known(connection: Connection, plan: IntoPlan, run_id: int) -> npt.NDArray[np.int64] | None:
    """The fingerprints of the feed, sorted; None where there are too many. What this very run applied before it was
    interrupted was counted then."""
    x = plan.crosswalk
    every = (
        select(x.c.fingerprint)
        .where(x.c.id_space == plan.id_space, x.c.feed == plan.feed, x.c.run_id != run_id, x.c.fingerprint.is_not(None))
        .limit(MOST_KNOWN + 1).subquery()
    )
    # As one value: a million rows would pass through the driver one by one. Binary: as text it is there three times.
    packed = select(func.string_agg(func.int8send(every.c.fingerprint), literal_column("''::bytea")))
    asked = str(packed.compile(connection, compile_kwargs={"literal_binds": True}))
    with in_transaction(connection), driver(connection).cursor(binary=True) as cursor:
        found: Any = cursor.execute(asked.encode()).fetchall()[0][0]
    known = np.frombuffer(found or b"", ">i8").astype(np.int64)
    known.sort()
    return known if len(known) <= MOST_KNOWN else None


def _page(rows: pd.Index[int], keys: pd.Series, marks: pd.Series, parents: pd.Series | None) -> dict[str, Any]:
    page = {"row_no": pa.array(rows), "key": pa.array(keys), "mark": pa.array(marks)}
    return page if parents is None else page | {"source_no": pa.array(parents)}


class _Met:
    """Which entries the rows of any lane were the same as: as one of them has one key, a second row has that again."""

    def __init__(self, entries: int) -> None:
        self._met, self._lock, self.once = np.zeros(entries, bool), Lock(), True

    def note(self, entries: npt.NDArray[np.intp]) -> None:
        with self._lock:
            before = int(np.count_nonzero(self._met[entries]))
            self._met[entries] = True
        # Never set to true again: a lane that began before another one found a second row would say that there is none.
        if before or len(np.unique(entries)) < len(entries):
            self.once = False


class Known:
    """By fingerprint, in memory."""

    def __init__(self, connection: Connection, staging: IntoStaging, known: npt.NDArray[np.int64],
                 met: _Met) -> None:
        self.connection, self.staging, self.known, self.met = connection, staging, known, met
        self.empty = not len(known)

    @property
    def once(self) -> bool:
        return self.met.once

    def changed(self, rows: pd.Index[int], keys: pd.Series, hashes: pd.Series, marks: pd.Series,
                parents: pd.Series | None = None) -> pd.Index[int]:
        if self.empty or not len(rows):
            return rows
        told = hashes.to_numpy(np.int64)
        place = np.minimum(np.searchsorted(self.known, told), len(self.known) - 1)
        same = (self.known[place] == told) & keys.notna().to_numpy(bool)
        if not same.any():
            return rows
        self.met.note(place[same])
        page = pa.table(_page(rows, keys, marks, parents))
        with in_transaction(self.connection):
            copy_frame(self.connection, self.staging.same, page if same.all() else page.filter(pa.array(same)))
        left: pd.Index[int] = rows[~same]
        return left

    def close(self) -> None:
        pass


class ByKey:
    """By key and fingerprint, in the crosswalk."""

    def __init__(self, connection: Connection, plan: IntoPlan, staging: IntoStaging, run_id: int, *,
                 small: bool = False) -> None:
        self.connection, self.small, self.empty, self.once = connection, small, False, False
        self.probe, self.run_id = staging.probe, run_id
        if not small:
            with connection.begin():
                connection.execute(CreateTable(self.probe, if_not_exists=True))
        self.query = staging.once("by key", lambda: _by_key(plan, staging))

    def changed(self, rows: pd.Index[int], keys: pd.Series, hashes: pd.Series, marks: pd.Series,
                parents: pd.Series | None = None) -> pd.Index[int]:
        page = pa.table(_page(rows, keys, marks, parents) | {"fingerprint": pa.array(hashes)})
        with in_transaction(self.connection):
            copy_frame(self.connection, self.probe, page)
            with index_lookups(self.connection):
                found = self.connection.scalars(self.query, {"run": self.run_id}).all()
        return pd.Index(sorted(found), dtype="int64") if len(found) < len(rows) else rows

    def close(self) -> None:
        if not self.small:
            with self.connection.begin():
                self.probe.drop(self.connection, checkfirst=False)


def _by_key(plan: IntoPlan, staging: IntoStaging) -> Select[Any]:
    """Notes the probed rows that are the same, and tells the others."""
    x, table = plan.crosswalk, staging.probe
    # In the order of the index: each look-up finds its pages where the last one left them, at half the cost.
    names = [name for name in ("row_no", "key", "mark", "source_no") if name in staging.same.c]
    probe = select(table).order_by(collate(table.c.key, "C")).offset(0).subquery("probed")
    # Looked up one by one: a join would read a crosswalk whole that was empty when last analysed.
    entry = (
        select(x.c.key)
        .where(x.c.id_space == plan.id_space, x.c.key == probe.c.key, x.c.feed == plan.feed,
               x.c.fingerprint == probe.c.fingerprint,
               # What this very run applied before it was interrupted was counted then.
               x.c.run_id != bindparam("run", type_=BigInteger))
        .limit(1).correlate(probe).lateral("entry")
    )
    hits = (
        insert(staging.same)
        .from_select(names, select(*[probe.c[name] for name in names]).join_from(probe, entry, true()))
        .returning(staging.same.c.row_no).cte("hits")
    )
    return select(table.c.row_no).where(table.c.row_no.not_in(select(hits.c.row_no)))
