"""Links by a field of the other record: cells are read as that field's are, and looked for as records have them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipelines.ops.rejects import open_causes
from tests.road_desk import Road, roads, told

pytestmark = pytest.mark.slow

AS_WRITTEN = {
    "siret": ("73282932000074", "732 829 320 00074"), "phone": ("0199006616", "01 99 00 66 16"),
    "vat_number": ("FR71635574122", "fr 71 635574122"), "iban": ("FR1420041010050500013M02606",
    "fr14 2004 1010 0505 0001 3M02 606"), "email": ("jeanne@example.com", "Jeanne@Example.COM"),
    "website": ("https://www.example.com", "www.example.com"), "discount": ("12.5", "12,50"),
    "founded_on": ("2020-02-01", "20200201"), "changed_at": ("2026-01-02 03:04:05", "2026-01-02T04:04:05+01:00"),
    "parent_name": ("Société Dupont", "societe  DUPONT"),
}
COMPANIES = "flow: {0}\nsystem: erp\ninto: {{entity: company, key: CODE, fields: {{name: CODE, {0}: VALUE}}}}\n"
CONTACTS = """
flow: by_{0}
system: erp
into:
  entity: contact
  key: CODE
  fields: {{last_name: CODE, company: {{from: VALUE, refers: {{entity: company, by: {0}}}}}}}
"""
FLOWS = {
    **{name: COMPANIES.format(name) for name in AS_WRITTEN},
    **{f"by_{name}": CONTACTS.format(name) for name in AS_WRITTEN},
    "abroad": """
flow: abroad
system: erp
into:
  entity: contact
  key: CODE
  fields:
    last_name: CODE
    company: {first: [MOBILE, TEL], region: {from: LAND, blank: FR}, refers: {entity: company, by: phone}}
""",
    "lenient": """
flow: lenient
system: erp
into:
  - entity: contact
    key: CODE
    fields: {last_name: CODE, company: {from: VALUE, refers: {entity: company, by: siret, else: blank}}}
  - entity: contact
    name: read_on
    key: CODE
    ids: read_on
    fields:
      last_name: CODE
      company: {from: VALUE, invalid: as_is, refers: {entity: company, by: siret, else: blank}}
""",
    "groups": """
flow: groups
system: erp
into:
  entity: company
  key: CODE
  fields: {name: CODE, siret: SIRET, parent: {from: GROUP, refers: {entity: company, by: siret, else: reject}}}
""",
    "people": """
flow: people
system: cmms
into:
  entity: contact
  key: CODE
  fields: {last_name: CODE, full_name: NAME, manager: {from: BOSS, refers: {entity: contact, by: full_name}}}
""",
    "people_blank": """
flow: people_blank
system: cmms
into:
  entity: contact
  key: CODE
  fields:
    last_name: CODE
    full_name: NAME
    manager: {from: BOSS, refers: {entity: contact, by: full_name, else: blank}}
""",
    "things": """
flow: things
system: erp
into:
  entity: thing
  key: CODE
  fields: {name: CODE, companies: {from: VALUE, split: ",", refers: {entity: company, by: siret}}}
""",
    "nested": """
flow: nested
system: erp
read: {format: jsonl}
into:
  - {entity: thing, key: no, fields: {name: no}}
  - entity: contact
    each: people
    key: [^no, name]
    fields: {last_name: name, company: {from: firm, refers: {entity: company, by: siret}}}
