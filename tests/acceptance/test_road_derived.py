"""Derived columns on the road: ids that two exports write differently, parts of a key that the file does not hold."""

from __future__ import annotations

import json

import pytest

from pipelines.ops.export import export_held
from pipelines.runs.intake import run_flow
from tests.road_desk import Road, roads, told

pytestmark = pytest.mark.slow

FLOWS = {
    "accounts": """
flow: accounts
system: erp
read:
  derive:
    id: {from: Account ID, max: 15, cut: true}
    kind: {from: Type, split: /, part: 1, case: lower}
into:
  entity: company
  ids: accounts
  key: id
  when: {kind: customer}
  fields: {name: {from: Name, required: true}, notes: {from: Notes, blank: keep}}
""",
    "visits": """
flow: visits
system: erp
into: {entity: company, ids: accounts, key: ID, create: false, fields: {street: STREET}}
""",
    "customers": """
flow: customers
system: erp
read: {files: "KUN_{day:%Y%m%d}.csv"}
into: {entity: company, ids: customers, key: [SITE, CODE], fields: {name: NAME}}
""",
    "lyon": """
flow: lyon
system: erp
read: {derive: {site: {constant: LYON}, client: {from: CLIENT, extract: '^0*(.+)$'}}}
into:
  entity: contact
  key: NO
  fields:
    last_name: NO
    company: {join: {columns: [site, client]}, refers: {entity: company, ids: customers}}
""",
    "orders": """
flow: orders
system: erp
read:
  format: jsonl
  derive:
    id: {from: guid, case: lower}
    code: {from: product.sku, replace: {"SKU-": ""}}
into:
  - {entity: document, key: id, fields: {number: id}}
  - entity: document_line
    each: lines
    owner: document
    whole: true
    key: [^id, code]
    fields: {sku: code, description: ^id}
""",
    "branches": """
flow: branches
system: erp
read:
  files: "BR_{branch}_{day:%Y%m%d}.csv"
  full: true
  derive: {site: {from: $branch, case: upper}}
into:
  entity: company
  key: [site, CODE]
  absent: archive
  fields: {name: NAME, parent: {from: PARENT, refers: {entity: company, ids: branches}}}
""",
}
module_road, road = roads(FLOWS)
HEAD = "Account ID;Type;Name;Notes"


def keys(road: Road, entity: str = "company") -> list[str]:
    return [key for (key,) in road.hub_sees(f"SELECT key FROM sync.crosswalk_{entity} ORDER BY 1")]


def test_two_files_that_write_one_id_differently_meet_in_one_record(road: Road) -> None:
    read = road.run("accounts", HEAD, "001A000001ABCDEIAX;Customer/Large;Durand;", "001A000001ABCDFIAX;Partner;Petit;")
    assert told(read) == {"created": 1, "skipped": 1}
    assert told(road.run("visits", "ID;STREET", "001A000001ABCDE;1 rue Haute")) == {"updated": 1}
    assert road.companies("name", "street") == [("Durand", "1 rue Haute")]
    assert keys(road) == ["001A000001ABCDE"] * 2


def test_the_same_file_again_changes_nothing_and_another_writing_of_the_id_is_the_same_row(road: Road) -> None:
    row = "001A000001ABCDEIAX;Customer/Large;Durand;"
    road.run("accounts", HEAD, row)
    assert told(road.run("accounts", HEAD, row)) == {"unchanged": 1}
    assert told(road.run("accounts", HEAD, "001A000001ABCDE;CUSTOMER;Durand;")) == {"unchanged": 1}


def test_a_link_to_a_key_with_a_part_that_the_file_does_not_hold(road: Road) -> None:
    road.run("customers", "SITE;CODE;NAME", "LYON;12;Durand", "PARIS;12;Petit")
    assert told(road.run("lyon", "NO;CLIENT", "A;0012", "B;12", "C;99"), "contact") == {"created": 2, "parked": 1}
    linked = road.hub_sees("SELECT c.last_name, o.name FROM crm.contact c JOIN crm.company o ON o.id = c.company")
    assert sorted(linked) == [("A", "Durand"), ("B", "Durand")]
    road.run("customers", "SITE;CODE;NAME", "LYON;99;Late")
    assert road.hub_sees("SELECT count(*) FROM crm.contact") == [(3,)]


