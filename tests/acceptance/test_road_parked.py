"""Parked rows come in by themselves, whatever they wait for: a key, a value of another record, or their own record."""

from __future__ import annotations

from pipelines.ops.rejects import open_causes
from tests.road_desk import COMPANIES, Road, roads

FLOWS = {
    "companies": COMPANIES.replace("notes: NOTES", "customer_code: NO"),
    "contacts": """
flow: contacts
system: erp
into:
  entity: contact
  key: ID
  fields: {last_name: NAME, company: {from: NO, refers: {entity: company, by: customer_code}}}
""",
    "phones": """
flow: phones
system: erp
into: {entity: company, ids: companies, key: CODE, create: false, fields: {phone: {from: TEL, as: text}}}
""",
}
module_road, road = roads(FLOWS)
HEAD = "CODE;NAME;ZIP;NO"


def sentences(road: Road) -> list[str]:
    return [cause.sentence for cause in open_causes(road.hub, outcomes=["parked"])]


def test_a_row_that_waits_for_a_value_comes_in_when_one_record_has_it(road: Road) -> None:
    assert road.counts("contacts", "ID;NAME;NO", "1;Martin;K-7", into="contact") == {"parked": 1}
    assert sentences(road) == ["company: waits for company 'K-7' of field customer_code"]
    road.run("companies", HEAD, "1;Anvil;59000;", "2;Bellows;59000;")
    assert len(road.held()) == 1
    road.run("companies", HEAD, "1;Anvil;59000;k7", "2;Bellows;59000;k 7")
    assert road.held() == []
    assert road.hub_sees("SELECT c.name FROM crm.contact p JOIN crm.company c ON c.id = p.company") == [("Bellows",)]


def test_a_row_that_may_not_create_comes_in_when_another_flow_brings_its_record(road: Road) -> None:
    assert road.counts("phones", "CODE;TEL", "1;0102", "9;0109") == {"parked": 2}
    assert sentences(road) == ["waits for company '1' of erp/companies"]
    road.run("companies", HEAD, "1;Anvil;59000;")
    assert road.companies("name", "phone") == [("Anvil", "0102")]
    assert road.held() == [("parked", "9", "waits_for")]
