"""The guard needs to count no more entries than settle it: the verdict is that of all of them."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mappings.language.flow import Guard
from mappings.words import Outcome
from pipelines.stages.guard import check_guard, enough_entries

LIMITS = st.one_of(st.none(), st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.1, 0.2, 0.3, 0.5, 1.0]))
COUNTS = st.integers(0, 3000)


@given(LIMITS, LIMITS, LIMITS, COUNTS, COUNTS, COUNTS, st.integers(0, 5000))
def test_counting_until_it_is_enough_trips_what_counting_all_would(
    creates: float | None, updates: float | None, archives: float | None, created: int, updated: int, absent: int,
    entries: int
) -> None:
    guard = Guard(creates=creates, updates=updates, archives=archives)
    outcomes: Counter[Outcome] = Counter({"created": created, "updated": updated})
    counted = min(entries, enough_entries(guard, outcomes, absent))
    assert check_guard(guard, "a", 1, outcomes, absent, counted, full=False) == check_guard(
        guard, "a", 1, outcomes, absent, entries, full=False)


def test_one_change_among_many_entries_counts_few() -> None:
    assert enough_entries(Guard(updates=0.1), Counter({"updated": 1}), 0) == 11
    assert enough_entries(Guard(updates=0.1), Counter(), 0) == 0
