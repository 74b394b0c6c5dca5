"""`read.derive` under `check`: names, what columns are made of, where they may stand, and mappings that inherit them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mappings.check.project import check_project
from tests.check_desk import FLOW, flow_told, lay, told

HEAD = "flow: customers\nsystem: erp\n"
INTO = "into: {entity: company, key: id, fields: {name: NOM}}\n"


def derive(line: str, into: str = INTO, read: str = 'files: "CLI_{company}_{day:%Y%m%d}.csv"') -> str:
    return f"{HEAD}read:\n  {read}\n  derive:\n    {line}\n{into}"


@pytest.mark.parametrize("into", [
    INTO,
    "into: {entity: company, key: [$company, CODE], when: {id: X}, fields: {name: NOM}}\n",
    "into: {entity: company, key: CODE, fields: {name: id}}\n",
    "into: {entity: company, key: CODE, fields: {name: {first: [NOM, id]}}}\n",
    "into: {entity: company, key: CODE, fields: {name: {join: {columns: [NOM, id]}}}}\n",
    "into: {entity: company, key: CODE, fields: {name: NOM, credit: {from: E, currency: {from: id}}}}\n",
    "into: {entity: company, key: CODE, fields: {name: NOM, employees: {compute: 'id + 1'}}}\n",
    "into: {entity: company, key: [$company, CODE], fields: {name: NOM, parent: {join: {columns: [$company, id]}}}}\n",
])
def test_a_derived_column_stands_wherever_a_column_stands(tmp_path: Path, into: str):
    assert flow_told(tmp_path, derive("id: {from: GUID, case: lower}", into)) == []


@pytest.mark.parametrize(("line", "said"), [
    ("id: {}", "6:5: read.derive.id: where does the value come from? Write from, first, join or constant"),
    ("id: {compute: A + B}", "6:10: read.derive.id: unknown key 'compute'"),
    ("id: {from: A, constant: B}", "6:5: read.derive.id: one source is enough: from and constant"),
    ("id: {from: A, cse: lower}", "did you mean 'case'?"),
    ("id: {from: id}", "6:16: id is made of itself; give it another name than the file's column"),
    ("id: {from: $compny}", "6:16: $compny: the file's name has no part 'compny'; did you mean 'company'?"),
    ("id: {from: ^A}", "6:16: id: ^A: ^ belongs where the column is used: ^id is the one of the row that holds"),
    ("id: {from: A, extract: '('}", "6:28: id: "),
    ("id: {from: A, max: 3}", "6:19: id: a derived column refuses nothing; write cut: true beside max"),
    ("id: {from: A, cut: true}", "6:19: id: cut at which length? Write `max`"),
    ("id: {from: A, max: 0, cut: true}", "6:24: read.derive.id.max: expected a whole number, 1 or more, not 0"),
    ("id: {from: A, split: ','}", "6:19: id is one text, and split gives several; say which with `part`"),
    ("id: {from: A, part: 2}", "6:19: id: part of what? Write `split`, the separator"),
    ("id: {constant: ''}", "6:9: id: constant: which text?"),
    ("id: {constant: [a]}", "6:20: id: expected one value, not a list"),
    ("id: {first: []}", "6:5: read.derive.id: where does the value come from? Write from, first, join or constant"),
    ("id: {join: {columns: [$company, A]}}", "id is made of a part of the file's name and of columns"),
    ("my id: A", "'my id' cannot name a derived column"),
])
def test_what_is_wrong_with_a_derived_column(tmp_path: Path, line: str, said: str):
    found = [problem for problem in flow_told(tmp_path, derive(line)) if "warning" not in problem]
    assert len(found) == 1
    assert said in found[0]


def test_it_may_be_made_of_those_above_it_and_not_of_those_below(tmp_path: Path):
    assert flow_told(tmp_path, derive("a: A\n    id: {from: a, case: lower}")) == []
    assert flow_told(tmp_path, derive("id: {from: a, case: lower}\n    a: A")) == [
        "6:16: id: a stands below it; a derived column is made of those above it"]


def test_the_file_s_own_columns_are_not_called_alike_and_are_there(tmp_path: Path):
    read = "files: a.csv\n  format: {csv: {header: [id, GUID, NOM]}}"
    assert flow_told(tmp_path, derive("id: GUID", read=read)) == [
        "7:5: id: the file has a column of this name; give the derived one another"]
    into = "into: {entity: company, key: key2, fields: {name: NOM}}\n"
    assert flow_told(tmp_path, derive("key1: GUIDE", into, read)) == [
        "7:5: warning: read.derive: nothing uses key1; is 'key2' meant for it?",
        "7:11: there is no column 'GUIDE'; did you mean 'GUID'?",
        "8:30: there is no column 'key2'; did you mean 'key1'?"]


def test_one_that_nothing_uses_is_told(tmp_path: Path):
    into = "into: {entity: company, key: CODE, fields: {name: NOM}}\n"
    assert flow_told(tmp_path, derive("id: GUID", into)) == ["6:5: warning: read.derive: nothing uses id"]


@pytest.mark.parametrize("read", ["version: id", "stamp: id", "records: {by: id, use: A}",
                                  "trailer: {by: id, is: T, rows: N}", "continues: {blank: id, fill: NOM}"])
def test_what_the_file_itself_has_to_tell_is_no_derived_column(tmp_path: Path, read: str):
    found = flow_told(tmp_path, derive("id: GUID", read=f"files: a.csv\n  {read}"))
    assert len(found) == 1
    assert "id is a derived column, and this is told by a column of the file itself" in found[0]


def test_keys_of_one_id_space_have_as_many_parts_whatever_they_are_made_of(tmp_path: Path):
    first = derive("site: {constant: LYON}", "into: {entity: company, ids: all, key: [site, CODE], fields: {name: NOM}}\n")
    other = "flow: other\nsystem: erp\nread: {files: b.csv}\ninto: {entity: company, ids: all, key: %s, fields: {name: N}}\n"
    assert told(tmp_path, {"flows/customers.yaml": first, "flows/other.yaml": other % "[S, C]"}) == []
    (problem,) = told(tmp_path, {"flows/customers.yaml": first, "flows/other.yaml": other % "C"})
    assert "keys of all are C here and site and CODE in customers" in problem


def test_a_link_gives_every_part_of_the_key_but_those_of_the_file_s_name(tmp_path: Path):
    fields = "fields: {name: NOM, parent: %s}"
    into = "into: {entity: company, key: [site, CODE], " + fields + "}\n"
    assert flow_told(tmp_path, derive("site: {from: $company, case: upper}", into % "P")) == []
    (problem,) = flow_told(tmp_path, derive("site: {constant: LYON}", into % "P"))
    assert "company is known there by site and CODE, and this gives 1" in problem
    assert flow_told(tmp_path, derive("site: {constant: LYON}", into % "{join: {columns: [site, P]}}")) == []


TWO_WAY = """\
flow: customers
system: bank
direction: two-way
read: {resource: debtor, derive: {low: {from: code, case: lower}}}
into: {entity: company, key: %s, create: false, fields: {city: %s}}
"""


@pytest.mark.parametrize(("key", "field", "said"), [
    ("low", "town", "5:30: key: low is a derived column, and bank is asked for rows by their key"),
    ("no", "low", "city cannot be written back as it is read: low is a derived column, which the system does not have"),
    ("no", "{from: low, out: {to: low}}", "city: low is a derived column, which bank does not have; it cannot be written"),
])
def test_what_is_written_is_no_derived_column(tmp_path: Path, key: str, field: str, said: str):
    systems = "systems:\n  erp: {connector: file, folder: drop}\n  bank: {connector: file, folder: b}\n"
    files = {"systems.yaml": systems.replace("bank: {connector: file, folder: b}", "bank: {connector: bank}"),
             "flows/customers.yaml": TWO_WAY % (key, field)}
    lay(tmp_path, files)
    found = [str(problem) for problem in check_project(
        tmp_path, {}, connectors={"file": None, "bank": None}, builtin=tmp_path / "mappings/b")]
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize("field", ["{from: low, out: false}", "{from: low, out: {to: town}}"])
def test_a_field_that_is_not_written_as_it_is_read_may_be_derived(tmp_path: Path, field: str):
    lay(tmp_path, {"systems.yaml": "systems: {bank: {connector: bank}}",
                   "flows/customers.yaml": TWO_WAY % ("no", field)})
    connectors = {"file": None, "bank": None}
    assert check_project(tmp_path, {}, connectors=connectors, builtin=tmp_path / "mappings/b") == []


def test_a_flow_that_only_writes_derives_nothing(tmp_path: Path):
    text = ("flow: customers\nsystem: erp\ndirection: out\nread: {derive: {low: {from: A}}}\n"
            "write: {files: 'o_{number:d}.csv'}\ninto: {entity: company, key: siret, fields: {siret: siret}}\n")
    assert flow_told(tmp_path, text) == ["4:8: read.derive: a flow of direction: out reads nothing"]


def test_derived_columns_are_inherited_line_by_line(tmp_path: Path):
    model = derive("id: {from: GUID, case: lower}\n    site: {constant: LYON}",
                   "into: {entity: company, key: [site, id], fields: {name: NOM}}\n")
    heir = ("flow: heir\nlike: customers\nread: {files: h.csv, derive: {id: {first: [A, B]}, site: null, tail: {from: id}}}\n"
            "into: {entity: company, key: [id, tail], fields: {name: NOM}}\n")
    assert told(tmp_path, {"flows/customers.yaml": model, "flows/heir.yaml": heir}) == []


@pytest.mark.parametrize(("each", "written", "most"), [("lines", "^^id", "^"), ("lines.0.lots", "^^^id", "^^")])
def test_no_more_holders_than_an_element_can_have(tmp_path: Path, each: str, written: str, most: str):
    text = FLOW.replace("key: CODE\n", f"key: [{written}, n]\n    each: {each}\n").replace("read: {", "read: {format: jsonl, ")
    said = f"6:11: {written}: nothing stands so far above an element of {each}; write {most} at most"
    assert said in flow_told(tmp_path, text)
