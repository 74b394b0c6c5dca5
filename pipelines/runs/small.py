"""Small runs: few rows that are in memory already go down the same road in one transaction, on one connection.

::

    plans, staging and statements of the flow, kept ─▶ run begins ─▶ land ─▶ decide ─▶ apply ─▶ run done ─▶ commit

What a live change costs is not its rows but what a run takes: tables, threads, a dozen commits, and statements that are
built and planned. Here the staging tables are temporary ones that the connection keeps and each run empties first, so
the statements are the same every time. A run that is killed has not been; one that its guard stops takes the long road,
where its staging can wait for a person.
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, exists, select
from sqlalchemy.exc import DBAPIError

from crm_store import hub_tables as tables
from crm_store.named_ddl import ddl_on
from crm_store.store_faults import is_lost, store_error
from mappings.errors import StoreError
from mappings.language.derived import by_name
from mappings.messages import noticed
from pipelines.hub import Hub
from pipelines.runs.apply_small import apply_small
from pipelines.runs.attempt import attempt
from pipelines.runs.deciding import decide_landed
from pipelines.runs.landed import Applying
from pipelines.runs.lines import insert_run
from pipelines.runs.orders import Order, quiet
from pipelines.runs.planning import plans_in
from pipelines.runs.result import RunResult
from pipelines.stages.land import Landing, land
from pipelines.stages.moment import Moment
from pipelines.stages.plan import IntoPlan
from pipelines.stages.staging import Staging, small_staging
from pipelines.stages.work import Work, work_tables

MOST_ROWS = 500
FEW = 50
"""Rows up to which tables are read whole as fast as by an index, whose upkeep single changes need not pay."""
REPEATED = ("live", "push", "readback")
"""Triggers of runs whose source brings again what a power cut takes: position, markers and news go with one another."""
MOST_KEPT = 40
"""Roads that a process keeps; each has temporary tables on the connections that used it."""


MOST_DEAD = 5_000
"""Rows after which the tables of a road are cut: the places of deleted ones are looked at by every statement."""

_numbers = count(1)  # of a process: several hubs may share the connections of one store
NEVER = Moment(-1, quiet=False)
"""The moment of a decision that is not taken over: matching few rows again costs less than asking whether it stands."""


class _Asks(Exception):
    """The guard stops the run: a person is to be asked."""


class _Changed(Exception):
    """What the road was made of is no longer so."""


@dataclass(frozen=True)
class _Road:
    """What every small run of a flow on these columns needs."""

    number: int
    plans: tuple[IntoPlan, ...]
    staging: Staging
    works: tuple[Work, ...]

    @property
    def tables(self) -> list[Table]:
        """Every temporary table."""
        return [*self.staging.temporary, *[table for work in self.works for table in work.tables]]

    def ready(self, connection: Connection, rows: int) -> None:
        """Makes the temporary tables, once on each connection, in a transaction of their own; or cuts them."""
        used: dict[int, int] = connection.info.setdefault("navette_roads", {})
        if self.number not in used:
            with connection.begin():
                self.staging.create_temporary(connection)
                for work in self.works:
                    work.create(connection)
            used[self.number] = 0
        elif used[self.number] > MOST_DEAD:
            with connection.begin():
                for table in self.tables:
                    connection.execute(ddl_on("TRUNCATE %(fullname)s", table))
            used[self.number] = 0
        used[self.number] += rows + 1

    def stands(self, connection: Connection) -> bool:
        """Whether what the plans took from the store is still so: marks of full reads, and who else fills an id space.
        What the last run left in the tables goes."""
        found = connection.execute(self.staging.intos[0].once("stands", self._asked)).all()
        return {tuple(row) for row in found} == {(plan.feed, plan.full_mark, plan.shared_space) for plan in self.plans}

    def _asked(self) -> Select[Any]:
        feed, other = tables.feed, tables.feed.alias("other")
        shared = exists().where(other.c.id_space == feed.c.id_space, other.c.id != feed.c.id)
        standing = select(feed.c.id, feed.c.full_mark, shared).where(feed.c.id.in_([plan.feed for plan in self.plans]))
        return standing.add_cte(*[delete(table).cte(f"emptied_{at}") for at, table in enumerate(self.tables)])


def is_small(order: Order) -> bool:
    """Whether the order is for few rows that can be read again, and nothing that takes a run by itself."""
    if _size(order) > MOST_ROWS:
        return False
    special = order.full or order.adopting or order.rebasing or order.comparing or not order.matching
    # Expectations look at the staged rows from connections of their own.
    return not special and not any(into.expect for into in order.flow.into) and not any(
        by_name(column) for into in order.flow.into for column in into.key
    )


def _size(order: Order) -> int:
    """How many rows the order is for; more than a small run takes where nobody knows."""
    known: int | None = getattr(order.source, "size", None)
    return MOST_ROWS + 1 if known is None else known


def execute_small(hub: Hub, order: Order) -> RunResult | None:
    """Runs the order to its end; None where it has to take the long road, and nothing was done.

    Raises NavetteError for what fails the run, StoreError when the server goes away.
    """
    began = time.monotonic()
    try:
        with hub.small.connect() as connection:
            while True:
                road = _road(hub, connection, order)
                road.ready(connection, _size(order))
                try:
                    return attempt(connection, partial(_run, hub, connection, road, order, began))
                except _Changed:
                    del hub.kept[_key(order)]
    except (_Asks, StoreError):  # a store that is too busy for one transaction may not be for several
        return None
    except DBAPIError as error:
        if is_lost(error):
            raise store_error(error, f"flow {order.flow.flow}") from error
        return None  # where what is wrong is found out, row by row


def _run(hub: Hub, connection: Connection, road: _Road, order: Order, began: float) -> RunResult:
    if not road.stands(connection):
        raise _Changed
    road.staging.raw.clear()
    run_id = insert_run(connection, hub, order, at_once=True)
    what = Landing(order.flow, road.plans, road.staging, order.source, order.variables, hub.project.codes, run_id,
                   order.mark, hub.engine, afresh=order.afresh, row_marks=order.row_marks, connection=connection)
    landed = land(what, quiet)
    run = decide_landed(connection, order, what, landed, NEVER)
    if run.tripped:
        raise _Asks
    applying = Applying.of(hub, order.flow, run_id, order.name, order.mark, road.plans, road.staging, run.cursor,
                           quiet, full=False)
    detected = dict(order.source.detected)
    into = apply_small(replace(applying, works=road.works, durable=order.trigger not in REPEATED,
                               rows_read=landed.rows_read, detected=detected, notices=run.notices), connection)
    return RunResult(run_id, order.flow.flow, "done", time.monotonic() - began, into, source=order.name,
                     rows_read=landed.rows_read, detected=detected, notices=noticed(run.notices),
                     noticed=tuple(notice["code"] for notice in run.notices))


def _road(hub: Hub, connection: Connection, order: Order) -> _Road:
    """The flow's road for these columns."""
    kept: _Road | None = hub.kept.get(_key(order))
    if kept is not None:
        return kept
    number = next(_numbers)
    if number % MOST_KEPT == 0:
        for old in [name for name in hub.kept if isinstance(name, tuple) and name[0] == "road"]:
            del hub.kept[old]
        hub.small.dispose()
    with connection.begin():
        plans = plans_in(connection, hub, order)
    keyed = _size(order) > FEW
    made = _Road(number, plans, small_staging(number, plans, keyed=keyed),
                 tuple(work_tables(plan, place, f"s{number}_", keyed=keyed) for place, plan in enumerate(plans)))
    hub.kept[_key(order)] = made
    return made


def _key(order: Order) -> Hashable:
    many = _size(order) > FEW
    return "road", order.flow.flow, many, order.read_now, tuple(order.source.columns), tuple(sorted(order.variables))
