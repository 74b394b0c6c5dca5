"""Of two systems that tell when they changed a row, the later change wins, whoever's file was loaded first."""

from __future__ import annotations

import pytest

from pipelines.ops.conflicts import settle_conflict
from pipelines.ops.reviews import reviews
from pipelines.runs.preview import preview_flow
from tests.road_desk import Road, roads

FLOW = """
flow: {0}
system: {0}
read: {{stamp: AT}}
into:
  entity: company
  key: CODE
  match: [registration]
  fields: {{name: NAME, registration: REG, segment: SEG, source: SRC, parent: {{from: OF, refers: company}}}}
"""
FLOWS = {system: FLOW.format(system) for system in ("erp", "cmms")} | {"plain": """
flow: plain
system: erp
read: {stamp: AT}
into: {entity: company, ids: plain, key: CODE, fields: {name: NAME, source: SRC}}
"""}
HEAD = "CODE;NAME;REG;SEG;SRC;AT;OF"
module_road, road = roads(FLOWS)


def row(segment: str, day: int, source: str = "", parent: str = "") -> str:
    """The one company, as a row that was changed on that day."""
    return f"1;Anvil;R1;{segment};{source};2020-11-{day:02}T10:00:00Z;{parent}"


def segment(road: Road) -> str:
    return str(road.one("SELECT segment FROM crm.company WHERE registration = 'R1'"))


@pytest.fixture
def agreed(road: Road) -> Road:
    """A company that both systems know, and agree on since the 2nd."""
    road.run("erp", HEAD, row("base", 1))
    road.run("cmms", HEAD, row("base", 2))
    return road


@pytest.mark.parametrize(("first", "then"), [(("erp", 3), ("cmms", 4)), (("cmms", 4), ("erp", 3))], ids=str)
def test_the_later_change_wins_whichever_file_was_loaded_first(
        agreed: Road, first: tuple[str, int], then: tuple[str, int]) -> None:
    for system, day in (first, then):
        agreed.run(system, HEAD, row(system, day))
    assert segment(agreed) == "cmms"
    assert agreed.one("SELECT winner FROM sync.conflict") == ("remote" if then[0] == "cmms" else "crm")


@pytest.mark.parametrize(("day", "stands"), [(4, "cmms"), (2, "erp")])
def test_so_it_is_where_the_two_first_meet(road: Road, day: int, stands: str) -> None:
    road.run("erp", HEAD, row("erp", 3, parent="P"), "P;Parent;RP;;;2020-11-09T10:00:00Z;")
    road.run("cmms", HEAD, row("cmms", day))
    assert segment(road) == stands


def test_changes_of_one_moment_are_for_a_person_to_decide_on_whose_decision_is_later(agreed: Road) -> None:
    agreed.run("erp", HEAD, row("erp", 3))
    agreed.run("cmms", HEAD, row("cmms", 3, source="new"))  # of this field the row is taken, in the run that asks
    [waiting] = reviews(agreed.hub).conflicts
    settle_conflict(agreed.hub, waiting.id, "theirs")
    agreed.run("erp", HEAD, row("next", 5))
    assert segment(agreed) == "cmms"


def test_a_row_that_comes_again_with_a_newer_stamp_has_not_changed_the_field_again(agreed: Road) -> None:
    agreed.run("erp", HEAD, row("erp", 3))
    agreed.run("erp", HEAD, row("erp", 5))
    agreed.run("erp", HEAD, row("erp", 6, source="other"))
    agreed.run("cmms", HEAD, row("cmms", 4))
    assert segment(agreed) == "cmms"


def test_an_older_row_that_is_superseded_says_nothing_of_when_the_field_was_changed(agreed: Road) -> None:
    agreed.run("erp", HEAD, row("erp", 5))
    assert agreed.counts("erp", HEAD, row("late", 3)) == {"superseded": 1}
    agreed.run("cmms", HEAD, row("cmms", 4))
    assert segment(agreed) == "erp"


def test_an_edit_in_the_crm_and_a_row_that_tells_no_time_are_of_the_moment_they_came(agreed: Road) -> None:
    agreed.run("erp", HEAD, row("erp", 3))
    agreed.crm("UPDATE crm.company SET segment = 'crm'")
    agreed.run("cmms", HEAD, row("cmms", 4))
    assert segment(agreed) == "crm"
    agreed.run("erp", HEAD, "1;Anvil;R1;crm;;;")
    agreed.run("erp", HEAD, "1;Anvil;R1;silent;;;")
    agreed.run("cmms", HEAD, row("next", 6))
    assert segment(agreed) == "silent"


def test_a_row_that_was_parked_and_tried_again_tells_when_it_was_changed(agreed: Road) -> None:
    assert agreed.counts("erp", HEAD, row("erp", 3, parent="P")) == {"parked": 1}
    agreed.run("erp", HEAD, "P;Parent;RP;;;2020-11-09T10:00:00Z;")
    assert (segment(agreed), agreed.one("SELECT trigger FROM sync.run ORDER BY id DESC")) == ("erp", "retry")
    agreed.run("cmms", HEAD, row("cmms", 4))
    assert segment(agreed) == "cmms"


def test_a_preview_tells_who_will_win(agreed: Road) -> None:
    agreed.run("erp", HEAD, row("erp", 3))
    file = agreed.write("cmms_next.csv", [HEAD, row("cmms", 4)])
    [change] = preview_flow(agreed.hub, "cmms", file=file).changes
    assert change["conflicts"]["segment"]["winner"] == "remote"


def test_stamps_are_kept_of_changes_and_only_where_fields_go_to_the_newest(agreed: Road) -> None:
    agreed.run("erp", HEAD, row("base", 3))
    agreed.run("erp", HEAD, row("erp", 4))
    agreed.run("plain", "CODE;NAME;SRC;AT", "1;Bolt;a;2020-11-05")
    agreed.run("plain", "CODE;NAME;SRC;AT", "1;Bolt;b;2020-11-06")
    kept = agreed.hub_sees("SELECT to_timestamp(stamp / 1000000)::date::text, op, new->>'segment'"
                           " FROM sync.stamp JOIN sync.journal USING (record_id, at) ORDER BY at")
    assert kept == [("2020-11-01", "create", None), ("2020-11-04", "update", "erp")]
