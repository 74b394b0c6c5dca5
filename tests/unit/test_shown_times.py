"""Times as people read them, by the clock of the machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from pipelines.ops.sentences import shown


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the time zone of this process."""

    def set_(zone: str) -> None:
        monkeypatch.setenv("TZ", zone)
        time.tzset()

    yield set_
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("zone", "moment", "told"), [
    ("Asia/Tokyo", datetime(2026, 11, 22, 1, 44, tzinfo=UTC), "2026-11-22 10:44"),
    ("Asia/Tokyo", datetime(9999, 12, 31, 22, 59, tzinfo=UTC), "9999-12-31 22:59"),
    ("America/New_York", datetime(1, 1, 1, 0, 30, tzinfo=UTC), "1-01-01 00:30"),
])
def test_a_time_that_the_clock_does_not_show_is_told_in_utc(
    clock: Callable[[str], None], zone: str, moment: datetime, told: str,
) -> None:
    clock(zone)
    assert shown(moment) == told
