"""Rows that are in a full file again: their records, archived since they were absent, come back."""

from __future__ import annotations

import pytest

from pipelines.runs.preview import preview_flow
from tests.road_desk import Road, roads

SAYS = {
    "nothing": "",
    "keep": ", archived: {from: GONE, as: boolean, blank: keep}",
    "else_keep": ", archived: {from: GONE, values: {X: true}, else: keep}",
    "no_column": ", archived: OTHER",
    "clear": ", archived: {from: GONE, as: boolean}",
}
FLOWS = {name: f"""
flow: {name}
system: erp
read: {{full: true}}
into: {{entity: company, key: CODE, absent: archive, fields: {{name: NAME{says}}}}}
guard: {{archives: null}}
""" for name, says in SAYS.items()}
module_road, road = roads(FLOWS)
HEAD = "CODE;NAME;GONE"
BOTH = ("1;One;", "2;Two;")
GONE = {"keep": "2;Two;yes", "else_keep": "2;Two;X", "clear": "2;Two;yes"}
UNKNOWN = ("1;One;?", "2;Two;?")  # of which `values` has nothing


def archived(road: Road) -> list[str]:
    return [row[0] for row in road.hub_sees("SELECT name FROM crm.company WHERE archived_at IS NOT NULL ORDER BY 1")]


def silent(flow: str) -> tuple[str, str]:
    """Two rows that do not say that they are archived."""
    return UNKNOWN if flow == "else_keep" else BOTH


@pytest.mark.parametrize("flow", FLOWS)
def test_a_row_that_does_not_say_archived_brings_its_record_back(road: Road, flow: str) -> None:
    both = silent(flow)
    road.run(flow, HEAD, *both)
    assert road.counts(flow, HEAD, both[0]) == {"unchanged": 1, "archived": 1}
    assert archived(road) == ["Two"]
    assert road.counts(flow, HEAD, *both) == {"unchanged": 1, "updated": 1}
    assert archived(road) == []
    journal = road.journal()
    assert road.counts(flow, HEAD, *both) == {"unchanged": 2}
    assert road.journal() == journal
    assert road.counts(flow, HEAD, both[0]) == {"unchanged": 1, "archived": 1}, "gone again, it is archived again"


@pytest.mark.parametrize("flow", ["keep", "else_keep"])
def test_preview_tells_that_it_would(road: Road, flow: str) -> None:
    road.run(flow, HEAD, *silent(flow))
    road.run(flow, HEAD, silent(flow)[0])
    seen = preview_flow(road.hub, flow, file=road.write(f"{flow}.csv", [HEAD, *silent(flow)]))
    assert [(change["key"], change["fields"]) for change in seen.changes] == [("2", {"archived": [True, False]})]


@pytest.mark.parametrize("flow", ["keep", "else_keep"])
def test_what_the_source_itself_said_is_archived_stays_so_until_it_says_otherwise(road: Road, flow: str) -> None:
    road.run(flow, HEAD, silent(flow)[0], GONE[flow])
    assert archived(road) == ["Two"]
    road.run(flow, HEAD, silent(flow)[0])
    assert road.counts(flow, HEAD, *silent(flow)) == {"unchanged": 2}
    assert archived(road) == ["Two"]


@pytest.mark.parametrize("flow", ["keep", "else_keep", "clear"])
def test_a_row_that_says_archived_brings_nothing_back(road: Road, flow: str) -> None:
    road.run(flow, HEAD, *silent(flow))
    road.run(flow, HEAD, silent(flow)[0])
    assert road.counts(flow, HEAD, silent(flow)[0], GONE[flow]) == {"unchanged": 2}
    assert archived(road) == ["Two"]
