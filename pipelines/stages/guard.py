"""Guard: a run far outside what is usual changes nothing and asks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import inf

from mappings.language.flow import Guard
from mappings.words import Outcome

FEWEST_ROWS = 20
"""Below this many rows or entries a percentage says nothing."""
MOST_ENTRIES = 1 << 40
"""Every one there is."""


@dataclass(frozen=True)
class Tripped:
    """What tripped: a key of the guard, `empty`, or `unseen` (of a push: nothing was read yet of what is there), the
    into, the count and what it was counted against."""

    what: str
    label: str
    count: int
    of: int
    limit: float

    def told(self) -> dict[str, object]:
        return {"what": self.what, "into": self.label, "count": self.count, "of": self.of, "limit": self.limit}


def enough_entries(guard: Guard, outcomes: Counter[Outcome], absent: int) -> int:
    """With so many entries, or more, nothing trips that is counted against entries: no more need be counted, since with
    a million of them that would cost more than a live change. Fewer are counted exactly, and told. 0: none at all."""
    shares = [(guard.creates, outcomes["created"]), (guard.updates, outcomes["updated"]), (guard.archives, absent)]
    needed = [count / limit if limit else inf for limit, count in shares if limit is not None and count]
    return int(min(max(needed) + 1, MOST_ENTRIES)) if needed else 0


def check_guard(guard: Guard, label: str, rows_read: int, outcomes: Counter[Outcome], absent: int, entries: int,
                *, full: bool) -> list[Tripped]:
    """What trips for one into. Rejects count against rows read, the rest against the entries there were before.

    A full read without a single row trips always when there were entries.
    """
    if full and rows_read == 0 and entries > 0:
        return [Tripped("empty", label, 0, entries, 0.0)]
    shares = [
        ("rejects", guard.rejects, outcomes["rejected"], rows_read),
        ("creates", guard.creates, outcomes["created"], entries),
        ("updates", guard.updates, outcomes["updated"], entries),
        ("archives", guard.archives, absent, entries),
    ]
    return [
        Tripped(what, label, count, of, limit)
        for what, limit, count, of in shares
        if limit is not None and of >= FEWEST_ROWS and count > limit * of
    ]
