"""Parked rows come in by themselves, whatever they wait for: a key, a value of another record, or their own record."""

from __future__ import annotations

from pipelines.ops.rejects import open_causes
from pipelines.ops.reviews import reviews
from tests.road_desk import COMPANIES, Road, roads, told

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
    "guarded": """
flow: guarded
system: erp
into:
  entity: company
  ids: companies
  key: CODE
  create: false
  fields: {phone: {from: TEL, as: text, max: 9}, parent: {from: GROUP, refers: {entity: company, ids: companies}}}
guard: {rejects: 10%}
""",
    "groups": """
flow: groups
system: erp
read: {files: "GRP_{day:%Y%m%d}.csv"}
into:
  entity: company
  key: CODE
  fields:
    name: NAME
    parent: {from: GROUP, refers: {entity: company, ids: groups}}
    salesperson: {from: SELLER, refers: {entity: employee, ids: staff}}
""",
    "staff": """
flow: staff
system: erp
into: {entity: employee, key: CODE, fields: {last_name: NAME}}
""",
    "dated": """
flow: dated
system: erp
read: {files: "DAT_{day:%Y%m%d}.csv"}
into:
  entity: company
  key: CODE
  fields: {name: NAME, notes: $day, parent: {from: GROUP, refers: {entity: company, ids: dated}}}
""",
    "matched": """
flow: matched
system: erp
into: {entity: company, key: CODE, match: [name], fields: {name: NAME, parent: {from: GROUP, refers: company}}}
""",
    "both": """
flow: both
system: erp
into:
  - {entity: company, key: CODE, fields: {name: NAME}}
  - entity: company
    name: phones
    ids: both
    key: CODE
    create: false
    fields: {phone: {from: TEL, as: text}, parent: {from: GROUP, refers: {entity: company, ids: both}}}
""",
    "things": """
flow: things
system: erp
into:
  entity: thing
  key: CODE
  fields:
    name: NAME
    companies: {from: NOS, split: ",", refers: {entity: company, ids: companies}}
    next: {from: NEXT, refers: {entity: thing, ids: things}}
""",
    "fitting": """
flow: fitting
system: cmms
into:
  entity: company
  ids: sites
  key: CODE
  create: false
  match: [registration, {on: [name, postal_code], unless: registration}]
  scope: {type: [customer]}
  fields: {registration: REG, name: NAME, postal_code: {from: ZIP, region: FR}, notes: NOTES}
""",
    "sites": """
flow: sites
system: cmms
into: {entity: company, ids: sites, key: CODE, match: [registration], fields: {name: NAME, registration: REG}}
""",
    "registered": """
flow: registered
system: erp
into:
  entity: company
  key: CODE
  fields: {name: NAME, registration: REG, postal_code: {from: ZIP, region: FR}, type: {from: TYPE, blank: keep}}
""",
    "payers": """
flow: payers
system: erp
into:
  - {entity: company, key: CODE, fields: {name: NAME, registration: REG}}
  - entity: company
    name: payer
    ids: paying
    key: PAYER
    create: false
    match: [registration]
    fields: {registration: PAYER_REG, notes: NOTES}
""",
    "people": """
flow: people
system: erp
into:
  - {entity: company, key: CODE, fields: {name: NAME}}
  - entity: contact
    owner: company
    key: ID
    create: false
    match: [last_name]
    fields: {last_name: PERSON, phone: {from: TEL, as: text}}
""",
}
module_road, road = roads(FLOWS)
HEAD = "CODE;NAME;ZIP;NO"


def sentences(road: Road) -> list[str]:
    return [cause.sentence for cause in open_causes(road.hub, outcomes=["parked"])]


def test_a_row_that_waits_for_a_value_comes_in_when_one_record_has_it(road: Road) -> None:
    assert road.counts("contacts", "ID;NAME;NO", "1;Martin;K-7", into="contact") == {"parked": 1}
    assert sentences(road) == ["company: waits for the one company whose customer_code is 'K-7'"]
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


