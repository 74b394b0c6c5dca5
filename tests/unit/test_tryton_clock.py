"""The clock of a Tryton server goes by what its answers say."""

from __future__ import annotations

import datetime as dt

import pytest

from connectors.tryton.clock import Clock


def test_it_goes_on_from_the_date_that_was_heard_last() -> None:
    clock = Clock()
    for date in ("Fri, 27 Nov 2026 19:04:58 GMT", "Fri, 27 Nov 2026 21:04:58 +0200", "27 Nov 2026 19:04:58 -0000"):
        clock.hear(date)
        before, after = clock.now, clock.now
        assert dt.datetime(2026, 11, 27, 19, 4, 59, tzinfo=dt.UTC) <= before <= after, date


@pytest.mark.parametrize("date", [None, "", "yesterday", "Fri, 99 Nov 2026 19:04:58 GMT"])
def test_it_is_ours_where_the_server_tells_none(date: str | None) -> None:
    clock = Clock()
    clock.hear(date)
    assert abs(clock.now - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)
