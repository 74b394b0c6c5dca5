"""Where a run stands: kept in sync.run.cursor, moved by the same transaction as what it counts."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from pydantic import BaseModel
from sqlalchemy import Connection, update

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
    absent: int = 0
    unread_keys: int = 0
    landed: dict[Outcome, int] = {}
    expected: dict[Outcome, int] = {}  # what apply would come to if nothing else moved
    applied: dict[Outcome, int] = {}
    archived: int = 0
    unlinked: int = 0

    def count(self, outcomes: Counter[Outcome]) -> None:
        """Adds what one batch came to."""
        for outcome, number in outcomes.items():
            self.applied[outcome] = self.applied.get(outcome, 0) + number

    def outcomes(self) -> dict[Outcome, int]:
        """Everything counted so far."""
        return dict(Counter(self.landed) + Counter(self.applied))


class Cursor(BaseModel):
    """`phase`, `into` and `row` name the last batch that was applied whole."""

    intos: list[IntoCursor]
    variables: dict[str, str] = {}
    phase: Phase = "held"
    into: int = 0
    row: int = 0

    def save(self, connection: Connection, run_id: int) -> None:
        connection.execute(
            update(hub.run).where(hub.run.c.id == run_id).values(cursor=self.model_dump(mode="json"))
        )
