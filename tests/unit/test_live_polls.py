"""When live reads again."""

from __future__ import annotations

import pytest

from pipelines.runs.live import next_poll


@pytest.mark.parametrize(("ended", "due"), [
    (100.0, 101.0),  # nothing to read
    (100.3, 101.0),  # the time it took is not added
    (100.9, 101.15),  # a quarter of the poll is left free
    (110.0, 110.25),  # longer than the poll itself
])
def test_polls_keep_their_time_and_leave_some_of_it(ended: float, due: float) -> None:
    assert next_poll(1.0, 100.0, ended) == pytest.approx(due)
