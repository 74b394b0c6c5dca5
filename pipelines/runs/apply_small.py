"""Apply, in the one transaction of a small run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Select, func, select, update
from sqlalchemy.exc import DBAPIError

from crm_store import hub_tables as hub
from pipelines.runs.applying import Apply
from pipelines.runs.closing import Into
from pipelines.runs.landed import Applying


def apply_small(what: Applying, connection: Connection) -> Into:
    """Applies a small run within the transaction that `connection` is in; what was counted."""
    applying = _SmallApply(what, connection)
    applying.all()
    return applying.told


class _SmallApply(Apply):
    """The phases one after the other: nothing is kept for a resumption, since a small run that is killed has not been.

    Where the store refuses a row, the whole is undone, and the long road finds out which.
    """

    def all(self) -> None:
        self.connection.execute(select(*[func.set_config(name, said, True) for name, said in self.settings.items()]))
        self._prepare()
        counts = self.cursor.intos
        if any(into.landed.get(outcome) for into in counts for outcome in ("rejected", "review", "parked")):
            self._held()
        if any(into.expected for into in counts):
            self._first()
            self._waiting()
        self._finish()

    def _transaction(self, work: Callable[[], object]) -> None:
        work()

    def _may_halve(self, error: DBAPIError) -> bool:  # noqa: ARG002 - as the long road has it
        return False

    def _in_lanes(self, number: int, ends: list[int]) -> list[int]:  # noqa: ARG002
        return ends

    def _ends(self, rows: Select[Any] | CompoundSelect[Any], low: int, number: int) -> list[int]:  # noqa: ARG002
        last = self.cursor.intos[number].last_row
        return [last] if last > low else []

    def _close(self) -> None:
        self.connection.execute(update(hub.run).where(hub.run.c.id == self.what.run_id).values(
            state="done", landed_at=func.now(), ended_at=func.now(), cursor=self.cursor.model_dump(mode="json"),
            rows_read=self.what.rows_read, detected=self.what.detected))
