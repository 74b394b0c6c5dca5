"""Parts of a file's name in the key: each file speaks of its own keys only."""

from __future__ import annotations

import pytest

from pipelines.runs.intake import run_flow
from tests.road_desk import Road, roads, told

pytestmark = pytest.mark.slow

FLOWS = {
    "branches": """
flow: branches
system: erp
read: {files: "BR_{branch}_{day:%Y%m%d}.csv", full: true}
into:
  entity: company
  key: [$branch, CODE]
  absent: archive
  fields: {name: NAME}
""",
    "whole": """
flow: whole
system: erp
read: {files: "WH_FR_{day:%Y%m%d}.csv", full: true}
into: {entity: company, key: CODE, absent: archive, fields: {name: NAME}}
""",
    "written": """
flow: written
system: erp
read: {files: "WR_{branch}_{day:%Y%m%d}.csv", full: true, derive: {branch: {from: $branch, case: upper}}}
into: {entity: company, key: [branch, CODE], absent: archive, fields: {name: NAME}}
""",
}
module_road, road = roads(FLOWS)
HEAD = "CODE;NAME"


def active(road: Road) -> list[str]:
    return sorted(name for name, gone in road.companies("name", "archived_at") if gone is None)


def test_a_full_file_of_one_branch_says_nothing_of_another(road: Road) -> None:
    road.run("branches", HEAD, "1;Alpha", "2;Beta", name="BR_FR_20261110.csv")
    assert told(road.run("branches", HEAD, "1;Gamma", name="BR_BE_20261109.csv")) == {"created": 1}
    assert active(road) == ["Alpha", "Beta", "Gamma"]
    road.run("branches", HEAD, "1;Alpha", name="BR_FR_20261111.csv")
    assert active(road) == ["Alpha", "Gamma"]


def test_an_older_file_of_a_branch_brings_nothing_back(road: Road) -> None:
    road.run("branches", HEAD, "1;New", name="BR_FR_20261111.csv")
    assert told(road.run("branches", HEAD, "1;Old", "2;Gone", name="BR_FR_20261110.csv")) == {"superseded": 2}
    assert active(road) == ["New"]


def test_the_same_content_of_two_branches_is_two_files(road: Road) -> None:
    for branch in ("BE", "FR"):
        (road.root / "drop" / f"BR_{branch}_20261110.csv").write_text(f"{HEAD}\n1;Same\n")
    assert [told(result) for result in run_flow(road.hub, "branches")] == [{"created": 1}, {"created": 1}]


def test_content_that_comes_again_later_is_news_unless_it_was_the_last(road: Road) -> None:
    for day, name in (("10", "One"), ("11", "Two"), ("12", "One"), ("13", "One")):
        (road.root / "drop" / f"BR_FR_202611{day}.csv").write_text(f"{HEAD}\n1;{name}\n")
    results = run_flow(road.hub, "branches")
    assert [told(result) for result in results] == [{"created": 1}, {"updated": 1}, {"updated": 1}]
    assert active(road) == ["One"]
    assert not list((road.root / "drop").glob("BR_*.csv"))


def damaged(road: Road, state: str = "open") -> list[str]:
    """The lines without a key that are held."""
    return [text for (text,) in road.hub_sees(
        "SELECT coalesce(raw_text, raw::text) FROM sync.held WHERE key IS NULL AND state = %s ORDER BY id", state)]


def test_a_newer_full_file_of_a_branch_closes_the_damaged_lines_of_that_branch(road: Road) -> None:
    road.run("branches", HEAD, "1;Alpha", "2;too;much", name="BR_FR_20261110.csv")
    road.run("branches", HEAD, "1;Gamma", "3;too;much", name="BR_BE_20261110.csv")
    road.run("branches", HEAD, "1;Alpha", "2;Beta", name="BR_FR_20261111.csv")
    assert (damaged(road), damaged(road, "closed")) == (["3;too;much"], ["2;too;much"])
    road.run("branches", HEAD, "1;Gamma", name="BR_BE_20261111.csv")
    assert damaged(road) == []


def test_rows_with_a_blank_key_are_closed_as_damaged_lines_are(road: Road) -> None:
    road.run("branches", HEAD, "1;Alpha", ";Nobody", name="BR_FR_20261110.csv")
    road.run("branches", HEAD, "1;Gamma", name="BR_BE_20261111.csv")
    assert len(damaged(road)) == 1
    road.run("branches", HEAD, "1;Alpha", name="BR_FR_20261111.csv")
    assert damaged(road) == []


@pytest.mark.parametrize(("flow", "stem"), [("branches", "BR_FR"), ("whole", "WH_FR")])
def test_an_older_full_file_leaves_damaged_lines_of_a_newer_one_open(road: Road, flow: str, stem: str) -> None:
    road.run(flow, HEAD, "1;New", "2;too;much", name=f"{stem}_20261111.csv")
    road.run(flow, HEAD, "1;Old", name=f"{stem}_20261110.csv")
    assert damaged(road) == ["2;too;much"]
    road.run(flow, HEAD, "1;Newest", name=f"{stem}_20261112.csv")
    assert damaged(road) == []


def test_a_full_file_that_has_a_damaged_line_itself_closes_none(road: Road) -> None:
    road.run("branches", HEAD, "1;Alpha", "2;too;much", name="BR_FR_20261110.csv")
    road.run("branches", HEAD, "1;Alpha", "2;still;too;much", name="BR_FR_20261111.csv")
    assert damaged(road) == ["2;too;much", "2;still;too;much"]


def test_a_branch_that_is_written_in_two_ways_is_one_where_the_key_says_so(road: Road) -> None:
    road.run("written", HEAD, "1;Alpha", "2;too;much", name="WR_fr_20261110.csv")
    road.run("written", HEAD, "1;Gamma", "3;too;much", name="WR_be_20261110.csv")
    road.run("written", HEAD, "1;Alpha", name="WR_FR_20261111.csv")
    assert damaged(road) == ["3;too;much"]
