"""Where not one order mark can be read the run says so: nothing tells then which of two rows is newer."""

from __future__ import annotations

import pytest

from tests.road_desk import Road, roads

module_road, road = roads({"stamped": """
flow: stamped
system: erp
read: {stamp: MOD, stamp_format: "%m-%d-%Y"}
into: {entity: company, key: CODE, fields: {name: NAME}}
"""})
HEAD = "CODE;NAME;MOD"


@pytest.mark.parametrize(("rows", "unread"), [
    (("R1;One;05/02/2026", "R2;Two;10/01/2026", "R3;Three;"), 2), (("R1;One;02-05-2026", "R2;Two;10/01/2026"), 0),
    (("R1;One;",), 0),
])
def test_marks_that_cannot_be_read_are_told(road: Road, rows: tuple[str, ...], unread: int) -> None:
    result = road.run("stamped", HEAD, *rows)
    assert result.notices == ([
        f"no mark in MOD tells an order (rows that have one: {unread}), so that older rows overwrite newer ones:"
        " name a column of numbers or times, or write read.stamp_format as the source has them"] if unread else [])
