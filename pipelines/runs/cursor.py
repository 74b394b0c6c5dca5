"""Where a run stands: kept in sync.run.cursor, moved by the same transaction as what it counts."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import Connection, select, update

from crm_store import hub_tables as hub
from mappings.words import Outcome

Phase = Literal["held", "first", "waiting", "absent"]


class IntoCursor(BaseModel):
    """One into: its active fields, what landing counted, how many rows it staged, and what apply has counted."""

    label: str
    fields: list[str]
    rows_read: int = 0
    last_row: int = 0
    staged: int = 0
    unwritten: bool = False  # every staged row is new, and no `fate` says so
    held: int = 0
    same: int = 0
    absent: int = 0
    to_archive: int = 0  # of them, those that would be archived rather than unlinked
    unread_keys: int = 0
    conflicts: int | None = None  # that apply would tell of; counted where a person is to look at them
    read: dict[Outcome, int] = {}  # settled by reading alone
    landed: dict[Outcome, int] = {}  # settled by reading and deciding
    expected: dict[Outcome, int] = {}  # what apply would come to if nothing else moved
    applied: dict[Outcome, int] = {}
    undecided: int = 0  # of applied reviews, those whose record was linked but for an open conflict
    archived: int = 0
    unlinked: int = 0

    @property
    def fates(self) -> int:
        """How many rows `fate` has."""
        return 0 if self.unwritten else self.staged

    def count(self, outcomes: Counter[Outcome], undecided: int = 0) -> None:
        """Adds what one batch came to."""
        self.undecided += undecided
        for outcome, number in outcomes.items():
            self.applied[outcome] = self.applied.get(outcome, 0) + number

    def recounted(self) -> dict[Outcome, int]:
        """What stays counted when the run lands again: rows with an entry of this run; the others come up anew."""
        kept: tuple[Outcome, ...] = ("created", "updated", "unchanged")
        return {outcome: self.applied.get(outcome, 0) for outcome in kept} | {"review": self.undecided}

    def outcomes(self) -> dict[Outcome, int]:
        """Everything counted so far."""
        return dict(Counter(self.landed) + Counter(self.applied))


class Cursor(BaseModel):
    """`phase`, `into` and `row` name the last batch that was applied whole; `beyond` what lanes applied after a gap."""

    intos: list[IntoCursor]
    variables: dict[str, str] = {}
    phase: Phase = "held"
    into: int = 0
    row: int = 0
    beyond: list[tuple[int, int]] = []  # (low, high] of batches applied before the one between `row` and them
    journal: int = -1  # the journal's last line when the run decided, or after its last batch if all since is its own
    position: dict[str, Any] | None = None  # how far the source was read; kept with the run's last batch
    adopting: bool = False  # rows are linked, and nothing is written on either side
    rebasing: bool = False  # everything is read under a mapping that changed
    read_now: bool = False  # a system that answers was asked: its rows were what stood there when the run began
    gone: int = 0  # keys that the system itself says were deleted
    quiet: bool = False  # nothing else was under way when the run decided

    @staticmethod
    def of(connection: Connection, run_id: int, *, locked: bool = False) -> Cursor:
        """The cursor as it stands; `locked`: nobody else moves it before this transaction ends."""
        stored = select(hub.run.c.cursor).where(hub.run.c.id == run_id)
        return Cursor.model_validate(connection.execute(stored.with_for_update() if locked else stored).scalar_one())

    def become(self, other: Cursor) -> None:
        """Takes over everything of `other`."""
        self.__dict__.update(other.model_copy(deep=True).__dict__)

    def move(self, phase: Phase, into: int, row: int) -> None:
        """The batch that ends at `row` was applied, and with it what had been applied beyond it."""
        self.phase, self.into, self.row = phase, into, row
        while self.beyond and self.beyond[0][0] == self.row:
            self.row = self.beyond.pop(0)[1]

    def done(self, low: int, high: int) -> None:
        """The batch (low, high] of this phase and into was applied, whether or not all before it was."""
        if low == self.row:
            self.move(self.phase, self.into, high)
        else:
            self.beyond = sorted([*self.beyond, (low, high)])

    def save(self, connection: Connection, run_id: int) -> None:
        connection.execute(
            update(hub.run).where(hub.run.c.id == run_id).values(cursor=self.model_dump(mode="json"))
        )