""",
}
module_road, road = roads(FLOWS)
SIRET, SPACED = AS_WRITTEN["siret"]
OTHER, OTHER_SPACED = "55203253400646", "552 032 534 00646"


def managers(road: Road) -> list[tuple[str, str]]:
    """Contacts with their managers."""
    return road.hub_sees("SELECT a.full_name, b.full_name FROM crm.contact a JOIN crm.contact b ON b.id = a.manager")


def contacts(road: Road) -> dict[str, str | None]:
    """Contact to the name of its company."""
    return dict(road.hub_sees("SELECT p.last_name, c.name FROM crm.contact p LEFT JOIN crm.company c"
                              " ON c.id = p.company"))


@pytest.mark.parametrize("name", AS_WRITTEN)
def test_a_value_is_found_however_it_is_written(road: Road, name: str) -> None:
    kept, written = AS_WRITTEN[name]
    road.run(name, "CODE;VALUE", f"firm;{kept}")
    assert road.counts(f"by_{name}", "CODE;VALUE", f"p;{written}", into="contact") == {"created": 1}
    assert contacts(road) == {"p": "firm"}
    assert road.counts(f"by_{name}", "CODE;VALUE", f"p;{written}", into="contact") == {"unchanged": 1}


def test_numbers_are_of_the_country_that_the_mapping_names(road: Road) -> None:
    road.run("phone", "CODE;VALUE", "firm;+32 2 555 12 12", "other;0199006616")
    road.run("abroad", "CODE;MOBILE;TEL;LAND", "p;;02 555 12 12;BE", "q;01.99.00.66.16;02 555 12 12;")
    assert contacts(road) == {"p": "firm", "q": "other"}


def test_a_row_waits_for_the_value_as_records_have_it(road: Road) -> None:
    road.run("by_siret", "CODE;VALUE", f"p;{SPACED}")
    assert [cause.sentence for cause in open_causes(road.hub, "by_siret", ("parked",))] == [
        f"company: waits for the one company whose siret is '{SIRET}'"]
    road.run("siret", "CODE;VALUE", f"firm;{SIRET}")
    assert (contacts(road), road.held()) == ({"p": "firm"}, [])


@pytest.mark.parametrize(("flow", "outcome", "said"), [
    ("by_siret", "parked", "company: waits for '{0}' to be the siret of one company alone; 2 records have it: {1}"),
    ("groups", "rejected", "parent: '{0}' is the siret of 2 records of company ({1}), and does not say which is meant: put"
     " the cell, or those records, right and replay; `else: park` in `refers` lets the row wait until one alone has it,"
     " `else: blank` lets it in without the link"),
])
def test_a_value_that_several_records_have_is_told_with_these(road: Road, flow: str, outcome: str, said: str) -> None:
    road.run("siret", "CODE;VALUE", f"a;{SIRET}", f"b;{SIRET}")
    road.run(flow, *(("CODE;VALUE", f"p;{SPACED}") if flow == "by_siret" else ("CODE;SIRET;GROUP", f"p;;{SPACED}")))
    ids = ", ".join(str(number) for (number,) in road.hub_sees("SELECT id FROM crm.company ORDER BY id"))
    assert [cause.sentence for cause in open_causes(road.hub, flow, (outcome,))] == [said.format(SIRET, ids)]
    assert told(road.run("siret", "CODE;VALUE", f"b;{OTHER}")) == {"updated": 1}
    assert flow == "groups" or (contacts(road), road.held()) == ({"p": "a"}, [])


def test_a_value_that_the_same_run_brings_is_found_however_it_is_written(road: Road) -> None:
    assert road.counts("groups", "CODE;SIRET;GROUP", f"b;{OTHER};{SPACED}", f"a;{SIRET};") == {"created": 2}
    assert road.links() == {"b": "a"}


def test_what_cannot_be_a_value_of_the_field_is_refused_for_that(road: Road) -> None:
    road.run("by_siret", "CODE;VALUE", "p;12345")
    assert [cause.sentence for cause in open_causes(road.hub, "by_siret")] == [
        "company: '12345' is not a valid SIRET (14 digits with a check digit)"]


def test_it_is_no_record_that_is_not_there_unless_it_is_read_as_it_stands(road: Road) -> None:
    result = road.run("lenient", "CODE;VALUE", "p;12345", f"q;{SIRET}")
    assert told(result, "contact") == {"created": 1, "rejected": 1}
    assert told(result, "read_on") == {"created": 2}


@pytest.mark.parametrize("first", ["firms", "things"])
def test_sets_are_found_by_the_values_of_each(road: Road, first: str) -> None:
    flows: dict[str, Any] = {"firms": ("siret", "CODE;VALUE", f"a;{SIRET}", f"b;{OTHER}"),
                             "things": ("things", "CODE;VALUE", f"t;{SPACED},{OTHER_SPACED}", "u;")}
    for name in sorted(flows, key=lambda name: name != first):
        road.run(*flows[name])
    assert road.held() == []
    assert road.hub_sees("SELECT t.name, array_agg(c.name ORDER BY c.name) FROM crm.thing t JOIN crm.company c"
                         " ON c.id = ANY (t.companies) GROUP BY 1") == [("t", ["a", "b"])]


def test_of_a_set_every_value_is_waited_for(road: Road) -> None:
    road.run("things", "CODE;VALUE", f"t;{SPACED},{OTHER_SPACED}")
    road.run("siret", "CODE;VALUE", f"a;{SIRET}")
    assert road.held() == [("parked", "t", "waits_for")]
    road.run("siret", "CODE;VALUE", f"b;{OTHER}")
    assert road.held() == []


def test_of_a_set_what_is_missing_is_told(road: Road) -> None:
    road.run("siret", "CODE;VALUE", f"a;{SIRET}")
    road.run("things", "CODE;VALUE", f"t;{SPACED},{OTHER_SPACED}")
    assert [cause.sentence for cause in open_causes(road.hub, "things", ("parked",))] == [
        f"companies: waits for the one company whose siret is '{OTHER}'"]


def test_elements_of_nested_lists_are_read_alike(road: Road) -> None:
    road.run("siret", "CODE;VALUE", f"firm;{SIRET}")
    road.run("nested", json.dumps({"no": 1, "people": [{"name": "p", "firm": SPACED}]}), name="one.jsonl")
    assert contacts(road) == {"p": "firm"}


PEOPLE = "CODE;NAME;BOSS"


@pytest.mark.parametrize("rows", [("b1;Jean;", "b2;Anne;Jean"), ("b2;Anne;Jean", "b1;Jean;")])
@pytest.mark.parametrize("flow", ["people", "people_blank"])
def test_a_new_row_of_the_run_may_be_the_second_that_has_the_value(road: Road, rows: tuple[str, ...], flow: str) -> None:
    """It had led to the one record that was there, without a word; the next day the row was parked."""
    assert road.counts("people", PEOPLE, "a1;Jean;", into="contact") == {"created": 1}
    assert told(road.run(flow, PEOPLE, *rows), "contact") == (
        {"created": 1, "parked": 1} if flow == "people" else {"created": 2})
    assert managers(road) == []
    if flow == "people":
        assert [cause.sentence.split(";")[0] for cause in open_causes(road.hub, flow, ("parked",))] == [
            "manager: waits for 'Jean' to be the full_name of one contact alone"]


def test_a_value_that_only_rows_of_the_run_bring_is_found_in_it(road: Road) -> None:
    assert road.counts("people_blank", PEOPLE, "b2;Anne;Jean", "b1;Jean;", into="contact") == {"created": 2}
    assert managers(road) == [("Anne", "Jean")]
