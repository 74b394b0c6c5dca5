"""Two lanes: what landing found new is created by two transactions at a time, each with a core of the server's.

::

    the run's connection   gate closed, decision stands? ───────────────────────────▶ only our lines since? ▶ gate open
    lane 1                      turn (shared) ▶ creates (r0, r1] ▶ its part of the cursor ▶ commit
    lane 2                      turn (shared) ▶ creates (r1, r2] ▶ its part of the cursor ▶ commit

Lanes only create, as landing decided. A lane that fails, for whatever reason, has written nothing: its range is left to
the run's one connection, which matches, halves and refuses. It waits for no lock longer than LOCK_TIMEOUT: somebody
who holds a parent of ours may be waiting for the gate, and of that circle the database sees only one half.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import Connection, Engine, exists, select
from sqlalchemy.exc import DBAPIError

from crm_store.store_faults import is_lost
from pipelines.runs.attempt import say
from pipelines.runs.cursor import Cursor
from pipelines.stages.apply import IntoApply
from pipelines.stages.resolve import LINKED
from pipelines.stages.turn import close_gate, share_turn

LANES = 2
ROUND = 2 * LANES
"""Batches that are created while the gate is closed once: lanes wait for one another at its end only."""
LOCK_TIMEOUT = "5s"


@dataclass(frozen=True)
class Lanes:
    """The lanes of one into. `settings`: what each transaction says of itself to the journal; `every`: each staged row
    is new."""

    engine: Engine
    run_id: int
    number: int
    into: IntoApply
    settings: Mapping[str, str]
    every: bool

    def fit(self, connection: Connection, low: int) -> bool:
        """Whether the rows beyond `low` are only to be created, each by itself."""
        if self.into.plan.shared_space or self.into.plan.into.aliases:
            return False
        if self.every:
            return True
        fate = self.into.tables.fate
        linked = exists().where(fate.c.row_no > low, fate.c["class"].in_(LINKED), ~fate.c.waits)
        with connection.begin():
            return not connection.scalar(select(linked))

    def create(self, connection: Connection, ends: list[int], cursor: Cursor, journal: Callable[[int], int]) -> bool:
        """Creates the rows between `ends`, a lane for each range; False when not all was done: the cursor tells.

        `journal` gives its place for the cursor, if all lines since the one given are this run's; -1 if not.
        """
        with connection.begin():
            close_gate(connection, self.into.plan.record)
            began = journal(cursor.journal) if cursor.quiet else -1
            if began < 0:
                return False
            faults = self._round(ends, began)
            for fault in faults:
                if is_lost(fault):
                    raise fault
            cursor.become(Cursor.of(connection, self.run_id))
            cursor.journal = journal(began)
        return not faults

    def _round(self, ends: list[int], journal: int) -> list[DBAPIError]:
        """A batch for each range. After a fault, or when this is interrupted, none is begun: the gate may open then."""
        faults: list[DBAPIError] = []
        with ThreadPoolExecutor(LANES, thread_name_prefix="navette-lane") as pool:
            batches = [pool.submit(self._lane, low, high, journal) for low, high in pairwise(ends)]
            try:
                for batch in batches:
                    if not batch.cancelled() and (fault := batch.result()) is not None:
                        faults.append(fault)
                        _cancel(batches)
            except BaseException:
                _cancel(batches)
                raise
        return faults

    def _lane(self, low: int, high: int, journal: int) -> DBAPIError | None:
        """One batch, or the fault for which nothing of it was written."""
        try:
            with self.engine.begin() as connection:
                mine = {"navette.feed": str(self.into.plan.feed), "lock_timeout": LOCK_TIMEOUT}
                say(connection, {**self.settings, **mine})
                share_turn(connection, self.into.plan.record)
                outcomes = self.into.create_decided(connection, low, high, every=self.every)
                # Both lanes move one cursor: the second to come here waits for the first one's commit.
                cursor = Cursor.of(connection, self.run_id, locked=True)
                cursor.intos[self.number].count(outcomes)
                cursor.journal = journal
                cursor.done(low, high)
                cursor.save(connection, self.run_id)
        except DBAPIError as fault:
            return fault
        return None


def _cancel(batches: list[Future[DBAPIError | None]]) -> None:
    for batch in batches:
        batch.cancel()
