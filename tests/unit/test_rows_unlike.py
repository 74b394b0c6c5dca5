"""Staged rows that are all unlike each other are known by what passed, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Thread

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.stages import unlike
from pipelines.stages.same import _Met
from pipelines.stages.unlike import Met

CELLS = st.one_of(st.none(), st.sampled_from(["", "a", "ab", "b", "\x1f", "\x1b", "a\x1f", "\x1b0"]))
PAGES = st.lists(st.lists(st.tuples(CELLS, CELLS), max_size=4), max_size=4)


def met(names: Sequence[str], pages: list[list[tuple[str | None, str | None]]]) -> bool:
    found = Met(names)
    for page in pages:
        found.meet(pa.table({name: pa.array([row[place] for row in page], pa.string())
                             for place, name in enumerate(("one", "other"))}))
    return found.all_unlike()


@given(PAGES)
def test_rows_are_unlike_where_no_two_have_all_values_in_common(pages: list[list[tuple[str | None, str | None]]]) -> None:
    rows = [row for page in pages for row in page]
    both = [row for row in rows if None not in row]
    assert met(["one", "other"], pages) == (len(set(both)) == len(both))
    ones = [one for one, _ in rows if one is not None]
    assert met(["one"], pages) == (len(set(ones)) == len(ones))


def test_of_more_rows_than_are_kept_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlike, "MOST_MET", 3)
    pages: list[list[tuple[str | None, str | None]]] = [[("a", "b"), ("c", "d")], [("e", "f")]]
    assert met(["one"], pages)
    assert not met(["one"], [*pages, [("g", "h")]])
    assert not met(["one"], [*pages, [("g", "h")], [("i", "j")]])


def test_what_one_lane_has_met_twice_no_slower_lane_forgets() -> None:
    met = _Met(4_000_000)
    slow = Thread(target=met.note, args=(np.arange(4_000_000),))
    slow.start()
    while not met._met[0]:
        pass
    met.note(np.array([0]))
    slow.join()
    assert not met.once
