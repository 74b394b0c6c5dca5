"""What rows of a file make of one another's matches and links: an earlier into, or another row, moves the value."""

from __future__ import annotations

import pytest

from pipelines.runs import applying, intake
from tests.road_desk import Road, roads, told

pytestmark = pytest.mark.slow

SINGLE = """
flow: {name}
system: erp
into:
  entity: company
  key: CODE
  match: [registration]
  {more}
  fields: {{name: {{from: NAME, required: true}}, registration: REG}}
"""
FLOWS = {
    "plain": SINGLE.format(name="plain", more=""),
    "several": SINGLE.format(name="several", more="aliases: true"),
    "payers": """
flow: payers
system: erp
into:
  - entity: company
    name: customer
    ids: customers
    key: CODE
    match: [registration]
    fields: {name: {from: NAME, required: true}, registration: REG}
  - entity: company
    name: payer
    ids: payers
    key: PAYER
    match: [registration]
    fields: {name: {from: PNAME, required: true}, registration: PREG}
""",
    "people": """
flow: people
system: erp
into:
  - {entity: company, key: CODE, fields: {name: NAME, registration: REG}}
  - entity: contact
    key: ID
    fields: {last_name: ID, company: {from: OF, refers: {entity: company, by: registration}}}
""",
    "contacts": """
flow: contacts
system: erp
into: {entity: contact, key: ID, fields: {last_name: ID, company: {from: OF, refers: {entity: company, ids: plain}}}}
""",
}
module_road, road = roads(FLOWS)
HEAD, PAYERS, PEOPLE = "CODE;NAME;REG", "CODE;NAME;REG;PAYER;PNAME;PREG", "CODE;NAME;REG;ID;OF"


@pytest.fixture(params=[25_000, 2])
def batches(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying, "BATCH_ROWS", request.param)


def registered(road: Road) -> list[tuple[str, str]]:
    return [(name, number) for name, number in road.companies("name", "registration")]


def test_the_second_into_finds_what_the_first_one_made(road: Road, batches: None) -> None:
    lines = [f"C{n};Co{n};R{n};P{n};Pay{n};R{n + 3}" for n in range(6)]
    run = road.run("payers", PAYERS, *lines)
    assert told(run, "customer") == {"created": 6}
    assert sum(told(run, "payer").values()) == 6
    assert sorted(number for _, number in registered(road)) == [f"R{n}" for n in range(9)]
    again = road.run("payers", PAYERS, *lines)
    assert (told(again, "customer"), told(again, "payer")) == ({"unchanged": 6}, {"unchanged": 6})


def test_a_link_by_a_field_sees_what_an_earlier_into_made_of_it(road: Road, batches: None) -> None:
    road.run("people", PEOPLE, "K1;A;R1;;")
    road.run("people", PEOPLE, "K1;A;R2;P1;R1", "K2;B;R1;P2;R1", "K2;B;R1;P3;R2")
    assert dict(road.hub_sees("SELECT p.last_name, c.name FROM crm.contact p JOIN crm.company c ON c.id = p.company")) == {
        "P1": "B", "P2": "B", "P3": "A"}


def test_a_link_by_a_value_that_nobody_has_any_more_waits(road: Road, batches: None) -> None:
    road.run("people", PEOPLE, "K1;A;R1;;")
    assert told(road.run("people", PEOPLE, "K1;A;R2;P1;R1"), "contact")["parked"] == 1


@pytest.mark.parametrize("order", [1, -1])
def test_a_row_known_by_its_key_may_take_the_value_of_a_new_one(road: Road, batches: None, order: int) -> None:
    road.run("plain", HEAD, "K1;A;R1")
    assert road.counts("plain", HEAD, *["K1;A;R2", "K2;B;R2"][::order]) == {"updated": 1, "review": 1}
    assert registered(road) == [("A", "R2")]


@pytest.mark.parametrize("order", [1, -1])
def test_several_keys_of_a_record_are_told_after_it_gave_a_value_up(road: Road, batches: None, order: int) -> None:
    road.run("several", HEAD, "K1;A;R1")
    lines = ["K1;A;R2", "K2;B;R1"][::order]
    assert road.counts("several", HEAD, *lines) == {"updated": 1, "created": 1}
    assert registered(road) == [("A", "R2"), ("B", "R1")]
    assert road.counts("several", HEAD, *lines) == {"unchanged": 2}


def test_what_a_run_brought_lets_rows_in_also_where_its_process_died_at_its_end(
        road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    road.run("contacts", "ID;OF", "p;K1")
    with monkeypatch.context() as patched:
        patched.setattr(intake, "retry_parked", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            road.run("plain", HEAD, "K1;A;R1")
    assert [row[0] for row in road.held()] == ["parked"]
    assert road.counts("plain", HEAD, "K1;A;R1") == {"unchanged": 1}
    assert road.held() == []


def test_what_a_run_left_in_staging_goes_with_the_next(road: Road) -> None:
    run = road.run("plain", HEAD, "K1;A;R1")
    road.hub_sees(f"CREATE UNLOGGED TABLE staging.r{run.run_id}_0_rows (row_no bigint)")
    road.run("plain", HEAD, "K1;A;R1")
    assert road.staging() == []
