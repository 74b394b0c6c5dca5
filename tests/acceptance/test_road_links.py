"""Rows that need other rows: parents later than children, cycles, sets, owners, and what never comes."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.ops.rejects import open_causes
from pipelines.ops.trace import trace
from pipelines.runs import applying
from pipelines.runs.replay import admit_again
from tests.road_desk import Road, roads, told

pytestmark = pytest.mark.slow

FLOWS = {
    "groups": """
flow: groups
system: erp
into:
  entity: company
  key: CODE
  fields: {name: NAME, siret: {from: SIRET, as: text}, parent: {from: GROUP, refers: company}}
""",
    "more_groups": """
flow: more_groups
system: erp
into:
  entity: company
  key: CODE
  fields: {name: NAME, parent: {from: GROUP, refers: {entity: company, ids: groups}}}
""",
    "blank_links": """
flow: blank_links
system: erp
into:
  entity: company
  key: CODE
  fields: {name: NAME, parent: {from: GROUP, refers: {entity: company, ids: groups, else: blank}}}
""",
    "blank_groups": """
flow: blank_groups
system: erp
into:
  entity: company
  key: CODE
  fields:
    name: NAME
    siret: {from: SIRET, as: text}
    parent: {from: GROUP, refers: {entity: company, else: blank}}
""",
    "mixed": """
flow: mixed
system: erp
into:
  - entity: thing
    key: CODE
    fields:
      name: {from: NAME, required: true}
      next: {from: NEXT, refers: {entity: thing, else: blank}}
      companies: {from: COMPANIES, refers: {entity: company, ids: mixed, else: blank}, many: true, split: ","}
  - {entity: company, key: FIRM, when: {FIRM: {not: [""]}}, fields: {name: FIRM, siret: {from: SIRET, as: text}}}
  - entity: contact
    key: CODE
    fields: {last_name: NAME, company: {from: OF, as: text, refers: {entity: company, by: siret, else: blank}}}
""",
    "by_field": """
flow: by_field
system: erp
into:
  entity: contact
  key: ID
  fields: {last_name: NAME, company: {from: SIRET, as: text, refers: {entity: company, by: siret}}}
""",
    "strict": """
flow: strict
system: erp
into:
  - entity: contact
    key: CODE
    fields:
      last_name: NAME
      company: {from: GROUP, refers: {entity: company, ids: strict, else: reject}}
  - entity: company
    key: CODE
    fields:
      name: {from: NAME, required: true}
      siret: {from: SIRET, as: text}
      parent: {from: GROUP, refers: {entity: company, else: reject}}
""",
    "strict_by": """
flow: strict_by
system: erp
into:
  entity: company
  key: CODE
  fields:
    name: {from: NAME, required: true}
    siret: {from: SIRET, as: text}
    parent: {from: GROUP, as: text, refers: {entity: company, by: siret, else: reject}}
""",
    "staff": """
flow: staff
system: erp
into:
  - {entity: company, key: CODE, fields: {name: {from: SIRET, required: true}}}
  - entity: contact
    key: CODE
    owner: company
    fields: {last_name: NAME, manager: {from: GROUP, refers: {entity: contact, else: reject}}}
""",
    "visitors": """
flow: visitors
system: erp
into:
  {entity: contact, key: CODE, fields: {last_name: NAME, company: {from: GROUP, refers: {entity: company, ids: strict}}}}
""",
    "things": """
flow: things
system: erp
into:
  entity: thing
  key: CODE
  fields:
    name: NAME
    companies: {from: COMPANIES, refers: {entity: company, ids: groups}, many: true, split: ","}
""",
    "sites": """
flow: sites
system: erp
into:
  - {entity: company, key: CODE, fields: {name: {from: NAME, required: true}}}
  - {entity: address, owner: {entity: company, role: billing}, key: CODE, fields: {street: STREET, city: CITY}}
  - {entity: contact, owner: company, key: [CODE, WHO], when: {WHO: {not: [""]}}, fields: {last_name: WHO}}
""",
    "nested": """
