"""Which rows of a page are, to the byte, what was last applied under the same mapping."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, collate, insert, select, true
from sqlalchemy.schema import CreateTable

from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import IntoStaging, copy_frame, in_transaction, index_lookups


class SameRows:
    """Looks the fingerprints of a page up in the crosswalk; rows that are the same are noted in staging.

    Not asked at all while the feed has no entries: a first load pays nothing for it. Nor where every row is to be
    looked at `afresh`: what is about to be sent must be compared with what is there, whatever was applied last.
    """

    def __init__(self, connection: Connection, plan: IntoPlan, staging: IntoStaging, run_id: int, *,
                 afresh: bool = False, small: bool = False) -> None:
        self.connection, self.plan, self.staging = connection, plan, staging
        self.small = small  # the connection has its probe, and keeps it
        x = plan.crosswalk
        self.empty = afresh
        if not (afresh or small):  # of few rows each is asked for as quickly
            with in_transaction(connection):
                self.empty = connection.execute(
                    select(x.c.feed).where(x.c.id_space == plan.id_space, x.c.feed == plan.feed).limit(1)
                ).first() is None
        if self.empty:
            return
        self.probe = staging.probe
        if not small:
            with connection.begin():
                connection.execute(CreateTable(self.probe, if_not_exists=True))
        # In the order of the index: each look-up finds its pages where the last one left them, at half the cost.
        names = [name for name in ("row_no", "key", "mark", "source_no") if name in staging.same.c]
        probe = select(self.probe).order_by(collate(self.probe.c.key, "C")).offset(0).subquery("probed")
        # Looked up one by one: a join would read a crosswalk whole that was empty when last analysed.
        entry = (
            select(x.c.key)
            .where(x.c.id_space == plan.id_space, x.c.key == probe.c.key, x.c.feed == plan.feed,
                   x.c.fingerprint == probe.c.fingerprint,
                   # What this very run applied before it was interrupted was counted then.
                   x.c.run_id != run_id)
            .limit(1).correlate(probe).lateral("entry")
        )
        hits = (
            insert(staging.same)
            .from_select(
                names, select(*[probe.c[name] for name in names]).join_from(probe, entry, true()),
            )
            .returning(staging.same.c.row_no)
            .cte("hits")
        )
        self.query = select(self.probe.c.row_no).where(self.probe.c.row_no.not_in(select(hits.c.row_no)))

    def changed(self, rows: pd.Index[int], keys: pd.Series, hashes: pd.Series, marks: pd.Series,
                parents: pd.Series | None = None) -> pd.Index[int]:
        """The rows (labels) of a page that must be decoded; `parents` of elements: the row of the source of each."""
        if self.empty:
            return rows
        page = pa.table({"row_no": pa.array(rows), "key": pa.array(keys), "fingerprint": pa.array(hashes),
                         "mark": pa.array(marks), **({} if parents is None else {"source_no": pa.array(parents)})})
        with in_transaction(self.connection):
            copy_frame(self.connection, self.probe, page)
            with index_lookups(self.connection):
                found = self.connection.scalars(self.query).all()
        return pd.Index(sorted(found), dtype="int64") if len(found) < len(rows) else rows

    def close(self) -> None:
        """Leaves nothing on the connection, which others use next."""
        if not self.empty and not self.small:
            with self.connection.begin():
                self.probe.drop(self.connection, checkfirst=False)
