"""What was planted in the demo's files, and what must become of each row of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Generic, TypeVar

Content = TypeVar("Content")

CREATED = "created"
LINKED = "linked"
"""Found in the store: an `updated` or an `unchanged`, by what the row brings."""
SKIPPED = "skipped"
SUPERSEDED = "superseded"
WAITS = "parked:waits_for"


def rejected(code: str) -> str:
    return f"rejected:{code}"


def review(code: str) -> str:
    return f"review:{code}"


@dataclass(frozen=True)
class Row(Generic[Content]):
    """One row of a demo file; `fates` are pairs of an into's label and an outcome, with its cause after a colon."""

    key: str
    content: Content
    fates: tuple[tuple[str, str], ...]
    fault: str = ""

    def fate(self, label: str) -> str:
        return dict(self.fates)[label]


def reordered(rows: Sequence[Row[Content]], random: Random) -> list[Row[Content]]:
    """The same rows in another order; rows of one key keep theirs, since the last of them counts."""
    groups: dict[str, list[Row[Content]]] = {}
    for row in rows:
        groups.setdefault(row.key, []).append(row)
    keys = list(groups)
    random.shuffle(keys)
    return [row for key in keys for row in groups[key]]


@dataclass
class Manifest:
    """Counters of what was written, by flow; `as_json` is what `expected.json` holds.

    ::

        {"planted": {flow: {fault: rows}},
         "first":   {flow: {into: {outcome: rows}}},     the run of day 1
         "causes":  {flow: {into: {code: rows}}}}        of what day 1 holds back
    """

    planted: dict[str, Counter[str]] = field(default_factory=dict)
    outcomes: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    causes: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)

    def count(self, flow: str, rows: Iterable[Row[Any]]) -> None:
        planted = self.planted.setdefault(flow, Counter())
        outcomes = self.outcomes.setdefault(flow, {})
        causes = self.causes.setdefault(flow, {})
        for row in rows:
            if row.fault:
                planted[row.fault] += 1
            for label, fate in row.fates:
                outcome, _, code = fate.partition(":")
                outcomes.setdefault(label, Counter())[outcome] += 1
                if code:
                    causes.setdefault(label, Counter())[code] += 1

    def as_json(self) -> dict[str, Any]:
        return {"planted": self.planted, "first": self.outcomes, "causes": self.causes}
