"""Changed rows of many pages are decoded at once: each keeps its number, line, raw content and outcome."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from pipelines.stages import land
from tests.road_desk import COMPANIES, Road, roads, told

pytestmark = pytest.mark.slow

module_road, road = roads({"companies": COMPANIES})
HEAD = "CODE;NAME;ZIP;NOTES"


@pytest.fixture(params=[1, 3, 5_000])
def small_pages(request: pytest.FixtureRequest) -> Iterator[None]:
    with patch.object(land, "PAGE_ROWS", 2), patch.object(land, "GATHERED_ROWS", request.param):
        yield


def lines(**changed: str) -> list[str]:
    return [changed.get(f"row{number}", f"{number};Name {number};59000;") for number in range(1, 12)]


@pytest.mark.usefixtures("small_pages")
def test_rows_of_many_pages_are_told_apart(road: Road) -> None:
    road.run("companies", HEAD, *lines())
    result = road.run(
        "companies", HEAD,
        *lines(row2="2;Other 2;59000;", row4="4;;59000;kept", row7="7;Name 7;59000;new", row9="9;damaged",
               row10="10;;59000;", row11="11;Other 11;59000;last"),
    )
    assert told(result) == {"unchanged": 5, "updated": 3, "rejected": 3}
    assert [row for row in road.companies("name", "notes") if row[1] or "Other" in row[0]] == [
        ("Name 7", "new"), ("Other 11", "last"), ("Other 2", None)]
    held = road.hub_sees(
        "SELECT key, row_no, line, raw->>'NOTES', raw_text FROM sync.held WHERE state = 'open' ORDER BY line")
    assert held == [("4", 4, 5, "kept", None), (None, 9, 10, None, "9;damaged"), ("10", 10, 11, "", None)]


@pytest.mark.usefixtures("small_pages")
def test_nothing_changed_and_everything_changed(road: Road) -> None:
    road.run("companies", HEAD, *lines())
    assert told(road.run("companies", HEAD, *lines())) == {"unchanged": 11}
    everything = {f"row{number}": f"{number};Other {number};59000;" for number in range(1, 12)}
    assert told(road.run("companies", HEAD, *lines(**everything))) == {"updated": 11}
