"""Times at the ends of the calendar: no cell that holds one stops a file, and what comes in can be read by everybody."""

from __future__ import annotations

import pytest

from tests.road_desk import Road, roads

FLOW = """
flow: orders
system: erp
into: {entity: work_order, key: CODE, fields: {number: CODE, starts_at: {from: AT, timezone: ZONE}}}
"""

module_road, road = roads({
    "paris": FLOW.replace("orders", "paris").replace("ZONE", "Europe/Paris"),
    "york": FLOW.replace("orders", "york").replace("ZONE", "America/New_York"),
})


@pytest.mark.parametrize(("flow", "cell"), [
    ("paris", "0001-01-01 00:00:00"), ("paris", "0001-01-01 00:00:00+02:00"), ("paris", "9999-12-31 23:59:59-05:00"),
    ("york", "9999-12-31 23:59:59"),
])
def test_a_time_that_is_in_no_year_of_ours_is_refused_and_the_other_rows_come_in(road: Road, flow: str, cell: str) -> None:
    lines = ("CODE;AT", "1;2026-01-01 10:00", f"2;{cell}", "3;")
    assert road.counts(flow, *lines, into="work_order") == {"created": 2, "rejected": 1}
    assert road.held() == [("rejected", "2", "not_datetime")]
    assert road.counts(flow, *lines, into="work_order") == {"unchanged": 2, "rejected": 1}


def test_the_last_second_of_the_calendar_comes_in_where_utc_has_it(road: Road) -> None:
    assert road.counts("paris", "CODE;AT", "1;9999-12-31 23:59:59", into="work_order") == {"created": 1}
    assert road.one("SELECT starts_at::text FROM crm.work_order") == "9999-12-31 22:59:59+00"
