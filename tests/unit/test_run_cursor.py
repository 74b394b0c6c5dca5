"""The cursor of a run that creates in lanes: batches may be done before the one that comes first."""

from __future__ import annotations

from itertools import permutations

import pytest

from pipelines.runs.cursor import Cursor

BATCHES = [(0, 10), (10, 20), (20, 35), (35, 36)]


@pytest.mark.parametrize("order", [*permutations(BATCHES)])
def test_in_whatever_order_batches_end_the_cursor_ends_behind_the_last(order: list[tuple[int, int]]) -> None:
    cursor = Cursor(intos=[], phase="first")
    for done, batch in enumerate(order, 1):
        cursor.done(*batch)
        told = [*([(0, cursor.row)] if cursor.row else []), *cursor.beyond]
        assert sum(high - low for low, high in told) == sum(high - low for low, high in order[:done])
    assert (cursor.row, cursor.beyond) == (36, [])


def test_what_was_done_beyond_a_gap_is_passed_over_when_the_gap_is_filled() -> None:
    cursor = Cursor(intos=[], phase="first", row=10, beyond=[(20, 30), (40, 50)])
    cursor.move("first", 0, 15)
    assert cursor.row == 15
    cursor.move("first", 0, 20)
    assert (cursor.row, cursor.beyond) == (30, [(40, 50)])


def test_a_cursor_kept_as_json_knows_its_gaps() -> None:
    cursor = Cursor(intos=[], phase="first", row=10, beyond=[(20, 30)])
    assert Cursor.model_validate(cursor.model_dump(mode="json")) == cursor