flow: nested
system: erp
read: {format: jsonl}
into:
  - {entity: document, key: no, fields: {number: no}}
  - {entity: document_line, owner: document, each: lines, whole: true, key: [^no, n], fields: {description: what}}
""",
}
module_road, road = roads(FLOWS)
HEAD = "CODE;NAME;SIRET;GROUP"


def row(code: str, group: str = "", siret: str = "") -> str:
    return f"{code};{code};{siret};{group}"


def test_parents_may_come_after_their_children_in_one_file(road: Road) -> None:
    counts = road.counts("groups", HEAD, row("e", "d"), row("d", "c"), row("c", "b"), row("b", "a"), row("a"))
    assert counts == {"created": 5}
    assert road.links() == {"b": "a", "c": "b", "d": "c", "e": "d"}
    assert (road.held(), road.counts("groups", HEAD, row("e", "d"), row("a"))) == ([], {"unchanged": 2})


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_chain_holds_whatever_the_batches(road: Road, monkeypatch: Any, batch: int) -> None:
    monkeypatch.setattr(applying, "BATCH_ROWS", batch)
    lines = [row(*pair) for pair in ("dc", "ba", "fe", "cb", "ed", "a", "xy", "yx")]
    assert road.counts("groups", HEAD, *lines) == {"created": 8}
    assert road.links() == {"b": "a", "c": "b", "d": "c", "e": "d", "f": "e", "x": "y", "y": "x"}


@pytest.mark.parametrize("batch", [1, 25_000])
def test_what_is_refused_for_want_of_its_record_is_not_when_the_same_run_brings_it(road: Road, monkeypatch: Any,
                                                                                   batch: int) -> None:
    monkeypatch.setattr(applying, "BATCH_ROWS", batch)
    lines = [row("c", "b"), row("b", "a"), row("a"), row("x", "y"), row("y", "x"), row("lost", "nobody"),
             row("under", "lost")]
    result = road.run("strict", HEAD, *lines)
    assert told(result) == {"created": 5, "rejected": 2}
    assert told(result, "contact") == {"created": 5, "rejected": 2}
    assert road.links() == {"b": "a", "c": "b", "x": "y", "y": "x"}
    assert sorted(road.held()) == [("rejected", "lost", "not_there"), ("rejected", "lost", "not_there"),
                                   ("rejected", "under", "not_there"), ("rejected", "under", "not_there")]
    assert road.counts("strict", HEAD, row("nobody"), *lines) == {"created": 3, "unchanged": 5}
    assert road.held() == []


def test_rows_that_wait_for_a_row_that_is_admitted_again_come_in_with_it(road: Road) -> None:
    assert road.counts("strict", HEAD, row("b", "a")) == {"rejected": 1}
    assert road.counts("visitors", HEAD, row("v", "b"), into="contact") == {"parked": 1}
    road.run("strict", HEAD, row("a"))
    results = admit_again(road.hub, "strict", None)
    assert [told(result, into) for result, into in zip(results, ("company", "contact"), strict=True)] == [
        {"created": 1}, {"created": 1}]
    assert road.held() == []


def test_a_row_that_waits_for_its_owner_is_not_refused_for_a_record_that_the_run_brings(road: Road) -> None:
    lines = [row("a", "b"), row("b", siret="firm"), row("c", "nobody")]
    assert told(road.run("staff", HEAD, *lines), "contact") == {"created": 1, "parked": 1, "rejected": 1}
    assert [held for held in road.held() if held[2] != "required"] == [
        ("parked", "a", "waits_for"), ("rejected", "c", "not_there")]
    assert told(road.run("staff", HEAD, row("a", "b", "other"), *lines[1:]), "contact") == {
        "created": 1, "unchanged": 1, "rejected": 1}


@pytest.mark.parametrize("batch", [1, 25_000])
def test_so_it_is_with_links_by_a_field(road: Road, monkeypatch: Any, batch: int) -> None:
    monkeypatch.setattr(applying, "BATCH_ROWS", batch)
    lines = [row("c", "22", "33"), row("b", "11", "22"), row("a", "", "11"), row("x", "55", "44"), row("y", "44", "55"),
             row("lost", "99"), row("both", "66"), row("one", "", "66"), row("other", "", "66")]
    assert road.counts("strict_by", HEAD, *lines) == {"created": 7, "rejected": 2}
    assert road.links() == {"b": "a", "c": "b", "x": "y", "y": "x"}
    assert sorted(road.held()) == [("rejected", "both", "not_there"), ("rejected", "lost", "not_there")]


TODO = ("put the cell right, or bring that record in and replay; `else: park` in `refers` lets the row wait for it,"
        " `else: blank` lets it in without the link")


@pytest.mark.parametrize("waits", ["", "later"])
def test_what_is_refused_for_want_of_its_record_tells_which_and_what_to_do(road: Road, waits: str) -> None:
    # One that hangs on a row which the store refuses is refused late, while applying; the other while it lands.
    road.superuser("ALTER TABLE crm.company ADD CONSTRAINT no_bad CHECK (siret <> 'bad')")
    try:
        road.run("strict", HEAD, row("b", "a"), *([row("a", siret="bad")] if waits else []))
    finally:
        road.superuser("ALTER TABLE crm.company DROP CONSTRAINT no_bad")
    sentence = f"company: company 'a' of erp/strict is not there: {TODO}"
    assert sentence in {cause.sentence for cause in open_causes(road.hub, "strict")}
    assert [sentence] in [event.said["causes"] for event in trace(road.hub, "erp", "b").events]


def test_a_value_that_no_one_record_has_is_told_as_such(road: Road) -> None:
    road.run("strict_by", HEAD, row("lost", "99"))
    assert [cause.sentence for cause in open_causes(road.hub, "strict_by")] == [
        f"parent: there is not exactly one company whose siret is '99': {TODO}"]
    road.run("by_field", "ID;NAME;SIRET", "1;One;99")
    assert [cause.sentence for cause in open_causes(road.hub, "by_field", ("parked",))] == [
        "company: waits for the one company whose siret is '99'"]


def test_of_a_set_the_keys_are_told_that_are_looked_for(road: Road) -> None:
    road.run("things", "CODE;NAME;COMPANIES", "1;one;x,y")
    assert [cause.sentence for cause in open_causes(road.hub, "things", ("parked",))] == [
        "companies: waits for company 'x, y' of erp/groups"]


def test_cycles_come_in_together_and_what_hangs_on_them_too(road: Road) -> None:
    lines = [row("leaf", "a"), row("a", "b"), row("b", "c"), row("c", "a"), row("self", "self"), row("under", "leaf")]
    assert road.counts("groups", HEAD, *lines) == {"created": 6}
    assert road.links() == {"a": "b", "b": "c", "c": "a", "leaf": "a", "self": "self", "under": "leaf"}
    journal = road.journal()
    assert road.counts("groups", HEAD, *lines) == {"unchanged": 6}
    assert road.journal() == journal


def test_a_cycle_that_hangs_on_what_never_comes_is_parked_whole(road: Road) -> None:
    counts = road.counts("groups", HEAD, row("a", "b"), row("b", "missing"), row("c", "a"), row("free"))
    assert counts == {"created": 1, "parked": 3}


def test_a_parent_of_a_later_file_brings_its_children_in(road: Road) -> None:
    assert road.counts("groups", HEAD, row("c", "b"), row("b", "a")) == {"parked": 2}
    results = road.run_all("groups", [HEAD, row("a")])
    assert told(results[-1]) == {"created": 1}
    assert (road.links(), road.held()) == ({"b": "a", "c": "b"}, [])
    assert {row[2] for row in road.held("closed")} == {"waits_for"}


def test_a_parent_of_a_later_flow_brings_them_in_too(road: Road) -> None:
    assert road.counts("more_groups", "CODE;NAME;GROUP", "m;m;g") == {"parked": 1}
    road.run("groups", HEAD, row("g"))
    assert (road.links(), road.held()) == ({"m": "g"}, [])


def test_retried_rows_are_input_rows_of_the_run_that_retries(road: Road) -> None:
    road.run("more_groups", "CODE;NAME;GROUP", "m;m;g", "n;n;never")
    road.run("groups", HEAD, row("g"))
    found = road.hub_sees("SELECT i.rows_read, i.created, i.parked FROM sync.run r JOIN sync.run_into i"
                          " ON i.run_id = r.id WHERE r.trigger = 'retry'")
    assert found == [(1, 1, 0)]
    assert road.held() == [("parked", "n", "waits_for")]


def test_what_refers_to_a_rejected_row_is_parked_until_that_is_corrected(road: Road) -> None:
    result = road.run("sites", "CODE;NAME;STREET;CITY;WHO", "1;;Main;Lille;Martin", "2;Two;High;Lille;")
    assert told(result) == {"created": 1, "rejected": 1}
    assert told(result, "address") == {"created": 1, "parked": 1}
    assert told(result, "contact") == {"parked": 1, "skipped": 1}
    result = road.run("sites", "CODE;NAME;STREET;CITY;WHO", "1;One;Main;Lille;Martin")
    assert [told(result, into) for into in ("company", "address", "contact")] == [{"created": 1}] * 3
    assert road.held() == []


def test_addresses_of_different_owners_are_never_one_however_alike(road: Road) -> None:
    road.run("sites", "CODE;NAME;STREET;CITY;WHO", "1;One;Main;Lille;", "2;Two;Main;Lille;")
    found = road.hub_sees("SELECT c.name, a.street, a.role FROM crm.address a JOIN crm.company c ON c.id = a.company"
                          " ORDER BY 1")
    assert found == [("One", "Main", "billing"), ("Two", "Main", "billing")]


def test_links_may_stay_blank_and_are_filled_when_the_row_comes_again(road: Road) -> None:
    assert road.counts("blank_links", "CODE;NAME;GROUP", "1;child;g") == {"created": 1}
    road.run("groups", HEAD, row("g"))
    assert road.links() == {}
    road.run("blank_links", "CODE;NAME;GROUP", "1;child;g")
    assert road.links() == {"child": "g"}


@pytest.mark.parametrize("batch", [1, 2, 25_000])
def test_links_that_may_stay_blank_are_made_where_the_same_run_brings_their_record(
        road: Road, monkeypatch: Any, batch: int) -> None:
    monkeypatch.setattr(applying, "BATCH_ROWS", batch)
    lines = [row("c", "b"), row("b", "a"), row("a"), row("x", "y"), row("y", "x"), row("self", "self"),
             row("alone", "never"), row("under", "x")]
    assert road.counts("blank_groups", HEAD, *lines) == {"created": 8}
    assert road.links() == {"c": "b", "b": "a", "x": "y", "y": "x", "self": "self", "under": "x"}
    assert road.one("SELECT count(*) FROM crm.company WHERE name IN ('b', 'c') AND version > 1") == 0, "made at once"
    journal = road.journal()
    assert road.counts("blank_groups", HEAD, *lines) == {"unchanged": 8}
    assert road.journal() == journal


def test_a_link_that_changes_to_a_record_of_the_same_run_is_made_in_it(road: Road) -> None:
    road.run("blank_groups", HEAD, row("a"), row("b", "a"))
    assert road.counts("blank_groups", HEAD, row("b", "new"), row("new")) == {"updated": 1, "created": 1}
    assert road.links() == {"b": "new"}


def test_a_link_to_a_row_that_is_refused_stays_blank_at_once(road: Road) -> None:
    head = "CODE;NAME;NEXT;COMPANIES;FIRM;SIRET;OF"
    result = road.run("mixed", head, "1;one;2;F,G;;;", "2;;;;;;", "3;three;1;F;F;77;77", "4;four;9;;;;88")
    assert told(result, "thing") == {"created": 3, "rejected": 1}
    assert road.hub_sees("SELECT t.name, n.name, cardinality(t.companies) FROM crm.thing t LEFT JOIN crm.thing n"
                         " ON n.id = t.next ORDER BY 1") == [("four", None, None), ("one", None, 1), ("three", "one", 1)]
    assert road.hub_sees("SELECT k.last_name, c.name FROM crm.contact k LEFT JOIN crm.company c ON c.id = k.company"
                         " WHERE k.last_name <> '' ORDER BY 1") == [("four", None), ("one", None), ("three", "F")]


def test_a_blank_link_to_a_row_that_the_store_refuses_does_not_hold_its_row_back(road: Road) -> None:
    road.superuser("ALTER TABLE crm.company ADD CONSTRAINT no_bad CHECK (siret <> 'bad')")
    try:
        counts = road.counts("blank_groups", HEAD, row("b", "a"), row("a", "z", "bad"), row("z", "b"), row("y", "a"))
    finally:
        road.superuser("ALTER TABLE crm.company DROP CONSTRAINT no_bad")
    assert counts == {"created": 3, "rejected": 1}
    assert road.links() == {"z": "b"}


def test_a_link_by_field_needs_exactly_one_record(road: Road) -> None:
    road.run("groups", HEAD, row("a", siret="111"), row("b", siret="222"), row("c", siret="222"))
    lines = ["1;One;111", "2;Two;222", "3;Three;333", "4;Four;"]
    result = road.run("by_field", "ID;NAME;SIRET", *lines)
    assert told(result, "contact") == {"created": 2, "parked": 2}
    found = road.hub_sees("SELECT k.last_name, c.name FROM crm.contact k LEFT JOIN crm.company c ON c.id = k.company"
                          " ORDER BY 1")
    assert found == [("Four", None), ("One", "a")]


def test_sets_of_links_are_whole_or_wait(road: Road) -> None:
    road.run("groups", HEAD, row("a"), row("b"))

    def sets() -> dict[str, list[str]]:
        return dict(road.hub_sees(
            "SELECT t.name, (SELECT array_agg(c.name ORDER BY c.name) FROM crm.company c"
            " WHERE c.id = ANY (t.companies)) FROM crm.thing t ORDER BY 1"))

    result = road.run("things", "CODE;NAME;COMPANIES", "1;one;b,a,b", "2;two;a,c", "3;three;")
    assert told(result, "thing") == {"created": 2, "parked": 1}
    assert sets() == {"one": ["a", "b"], "three": None}
    journal = road.journal()
    assert told(road.run("things", "CODE;NAME;COMPANIES", "1;one;a,b"), "thing") == {"unchanged": 1}
    assert road.journal() == journal
    assert told(road.run("things", "CODE;NAME;COMPANIES", "1;one;b"), "thing") == {"updated": 1}
    road.run("groups", HEAD, row("c"))
    assert road.held() == []
    assert sets() == {"one": ["b"], "two": ["a", "c"], "three": None}


def test_a_set_that_waits_comes_in_by_itself(road: Road) -> None:
    road.run("groups", HEAD, row("a"))
    road.run("things", "CODE;NAME;COMPANIES", "1;one;a,b")
    road.run("groups", HEAD, row("b"))
    assert (road.held(), road.one("SELECT cardinality(companies) FROM crm.thing")) == ([], 2)


def test_a_link_by_field_that_waits_comes_in_by_itself(road: Road) -> None:
    road.run("by_field", "ID;NAME;SIRET", "1;One;111")
    road.run("groups", HEAD, row("a", siret="111"))
    assert (road.held(), road.one("SELECT count(*) FROM crm.contact")) == ([], 1)


def test_lines_of_a_nested_list_hang_on_their_document_and_go_with_the_list(road: Road) -> None:
    first = '{"no": "D1", "lines": [{"n": 1, "what": "a"}, {"n": 2, "what": "b"}]}'
    road.run("nested", first, '{"no": "D2", "lines": []}', name="a.jsonl")
    result = road.run("nested", '{"no": "D1", "lines": [{"n": 2, "what": "bb"}]}', name="b.jsonl")
    assert told(result, "document_line") == {"updated": 1, "unlinked": 1}