def test_a_row_without_a_client_refers_to_nothing_and_a_file_without_the_column_says_nothing(road: Road) -> None:
    road.run("customers", "SITE;CODE;NAME", "LYON;12;Durand")
    road.run("lyon", "NO;CLIENT", "A;12")
    assert told(road.run("lyon", "NO", "A"), "contact") == {"unchanged": 1}
    assert road.one("SELECT company IS NOT NULL FROM crm.contact")
    assert told(road.run("lyon", "NO;CLIENT", "A;"), "contact") == {"updated": 1}
    assert road.one("SELECT company IS NULL FROM crm.contact")


def test_refused_rows_are_kept_as_they_stand_and_close_when_they_come_back_corrected(road: Road) -> None:
    road.run("accounts", HEAD, "001A000001ABCDEIAX;Customer;;", ";Customer;Nobody;")
    assert sorted(road.held(), key=str) == [("rejected", "001A000001ABCDE", "required"), ("rejected", None, "no_key")]
    (written,) = export_held(road.hub, "accounts", road.root / "files" / "accounts_corrections.csv")
    head, first, second = written.path.read_text().splitlines()
    assert "id" not in head.split(";")
    lines = [head, first.replace('"Customer";""', '"Customer";"Durand"'),
             second.replace('"";"Customer"', '"001A000001ABCDGIAX";"Customer"')]
    written.path.write_text("".join(f"{line}\n" for line in lines))
    assert told(run_flow(road.hub, "accounts", file=written.path)[-1]) == {"created": 2}
    assert road.held() == []
    assert keys(road) == ["001A000001ABCDE", "001A000001ABCDG"]


def test_what_a_key_without_its_columns_is_made_of_is_told(road: Road) -> None:
    road.run("accounts", HEAD, ";Customer;Nobody;")
    assert road.one("SELECT field FROM sync.held") == "id (Account ID)"


def test_elements_of_lists_have_derived_columns_of_their_own_and_reach_those_of_their_row(road: Road) -> None:
    def row(guid: str, *skus: str) -> str:
        return json.dumps({"guid": guid, "lines": [{"product": {"sku": sku}} for sku in skus]})

    result = road.run("orders", row("AB-1", "SKU-1", "2"))
    assert [told(result, into) for into in ("document", "document_line")] == [{"created": 1}, {"created": 2}]
    assert road.hub_sees("SELECT sku, description FROM crm.document_line ORDER BY 1") == [("1", "ab-1"), ("2", "ab-1")]
    assert keys(road, "document_line") == ["ab-1|1", "ab-1|2"]
    again = road.run("orders", row("ab-1", "1", "SKU-3"))
    assert told(again, "document_line") == {"created": 1, "unchanged": 1, "unlinked": 1}


def test_a_part_of_the_key_that_the_file_s_name_tells_keeps_files_apart(road: Road) -> None:
    head = "CODE;NAME;PARENT"
    road.run("branches", head, "1;Alpha;", "2;Beta;1", name="BR_fr_20261110.csv")
    assert told(road.run("branches", head, "1;Gamma;", name="BR_be_20261110.csv")) == {"created": 1}
    assert told(road.run("branches", head, "1;Alpha;", name="BR_FR_20261111.csv")) == {"unchanged": 1, "archived": 1}
    assert road.links() == {"Beta": "Alpha"}
    assert keys(road) == ["BE|1", "FR|1", "FR|2"]


@pytest.mark.parametrize(("head", "said"), [
    ("Account ID;Type;Name;id", "the source has columns of the names of derived ones: 'id'"),
    ("Account;Type;Name", "'company: Account ID (for id)'"),
])
def test_a_file_whose_columns_do_not_fit_is_refused_whole(road: Road, head: str, said: str) -> None:
    result = road.run("accounts", head, "1;Customer;Durand;2", state="failed")
    assert said in str(result.problem)


def test_json_lines_that_hold_a_derived_column_s_name_are_refused_whole_and_elements_of_their_lists_are_not(
    road: Road
) -> None:
    holding = json.dumps({"guid": "AB-1", "code": "X", "lines": []})
    result = road.run("orders", '{"guid": "AB-1"}', holding, state="failed")
    assert result.problem is not None
    assert result.problem["message"] == "the source has columns of the names of derived ones: 'code'"
    element = json.dumps({"guid": "AB-1", "lines": [{"product": {"sku": "SKU-1"}, "code": "X", "id": 1}]})
    assert told(road.run("orders", element), "document_line") == {"created": 1}
    assert keys(road, "document_line") == ["ab-1|1"]
