"""Apply, in the one transaction of a small run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Select
from sqlalchemy.exc import DBAPIError

from pipelines.runs.applying import Apply
from pipelines.runs.attempt import say
from pipelines.runs.closing import Into
from pipelines.runs.landed import Applying
from pipelines.stages.apply import IntoApply


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
        counts = self.cursor.intos
        for into, count in zip(self.intos, counts, strict=True):
            into.may_create = count.expected.get("created", 0) > 0
        if len(self.intos) == 1:
            self.settings["navette.feed"] = str(self.intos[0].plan.feed)
        say(self.connection, self.settings)
        self._prepare()
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

    def _as_feed(self, into: IntoApply) -> None:
        if len(self.intos) > 1:
            super()._as_feed(into)

    def _close(self, told: dict[str, Any]) -> None:
        super()._close(told | {"cursor": self.cursor.model_dump(mode="json"), "rows_read": self.what.rows_read,
                               "detected": self.what.detected, "notices": self.what.notices})