def test_rows_of_a_run_in_review_say_the_same_of_what_they_wait_for(road: Road) -> None:
    road.run("companies", HEAD, "1;Anvil;59000;")
    refused = [f"{n};{'5' * 99};" for n in range(100, 120)]
    road.run("guarded", "CODE;TEL;GROUP", *refused, "9;0109;", "1;0101;8", state="review")
    [waiting] = reviews(road.hub).runs
    assert {cause.sentence for cause in waiting.causes if cause.outcome == "parked"} == {
        "waits for company '9' of erp/companies", "parent: waits for company '8' of erp/companies"}


def test_a_row_that_may_not_create_is_counted_once_when_its_record_comes_in_the_same_run(road: Road) -> None:
    result = road.run("both", "CODE;NAME;TEL;GROUP", "1;Anvil;0101;2", "2;Bolt;0102;")
    assert (told(result), told(result, "phones")) == ({"created": 2}, {"parked": 2})
    assert road.companies("name", "phone") == [("Anvil", "0101"), ("Bolt", "0102")]
    assert road.held() == []


def test_a_row_to_be_reviewed_that_waits_for_its_parent_is_counted_once(road: Road) -> None:
    for _ in range(2):
        road.crm("INSERT INTO crm.company (name) VALUES ('Anvil')")
    assert road.counts("matched", "CODE;NAME;GROUP", "1;Anvil;2", "2;Bolt;") == {"created": 1, "review": 1}
    assert road.held() == [("review", "1", "ambiguous")]


def parents(road: Road) -> list[tuple[str, str]]:
    return road.hub_sees("SELECT c.name, p.name FROM crm.company c JOIN crm.company p ON p.id = c.parent ORDER BY 1")


def runs(road: Road) -> int:
    return int(road.one("SELECT count(*) FROM sync.run"))


def test_rows_of_several_files_that_wait_for_each_other_come_in_together(road: Road) -> None:
    head = "CODE;NAME;GROUP"
    road.run("groups", head, "1;Anvil;3", "4;On the ring;1", name="GRP_20260101.csv")
    road.run("groups", head, "2;Bolt;1", name="GRP_20260102.csv")
    assert [row[0] for row in road.held()] == ["parked"] * 3
    road.run("groups", head, "3;Chain;2", name="GRP_20260103.csv")
    assert road.held() == []
    assert parents(road) == [("Anvil", "Chain"), ("Bolt", "Anvil"), ("Chain", "Bolt"), ("On the ring", "Anvil")]


def test_a_ring_that_also_waits_for_something_else_is_left_alone_until_that_comes(road: Road) -> None:
    head = "CODE;NAME;GROUP;SELLER"
    road.run("groups", head, "1;Anvil;2;9", name="GRP_20260101.csv")
    road.run("groups", head, "2;Bolt;1;", name="GRP_20260102.csv")
    before = runs(road)
    road.run("groups", head, "7;Other;;", name="GRP_20260103.csv")
    assert (runs(road) - before, len(road.held())) == (1, 2)
    road.run("staff", "CODE;NAME", "9;Martin")
    assert road.held() == []
    assert parents(road) == [("Anvil", "Bolt"), ("Bolt", "Anvil")]


def test_a_ring_over_files_whose_names_are_values_stays_parked_and_is_not_tried_again_and_again(road: Road) -> None:
    head = "CODE;NAME;GROUP"
    road.run("dated", head, "1;Anvil;2", name="DAT_20260101.csv")
    road.run("dated", head, "2;Bolt;1", name="DAT_20260102.csv")
    before = runs(road)
    road.run("dated", head, "3;Other;", name="DAT_20260103.csv")
    assert (runs(road) - before, len(road.held())) == (1, 2)


def test_a_row_that_lacks_nothing_of_a_set_is_not_tried_for_it_while_another_link_waits(road: Road) -> None:
    road.run("companies", HEAD, "1;Anvil;59000;", "2;Bolt;59000;")
    road.run("things", "CODE;NAME;NOS;NEXT", "t;Thing;1,2;u")
    before = runs(road)
    road.run("companies", HEAD, "1;Anvil;59000;", "2;Bolt;59000;", "3;Chain;59000;")
    assert (runs(road) - before, len(road.held())) == (1, 1)
    road.run("things", "CODE;NAME;NOS;NEXT", "u;Next;1;")
    assert road.held() == []


