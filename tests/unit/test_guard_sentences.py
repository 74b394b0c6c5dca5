"""Whatever a guard trips on has its sentence, of what comes in and of what goes out."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import pytest

from mappings.language.flow import Guard
from mappings.words import Outcome
from pipelines.ops.sentences import guard_lines
from pipelines.stages.guard import check_guard


@pytest.mark.parametrize(("of", "less"), [
    ("run", set()), ("sent", {"rejects", "empty"}), ("file", {"creates"}),
])
def test_everything_that_a_guard_trips_on_is_told_in_words(
    of: Literal["run", "sent", "file"], less: set[str]
) -> None:
    guard = Guard.model_validate(dict.fromkeys(Guard.model_fields, 0))
    outcomes: Counter[Outcome] = Counter({"rejected": 5, "created": 5, "updated": 5})
    tripped = [*check_guard(guard, "company", 30, outcomes, 5, 30, full=True),
               *check_guard(guard, "company", 0, Counter(), 0, 30, full=True)]
    assert {trip.what for trip in tripped} == {*Guard.model_fields, "empty"}
    tripped = [trip for trip in tripped if trip.what not in less]
    lines = guard_lines([trip.told() for trip in tripped], of)
    assert len(set(lines)) == len(tripped)
    assert all("company: " in line and "30" in line for line in lines)
