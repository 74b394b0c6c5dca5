"""A run in review that can no longer be applied waits there, untouched, until somebody refuses it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mappings.language.project import require_project
from pipelines.ops.reviews import reviews
from pipelines.runs.settling import Outdated, settle_run
from tests.road_desk import COMPANIES, Road, roads, told

FLOWS = {"guarded": COMPANIES.replace("flow: companies", "flow: guarded") + "guard: {archives: 10%}\n"}
module_road, road = roads(FLOWS)
HEAD = "CODE;NAME;ZIP;NOTES"


def rows(*codes: int) -> list[str]:
    return [f"{code};Company {code};59000;" for code in codes]


@pytest.mark.parametrize("table", ["rows", "held"])
def test_a_run_that_an_older_version_landed_stays_in_review_and_says_what_to_do(road: Road, table: str) -> None:
    road.run("guarded", HEAD, *rows(*range(1, 41)))
    waiting = road.run("guarded", HEAD, *rows(1), state="review")
    column = {"rows": "stamp", "held": "source_no"}[table]
    road.superuser(f"ALTER TABLE staging.r{waiting.run_id}_0_{table} DROP COLUMN {column}")  # as if it had never been
    journal, staged = road.journal(), road.staging()
    with pytest.raises(Outdated, match="an older version of Navette landed this run") as refused:
        settle_run(road.hub, waiting.run_id, approve=True)
    assert f"navette review settle {waiting.run_id} --refuse" in refused.value.todo
    assert road.one("SELECT state FROM sync.run WHERE id = %s", waiting.run_id) == "review"
    assert (road.journal(), road.staging()) == (journal, staged)
    assert [run.run_id for run in reviews(road.hub).runs] == [waiting.run_id]
    assert settle_run(road.hub, waiting.run_id, approve=False).state == "refused"
    assert told(road.run("guarded", HEAD, *rows(*range(1, 41)))) == {"unchanged": 40}


@pytest.mark.parametrize(("before", "after"), [
    ("notes: NOTES", "notes: {from: NOTES, case: upper}"), ("    notes: NOTES\n", ""),
    ("into:\n  entity: company", "into:\n- {entity: contact, key: CODE, fields: {last_name: NAME}}\n- entity: company"),
])
def test_a_run_that_landed_under_another_mapping_stays_in_review_until_it_is_refused(
        road: Road, before: str, after: str) -> None:
    road.run("guarded", HEAD, *rows(*range(1, 41)))
    waiting = road.run("guarded", HEAD, *rows(1), state="review")
    path = road.root / "mappings/flows/guarded.yaml"
    whole = path.read_text()
    path.write_text(whole.replace(before, after, 1))
    changed = replace(road.hub, project=require_project(road.root, {}))
    path.write_text(whole)
    assert changed.project != road.project
    with pytest.raises(Outdated, match="the mapping has changed since this run landed") as refused:
        settle_run(changed, waiting.run_id, approve=True)
    assert f"navette review settle {waiting.run_id} --refuse" in refused.value.todo
    assert road.one("SELECT state FROM sync.run WHERE id = %s", waiting.run_id) == "review"
    assert settle_run(changed, waiting.run_id, approve=False).state == "refused"
