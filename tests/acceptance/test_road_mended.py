"""Files of records that somebody linked, merged or decided on by hand."""

from __future__ import annotations

import pytest

from mappings.errors import ConfigurationError
from pipelines.ops.merging import merge
from pipelines.ops.undoing import undo
from pipelines.runs.settling import settle_row
from tests.road_desk import Road, roads

CUSTOMERS = """
flow: customers
system: erp
into:
  entity: company
  ids: codes
  key: CODE
  match: [registration]
  fields: {name: NAME, registration: REG}
"""
FLOWS = {"customers": CUSTOMERS, "suppliers": CUSTOMERS.replace("customers", "suppliers").replace("[registration]", "[]")}
module_road, road = roads(FLOWS)
HEAD = "CODE;NAME;REG"


def record_of(road: Road, key: str) -> int:
    return int(road.one("SELECT record_id FROM sync.crosswalk_company WHERE key = %s", key))


def test_when_a_merge_is_undone_each_record_has_again_what_its_own_row_says(road: Road) -> None:
    road.run("customers", HEAD, "1;A;R1", "2;B;R2")
    merged = merge(road.hub, "company", record_of(road, "2"), record_of(road, "1"))
    road.run("customers", HEAD, "1;A;R1", "2;New;R2")
    assert road.one("SELECT name FROM crm.company WHERE id = %s", record_of(road, "1")) == "New"
    undo(road.hub, merged.id)
    road.run("customers", HEAD, "1;A;R1", "2;New;R2")
    assert road.companies("name", "registration") == [("A", "R1"), ("New", "R2")]
    assert road.counts("customers", HEAD, "1;A;R1", "2;New;R2") == {"unchanged": 2}


def test_a_row_is_not_linked_to_one_record_while_another_flow_of_its_ids_knows_another(road: Road) -> None:
    road.crm("INSERT INTO crm.company (name, registration) VALUES ('P', 'R1'), ('Q', 'R1')")
    road.run("customers", HEAD, "1;A;R1")
    road.run("suppliers", HEAD, "1;A;")
    row, wrong = (road.one("SELECT id FROM sync.held WHERE state = 'open'"),
                  road.one("SELECT id FROM crm.company WHERE name = 'P'"))
    known = record_of(road, "1")
    with pytest.raises(ConfigurationError, match=f"'1' is company {known} already") as refused:
        settle_row(road.hub, row, link=wrong)
    assert "navette unlink suppliers '1'" in refused.value.todo
    assert road.held() != []
    settle_row(road.hub, row, link=known)
    assert road.hub_sees("SELECT DISTINCT record_id FROM sync.crosswalk_company") == [(known,)]
    assert road.held() == []