FITTING, REGISTERED = "CODE;REG;NAME;ZIP;NOTES", "CODE;NAME;REG;ZIP;TYPE"


def test_a_row_that_may_not_create_comes_in_when_another_flow_makes_a_record_that_fits(road: Road) -> None:
    assert road.counts("fitting", FITTING, "S1;R1;A;;one", "S2;R2;B;;two") == {"parked": 2}
    before = runs(road)
    road.run("registered", REGISTERED, "1;Anvil;r1;;customer", "2;Bolt;R9;;customer")
    assert road.companies("name", "notes") == [("Anvil", "one"), ("Bolt", None)]
    assert (road.held(), runs(road) - before) == ([("parked", "S2", "waits_for")], 2)


def test_a_row_that_may_not_create_comes_in_when_an_earlier_into_of_its_flow_makes_a_record_that_fits(road: Road
                                                                                                     ) -> None:
    head = "CODE;NAME;REG;PAYER;PAYER_REG;NOTES"
    result = road.run_all("payers", [head, "1;Anvil;R1;P1;R2;one", "2;Bolt;R2;P2;R9;two"])[-1]
    assert (told(result), told(result, "payer")) == ({"created": 2}, {"parked": 2})
    assert road.companies("name", "notes") == [("Anvil", None), ("Bolt", "one")]
    assert road.held() == [("parked", "P2", "waits_for")]


def test_all_fields_of_a_rule_have_to_fit_what_a_row_waits_for_as_match_compares_them(road: Road) -> None:
    road.run("fitting", FITTING, "S1;;Hôtel L'Étoile;59000;one", "S2;R2;Bolt;59000;two", "S3;;Chain;59000;three")
    before = runs(road)
    road.run("registered", REGISTERED, "1;Hotel;;59000;customer", "2;HOTEL L ETOILE;;59100;customer",
             "3;Bolt;R9;59000;customer", "4;Chain;;59000;supplier")
    assert (len(road.held()), runs(road) - before) == (3, 1)  # none was tried: R9 is a stranger, a supplier out of scope
    road.run("registered", REGISTERED, "2;HOTEL L ETOILE;;59000;customer")
    assert [key for _, key, _ in road.held()] == ["S2", "S3"]
    assert road.one("SELECT notes FROM crm.company WHERE name = 'HOTEL L ETOILE'") == "one"


def test_a_row_whose_values_fit_nothing_comes_in_by_its_key(road: Road) -> None:
    road.run("fitting", FITTING, "S1;R1;A;;one", "S2;R2;B;;two")
    road.hub_sees("UPDATE sync.held SET waits_for = (waits_for -> 0) - 'values'")  # as an earlier version held them
    road.hub_sees("UPDATE sync.held SET waits_for = jsonb_build_array(waits_for)")
    road.run("sites", "CODE;NAME;REG", "S1;Anvil;R7", "S3;Bolt;R2")
    assert road.held() == [("parked", "S2", "waits_for")]
    road.run("fitting", FITTING, "S4;R4;D;;four")
    road.run("sites", "CODE;NAME;REG", "S4;Chain;R8")
    assert road.companies("name", "notes") == [("Anvil", "one"), ("Bolt", None), ("Chain", "four")]


def test_a_child_that_may_not_create_comes_in_when_its_owner_has_one_that_fits(road: Road) -> None:
    road.run("people", "CODE;NAME;ID;PERSON;TEL", "1;Anvil;a;Martin;0101", "2;Bolt;b;Martin;0102")
    owner = road.one("SELECT id FROM crm.company WHERE name = 'Bolt'")
    road.crm("INSERT INTO crm.contact (last_name, company) VALUES ('MARTIN', %s)", owner)
    road.run("companies", HEAD, "9;Other;;")
    assert road.held() == [("parked", "a", "waits_for")]
    assert road.hub_sees("SELECT company, phone FROM crm.contact") == [(owner, "0102")]
