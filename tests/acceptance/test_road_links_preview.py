"""A preview shows the links that the run would make, also to records that the same run brings."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.runs.intake import run_flow
from pipelines.runs.preview import preview_flow
from tests.acceptance.test_road_links import FLOWS, HEAD, row
from tests.road_desk import Road, roads

module_road, road = roads(FLOWS)


def previewed(road: Road, flow: str, head: str, *lines: str) -> dict[tuple[str, str], tuple[str, Any]]:
    """By into and key: the outcome that preview shows, and the fields that move; its counters are those of the run."""
    file = road.write("seen.csv", [head, *lines])
    seen = preview_flow(road.hub, flow, file=file)
    run, = run_flow(road.hub, flow, file=file)
    for into, counts in run.into.items():
        assert {name: seen.result.into[into][name] for name in counts} == counts
    return {(one["into"], one["key"]): (one["outcome"], one["fields"]) for one in seen.changes}


@pytest.mark.parametrize("flow", ["groups", "blank_groups"])
def test_a_preview_shows_links_to_records_that_the_run_would_make(road: Road, flow: str) -> None:
    road.run(flow, HEAD, row("old", "known"), row("known"))
    ids = {name: number for number, name in road.hub_sees("SELECT id, name FROM crm.company")}
    seen = previewed(road, flow, HEAD, row("c", "b"), row("b", "a"), row("a"), row("x", "y"), row("y", "x"),
                     row("old", "a"), row("known", "a"), row("under", "known"))
    assert {key: fields["parent"] for (_, key), (_, fields) in seen.items() if "parent" in fields} == {
        "c": [None, "new: b"], "b": [None, "new: a"], "x": [None, "new: y"], "y": [None, "new: x"],
        "old": [ids["known"], "new: a"], "known": [None, "new: a"], "under": [None, ids["known"]]}
    assert {outcome for (_, key), (outcome, _) in seen.items() if key in ids} == {"updated"}


def test_a_preview_shows_no_link_to_what_does_not_come(road: Road) -> None:
    seen = previewed(road, "blank_groups", HEAD, row("a", "never"), row("b", "a"))
    assert {key: fields.get("parent") for (_, key), (_, fields) in seen.items()} == {"a": None, "b": [None, "new: a"]}


def test_a_preview_shows_sets_and_links_by_a_field_too(road: Road) -> None:
    head = "CODE;NAME;NEXT;COMPANIES;FIRM;SIRET;OF"
    road.run("mixed", head, "0;zero;;;K;;")
    known = road.one("SELECT id FROM crm.company")
    seen = previewed(road, "mixed", head, "1;one;3;F,K,G;;;77", "3;three;;;F;77;")
    assert seen["thing", "1"][1]["companies"] == [None, [known, "new: F"]]
    assert seen["thing", "1"][1]["next"] == [None, "new: 3"]
    assert seen["contact", "1"][1]["company"] == [None, "new: 77"]
